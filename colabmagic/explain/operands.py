"""What the failing expression works on, and how to write it otherwise."""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colabmagic.explain import values

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.explain.scene import Scene, Spot

_LONGEST_LABEL = 60
# Methods of tensors whose result is where the tensor is.
_FORMS = frozenset(
    (
        *("reshape", "view", "flatten", "squeeze", "unsqueeze", "permute", "transpose"),
        *("t", "contiguous", "clone", "detach", "expand", "repeat"),
        *("float", "double", "half", "long", "int", "bool"),
        *("sum", "mean", "max", "min", "abs", "sqrt", "exp"),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """One thing that an expression works on.

    Attributes
    ----------
    label
        How it is written.
    node
        Its syntax.
    value
        What it is; None where that would have to be computed.
    spot
        The entry of the traceback that it stands in.
    basis
        What tells its device: the value, or the tensor that it is a part or a form of.
    """

    label: str
    node: ast.expr
    value: object
    spot: Spot
    basis: object

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that it is on, the commonest first; none where not to be seen."""
        return values.devices_of(self.basis)

    @property
    def cut(self) -> bool:
        """Whether the label is only the beginning of how it is written."""
        return self.label.endswith("…")

    @property
    def known(self) -> bool:
        """Whether it is a tensor or a module that can be looked at."""
        return values.is_tensor(self.value) or values.is_module(self.value)

    @property
    def computed(self) -> bool:
        """Whether it is the result of a call or a calculation."""
        return isinstance(
            self.node,
            ast.Call | ast.BinOp | ast.Subscript | ast.Attribute | ast.UnaryOp,
        )


def operands(spot: Spot) -> list[Operand]:
    """Return what the failing expression of an entry works on, in the order written."""
    found: list[Operand] = []
    for node in _parts(spot.node):
        value = spot.value(node)
        above = spot.node.func if isinstance(spot.node, ast.Call) else None
        if isinstance(above, ast.Attribute) and node is above.value:
            # `self.fc(x)` works on the layer, not on all that `self` holds.
            layer = spot.value(above)
            node, value = (above, layer) if values.is_module(layer) else (node, value)  # noqa: PLW2901
        if isinstance(node, ast.Constant) or isinstance(value, types.ModuleType):
            continue
        if callable(value) and not values.is_module(value):
            continue
        assert spot.source is not None
        basis = value if value is not None else _basis(spot, node)
        found.append(Operand(_label(spot.source.text(node)), node, value, spot, basis))
    return found


def at_call(scene: Scene, operand: Operand) -> Operand:
    """Return what the failing cell has passed as an operand of an earlier cell's code.

    To mend that code would not mend objects of its classes which exist already.

    Parameters
    ----------
    scene
        The error.
    operand
        Returned as it is where the cell itself has it, or nobody passed it.
    """
    if scene.where(operand.spot).kind != "earlier":
        return operand
    for spot in scene.users[scene.users.index(operand.spot) + 1 :]:
        if scene.where(spot).kind != "earlier":
            for other in operands(spot):
                if other.value is operand.value and other.value is not None:
                    return other
    return operand


def sides_at_call(
    scene: Scene, culprit: Operand, other: Operand, is_like: Callable[[Operand], bool]
) -> tuple[Operand, Operand]:
    """Return the same for two operands: there the model stands for its layer.

    Parameters
    ----------
    scene
        The error.
    culprit
        The one to change.
    other
        What it does not go with.
    is_like
        Whether an operand is as `other` is.
    """
    passed = at_call(scene, culprit)
    if passed is culprit:
        return culprit, other
    there = operands(passed.spot)
    same = [part for part in there if part.value is other.value]
    modules = [each for each in there if values.is_module(each.value) and is_like(each)]
    return passed, (same + modules + [other])[0]


def argument(spot: Spot, position: int, name: str) -> Operand | None:
    """Return an argument of the failing call, also where it is a calculation.

    Parameters
    ----------
    spot
        The user's entry that made the call.
    position, name
        Of the argument.
    """
    call = spot.node
    if not isinstance(call, ast.Call) or spot.source is None:
        return None
    given = [word.value for word in call.keywords if word.arg == name]
    for node in given or call.args[position : position + 1]:
        if not isinstance(node, ast.Starred):
            label = _label(spot.source.text(node))
            return Operand(label, node, spot.value(node), spot, None)
    return None


def _basis(spot: Spot, node: ast.expr) -> object:
    """Return the tensor that an expression gives a part or another form of."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _FORMS:
            pass
        case ast.Attribute(value=owner, attr="T" | "mT" | "data" | "grad"):
            pass
        case ast.Subscript(value=owner):
            pass
        case _:
            return None
    value = spot.value(owner)
    if value is None:
        return _basis(spot, owner)
    return value if values.is_plain_tensor(value) else None


def _label(text: str) -> str:
    """Return how an operand is named in a sentence."""
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def _parts(  # noqa: PLR0911 (one for each kind)
    node: ast.AST | None,
) -> list[ast.expr]:
    """Return the operands of one expression or statement."""
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            owner = function.value if isinstance(function, ast.Attribute) else function
            given = [*arguments, *(keyword.value for keyword in keywords)]
            return [owner, *(part for each in given for part in _flat(each))]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Subscript(value=owner, slice=index):
            return [owner, *_flat(index)]
        case ast.AugAssign(target=target, value=value):
            return [target, value]
    return []


def _flat(node: ast.expr) -> list[ast.expr]:
    """Return the parts of a list or tuple that is written out."""
    if isinstance(node, ast.List | ast.Tuple):
        return [part for each in node.elts for part in _flat(each)]
    return [node.value] if isinstance(node, ast.Starred) else [node]


def written_out(operand: Operand) -> bool:
    """Tell whether the operand stands on the very line that failed."""
    node = operand.node
    return node.lineno == node.end_lineno == operand.spot.line


def rewritten(operand: Operand, change: Callable[[str], str]) -> str | None:
    """Return the failing line with one operand written otherwise.

    Parameters
    ----------
    operand
        The operand.
    change
        Gets how it is written, and returns how it should be.

    Returns
    -------
    str or None
        The line without its indent; None if the statement takes several lines.
    """
    return rewritten_all([operand], change)


def rewritten_all(changed: list[Operand], change: Callable[[str], str]) -> str | None:
    """Return the failing line with several operands written otherwise, all alike."""
    spot = changed[0].spot
    if spot.source is None or not all(written_out(part) for part in changed):
        return None
    line = spot.source.line(spot.line).encode()
    for node in sorted((p.node for p in changed), key=lambda each: -each.col_offset):
        text = line[node.col_offset : node.end_col_offset].decode()
        plain = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
        new = change(text if plain else f"({text})").encode()
        line = line[: node.col_offset] + new + line[node.end_col_offset :]
    return whole(line.decode())


def whole(line: str) -> str | None:
    """Return a line without its indent, if it stands for itself."""
    text = line.strip()
    for attempt in (text, f"{text} pass", f"if 1: pass\n{text} pass"):
        try:
            compile(
                attempt,
                "<line>",
                "exec",
                ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            )
        except (SyntaxError, ValueError):
            continue
        return text
    return None


def insert_argument(
    spot: Spot | None, call: ast.AST | None, argument: str
) -> str | None:
    """Return the line of a call with one argument more; None if it is not on one line."""
    if not isinstance(call, ast.Call) or spot is None or spot.source is None:
        return None
    if call.lineno != call.end_lineno or call.end_col_offset is None:
        return None
    line = spot.source.line(call.lineno).encode()
    head = line[: call.end_col_offset - 1].decode().rstrip().removesuffix(",")
    tail = line[call.end_col_offset - 1 :].decode()
    comma = ", " if call.args or call.keywords else ""
    return whole(f"{head}{comma}{argument}{tail}")


def made(scene: Scene, operand: Operand) -> tuple[str, ...]:
    """Say where a name got its value, if the source tells it for certain."""
    spot, node = operand.spot, operand.node
    if not isinstance(node, ast.Name) or spot.source is None or spot.node is None:
        return ()
    from colabmagic.explain import source  # noqa: PLC0415 (a name of its own here)

    making = source.last_making(spot.source, spot.node, node.id)
    if making is not None:
        place = scene.where(spot, making.line)
        if making.loop is not None:
            loop = _label(spot.source.text(making.loop))
            return (f"`{node.id}` comes from the loop over `{loop}` in {place}",)
        if isinstance(making.value, ast.Call):
            called = _label(spot.source.text(making.value.func))
            return (f"`{node.id}` was made in {place} by {called}",)
        return (f"`{node.id}` was made in {place}",)
    outer = _passed_as(scene, operand)
    return () if outer is None else (outer,)


def _passed_as(scene: Scene, operand: Operand) -> str | None:
    """Say which name of a caller an argument is."""
    assert isinstance(operand.node, ast.Name)
    behind = scene.users[scene.users.index(operand.spot) + 1 :]
    for spot in behind:
        for other in operands(spot):
            if other.value is operand.value and isinstance(other.node, ast.Name):
                place = scene.where(spot)
                if other.label == operand.node.id:
                    continue
                return f"`{operand.node.id}` is `{other.label}` of {place}"
    return None


def place(scene: Scene, operand: Operand) -> str:
    """Return where the failing expression stands, in words."""
    return scene.where(operand.spot)
