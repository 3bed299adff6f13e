"""Sizes that do not fit together."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

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

_MATRICES = re.compile(
    r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)"
)
_TARGET = re.compile(
    r"0D or 1D target tensor expected, multi-target not supported"
    r"|1D target tensor expected, multi-target not supported"
    r"|[Ee]xpected target size \[?[\d, ]+\]?, got"
)
_LOSSES = ("cross_entropy", "nll_loss")
_DIMENSIONS = re.compile(
    r"expected (\d)D(?: or \dD)? input \(got (\d)D input\)"
    r"|Expected \dD \(unbatched\) or (\d)D \(batched\) input to conv\dd, but got input"
    r"|expected input\[[\d, ]+\] to have \d+ channels"
)
_BATCHES = 2  # dimensions of a matrix


def matmul_shape(scene: Scene) -> Draft | None:
    """Explain a layer that gets another number of features than it was made for."""
    match = _MATRICES.search(scene.text)
    if match is None:
        return None
    layer = next(
        (
            spot.locals.get("self")
            for spot in scene.libraries
            if spot.module == "torch.nn.modules.linear"
        ),
        None,
    )
    if not values.is_module(layer):
        return Draft(
            key="shape-mismatch.matrices",
            values={
                "first": f"{match[1]}x{match[2]}",
                "second": f"{match[3]}x{match[4]}",
            },
        )
    wanted, got = int(match[3]), int(match[2])
    name = scene.name_of(layer) or "the layer"
    given = next(
        (
            spot.locals.get("input")
            for spot in scene.libraries
            if "input" in spot.locals
        ),
        None,
    )
    common = {"name": name, "wanted": str(wanted), "got": str(got)}
    evidence: tuple[str, ...] = ()
    if values.is_tensor(given):
        shape = values.shape_of(given)
        evidence = (f"{name} got a tensor of size {list(shape)}",)
        flat = _to_flatten(scene, given, shape, wanted)
        if flat is not None:
            edit = rewritten(flat, lambda text: f"{text}.flatten(1)")
            if edit is not None:
                return Draft(
                    key="shape-mismatch.flatten",
                    values={
                        **common,
                        "tensor": flat.label,
                        "place": place(scene, flat),
                        "edit": edit,
                    },
                    evidence=evidence,
                    names=(flat.label, name),
                )
    return Draft(
        key="shape-mismatch.layer", values=common, evidence=evidence, names=(name,)
    )


def _to_flatten(
    scene: Scene, given: object, shape: tuple[int, ...], wanted: int
) -> Operand | None:
    """Return the input if all but its first dimension together are what is wanted."""
    if len(shape) <= _BATCHES or math.prod(shape[1:]) != wanted:
        return None
    for spot in scene.users:
        for part in operands(spot):
            if part.value is given:
                return at_call(scene, part)
    return None


def target_shape(scene: Scene) -> Draft | None:
    """Explain labels of a size that does not fit the scores."""
    if not _TARGET.search(scene.text) or not scene.calls(*_LOSSES):
        return None
    spot = next(spot for spot in scene.libraries if spot.function in _LOSSES)
    scores, labels = spot.locals.get("input"), spot.locals.get("target")
    if not (values.is_tensor(scores) and values.is_tensor(labels)):
        return None
    sizes = values.shape_of(scores), values.shape_of(labels)
    evidence = (f"scores {list(sizes[0])}, labels {list(sizes[1])}",)
    common = {"scores": str(list(sizes[0])), "labels": str(list(sizes[1]))}
    if len(sizes[0]) == _BATCHES and sizes[1] == (sizes[0][0], 1):
        draft = _edited(scene, labels, "squeeze", "squeeze(1)", common)
    elif (
        len(sizes[0]) == 3  # noqa: PLR2004 (batch, positions, classes)
        and sizes[0][:2] == sizes[1]
        and sizes[0][1] != sizes[0][2]
    ):
        draft = _edited(scene, scores, "classes", "transpose(1, 2)", common)
    else:
        draft = None
    return draft or Draft(key="target-shape.seen", evidence=evidence, values=common)


def _edited(
    scene: Scene, tensor: object, variant: str, call: str, common: dict[str, str]
) -> Draft | None:
    """Put a call behind the tensor, where it is written out in the user's line."""
    for spot in scene.users:
        parts = [part for part in operands(spot) if part.value is tensor]
        if not parts:
            # Scores are mostly a result; they are the first thing that the loss gets.
            parts = [
                part for part in operands(spot)[1:2] if part.computed and not part.known
            ]
            parts = parts if variant == "classes" and scene.users[0] is spot else []
        for part in [at_call(scene, each) for each in parts]:
            edit = rewritten(part, lambda text: f"{text}.{call}")
            if edit is not None:
                return Draft(
                    key=f"target-shape.{variant}",
                    values={
                        **common,
                        "name": part.label,
                        "place": place(scene, part),
                        "edit": edit,
                    },
                    evidence=made(scene, part),
                    names=(part.label,),
                )
    return None


def missing_dimension(scene: Scene) -> Draft | None:
    """Explain images without the dimension of the batch, or of the channels."""
    if not _DIMENSIONS.search(scene.text):
        return None
    layers = [spot.locals.get("self") for spot in scene.libraries]
    layer = next(filter(values.is_module, layers), None)
    for part in (part for spot in scene.users for part in operands(spot)):
        if not values.is_tensor(part.value) or values.is_module(part.value):
            continue
        passed = at_call(scene, part)
        first = _first_layer(passed, layer)
        if first is None:
            continue
        name, wanted, channels = first
        shape = values.shape_of(passed.value)
        if len(shape) != wanted - 1:
            continue
        variant, number = "batch", 0
        if shape[0] != channels:
            variant, number = "channels", 1
        common = {
            "name": passed.label,
            "size": str(list(shape)),
            "layer": scene.name_of(layer) or name,
            "wanted": str(wanted),
        }
        edit = rewritten(passed, lambda text, at=number: f"{text}.unsqueeze({at})")  # type: ignore[misc]
        if edit is None or (variant == "channels" and channels != 1):
            return Draft(key="missing-dimension.seen", values=common)
        return Draft(
            key=f"missing-dimension.{variant}",
            values={**common, "place": place(scene, passed), "edit": edit},
            evidence=made(scene, passed),
            names=(passed.label,),
        )
    return None


def _first_layer(passed: Operand, layer: object) -> tuple[str, int, int] | None:
    """Return a layer's class, its dimensions and its channels: the first that has any.

    It is looked for in the model that gets the tensor, whose own channels these are.
    """
    owners = [part.value for part in operands(passed.spot)]
    models = [each for each in owners if values.is_module(each)] or [layer]
    for model in models:
        for _, part in values.members(model):
            name = type(part).__name__
            digit = re.fullmatch(r"(?:Conv|BatchNorm|InstanceNorm)([123])d", name)
            held = values.attributes(part)
            channels = held.get("in_channels", held.get("num_features"))
            if digit is not None and type(channels) is int:
                return name, int(digit[1]) + 2, channels
    return None
