"""The test vectors: right, the same everywhere, and of the form that is promised."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import mpmath
import numpy as np
import pytest
from vector_files import FILES, SCHEMA, SPEC, answers, array, cases, wrong

from reference_cnn.cli import main
from reference_cnn.oracle import bounds, vectors
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.vectors import exact


@pytest.mark.spec("VEC-D1")
def test_regenerating_changes_no_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", str(tmp_path / "new" / "vectors")]) == 0
    assert f"{len(LAYERS)} files of test vectors are in" in capsys.readouterr().out
    written = {p.name: p.read_bytes() for p in (tmp_path / "new" / "vectors").iterdir()}
    assert written == {p.name: p.read_bytes() for p in (SPEC / "vectors").iterdir()}, "run `reference-cnn vectors DIR`"
    assert sum(map(len, written.values())) < 2_000_000
    assert set(FILES) == set(LAYERS)


@pytest.mark.spec("VEC-D1")
def test_a_seed_draws_other_numbers_and_is_written_down(tmp_path: Path) -> None:
    assert main(["vectors", str(tmp_path), "--seed", "7"]) == 0
    other = json.loads((tmp_path / "conv_forward.json").read_text(encoding="utf-8"))
    assert other["seed"] == 7
    plain, mine = (file["groups"][0]["cases"][1] for file in (other, FILES["conv_forward"]))
    assert plain["id"] == mine["id"]
    assert plain["arguments"]["x"]["data"] != mine["arguments"]["x"]["data"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["vectors", str(tmp_path / "file")]) == 2
    assert "reference-cnn: " in capsys.readouterr().err


@pytest.mark.spec("VEC-D1")
def test_no_bound_depends_on_the_last_bits_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are exact; bounds may have a logarithm or a sum in them, so none may lie where its digits change."""
    asked: list[float] = []
    rounded_up = exact.rounded_up

    def noted(bound: float) -> float:
        asked.append(bound)
        return rounded_up(bound)

    monkeypatch.setattr(exact, "rounded_up", noted)
    for function in LAYERS:
        vectors.vectors(function)
    assert len(asked) > 1000
    for bound in asked:
        written = rounded_up(bound)
        assert bound <= written <= bound * 1.0101
        assert rounded_up(bound * (1 - 1e-12)) == written == rounded_up(bound * (1 + 1e-12)), bound


@pytest.mark.spec("VEC-D1", "VEC-D2", "VEC-D3")
@pytest.mark.parametrize("function", FILES)
def test_the_files_are_of_the_form_that_the_schema_has(function: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(FILES[function], SCHEMA)
    assert FILES[function]["function"] == function
    for dtype, case in cases(function, "valid", "acceptable", "invalid"):
        arrays = [a for a in case["arguments"].values() if isinstance(a, dict)]
        assert all(len(a["data"]) == math.prod(a["shape"]) for a in arrays)
        assert list(case["arguments"]) == [
            name for name in (*LAYERS[function].arguments, *LAYERS[function].positional) if name in case["arguments"]
        ]
        assert list(case.get("outputs", LAYERS[function].outputs)) == list(LAYERS[function].outputs)
        for output in case.get("outputs", {}).values():
            assert len(output["data"]) == math.prod(output["shape"])
            assert output["bounds"][dtype] == 0 or len(output["bounds"][dtype]) == len(output["data"])


@pytest.mark.spec("VEC-D1")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 2),
        (("seed",), None),
        (("flags", "not a flag"), "text"),
        (("groups",), []),
        (("groups", 0, "dtypes"), ["int8"]),
        (("groups", 0, "cases", 0, "result"), "perhaps"),
        (("groups", 0, "cases", 0, "result"), "invalid"),
        (("groups", 0, "cases", 0, "result"), "acceptable"),
        (("groups", 0, "cases", 0, "outputs"), {}),
        (("groups", 0, "cases", 0, "outputs", "z", "bounds", "float64"), -1),
        (("groups", 0, "cases", 0, "arguments", "x", "data", 0), "1"),
        (("groups", 0, "cases", 0, "arguments", "x", "shape"), 4),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], value: Any) -> None:
    file: Any = copy.deepcopy(FILES["conv_forward"])
    place = file
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, SCHEMA)


def misspelt(value: Any) -> Iterator[Any]:
    """Every way to misspell one name in it, or to add one."""
    if isinstance(value, dict):
        yield value | {"more": 0}
        for name, part in value.items():
            yield {n: v for n, v in value.items() if n != name} | {f"{name}s": part}
            yield from (value | {name: other} for other in misspelt(part))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from ([*value[:i], other, *value[i + 1 :]] for other in misspelt(part))


@pytest.mark.spec("VEC-D1")
@pytest.mark.parametrize("function", FILES)
def test_the_schema_refuses_a_name_that_is_none(function: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    seen: set[str] = set()
    for _, case in sorted(cases(function, "valid", "acceptable", "invalid"), key=lambda row: len(str(row))):
        names = {case["result"], *case, *case["arguments"], *case["keywords"]}
        if names <= seen:
            continue
        seen |= names
        # Without flags, whose names are the catalogue's: another test compares them.
        file = FILES[function] | {"flags": {}, "groups": [{"dtypes": ["float64"], "cases": [case]}]}
        assert validator.is_valid(file)
        for other in misspelt(file):
            assert not validator.is_valid(other), other


@pytest.mark.spec("VEC-D1", "VEC-D4")
def test_ids_are_unique_and_flags_explained() -> None:
    found = [c["id"] for file in FILES.values() for g in file["groups"] for c in g["cases"]]
    assert len(found) == len(set(found)) > 200
    for file in FILES.values():
        used = {flag for g in file["groups"] for c in g["cases"] for flag in c["flags"]}
        assert used == set(file["flags"])


@pytest.mark.spec("VEC-D3")
@pytest.mark.parametrize("function", FILES)
def test_the_reference_passes_in_every_dtype(function: str) -> None:
    for dtype, case in cases(function, "valid", "acceptable"):
        assert not wrong(LAYERS[function].reference, dtype, case), (case["id"], dtype)


@pytest.mark.spec("VEC-D3", "RND-D3")
@pytest.mark.parametrize("function", ["conv_forward", "conv_backward", "dense_forward", "dense_backward"])
def test_no_partial_sum_is_rounded_where_the_bound_is_0(function: str) -> None:
    bits = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
    for dtype, case in cases(function, "valid", "acceptable"):
        sizes = answers(lambda *a, **o: LAYERS[function].reference(*map(np.abs, a), **o), "float64", case)
        for size, output in zip(sizes, case["outputs"].values(), strict=True):
            assert output["bounds"][dtype] != 0 or size.max() <= 2 ** bits[dtype], (case["id"], dtype)


@pytest.mark.spec("VEC-D3")
def test_arguments_are_exact_in_every_dtype() -> None:
    for function in FILES:
        for dtype, case in cases(function, "valid", "acceptable"):
            for given in (a for a in case["arguments"].values() if isinstance(a, dict)):
                assert np.array_equal(array(given, dtype).astype(np.float64), array(given)), case["id"]


@pytest.mark.spec("VEC-D3")
@pytest.mark.parametrize("function", FILES)
def test_the_bounds_are_those_of_the_oracle(function: str) -> None:
    for entry, question in vectors.questions(function):
        values = exact.values(question)
        for dtype in exact.dtypes(question, entry.dtypes):
            limits = exact.limits(question, dtype, values)
            for name, (value, bound) in bounds.expected(replace(question, dtype=dtype)).items():
                assert np.all(np.abs(value - values[name]) <= bound)
                added = 2.0**-53 * np.abs(values[name]) * (question.tier == "rounding")
                assert np.all(limits[name] <= bound * (1 + 1e-6) + added)
                if function in bounds.ALLOWED:
                    assert np.all(limits[name] >= bound * (1 - 1e-9) + 0.99 * added)
                # In float64 the oracle adds its own error, where longdouble is no wider as much as the answer's.
                assert np.all(limits[name] >= (0.45 if dtype == "float64" else 1 - 1e-6) * bound)


@pytest.mark.spec("VEC-D1", "VEC-D3")
def test_answers_with_exponentials_are_rounded_once() -> None:
    """Against mpmath, which shares no code with Python's decimals."""
    with mpmath.workdps(400):
        for _, case in cases("sigmoid", "valid"):
            right = [float(1 / (1 + mpmath.exp(-mpmath.mpf(z)))) for z in case["arguments"]["z"]["data"]]
            assert case["outputs"]["a"]["data"] == right
        for _, case in cases("cross_entropy", "valid"):
            rows = array(case["arguments"]["z"]).tolist()
            labels = case["arguments"]["labels"]["data"]
            losses = [mpmath.log(sum(map(mpmath.exp, row))) - row[n] for row, n in zip(rows, labels)]
            assert case["outputs"]["E"]["data"] == [float(sum(losses))]


@pytest.mark.spec("VEC-D2")
@pytest.mark.parametrize("function", FILES)
def test_the_reference_refuses_what_is_invalid(function: str) -> None:
    for _, case in cases(function, "invalid"):
        with pytest.raises(ValueError, match=rf"\[{case['clause']}\]$"):
            answers(LAYERS[function].reference, "float64", case)


@pytest.mark.spec("VEC-D2")
def test_what_is_acceptable_has_another_good_answer() -> None:
    found = {case["id"] for function in FILES for _, case in cases(function, "acceptable")}
    others: dict[str, tuple[str, Callable[..., Any]]] = {
        "relu_prime/zero": ("relu_prime", lambda z: (z >= 0).astype(z.dtype)),
        "conv_forward/same-odd": ("conv_forward", _same_lower("conv_forward")),
        "conv_backward/same-odd": ("conv_backward", _same_lower("conv_backward")),
        "max_pool_backward/ties": ("max_pool_backward", _last_maximum),
        **{
            f"{kind}_pool_{way}/same-odd": (f"{kind}_pool_{way}", _same_lower(f"{kind}_pool_{way}"))
            for kind in ("max", "avg")
            for way in ("forward", "backward")
        },
    }
    assert found == set(others)
    for name, (function, other) in others.items():
        assert {c["id"] for d, c in cases(function, "acceptable", "valid") if wrong(other, d, c)} == {name}


def _same_lower(function: str) -> Callable[..., Any]:
    """The odd zero before, where "same" asks for one: on both axes of a convolution, the first of a pooling."""

    def other(*arrays: Any, **keywords: Any) -> Any:
        x = arrays[-2]
        odd = keywords == {"padding": "same"} or (
            keywords == {"stride": 2, "padding": "same"} and x.shape[2:] == (5, 4)
        )
        before = ((1, 0), (1, 0)) if "stride" not in keywords else ((1, 0), (0, 0))
        return LAYERS[function].reference(*arrays, **(keywords | {"padding": before} if odd else keywords))

    return other


def _last_maximum(dy: Any, x: Any, window: Any, **keywords: Any) -> Any:
    """The last maximum of a window: without other options the first one of the mirrored image."""
    if keywords != {"stride": 1} or x.shape != (1, 1, 3, 4):
        return LAYERS["max_pool_backward"].reference(dy, x, window, **keywords)
    mirrored = (slice(None), slice(None), slice(None, None, -1), slice(None, None, -1))
    return LAYERS["max_pool_backward"].reference(dy[mirrored], x[mirrored], window, **keywords)[mirrored]
