"""What losses over two classes, and over probabilities, want of scores and labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from colabmagic.explain import values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import argument, at_call, made, place, rewritten
from colabmagic.explain.rules.dtype import labels_of

if TYPE_CHECKING:
    from colabmagic.explain.operands import Operand
    from colabmagic.explain.scene import Scene

_SIZES = re.compile(
    r"Target size \(torch\.Size\(\[[\d, ]*\]\)\) must be the same as input size"
    r"|Using a target size \(torch\.Size\(\[[\d, ]*\]\)\) that is different to the input"
)
_BETWEEN = re.compile(r"all elements of input should be between 0 and 1")
_ROWS = re.compile(
    r"Expected floating point type for target with class probabilities, got (\w+)"
)
_BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


def binary_sizes(scene: Scene) -> Draft | None:
    """Explain scores and labels of two classes that have not the same size."""
    if not _SIZES.search(scene.text):
        return None
    scores, labels = _given(scene, *_BINARY)
    if not (values.is_tensor(scores) and values.is_tensor(labels)):
        return None
    sizes = values.shape_of(scores), values.shape_of(labels)
    common = {"scores": str(list(sizes[0])), "labels": str(list(sizes[1]))}
    column = (*sizes[1], 1) == sizes[0]
    part = labels_of(scene, labels)
    if part is not None and (column or (*sizes[0], 1) == sizes[1]):
        kind = "unsqueeze" if column else "squeeze"
        number = len(sizes[1]) if column else len(sizes[0])
        edit = rewritten(part, lambda text: f"{text}.{kind}({number})")
        if edit is not None:
            return _draft(scene, part, f"target-shape.{kind}", {**common, "edit": edit})
    evidence = (f"scores {common['scores']}, labels {common['labels']}",)
    return Draft(key="target-shape.seen", evidence=evidence, values=common)


def class_rows(scene: Scene) -> Draft | None:
    """Explain labels with a row for each sample that are whole numbers."""
    match = _ROWS.search(scene.text)
    if match is None:
        return None
    part = labels_of(scene, _given(scene, "cross_entropy")[1])
    edit = rewritten(part, lambda text: f"{text}.float()") if part else None
    if part is None or edit is None:
        return Draft(key="target-dtype.rows-unseen", values={"found": match[1]})
    return _draft(scene, part, "target-dtype.rows", {"found": match[1], "edit": edit})


def probabilities(scene: Scene) -> Draft | None:
    """Explain scores that a loss over probabilities does not take."""
    if not _BETWEEN.search(scene.text):
        return None
    scores = _given(scene, "binary_cross_entropy")[0]
    if _holds_nan(scores):
        return Draft(key="not-probabilities.nan")
    spot = scene.spot
    part = argument(spot, 0, "input") if spot is not None else None
    if part is None:
        return Draft(key="not-probabilities.unseen")
    part = at_call(scene, part)
    edit = rewritten(part, lambda text: f"{text}.sigmoid()")
    if edit is None or scene.where(part.spot).kind == "earlier":
        return Draft(key="not-probabilities.unseen")
    return _draft(scene, part, "not-probabilities.tensor", {"edit": edit})


def _draft(scene: Scene, part: Operand, key: str, more: dict[str, str]) -> Draft:
    """Return what is said of one argument of a loss."""
    return Draft(
        key=key,
        values={**more, "name": part.label, "place": place(scene, part)},
        evidence=made(scene, part),
        names=(part.label,),
    )


def _given(scene: Scene, *functions: str) -> tuple[object, object]:
    """Return the scores and labels that torch's own loss was called with."""
    for spot in scene.libraries:
        if spot.function in functions:
            return spot.locals.get("input"), spot.locals.get("target")
    return None, None


def _holds_nan(tensor: Any) -> bool:  # noqa: ANN401 (a tensor or anything)
    """Tell whether scores are not finite; unread on a device."""
    if not values.is_plain_tensor(tensor) or values.device_of(tensor) != "cpu":
        return False
    torch = values.torch_module()
    with torch._C.DisableTorchFunction(), torch.no_grad():  # noqa: SLF001
        return bool(torch.isnan(tensor).any())
