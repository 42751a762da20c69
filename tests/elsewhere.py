"""The README's commands, by the package that is installed and not the one beside this file.

`python tests/elsewhere.py README.md` runs in an empty folder, under a Python that has nothing but the package. It fails
where a command ends otherwise than it should, or where Python shows a traceback.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import reference_cnn

# What the README leaves to the reader: layers of his own; here all of them are right.
LAYERS = "from reference_cnn import *\n"
# Commands that need what is not here: this repository, other packages, the whole of MNIST.
ELSEWHERE = ("python -m pip", "--plot", "mnist.npz")
# Layers that are right with channels first are not with channels last; the skeleton in C waits to be filled in.
WRONG = ("--layout channels_last", "exec:./layers")


def commands(readme: str) -> list[str]:
    """The lines after a prompt."""
    found = [line.rpartition("&& ")[2] for line in re.findall(r"^\$ (.*)$", readme, flags=re.MULTILINE)]
    return [line for line in found if not any(word in line for word in ELSEWHERE) and line != "python -m nox"]


def main() -> None:
    """Run them."""
    readme = Path(sys.argv[1]).read_text(encoding="utf-8")
    assert Path(reference_cnn.__file__).is_relative_to(sys.prefix), reference_cnn.__file__
    Path("my_layers.py").write_text(LAYERS, encoding="utf-8")
    scripts = Path(sys.executable).parent
    for line in commands(readme):
        program, *words = shlex.split(line)
        if program == "cc" and not shutil.which("cc"):
            break  # what comes after it in its block is its program
        path = shutil.which(program, path=os.pathsep.join([str(scripts), os.environ["PATH"]]))
        assert path, program
        run = subprocess.run([path, *words], capture_output=True, encoding="utf-8", check=False, timeout=300)
        print(f"{run.returncode}  {line}", flush=True)
        said = run.stdout + run.stderr
        assert run.returncode == any(word in line for word in WRONG), said
        assert "Traceback" not in said, said


if __name__ == "__main__":
    main()
