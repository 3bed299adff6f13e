"""Files of weights that do not fit the machine, the rules or the model."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from colabmagic.explain import values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import insert_argument

if TYPE_CHECKING:
    from colabmagic.explain.scene import Scene, Spot

_FROM_CUDA = re.compile(r"Attempting to deserialize object on (?:a )?(\w+) device")
_WEIGHTS = re.compile(r"Weights only load failed")
_GLOBAL = re.compile(r"Unsupported (?:global|class): ?(?:GLOBAL )?([\w.]+)")
_STATE = re.compile(r"Error\(s\) in loading state_dict for (\w+)")
_MISSING = re.compile(r"Missing key\(s\) in state_dict: (.*?)\. ?(?:\n|$)")
_UNEXPECTED = re.compile(r"Unexpected key\(s\) in state_dict: (.*?)\. ?(?:\n|$)")
_SIZES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from "
    r"checkpoint, the shape in current model is torch\.Size\((.*?)\)"
)
_PREFIXES = ("module.", "_orig_mod.")
_MOST_SIZES = 3


def cuda_checkpoint(scene: Scene) -> Draft | None:
    """Explain a file of a device that is not here."""
    match = _FROM_CUDA.search(scene.text)
    if match is None:
        return None
    spot, call = _load_call(scene)
    edit = insert_argument(spot, call, 'map_location="cpu"')
    if spot is None or edit is None or _has(call, "map_location"):
        return Draft(key="cuda-checkpoint.unseen", values={"api": match[1]})
    return Draft(
        key="cuda-checkpoint.call",
        values={"api": match[1], "place": scene.where(spot), "edit": edit},
    )


def weights_only(scene: Scene) -> Draft | None:
    """Explain a file that holds more than weights."""
    if not _WEIGHTS.search(scene.text):
        return None
    match = _GLOBAL.search(scene.text)
    held = (f"the file also holds {match[1]}",) if match else ()
    spot, call = _load_call(scene)
    edit = insert_argument(spot, call, "weights_only=False")
    if spot is None or edit is None or _has(call, "weights_only"):
        return Draft(key="weights-only.unseen", evidence=held)
    return Draft(
        key="weights-only.call",
        values={"place": scene.where(spot), "edit": edit},
        evidence=held,
    )


def _load_call(scene: Scene) -> tuple[Spot | None, ast.AST | None]:
    """Return the user's own call of ``torch.load``."""
    torch = values.torch_module()
    for spot in scene.users:
        node = spot.node
        if isinstance(node, ast.Call) and torch is not None:
            called = spot.value(node.func)
            if called is not None and called is vars(torch).get("load"):
                return spot, node
    return None, None


def _has(call: ast.AST | None, name: str) -> bool:
    """Tell whether a call has an argument already, perhaps by position or ``**``."""
    if not isinstance(call, ast.Call) or len(call.args) > 1:
        return True
    return any(keyword.arg in {name, None} for keyword in call.keywords)


def state_dict(scene: Scene) -> Draft | None:
    """Weights whose names or sizes are not those of the model."""
    match = _STATE.search(scene.text)
    if match is None:
        return None
    sizes = _SIZES.findall(scene.text)
    missing, unexpected = _keys(_MISSING, scene.text), _keys(_UNEXPECTED, scene.text)
    evidence = tuple(
        f"{name}: the file has [{file.strip('[]')}], the model [{model.strip('[]')}]"
        for name, file, model in sizes[:_MOST_SIZES]
    )
    common = {"model": match[1]}
    if sizes:
        return Draft(key="state-dict-sizes", values=common, evidence=evidence)
    prefix = _prefix(missing, unexpected)
    call = _state_call(scene)
    if prefix is not None and call is not None:
        given, model, place = call
        return Draft(
            key="state-dict-keys.prefix",
            values={
                **common,
                "prefix": prefix,
                "place": place,
                "edit": f"{model}.load_state_dict({{key.removeprefix({_quoted(prefix)}): "
                f"value for key, value in {given}.items()}})",
            },
            evidence=_counted(missing, unexpected),
            names=(model, given),
        )
    inner = _inner(scene, missing)
    if inner is not None and call is not None:
        given, model, place = call
        return Draft(
            key="state-dict-keys.inner",
            values={
                **common,
                "inner": inner,
                "name": given,
                "place": place,
                "edit": f"{model}.load_state_dict({given}[{_quoted(inner)}])",
            },
            evidence=_counted(missing, unexpected),
            names=(given,),
        )
    return Draft(
        key="state-dict-keys.seen",
        values=common,
        evidence=_counted(missing, unexpected),
    )


def _keys(pattern: re.Pattern[str], text: str) -> set[str]:
    """Return the names in one of the message's lists."""
    match = pattern.search(text)
    return set(re.findall(r'"([^"]+)"', match[1])) if match else set()


def _counted(missing: set[str], unexpected: set[str]) -> tuple[str, ...]:
    """Show some of the names."""
    rows = (("not in the file", missing), ("not in the model", unexpected))
    return tuple(
        f"{word}: {', '.join(sorted(keys)[:3])}{' …' if len(keys) > 3 else ''}"  # noqa: PLR2004
        for word, keys in rows
        if keys
    )


def _prefix(missing: set[str], unexpected: set[str]) -> str | None:
    """Return what a wrapper put before every name of the file."""
    for prefix in _PREFIXES:
        bare = {key.removeprefix(prefix) for key in unexpected}
        if missing and all(key.startswith(prefix) for key in unexpected):
            return prefix if bare == missing else None
    return None


def _state_call(scene: Scene) -> tuple[str, str, str] | None:
    """Return argument, model and place of ``model.load_state_dict(state)``."""
    for spot in scene.users:
        node = spot.node
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "load_state_dict"
            and len(node.args) == 1
            and not node.keywords
            and spot.source is not None
            and node.lineno == node.end_lineno
        ):
            text = spot.source.text
            return text(node.args[0]), text(node.func.value), scene.where(spot)
    return None


def _inner(scene: Scene, missing: set[str]) -> str | None:
    """Return the one entry of the given dict that holds the missing names."""
    for spot in scene.users:
        node = spot.node
        if isinstance(node, ast.Call) and len(node.args) == 1 and missing:
            given: Any = spot.value(node.args[0])
            if type(given) is not dict:
                return None
            found = [
                key
                for key, value in given.items()
                if type(key) is str
                and isinstance(value, dict)
                and missing <= set(value)
            ]
            return found[0] if len(found) == 1 else None
    return None


def _quoted(text: str) -> str:
    """Return a text as Python writes it, in the quotes that most people use."""
    return (
        f'"{text}"' if text.isprintable() and not set(text) & set('"\\') else repr(text)
    )
