"""Tensors that meet on two devices."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from colabmagic.explain import source, values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import (
    Operand,
    made,
    operands,
    place,
    rewritten,
    rewritten_all,
    sides_at_call,
)

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene

_MOST_LINES = 4  # of evidence
_DEVICE = r"(?:cpu|[a-z]+:\d+)"
_MIXED = re.compile(
    r"Expected all tensors to be on the same device"
    r"|expected self and mask to be on the same device"
    r"|Input and (?:parameter|hidden) tensors are not at the same device"
    r"|Expected object of device type \w+ but got device type \w+"
    r"|Input type \(torch\.(?:cuda\.)?\w+\) and weight type \(torch\.(?:cuda\.)?\w+\) "
    r"should be the same"
)
_TWO_TYPES = re.compile(
    r"Input type \((torch\.\S+?)\) and weight type \((torch\.\S+?)\)"
)
_GENERATOR = re.compile(
    r"Expected an? '(\w+)' device type for generator but found '(\w+)'"
)
_LENGTHS = re.compile(r"'lengths' argument should be a 1D CPU int64 tensor")
_INDICES = re.compile(r"indices should be either on \S+ or on the same device")


def device_mismatch(scene: Scene) -> Draft | None:
    """Name the operand that is on another device than the rest."""
    if not _MIXED.search(scene.text) or _only_types_differ(scene.text):
        return None
    named = tuple(dict.fromkeys(re.findall(rf"\b{_DEVICE}(?![\w:])", scene.text)))
    for spot in scene.users:
        known = [part for part in operands(spot) if part.devices and _counts(part)]
        draft = _two_sides(scene, known) or _by_elimination(scene, known, named)
        if draft is not None:
            return draft
        mixed = [part for part in known if len(part.devices) > 1]
        if len(mixed) == 1:
            return _mixed_module(scene, mixed[0], known)
    seen = (f"torch speaks of {' and '.join(named)}",) if named else ()
    return Draft(key="device-mismatch.unseen", evidence=seen)


def _only_types_differ(text: str) -> bool:
    """Tell a convolution's two types on one device from those on two devices."""
    match = _TWO_TYPES.search(text)
    return match is not None and ("cuda" in match[1]) == ("cuda" in match[2])


def _counts(part: Operand) -> bool:
    """Tell whether an operand can be to blame: numbers on the CPU go with any device."""
    if values.is_tensor(part.value) and part.devices == ("cpu",):
        return bool(values.shape_of(part.value))
    return True


def _two_sides(scene: Scene, known: list[Operand]) -> Draft | None:
    """Explain operands of which each is on one device, and not all on the same."""
    by_device: dict[str, list[Operand]] = {}
    for part in known:
        if len(part.devices) != 1:
            return None
        by_device.setdefault(part.devices[0], []).append(part)
    if len(by_device) != 2:  # noqa: PLR2004 (two sides)
        return None
    (one, ones), (other, others) = by_device.items()
    if one == "cpu":
        return _draft(scene, ones, others[0], other)
    if other == "cpu":
        return _draft(scene, others, ones[0], one)
    return _two_accelerators(ones[0], others[0])


def _two_accelerators(first: Operand, second: Operand) -> Draft:
    """Say what was seen; which of them should move cannot be known."""
    return Draft(
        key="device-mismatch.two",
        values={
            "name": first.label,
            "device": first.devices[0],
            "other": second.label,
            "other_device": second.devices[0],
        },
        names=(first.label, second.label),
    )


def _by_elimination(
    scene: Scene, known: list[Operand], named: tuple[str, ...]
) -> Draft | None:
    """Explain one operand beside a result that cannot be looked at."""
    if len(known) != 1 or len(named) != 2 or "cpu" not in named:  # noqa: PLR2004
        return None
    (part,) = known
    hidden = [p for p in operands(part.spot) if not p.devices and p.computed]
    target = next(name for name in named if name != "cpu")
    if len(hidden) != 1:
        return None
    if part.devices == ("cpu",):
        return _draft(scene, [part], hidden[0], target)
    # Of two sides of one operator the other one it is; a call may do more inside.
    if part.devices != (target,):
        return None
    if not isinstance(part.spot.node, ast.BinOp | ast.Compare):
        return None
    return _draft(scene, hidden, part, target)


def _draft(scene: Scene, culprits: list[Operand], other: Operand, target: str) -> Draft:
    """Explain operands on the CPU that belong to another device."""
    if len(culprits) == 1:
        culprit, other = sides_at_call(
            scene, culprits[0], other, lambda part: part.devices == (target,)
        )
        culprits = [culprit]
    culprit = culprits[0]
    names = (*(part.label for part in culprits), other.label)
    common = {
        "name": "`, `".join(names[:-1]),
        "place": place(scene, culprit),
        "device": "cpu",  # what goes to the other side is always on the CPU
        "other": other.label,
        "other_device": target,
    }
    evidence = tuple(
        line for part in culprits for line in (*_shown(part), *made(scene, part))
    )[:_MOST_LINES]
    variant, edit = _edit(scene, culprits, other, target)
    if edit is None:
        return Draft(
            key="device-mismatch.named", values=common, evidence=evidence, names=names
        )
    return Draft(
        key=f"device-mismatch.{variant}",
        values={**common, "edit": edit},
        evidence=evidence,
        names=names,
    )


def _edit(
    scene: Scene, culprits: list[Operand], other: Operand, target: str
) -> tuple[str, str | None]:
    """Return the variant of the message, and the line to write if there is one."""
    fixed = scene.train_on is None and not culprits[0].spot.in_function
    modules = [part for part in culprits if values.is_module(part.value)]
    if modules:
        alone = fixed and len(culprits) == 1 and not modules[0].cut
        return "model", f'{modules[0].label}.to("{target}")' if alone else None
    wanted = _device_text(scene, culprits[0], other, target)
    if wanted is None or any(_is_target(part) for part in culprits):
        return "tensor", None
    edit = rewritten_all(culprits, lambda text: f"{text}.to({wanted})")
    return "cell" if scene.train_on is not None else "tensor", edit


def _device_text(
    scene: Scene, culprit: Operand, other: Operand, target: str
) -> str | None:
    """Return how the device is best written: by its name, or as that of the other."""
    if scene.train_on is None and not culprit.spot.in_function:
        return f'"{target}"'
    # The code also runs elsewhere, at other times: it should follow the other tensor.
    if other.cut:
        return None
    if values.is_tensor(other.basis):
        return f"{other.label}.device"
    if values.is_module(other.value) and values.tensors(other.value):
        return f"next({other.label}.parameters()).device"
    return None if scene.train_on is not None else f'"{target}"'


def _is_target(operand: Operand) -> bool:
    """Tell whether it is what an assignment changes."""
    return isinstance(getattr(operand.node, "ctx", None), ast.Store)


def _shown(operand: Operand) -> tuple[str, ...]:
    """Return what is to be seen of a tensor."""
    if not values.is_tensor(operand.value):
        return ()
    size = "x".join(map(str, values.shape_of(operand.value))) or "one number"
    kind = values.dtype_of(operand.value)
    where = values.device_of(operand.value)
    return (f"`{operand.label}`: {kind}, {size}, on {where}",)


def _mixed_module(scene: Scene, module: Operand, known: list[Operand]) -> Draft:
    """Name the part of a module that stayed behind."""
    target, *_ = (device for device in module.devices if device != "cpu")
    behind = [
        path
        for path, tensor in values.tensors(module.value)
        if values.device_of(tensor) == "cpu"
    ]
    path = f"{module.label}.{behind[0]}" if behind else module.label
    common = {
        "name": module.label,
        "part": path,
        "other_device": target,
        "place": place(scene, module),
        "edit": f'{module.label}.to("{target}")',
    }
    count = f"{len(behind)} of its {len(values.tensors(module.value))} tensors on cpu"
    others = {device for part in known if part is not module for device in part.devices}
    sure = scene.train_on is None and not module.spot.in_function and not module.cut
    sure = sure and others <= {target} and len(module.devices) == 2  # noqa: PLR2004
    return Draft(
        key="device-mismatch.part" if sure else "device-mismatch.part-named",
        values=common,
        evidence=(f"`{module.label}` has {count}",),
        names=(path, module.label),
    )


def index_device(scene: Scene) -> Draft | None:
    """Explain an index on a device, into a tensor on the CPU."""
    if not _INDICES.search(scene.text):
        return None
    for spot in scene.users:
        node = spot.node
        if not isinstance(node, ast.Subscript):
            continue
        owner, *indexes = operands(spot)
        away = [
            part
            for part in indexes
            if values.is_tensor(part.value) and values.device_of(part.value) != "cpu"
        ]
        if len(away) != 1 or not values.is_tensor(owner.value):
            continue
        edit = rewritten(away[0], lambda text: f"{text}.cpu()")
        if edit is None or values.device_of(owner.value) != "cpu":
            continue
        return Draft(
            key="index-device.tensor",
            values={
                "name": away[0].label,
                "device": values.device_of(away[0].value),
                "other": owner.label,
                "place": place(scene, owner),
                "edit": edit,
            },
            evidence=made(scene, away[0]),
            names=(away[0].label, owner.label),
        )
    return Draft(key="index-device.unseen")


def cpu_lengths(scene: Scene) -> Draft | None:
    """Explain lengths for packing that are on a device."""
    if not _LENGTHS.search(scene.text):
        return None
    for spot in scene.users:
        node = spot.node
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: word.value for word in node.keywords}
        wanted = given.get("lengths") or (node.args[1] if len(node.args) > 1 else None)
        for part in operands(spot):
            on_device = (
                values.is_tensor(part.value) and values.device_of(part.value) != "cpu"
            )
            edit = rewritten(part, lambda text: f"{text}.cpu()")
            if part.node is wanted and on_device and edit is not None:
                return Draft(
                    key="cpu-lengths.tensor",
                    values={
                        "name": part.label,
                        "device": values.device_of(part.value),
                        "place": place(scene, part),
                        "edit": edit,
                    },
                    evidence=made(scene, part),
                    names=(part.label,),
                )
    return Draft(key="cpu-lengths.unseen")


def generator_device(scene: Scene) -> Draft | None:
    """Explain a generator of one device for numbers on another."""
    match = _GENERATOR.search(scene.text)
    if match is None:
        return None
    devices = {"wanted": match[1], "found": match[2]}
    for spot in scene.users:
        keywords = spot.node.keywords if isinstance(spot.node, ast.Call) else []
        given = {word.arg: word.value for word in keywords}
        for part in operands(spot):
            if part.node is given.get("generator") and values.is_generator(part.value):
                return _named_generator(scene, part, devices, given.get("device"))
    if any(spot.module == "torch.utils.data.sampler" for spot in scene.libraries):
        return Draft(key="generator-device.loader", values=devices)
    return Draft(key="generator-device.unseen", values=devices)


def _named_generator(
    scene: Scene, part: Operand, devices: dict[str, str], device: ast.expr | None
) -> Draft:
    """Explain a generator that has a name; how to make it, where that is to be seen."""
    spot = part.spot
    assert spot.source is not None
    assert spot.node is not None
    common = {**devices, "name": part.label, "place": place(scene, part)}
    name = part.node.id if isinstance(part.node, ast.Name) else ""
    making = source.last_making(spot.source, spot.node, name) if name else None
    plain = making is not None and making.value is not None
    plain = plain and spot.source.text(making.value) == "torch.Generator()"  # type: ignore[union-attr,arg-type]
    written = spot.source.line(making.line).strip() if making is not None else ""
    if not plain or written != f"{name} = torch.Generator()" or device is None:
        return Draft(
            key="generator-device.named",
            values=common,
            evidence=made(scene, part),
            names=(part.label,),
        )
    assert making is not None
    wanted = spot.source.text(device)
    return Draft(
        key="generator-device.made",
        values={
            **common,
            "made": scene.where(spot, making.line),
            "edit": f"{name} = torch.Generator(device={wanted})",
        },
        names=(part.label,),
    )
