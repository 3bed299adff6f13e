"""Numbers of different types that meet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from colabmagic.explain import values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import (
    Operand,
    argument,
    at_call,
    made,
    operands,
    place,
    rewritten,
    sides_at_call,
)

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_WORD = r"'?(?:torch\.(?:cuda\.)?)?((?:c10::)?\w+(?: \w+)?)'?"
_MIXED = (
    re.compile(
        rf"(?:mat1|self) and mat2 must have the same dtype, but got {_WORD} and {_WORD}"
    ),
    re.compile(
        rf"dot : expected both vectors to have same dtype, but found {_WORD} and {_WORD}"
    ),
    re.compile(
        rf"addmv input tensors must have the same dtype, but got {_WORD}, {_WORD}"
    ),
    re.compile(
        rf"have the same dtype, but found \w+ of type {_WORD} and \w+ of type {_WORD}"
    ),
    re.compile(rf"expected dtype {_WORD} for `\w+` but got dtype {_WORD}"),
    re.compile(
        rf"expected m1 and m2 to have the same dtype, but got: {_WORD} != {_WORD}"
    ),
    re.compile(
        rf"Input type \({_WORD}\) and (?:bias|weight) type \({_WORD}\) should be"
    ),
    re.compile(rf"expected scalar type {_WORD} but found {_WORD}"),
    re.compile(
        r"input dtype \(torch\.(\w+)\) does not match weight dtype \(torch\.(\w+)\)"
    ),
    re.compile(rf"Found dtype {_WORD} but expected {_WORD}"),
)
_TARGET = re.compile(
    r"expected target dtype to be Long or Byte, but got (\w+)"
    r"|expected scalar type Long but found (\w+)"
    r"|\"nll_loss\w*\" not implemented for '(\w+)'"
)
_LOSSES = ("cross_entropy", "nll_loss")
_METHODS = {
    "float32": "float",
    "float16": "half",
    "bfloat16": "bfloat16",
    "float64": "double",
}


def target_dtype(scene: Scene) -> Draft | None:
    """Explain labels that are no whole numbers of 64 bits."""
    match = _TARGET.search(scene.text)
    if match is None or not scene.calls(*_LOSSES):
        return None
    found = next(word for word in match.groups() if word)
    target = _target(scene)
    part = labels_of(scene, target)
    if part is not None and values.is_tensor(target) and _are_classes(target):
        edit = rewritten(part, _long)
    else:
        edit = None
    if part is not None and edit is not None:
        return Draft(
            key="target-dtype.tensor",
            values={
                "name": part.label,
                "found": values.dtype_of(target),
                "place": place(scene, part),
                "edit": edit,
            },
            evidence=made(scene, part),
            names=(part.label,),
        )
    return Draft(key="target-dtype.unseen", values={"found": found})


def labels_of(scene: Scene, target: object) -> Operand | None:
    """Return what the user has given to a loss as labels.

    Parameters
    ----------
    scene
        The error.
    target
        The labels, as the loss got them.
    """
    for spot in scene.users:
        labels = [part for part in operands(spot) if part.value is target]
        if target is not None and len(labels) == 1:
            return at_call(scene, labels[0])
    if scene.spot is None or scene.where(scene.spot).kind == "earlier":
        return None
    # An expression: the second thing that the loss gets.
    part = argument(scene.spot, 1, "target")
    return part if part is not None and part.computed and not part.known else None


def _long(text: str) -> str:
    """Return how labels become whole numbers, in the place of another conversion."""
    for made_so in (".float()", ".double()", ".half()"):
        text = text.removesuffix(made_so)
    return f"{text}.long()"


def _are_classes(labels: Any) -> bool:  # noqa: ANN401 (a tensor)
    """Tell whether labels lose nothing as whole numbers; unread on a device."""
    if len(values.shape_of(labels)) != 1:
        return False
    if values.device_of(labels) != "cpu" or not values.is_plain_tensor(labels):
        return True
    torch = values.torch_module()
    with torch._C.DisableTorchFunction(), torch.no_grad():  # noqa: SLF001
        return bool((labels == labels.trunc()).all())


def _target(scene: Scene) -> object:
    """Return the labels that torch's own loss was called with."""
    for spot in scene.libraries:
        if spot.function in _LOSSES:
            return spot.locals.get("target")
    return None


def dtype_mismatch(scene: Scene) -> Draft | None:
    """Explain numbers of several types in one operation."""
    match = next(filter(None, (pattern.search(scene.text) for pattern in _MIXED)), None)
    if match is None:
        return None
    for spot in scene.users:
        known = [part for part in operands(spot) if part.known and _numbers(part)]
        kinds = {kind for part in known for kind in values.dtypes_of(part.value)}
        if len(known) != 2 or len(kinds) != 2:  # noqa: PLR2004 (two sides)
            continue
        culprit, other, kind = _sides(known[0], known[1])
        wanted = values.dtypes_of(other.value)
        culprit, other = sides_at_call(
            scene,
            culprit,
            other,
            lambda part, wanted=wanted: values.dtypes_of(part.value) == wanted,  # type: ignore[misc]
        )
        common = {
            "name": culprit.label,
            "found": values.dtypes_of(culprit.value)[0],
            "other": other.label,
            "wanted": wanted[0],
            "place": place(scene, culprit),
        }
        names = (culprit.label, other.label)
        evidence = made(scene, culprit)
        edit = _converted(culprit, _METHODS.get(kind))
        if edit is None:
            return Draft(
                key="dtype-mismatch.named",
                values=common,
                evidence=evidence,
                names=names,
            )
        return Draft(
            key="dtype-mismatch.tensor",
            values={**common, "edit": edit},
            evidence=evidence,
            names=names,
        )
    return Draft(
        key="dtype-mismatch.unseen", values={"found": match[1], "wanted": match[2]}
    )


def _converted(part: Operand, method: str | None) -> str | None:
    """Return the line with one operand converted."""
    return method and rewritten(part, lambda text: f"{text}.{method}()")


def _numbers(part: Operand) -> bool:
    """Tell whether an operand has one type of numbers."""
    return len(values.dtypes_of(part.value)) == 1


def _sides(first: Operand, second: Operand) -> tuple[Operand, Operand, str]:
    """Return which operand to convert, the other one, and to what; '' if unsure."""
    if values.is_module(second.value):
        first, second = second, first
    if values.is_module(first.value) and not values.is_module(second.value):
        return second, first, values.dtypes_of(first.value)[0]
    single = [p for p in (first, second) if values.dtypes_of(p.value) == ("float32",)]
    if values.is_tensor(first.value) and len(single) == 1:
        other = second if single[0] is first else first
        return other, single[0], "float32"
    return first, second, ""
