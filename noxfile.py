"""The sessions: `nox` runs those that a contributor needs, `nox -l` lists all."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.11.12"
# uv installs in seconds what takes pip a minute; and it would fetch a Python that is missing.
nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "tests", "catalogue", "mutation_layers", "witnesses", "deviations", "build"]

# The oldest runs everything, the newest all but sweeps over numbers, which are NumPy's whatever the Python; those
# between them run what is fast, and count the branches that are taken.
PYTHONS = ["3.11", "3.12", "3.13"]
PROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = ("-c", "constraints.txt")

# pyenv's Pythons may not be on the PATH, or there only as shims that refuse to run: look where it keeps them.
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
KEPT = [str(folder) for version in PYTHONS for folder in sorted(PYENV.glob(f"versions/{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([*KEPT, os.environ["PATH"]])

# A Python that is missing is a session skipped, in CI too, and the summary lists it.
nox.options.error_on_missing_interpreters = False

# The tests start hundreds of processes, each of which would compile anew what must not be written.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The whole of MNIST as Keras keeps it, which is not in the repository.
MNIST = Path(os.environ.get("MNIST_NPZ", "../shared/data/mnist.npz"))

# PyTorch is installed first and alone, since its plain package comes in builds of very different sizes; and by pip,
# which can be told where the small ones are.
TORCH = "torch==2.13.0"


# As many tests run at a time as there are processors; several threads in each would stand in each other's way.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# Tests that need no other process, and so little time; they take every branch of what a verdict rests on.
FASTER = [f"tests/test_{name}.py" for name in (
    *("adjoint", "arrays", "article_numbers", "bad_input", "bounds", "byte_order", "cases", "cli", "estimates"),
    *("explain", "fuzz", "gradcheck", "gradcheck_arguments", "html", "judge", "layout", "loops", "patterns", "purity"),
    *("readme", "scipy", "sigmoid_range", "special", "symbolic", "vectors"),
)]  # fmt: skip


# Many numbers through the same code, and what is said of them.
SWEEPS = [f"tests/test_{name}.py" for name in (
    *("article", "cases", "condition_words", "consistency", "consistency_pairs", "diagnose_steps", "differences"),
    *("evidence", "implementations", "layout", "normwise", "offers", "oracle", "oracle_invitations", "patterns"),
    *("special", "vector_mistakes"),
)]  # fmt: skip


def group(name: str) -> list[str]:
    """The requirements of one dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


def pytest(session: nox.Session, *options: str) -> None:
    """Run tests, one on each processor; one that has none left takes some of another's, since they differ in length."""
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *options, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, likely mistakes, and what a well-kept repository has."""
    session.install(*CONSTRAINTS, *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("repo-review", ".", "--show", "err")


@nox.session
def types(session: nox.Session) -> None:
    """`mypy --strict` over package, tests and this file."""
    session.install(*CONSTRAINTS, "-e", ".", *group("types"))
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite, with the examples in the documentation; all of it with the oldest Python."""
    session.install(*CONSTRAINTS, "-e", ".", *group("test"))
    some = {PYTHONS[0]: [], PYTHONS[-1]: [f"--ignore={file}" for file in SWEEPS]}
    pytest(session, *(session.posargs or some.get(str(session.python), [*FASTER, "--cov"])))


@nox.session
def catalogue(session: nox.Session) -> None:
    """Every known mistake is rejected and named, over dtypes and seeds."""
    session.install(*CONSTRAINTS, "-e", ".", *group("test"))
    pytest(session, "tests/catalogue", *session.posargs)


@nox.session
def witnesses(session: nox.Session) -> None:
    """ONNX, Keras on JAX, and PyTorch as witnesses; and the built-in targets that need them."""
    session.install("pip")
    session.run("python", "-m", "pip", "install", "--quiet", *CONSTRAINTS, TORCH)
    session.install(*CONSTRAINTS, "-e", ".", *group("test"), *group("witnesses"))
    pytest(session, "tests/witnesses", *session.posargs)
    if MNIST.is_file():
        session.run("pytest", "tests/witnesses/whole_mnist.py", env={"MNIST_NPZ": str(MNIST.resolve())})
    else:
        session.log("the tests on the whole of MNIST are left out: MNIST_NPZ names no file")


@nox.session
def deviations(session: nox.Session) -> None:
    """Released versions that really are wrong: the oracle has to say so."""
    session.install(*CONSTRAINTS, "-e", ".", *group("test"))
    session.install("onnx==1.22.0")
    session.run("pytest", "tests/witnesses/deviations_onnx.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Every mutant of what verdict and diagnosis rest on, from where it stopped; `-- --write` writes the summary."""
    mutate(session, *session.posargs)


@nox.session
def mutation_layers(session: nox.Session) -> None:
    """Every mutant of the layers but the explained ones, and some made by hand: fails where one survives."""
    mutate(session, "layers", "--known", *session.posargs)
    session.run("pytest", "tests/mutation")


def mutate(session: nox.Session, *options: str) -> None:
    """Run tests/mutation."""
    if sys.platform != "linux":
        session.skip("each mutant is tried in a forked process with limits that Linux has")
    session.install(*CONSTRAINTS, "-e", ".", *group("mutation"))
    session.run("python", "tests/mutation", *options, env=ONE_THREAD)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Random inputs of all kinds for layers, oracle and command: `nox -s fuzz -- --seconds 300`."""
    session.install(*CONSTRAINTS, "-e", ".")
    session.run("python", "tests/fuzz.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """The faster tests with the oldest versions that the metadata allow."""
    oldest = [r.replace(">=", "==") for r in PROJECT["project"]["dependencies"]]
    # Its tools may be new; SciPy is the newest that goes with such a NumPy.
    session.install("-e", ".", *oldest, *group("test"))
    pytest(session, *FASTER, *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist, the same bytes twice; and each, installed elsewhere, runs the README's commands there."""
    session.install(*CONSTRAINTS, "build")
    constraints, here = str(Path("constraints.txt").resolve()), Path.cwd()
    temporary = Path(session.create_tmp()).resolve()
    # From the repository, and from the sdist in another folder: nothing but what is in it decides over the bytes.
    first, second, unpacked = (temporary / name for name in ("first", "second", "unpacked"))
    for stale in (first, second, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    pinned = {"PIP_CONSTRAINT": constraints}
    session.run("python", "-m", "build", "--outdir", str(first), silent=True, env=pinned)
    (sdist,), (wheel,) = first.glob("*.tar.gz"), first.glob("*.whl")
    shutil.unpack_archive(sdist, unpacked, filter="data")
    source = unpacked / sdist.name.removesuffix(".tar.gz")
    session.run("python", "-m", "build", "--outdir", str(second), str(source), silent=True, env=pinned)
    for built in (sdist, wheel):
        content = built.read_bytes()
        if content != (second / built.name).read_bytes():
            session.error(f"two builds of {built.name} differ")
        session.log(f"{hashlib.sha256(content).hexdigest()}  {built.name}, twice")
    elsewhere = temporary / "elsewhere"
    for built in (wheel, sdist):
        session.run("python", "-m", "venv", "--clear", str(elsewhere), silent=True)
        python = str(elsewhere / ("Scripts" if os.name == "nt" else "bin") / "python")
        install = ("install", "--quiet", "-c", constraints, str(built))
        session.run(python, "-m", "pip", *install, external=True, env=pinned)
        with session.chdir(elsewhere):
            script, readme = (str(here / name) for name in ("tests/elsewhere.py", "README.md"))
            session.run(python, "-P", script, readme, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in build/site: any warning is an error, and every link inside it is followed."""
    session.install(*CONSTRAINTS, "-e", ".", *group("docs"))
    # Sphinx wants its sources in one folder, the repository has them where a reader looks for them.
    source, site = Path(session.create_tmp()).resolve() / "source", Path("build/site")
    for stale in (source, site):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(".docs", source)
    shutil.copytree("spec", source / "spec")
    for document in (*Path().glob("*.md"), Path("CITATION.cff"), Path("LICENSE")):
        shutil.copy(document, source)
    doctrees = str(source.parent / "doctrees")
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-q", "-E", "-d", doctrees, str(source), str(site))
    shutil.copy(site / "README.html", site / "index.html")
    session.run("python", "tests/site_check.py", str(site))


@nox.session
def matrix(session: nox.Session) -> None:
    """Write the status matrix of spec/README.md anew."""
    session.run("python", "tests/traceability.py", "--write")


@nox.session
def kills(session: nox.Session) -> None:
    """Write spec/kill_matrix.md anew: which cases show which mistakes."""
    session.install(*CONSTRAINTS, "-e", ".")
    session.run("python", "tests/kill_matrix.py", "--write")


@nox.session
def figures(session: nox.Session) -> None:
    """Draw the figures of spec/walkthrough.md anew."""
    session.install(*CONSTRAINTS, "-e", ".")
    session.run("python", "tests/figures.py", "--write")


@nox.session(venv_backend="venv")
def bench(session: nox.Session) -> None:
    """Measure the layers against other libraries, and write spec/benchmarks.md; let nothing else run meanwhile."""
    for requirements in ([TORCH], ["scipy"], ["onnx"], ["onnxruntime", "onnx"], ["jax"], ["keras", "jax"]):
        try:
            session.install(*CONSTRAINTS, *requirements)
        except nox.command.CommandFailed:
            session.warn(f"{requirements[0]} cannot be installed; the page names it")
    session.install(*CONSTRAINTS, "-e", ".")
    session.run("python", "tests/benchmark.py", "--write")


@nox.session(venv_backend="venv")
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew: the newest versions that everything works with together."""
    session.install(TORCH)
    groups = [r for name in ("test", "witnesses", "mutation", "lint", "types", "docs") for r in group(name)]
    session.install("--upgrade", "-e", ".", "build", "hatchling", *groups)
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude-editable", silent=True)
    lines = [line for line in str(frozen).splitlines() if "==" in line and not line.startswith("torch==")]
    header = "# Versions that the sessions install, written by `nox -s constraints`; PyTorch's is in noxfile.py.\n"
    Path("constraints.txt").write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
