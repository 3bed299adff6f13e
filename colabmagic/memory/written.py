"""What a failed call has written where: read from its source, nothing is run."""

from __future__ import annotations

import ast
import linecache
import re
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.exceptions import has_locals

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable, Iterator, Mapping

_LIBRARIES: Final = ("site-packages", "dist-packages", "<frozen")
_CELL: Final = re.compile(r"<ipython-input-|[/\\]ipykernel_\d+[/\\]|^<%%|^<cell")
_LONGEST: Final = 100_000  # characters; what is longer is no cell
_PLAIN: Final = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
UNKNOWN: Final = object()


def is_library(filename: str) -> bool:
    """Tell whether code from this file was installed, not written by the user."""
    own = str(Path(__file__).parent.parent)
    if filename.startswith((sysconfig.get_path("stdlib"), sys.prefix, own)):
        return True
    return any(mark in filename for mark in _LIBRARIES)


@dataclass(eq=False, slots=True)
class Page:
    """One cell or file of the user that a failed call went through.

    Attributes
    ----------
    filename
        As its code objects say.
    is_first
        Whether the call began here: it is the cell that failed.
    lines, tree
        The text, and its syntax.
    frames
        Its frames, the outermost first.
    """

    filename: str
    is_first: bool
    lines: list[str]
    tree: ast.Module
    frames: list[types.FrameType] = field(default_factory=list)

    def place(self, node: ast.AST) -> str:
        """Return where a node stands, in words."""
        line = getattr(node, "lineno", 0)
        if not _CELL.search(self.filename):
            return f"{Path(self.filename).name} line {line}"
        if self.is_first:
            return f"cell line {line}"
        function = next(filter(has_locals, self.frames), self.frames[0])
        return f"line {line} of the cell that defines {function.f_code.co_name}"

    def value(self, node: ast.AST | None) -> Any:  # noqa: ANN401 (any value)
        """Return what a number or a name means; `UNKNOWN` where that is not certain."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            for frame in reversed(self.frames):
                for names in (frame.f_locals, frame.f_globals):
                    if node.id in names:
                        return names[node.id]
        return UNKNOWN

    def is_local(self, name: str) -> bool:
        """Tell whether a name is one of a function's own."""
        return any(has_locals(each) and name in each.f_locals for each in self.frames)

    def called(self) -> list[ast.AST]:
        """Return the code that ran: the cell that failed, of others its functions."""
        names = {frame.f_code.co_name for frame in self.frames}
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        inside = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, functions) and node.name in names
        ]
        return [self.tree] if self.is_first else [*inside]

    def stores(self, name: str) -> list[ast.Assign | None]:
        """Return the places that bind a name; None for what is no plain assignment."""
        plain: dict[int, ast.Assign] = {
            id(node.targets[0]): node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Assign) and len(node.targets) == 1
        }
        bound = [
            plain.get(id(node))
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name)
            and node.id == name
            and not isinstance(node.ctx, ast.Load)
        ]
        arguments = (node.arg for node in ast.walk(self.tree) if type(node) is ast.arg)
        return [*bound, *(None for each in arguments if each == name)]

    def with_call(self, node: ast.expr, call: str) -> str | None:
        """Return the line of an expression with a call behind it, if it is on one line."""
        if node.lineno != node.end_lineno or node.end_col_offset is None:
            return None
        line = self.lines[node.lineno - 1].encode()
        head, tail = line[: node.col_offset], line[node.end_col_offset :]
        text = line[node.col_offset : node.end_col_offset].decode()
        text = text if isinstance(node, _PLAIN) else f"({text})"
        edit = f"{head.decode()}{text}{call}{tail.decode()}".strip()
        try:
            ast.parse(edit)
        except SyntaxError:  # a part of something longer
            return None
        return edit


def pages(
    called: Iterable[types.FrameType], namespace: Mapping[str, Any]
) -> tuple[Page, ...]:
    """Return the cells and files of the user that a failed call went through.

    Parameters
    ----------
    called
        Its frames, the outermost first.
    namespace
        The user's names: what ran the cell stands above them.
    """
    own = [each for each in called if not is_library(each.f_code.co_filename)]
    begin = (n for n, each in enumerate(own) if each.f_globals is namespace)
    own = own[next(begin, 0) :]
    found: dict[str, Page] = {}
    for frame in own:
        filename = frame.f_code.co_filename
        if filename not in found:
            lines = [line.rstrip("\r\n") for line in linecache.getlines(filename)]
            tree = _parsed("\n".join(lines))
            if tree is None:
                continue
            is_first = filename == own[0].f_code.co_filename
            found[filename] = Page(filename, is_first, lines, tree)
        found[filename].frames.append(frame)
    return tuple(found.values())


def _parsed(text: str) -> ast.Module | None:
    """Return the syntax of a text; None where it cannot be had."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if not text or len(text) > _LONGEST:
        return None
    try:
        tree = compile(text + "\n", "<page>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    assert isinstance(tree, ast.Module)
    return tree


@dataclass(frozen=True, slots=True)
class Growing:
    """A sum or list that keeps, batch for batch, all that computed its values.

    Attributes
    ----------
    name
        The user's name of it.
    place
        Where something is added, in words.
    edit
        That line without the graphs; None if it takes several lines.
    call
        What takes the graph off: ``.item()`` or ``.detach()``.
    """

    name: str
    place: str
    edit: str | None
    call: str


def growing(read: Iterable[Page]) -> Iterator[Growing]:
    """Yield where the cell adds computed values to a sum or list, round by round.

    Parameters
    ----------
    read
        What `pages` returned.
    """
    from colabmagic.memory.tensors import has_graph, is_tensor  # noqa: PLC0415 (torch)

    for page in read:
        wanted = {  # a sum that is computed for its gradient keeps its graph
            node.value.id
            for node in ast.walk(page.tree)
            if isinstance(node, ast.Attribute)
            and node.attr == "backward"
            and isinstance(node.value, ast.Name)
        }
        for name, added, to_list in _additions(page.tree):
            value = page.value(name)
            if name.id in wanted or (type(value) is list) != to_list:
                continue
            last = (value or [None])[-1] if to_list else value
            if is_tensor(last) and has_graph(last):
                alone = not to_list and _is_one_number(last)
                call = ".item()" if alone else ".detach()"
                edit = page.with_call(added, call)
                yield Growing(name.id, page.place(added), edit, call)


def _additions(tree: ast.Module) -> Iterator[tuple[ast.Name, ast.expr, bool]]:
    """Yield what a loop adds to a name, and whether by ``append``."""
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For | ast.AsyncFor | ast.While):
            continue
        for node in ast.walk(loop):
            match node:
                case ast.AugAssign(
                    target=ast.Name() as name, op=ast.Add(), value=added
                ):
                    yield name, added, False
                case ast.Assign(
                    targets=[ast.Name() as name],
                    value=ast.BinOp(left=ast.Name() as old, op=ast.Add(), right=added),
                ) if name.id == old.id:
                    yield name, added, False
                case ast.Call(
                    func=ast.Attribute(value=ast.Name() as name, attr="append"),
                    args=[added],
                ):
                    yield name, added, True


def _is_one_number(tensor: Any) -> bool:  # noqa: ANN401 (a tensor)
    """Tell whether a tensor has one number."""
    from colabmagic.memory.tensors import shape_of  # noqa: PLC0415 (torch)

    return shape_of(tensor).startswith("scalar ")
