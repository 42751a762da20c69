"""Known mistakes fail the test vectors that are there to catch them."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vector_files import FILES, SPEC, cases, wrong

from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import of_function

# About memory, or within the bound [VEC-D4].
UNSEEN = {"written-input", "ignored-strides", "sigmoid-prime-cancel"}


def _flip(w: Any) -> Any:
    return w[..., ::-1, ::-1] if w.ndim > 3 else w[..., ::-1]


def _changed(function: str, **changes: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The reference's gradients, some of them changed: change(gradient, dz)."""

    def other(dz: Any, *arrays: Any, **keywords: Any) -> Any:
        right = LAYERS[function].reference(dz, *arrays, **keywords)
        return right._replace(**{name: change(getattr(right, name), dz) for name, change in changes.items()})

    return other


REFERENCE = {name: layer.reference for name, layer in LAYERS.items()}
# A wrong implementation for each of some mistakes, independent of the catalogue's.
WRONG: list[tuple[str, str, Callable[..., Any]]] = [
    ("flipped-kernel", "conv_forward", lambda x, w, *b, **o: REFERENCE["conv_forward"](x, _flip(w), *b, **o)),
    ("missing-bias", "conv_forward", lambda x, w, *b, **o: REFERENCE["conv_forward"](x, w, **o)),
    ("narrow-accumulation", "conv_forward",
     lambda *a, **o: REFERENCE["conv_forward"](*(v.astype(np.float16) for v in a), **o)),
    ("mean-over-batch", "conv_backward",
     _changed("conv_backward", dw=lambda g, dz: g / len(dz), db=lambda g, dz: g / len(dz))),
    ("dw-flipped", "conv_backward", _changed("conv_backward", dw=lambda g, dz: _flip(g))),
    ("db-one-image", "conv_backward",
     _changed("conv_backward", db=lambda g, dz: dz[0].sum(axis=tuple(range(1, dz.ndim - 1))))),
    ("dense-dw-transposed", "dense_backward", _changed("dense_backward", dw=lambda g, dz: g.T)),
    ("prime-of-input", "sigmoid_prime", lambda z: z * (1 - z)),
    ("sigmoid-sign", "sigmoid", lambda z: REFERENCE["sigmoid"](-z)),
    ("sigmoid-by-tanh", "sigmoid", lambda z: (1 + np.tanh(z / 2)) / 2),
    ("sigmoid-clip", "sigmoid", lambda z: REFERENCE["sigmoid"](np.clip(z, -500, 500))),
    ("narrow-arithmetic", "softmax", lambda z: REFERENCE["softmax"](z.astype(np.float32)).astype(z.dtype)),
    ("added-epsilon", "cross_entropy",
     lambda z, labels: -np.log(REFERENCE["softmax"](z)[np.arange(len(z)), labels] + 1e-12).sum()),
    ("softmax-axis", "softmax", lambda z: REFERENCE["softmax"](z.swapaxes(0, -1)).swapaxes(0, -1)),
    ("softmax-no-max", "softmax", lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)),
    ("softmax-diagonal", "softmax_backward", lambda da, a: a * (1 - a) * da),
    ("log-of-softmax", "cross_entropy",
     lambda z, labels: -np.log(REFERENCE["softmax"](z)[np.arange(len(z)), labels]).sum()),
    ("loss-broadcast", "squared_error", lambda o, y: ((o - np.squeeze(y)) ** 2).sum() / 2),
    ("pool-small-init", "max_pool_forward", lambda *a, **o: np.maximum(REFERENCE["max_pool_forward"](*a, **o), 0)),
    ("pool-divisor", "avg_pool_forward",
     lambda *a, **o: REFERENCE["avg_pool_forward"](*a, **o | {"include_padding": not o.get("include_padding")})),
]  # fmt: skip


@pytest.mark.spec("VEC-D4")
@pytest.mark.parametrize(("mistake", "function", "implementation"), WRONG, ids=[row[0] for row in WRONG])
def test_a_mistake_fails_the_cases_that_it_is_named_at(
    mistake: str, function: str, implementation: Callable[..., Any]
) -> None:
    failed = {c["id"] for dtype, c in cases(function, "valid") if wrong(implementation, dtype, c)}
    flagged = {c["id"] for _, c in cases(function, "valid") if mistake in c["flags"]}
    assert flagged
    assert flagged <= failed


@pytest.mark.spec("VEC-D4")
@pytest.mark.parametrize("function", FILES)
def test_every_catalogued_mistake_fails(function: str) -> None:
    seen: dict[str, set[str]] = {}
    for mistake in of_function(function):
        results = ("valid", "acceptable") if mistake.kind == "convention" else ("valid",)
        for wrap in mistake.wraps[function]:
            implementation = wrap(LAYERS[function].reference)
            failed = {c["id"] for d, c in cases(function, *results) if wrong(implementation, d, c)}
            assert (mistake.id in UNSEEN) == (not failed), mistake.id
            seen[mistake.id] = seen.get(mistake.id, set()) | failed
    assert set(FILES[function]["flags"]) == set(seen) - UNSEEN
    for dtype, case in cases(function, "valid", "acceptable"):
        for flag in case["flags"]:
            assert case["id"] in seen[flag], f"{case['id']} in {dtype} does not see {flag}"


def test_the_specification_names_what_files_cannot_show() -> None:
    text = (SPEC / "vectors.md").read_text(encoding="utf-8")
    cannot = re.search(r"A file cannot show (.*)\.", text)
    assert cannot is not None
    assert {name for name in re.findall(r"`([a-z-]+)`", cannot[1]) if name != "dw-doubled"} == UNSEEN
