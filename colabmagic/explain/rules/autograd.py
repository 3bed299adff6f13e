"""Backward passes that cannot be made."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from colabmagic.explain import source, values
from colabmagic.explain.model import Draft
from colabmagic.explain.operands import made, operands

if TYPE_CHECKING:
    from colabmagic.explain.operands import Operand
    from colabmagic.explain.scene import Scene, Spot

_TWICE = re.compile(r"Trying to backward through the graph a second time")
_LEAF = re.compile(
    r"a (?:view of a )?leaf Variable that requires grad (?:is being|has been) used in an "
    r"in-place operation"
)
_NO_GRAD = re.compile(
    r"element \d+ of (?:tensors|variables) does not require grad and does not have a grad_fn"
)
_SIMPLE = (ast.AugAssign, ast.Assign, ast.Expr)


def backward_twice(scene: Scene) -> Draft | None:
    """Explain a graph that a backward pass has used up already."""
    if not _TWICE.search(scene.text):
        return None
    for spot in scene.users:
        loss = _loss(spot)
        if loss is None:
            continue
        assert isinstance(loss.node, ast.Name)
        common = {"name": loss.label, "place": scene.where(spot)}
        outside = _made_outside(scene, loss)
        if outside is not None:
            return Draft(
                key="backward-twice.loop",
                values={**common, **outside},
                names=(loss.label,),
            )
        earlier = _earlier_call(spot, loss.node)
        if earlier is not None:
            return Draft(
                key="backward-twice.calls",
                values={**common, **earlier},
                names=(loss.label,),
            )
        return Draft(key="backward-twice.named", values=common, names=(loss.label,))
    return Draft(key="backward-twice.unseen")


def _loss(spot: Spot) -> Operand | None:
    """Return the name that ``.backward()`` was called on."""
    node = spot.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr != "backward" or not isinstance(node.func.value, ast.Name):
        return None
    return next((part for part in operands(spot) if part.node is node.func.value), None)


def _made_outside(scene: Scene, loss: Operand) -> dict[str, str] | None:
    """Return line and text of the making, if it stands before the loop of the call."""
    spot = loss.spot
    assert spot.source is not None
    assert spot.node is not None
    assert isinstance(loss.node, ast.Name)
    loops = source.enclosing(spot.source, spot.node, (ast.For, ast.While))
    scope = source.scope_of(spot.source, spot.node)
    found = source.makings(spot.source, scope, loss.node.id)
    if not loops or len(found) != 1 or found[0].loop is not None:
        return None
    inner = loops[-1]
    if not isinstance(inner, ast.For | ast.While) or found[0].line >= inner.lineno:
        return None
    line = spot.source.line(found[0].line)
    if found[0].value is None or found[0].node.lineno != found[0].node.end_lineno:  # type: ignore[attr-defined]
        return None
    for node in ast.walk(found[0].value):
        value = spot.value(node)
        if values.is_tensor(value) and values.has_history(value):
            return None  # its graph is used up as well: this line alone does not help
    if ";" in line:
        return None
    return {
        "edit": line.strip(),
        "made": scene.where(spot, found[0].line),
        "loop": str(inner.lineno),
    }


def _earlier_call(spot: Spot, name: ast.Name) -> dict[str, str] | None:
    """Return the line of the call before, changed, if the two stand in plain sequence."""
    assert spot.source is not None
    assert spot.node is not None
    scope = source.scope_of(spot.source, spot.node)
    body: list[ast.stmt] = getattr(scope, "body", [])
    calls = [
        statement.value
        for statement in body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and ast.dump(statement.value.func)
        == ast.dump(ast.Attribute(name, "backward", ast.Load()))
        and not statement.value.args
        and not statement.value.keywords
    ]
    here = next((n for n, call in enumerate(calls) if call is spot.node), 0)
    if here == 0:
        return None
    before = calls[here - 1]
    between = source.makings(spot.source, scope, name.id)
    if any(before.lineno < making.line < spot.line for making in between):
        return None
    text = spot.source.line(before.lineno).strip()
    between_lines = spot.source.lines[before.lineno : spot.line - 1]
    if any(".step(" in line for line in between_lines):
        return None  # the weights that the graph remembers are changed by then
    if text != f"{name.id}.backward()":
        return None
    return {
        "edit": f"{name.id}.backward(retain_graph=True)",
        "before": str(before.lineno),
    }


def leaf_in_place(scene: Scene) -> Draft | None:
    """Explain a weight that is changed where autograd watches."""
    if not _LEAF.search(scene.text):
        return None
    spot = scene.spot
    if spot is None or spot.source is None or spot.node is None:
        return Draft(key="leaf-in-place.unseen")
    statement = _statement(spot.source, spot.node)
    weight = next(
        (
            part
            for part in operands(spot)
            if values.is_tensor(part.value) and values.requires_grad(part.value)
        ),
        None,
    )
    text = spot.source.line(spot.line).strip()
    one_line = (
        isinstance(statement, _SIMPLE) and statement.lineno == statement.end_lineno
    )
    if weight is None or not one_line or ";" in text:
        return Draft(key="leaf-in-place.unseen")
    assert statement is not None
    written = spot.source.segment(statement)
    if written != text.partition("#")[0].strip():
        return Draft(key="leaf-in-place.unseen")
    return Draft(
        key="leaf-in-place.named",
        values={
            "name": weight.label,
            "place": scene.where(spot),
            "edit": f"with torch.no_grad(): {written}",
        },
        evidence=made(scene, weight),
        names=(weight.label,),
    )


def _statement(text: source.Source, node: ast.AST) -> ast.stmt | None:
    """Return the statement that an expression belongs to."""
    above = text.parents(getattr(node, "lineno", 0))
    current: ast.AST | None = node
    while current is not None and not isinstance(current, ast.stmt):
        current = above.get(current)
    return current


def no_grad(scene: Scene) -> Draft | None:
    """Explain a loss that no weight has part in."""
    if not _NO_GRAD.search(scene.text):
        return None
    for spot in scene.users:
        loss = _loss(spot)
        if loss is None:
            continue
        common = {"name": loss.label, "place": scene.where(spot)}
        cause = _cut(scene, loss)
        if cause is not None:
            variant, more, seen = cause
            return Draft(
                key=f"no-grad.{variant}",
                values={**common, **more},
                evidence=(*made(scene, loss), *seen),
                names=(loss.label,),
            )
        return Draft(
            key="no-grad.named",
            values=common,
            evidence=made(scene, loss),
            names=(loss.label,),
        )
    return Draft(key="no-grad.unseen")


def _is_live(spot: Spot, call: ast.Call) -> bool:
    """Tell whether the one thing that a call gets is a tensor that wants gradients."""
    given = spot.value(call.args[0]) if len(call.args) == 1 else None
    return values.is_tensor(given) and values.requires_grad(given)


def _cut(
    scene: Scene, loss: Operand
) -> tuple[str, dict[str, str], tuple[str, ...]] | None:
    """Tell where the loss lost its history, if the source or the switch shows it."""
    spot = loss.spot
    torch = values.torch_module()
    assert isinstance(loss.node, ast.Name)
    assert spot.source is not None
    assert spot.node is not None
    if torch is not None and not torch.is_grad_enabled() and not spot.in_function:
        return "switched-off", {"command": "torch.set_grad_enabled(True)"}, ()
    making = source.last_making(spot.source, spot.node, loss.node.id)
    if making is None or making.value is None:
        return None
    blocks = source.enclosing(spot.source, making.value, (ast.With,))
    for block in blocks:
        assert isinstance(block, ast.With)
        text = spot.source.text(block.items[0].context_expr)
        if "no_grad" in text or "inference_mode" in text:
            seen = (f"line {block.lineno}: with {text}",)
            return "block", {"made": scene.where(spot, making.line)}, seen
    called = making.value
    if isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute):
        if spot.source.text(called.func) == "torch.tensor" and _is_live(spot, called):
            inner = spot.source.text(called.args[0])
            return (
                "tensor",
                {"made": scene.where(spot, making.line), "inner": inner},
                (),
            )
        if called.func.attr == "detach":
            return "detach", {"made": scene.where(spot, making.line)}, ()
    return None
