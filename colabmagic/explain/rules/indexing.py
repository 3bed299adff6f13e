"""Indexes outside of what they index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from colabmagic.explain import values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import (
    Operand,
    at_call,
    made,
    operands,
    place,
    rewritten,
)

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_TARGET = re.compile(r"Target (-?\d+) is out of bounds")
_EMBEDDING = re.compile(r"index out of range in self")
_LOSSES = ("cross_entropy", "nll_loss")
_MOST_NUMBERS = 10_000_000


def target_range(scene: Scene) -> Draft | None:
    """Explain a label that is no class."""
    match = _TARGET.search(scene.text)
    spot = next((spot for spot in scene.libraries if spot.function in _LOSSES), None)
    if match is None or spot is None:
        return None
    scores, labels = spot.locals.get("input"), spot.locals.get("target")
    if not values.is_tensor(scores) or len(values.shape_of(scores)) < 2:  # noqa: PLR2004
        return None
    classes = values.shape_of(scores)[1]
    part = _operand(scene, labels)
    span = _span(labels)
    common = {
        "label": match[1],
        "classes": str(classes),
        "last": str(classes - 1),
    }
    if part is not None:
        common["name"] = part.label
    names = (part.label,) if part else ()
    evidence = (
        (f"labels from {span[0]} to {span[1]}, {classes} classes",) if span else ()
    )
    if part is not None and span == (1, classes):
        edit = rewritten(part, lambda text: f"{text} - 1")
        if edit is not None:
            return Draft(
                key="target-range.from-one",
                values={**common, "place": place(scene, part), "edit": edit},
                evidence=(*evidence, *made(scene, part)),
                names=names,
            )
    key = "target-range.unseen" if part is None else "target-range.seen"
    return Draft(key=key, values=common, evidence=evidence, names=names)


def embedding_range(scene: Scene) -> Draft | None:
    """Explain a number that the table of an embedding does not have."""
    if not _EMBEDDING.search(scene.text):
        return None
    layer = next(
        (
            spot.locals.get("self")
            for spot in scene.libraries
            if spot.module == "torch.nn.modules.sparse"
        ),
        None,
    )
    if not values.is_module(layer):
        return None
    table = values.member(layer, "weight")
    given = next(
        (
            spot.locals.get("input")
            for spot in scene.libraries
            if "input" in spot.locals
        ),
        None,
    )
    if not values.is_tensor(table):
        return None
    rows = values.shape_of(table)[0]
    name = scene.name_of(layer) or "the embedding"
    span = _span(given)
    part = _operand(scene, given)
    shown = part.label if part else "its input"
    evidence = (f"`{shown}` has numbers from {span[0]} to {span[1]}",) if span else ()
    return Draft(
        key="embedding-range",
        values={"name": name, "rows": str(rows), "last": str(rows - 1)},
        evidence=evidence,
        names=(name, *((part.label,) if part else ())),
    )


def _operand(scene: Scene, value: object) -> Operand | None:
    """Return the operand of the user that is this very object."""
    found = (
        at_call(scene, part)
        for spot in scene.users
        for part in operands(spot)
        if value is not None and part.value is value
    )
    return next(found, None)


def _span(tensor: Any) -> tuple[int, int] | None:  # noqa: ANN401 (a tensor or anything)
    """Return the least and the greatest number, on the CPU and of torch's own type."""
    torch = values.torch_module()
    if torch is None or type(tensor) is not torch.Tensor:
        return None
    if values.device_of(tensor) != "cpu" or not 0 < tensor.numel() <= _MOST_NUMBERS:
        return None
    if "int" not in values.dtype_of(tensor):
        return None
    with torch._C.DisableTorchFunction(), torch.no_grad():  # noqa: SLF001
        low, high = torch.aminmax(tensor)
        return int(low), int(high)
