"""Between tensors and NumPy arrays."""

from __future__ import annotations

import ast
import re
import sys
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
    from colabmagic.explain.scene import Scene, Spot

_ON_DEVICE = re.compile(r"can't convert (\w+(?::\d+)?) device type tensor to numpy")
_GRAD = re.compile(r"Can't call numpy\(\) on Tensor that requires grad")
_ARRAY_TYPE = re.compile(r"can't convert np\.ndarray of type numpy\.(\w+)")
_MOST_ITEMS = 10_000
_NUMBERS = (bool, int, float)


def numpy_on_device(scene: Scene) -> Draft | None:
    """Explain a tensor on a device that is to become an array."""
    match = _ON_DEVICE.search(scene.text)
    if match is None:
        return None
    return _converted(scene, "numpy-on-device", ".cpu()", {"device": match[1]})


def numpy_grad(scene: Scene) -> Draft | None:
    """Explain a tensor with a history that is to become an array."""
    if not _GRAD.search(scene.text):
        return None
    return _converted(scene, "numpy-requires-grad", ".detach()", {})


def _converted(scene: Scene, code: str, call: str, more: dict[str, str]) -> Draft:
    """Put a call behind the tensor that becomes an array."""
    for spot in scene.users:
        part = _to_convert(spot, code)
        if part is None:
            continue
        part = at_call(scene, part)
        if code == "numpy-on-device" and (
            not values.is_tensor(part.value) or values.requires_grad(part.value)
        ):
            # Also right where there is no history.
            call = ".cpu()" if part.label.endswith(".detach()") else ".detach().cpu()"
        edit = rewritten(part, lambda text, call=call: f"{text}{call}")  # type: ignore[misc]
        if edit is None:
            break
        return Draft(
            key=f"{code}.tensor",
            values={
                **more,
                "name": part.label,
                "place": place(scene, part),
                "edit": edit,
            },
            evidence=made(scene, part),
            names=(part.label,),
        )
    return Draft(key=f"{code}.unseen", values=more)


def _to_convert(spot: Spot, code: str) -> Operand | None:
    """Return what the failing expression makes an array of; None if several could be."""
    node = spot.node
    if not isinstance(node, ast.Call):
        return None
    parts = operands(spot)
    if isinstance(node.func, ast.Attribute) and node.func.attr in {
        "numpy",
        "__array__",
    }:
        return next((part for part in parts if part.node is node.func.value), None)
    concerned = [part for part in parts if values.is_tensor(part.value)]
    if code == "numpy-on-device":
        concerned = [
            part for part in concerned if values.device_of(part.value) != "cpu"
        ]
    else:
        concerned = [part for part in concerned if values.requires_grad(part.value)]
    return concerned[0] if len(concerned) == 1 else None


def from_numpy_type(scene: Scene) -> Draft | None:
    """Explain an array of objects or texts that is to become a tensor."""
    match = _ARRAY_TYPE.search(scene.text)
    if match is None:
        return None
    kind = {"kind": match[1].rstrip("_")}
    for spot in scene.users:
        arrays = [part for part in operands(spot) if _is_array(part.value)]
        if len(arrays) != 1 or not isinstance(spot.node, ast.Call):
            continue
        (part,) = arrays
        common = {**kind, "name": part.label, "place": place(scene, part)}
        seen = _held(part.value)
        evidence = (
            *((f"`{part.label}` holds {seen}",) if seen else ()),
            *made(scene, part),
        )
        edit = None
        if seen == "numbers only":
            edit = rewritten(part, lambda text: f'{text}.astype("float32")')
        if edit is not None:
            return Draft(
                key="array-type.numbers",
                values={**common, "edit": edit},
                evidence=evidence,
                names=(part.label,),
            )
        return Draft(
            key="array-type.named",
            values=common,
            evidence=evidence,
            names=(part.label,),
        )
    return Draft(key="array-type.unseen", values=kind)


def _is_array(value: object) -> bool:
    """Tell whether it is a plain NumPy array."""
    kind = getattr(sys.modules.get("numpy"), "ndarray", None)
    return kind is not None and type(value) is kind


def _held(array: Any) -> str:  # noqa: ANN401 (an array)
    """Say what an array of objects holds, by the types alone."""
    if array.dtype != object or not 0 < array.size <= _MOST_ITEMS:
        return ""
    kinds = {type(item) for item in array.ravel().tolist()}
    if kinds <= set(_NUMBERS):
        return "numbers only"
    return ", ".join(sorted(kind.__name__ for kind in kinds)[:5])
