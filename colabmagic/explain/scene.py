"""What can be seen of an error: its text, the frames of the user, values by name."""

from __future__ import annotations

import ast
import re
import site
import sys
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from colabmagic.explain import catalogue, source, values

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping

LONGEST_TEXT = 20_000
MOST_FRAMES = 400  # of a deep recursion, the last ones
MOST_NAMES = 5_000
MOST_LINKS = 20  # of a chain of causes
_NOT_THE_USERS = ("colabmagic.", "IPython.", "ipykernel.", "torch.", "numpy.")
_CELL = re.compile(r"<ipython-input-|[/\\]ipykernel_\d+[/\\]|^<%%|^<cell")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Place(str):
    """A place in the user's code, in English words; other languages have their own.

    Attributes
    ----------
    kind
        ``cell``, ``earlier`` (a cell) or ``file``.
    parts
        What fills the words: ``line``, and ``function`` or ``file``.
    """

    __slots__ = ("kind", "parts")

    kind: str
    parts: dict[str, str]

    @classmethod
    def of(cls, kind: str, **parts: str) -> Place:
        """Return a place."""
        words = catalogue.load(catalogue.ENGLISH).places[kind]
        place = cls(catalogue.fill(words, parts))
        place.kind, place.parts = kind, parts
        return place


@dataclass(eq=False)
class Spot:
    """One entry of the traceback.

    Attributes
    ----------
    entry
        The traceback's entry.
    users
        Whether the code is the user's own.
    """

    entry: types.TracebackType
    users: bool

    @property
    def frame(self) -> types.FrameType:
        """The frame."""
        return self.entry.tb_frame

    @property
    def line(self) -> int:
        """The line that was executed."""
        return self.entry.tb_lineno or 0

    @property
    def filename(self) -> str:
        """Where the code comes from."""
        return self.frame.f_code.co_filename

    @property
    def function(self) -> str:
        """The function, or ``<module>``."""
        return self.frame.f_code.co_name

    @property
    def module(self) -> str:
        """The module of the code."""
        return _text_of(self.frame.f_globals.get("__name__"))

    @property
    def in_function(self) -> bool:
        """Whether it is the body of a function, not of a cell or a file."""
        return not self.function.startswith(("<module", "<cell line"))

    @cached_property
    def locals(self) -> Mapping[str, Any]:
        """The names of the frame."""
        return self.frame.f_locals

    @cached_property
    def source(self) -> source.Source | None:
        """The source of the code."""
        return source.read_source(self.filename)

    @cached_property
    def node(self) -> ast.AST | None:
        """The expression that failed."""
        if self.source is None:
            return None
        return source.failing_node(self.source, self.frame.f_code, self.entry.tb_lasti)

    def value(self, node: ast.AST | None) -> object:
        """Return the value of a name or path, read and not computed; None otherwise."""
        if isinstance(node, ast.Name):
            if node.id in self.locals:
                return self.locals[node.id]
            return self.frame.f_globals.get(node.id)
        if isinstance(node, ast.Attribute):
            return values.member(self.value(node.value), node.attr)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return _item(self.value(node.value), node.slice.value)
        return None


class Scene:
    """An error and what is known around it; dropped when it has been explained.

    Parameters
    ----------
    error
        The exception.
    namespace
        The user's names; None takes those of the outermost frame of the user.
    train_on
        The device, if the code ran under ``%%train_on``.
    """

    def __init__(
        self,
        error: BaseException,
        namespace: Mapping[str, object] | None,
        train_on: str | None,
    ) -> None:
        self.error = error
        self.train_on = train_on
        self._namespace = namespace

    @cached_property
    def text(self) -> str:
        """The message; empty where it cannot be had."""
        return _text_of(self.error)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The names of the exception's class and of those that it inherits from."""
        return frozenset(kind.__name__ for kind in type(self.error).__mro__)

    @cached_property
    def spots(self) -> list[Spot]:
        """The traceback, outermost first."""
        entries: list[types.TracebackType] = []
        entry = self.error.__traceback__
        seen: set[int] = set()
        while entry is not None and id(entry) not in seen:
            seen.add(id(entry))
            entries.append(entry)
            entry = entry.tb_next
        kept = entries[:5] + entries[5:][-MOST_FRAMES:]
        return [Spot(entry, _is_users(entry.tb_frame)) for entry in kept]

    @cached_property
    def users(self) -> list[Spot]:
        """The user's own entries, innermost first."""
        return [spot for spot in reversed(self.spots) if spot.users]

    @cached_property
    def libraries(self) -> list[Spot]:
        """The entries below the user's innermost one, innermost first."""
        found = []
        for spot in reversed(self.spots):
            if spot.users:
                break
            if not spot.module.startswith("colabmagic."):
                found.append(spot)
        return found

    @cached_property
    def namespace(self) -> Mapping[str, object]:
        """The user's names."""
        if self._namespace is not None:
            return self._namespace
        cells = [spot for spot in self.users if spot.filename == self._cell]
        outermost = (cells or self.users)[-1:]
        return outermost[0].frame.f_globals if outermost else {}

    @property
    def spot(self) -> Spot | None:
        """The user's innermost entry."""
        return self.users[0] if self.users else None

    def calls(self, *functions: str) -> bool:
        """Tell whether a library's function of one of these names is being run."""
        return any(spot.function in functions for spot in self.libraries)

    @cached_property
    def _cell(self) -> str:
        """The file name of the cell that was run; empty in a script."""
        names = (spot.filename for spot in reversed(self.users))
        return next((name for name in names if _is_cell(name)), "")

    def where(self, spot: Spot, line: int | None = None) -> Place:
        """Return a place in words, as ``cell line 7``."""
        number = str(spot.line if line is None else line)
        if not _is_cell(spot.filename):
            name = re.split(r"[/\\]", spot.filename)[-1]
            return Place.of("file", file=name, line=number)
        if spot.filename == self._cell:
            return Place.of("cell", line=number)
        return Place.of("earlier", line=number, function=spot.function)

    def name_of(self, value: object) -> str | None:
        """Return a name of the user for an object: of a frame, else of the notebook."""
        for spot in self.users:
            for name, other in _some(spot.locals):
                if other is value:
                    return name
        for name, other in _some(self.namespace):
            if other is value:
                return name
        for name, other in _some(self.namespace):
            if values.is_module(other):
                for path, part in values.members(other, name):
                    if part is value:
                        return path
        return None


def _some(names: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the names that a person gave, up to a number."""
    return [
        (name, names.get(name))
        for name in list(names)[:MOST_NAMES]
        if type(name) is str and not name.startswith("_")
    ]


def _item(owner: object, key: object) -> object:
    """Return an item of a plain container."""
    if type(owner) is dict and type(key) in {str, int}:
        return owner.get(key)
    if type(owner) in {list, tuple} and type(key) is int:
        items: Any = owner
        return items[key] if -len(items) <= key < len(items) else None
    return None


def _text_of(value: object) -> str:
    """Return a text of limited length, without colours; empty where it fails."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 (a `__str__` of anybody)
        return ""
    if len(text) > LONGEST_TEXT:
        half = LONGEST_TEXT // 2
        text = text[:half] + text[-half:]
    return _ESCAPES.sub("", text)


def _is_cell(filename: str) -> bool:
    """Tell whether a file name is that of a cell."""
    return _CELL.search(filename) is not None


def _folders() -> tuple[str, ...]:
    """Return where code lies that is nobody's own."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    paths |= {site.getusersitepackages(), *site.getsitepackages()}
    paths.add(sys.base_prefix + "/lib/python")
    return tuple(path for path in paths if path)


_LIBRARY_FOLDERS = _folders()


def _is_users(frame: types.FrameType) -> bool:
    """Tell whether code is the user's own: a cell, or a file outside the libraries."""
    module = _text_of(frame.f_globals.get("__name__"))
    filename = frame.f_code.co_filename
    if module.startswith(_NOT_THE_USERS) or filename.startswith("<frozen"):
        return False
    return _is_cell(filename) or not filename.startswith(_LIBRARY_FOLDERS)
