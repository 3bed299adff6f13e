"""What a cell can change, as it was: taken before the cell, put back in place.

Every object stays the object that it is, whoever else holds it. The walk runs no code
of the user: types and the memory of built-in kinds only.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils import data as torch_data

from colabmagic.errors import NotSupportedError
from colabmagic.train import keeping, origin
from colabmagic.train.keeping import Kept
from colabmagic.train.kept_tensors import KeptTensors
from colabmagic.train.reach import global_names
from colabmagic.train.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_TOLD: Final = 3


@dataclass(eq=False)
class Snapshot:
    """The state of all that a cell reaches from its names; made by `take`.

    Attributes
    ----------
    namespace
        The user's names. All of them are bound again as they were; what is behind those
        that the cell mentions is kept too.
    loaders
        The ``DataLoader`` objects that the cell reaches.
    """

    namespace: dict[str, Any]
    loaders: list[Any] = field(default_factory=list)
    _streams: Streams = field(default_factory=Streams)
    _tensors: KeptTensors = field(default_factory=KeptTensors)
    _undo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    _name: str = "the namespace"
    _seen: dict[int, object] = field(default_factory=dict)
    _pending: list[tuple[object, str]] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def take(
        cls,
        namespace: dict[str, Any],
        names: Iterable[str],
        devices: Iterable[torch.device],
    ) -> Snapshot:
        """Keep what a cell can change.

        Parameters
        ----------
        namespace
            The user's names.
        names
            The dotted names that the cell mentions.
        devices
            Whose random numbers the cell may draw.

        Raises
        ------
        NotSupportedError
            Something that the cell mentions cannot be put back.
        """
        made = cls(namespace)
        made._keep(keeping.keep_dict(namespace, in_order=False))
        made._seen[id(namespace)] = namespace
        firsts = dict.fromkeys(name.partition(".")[0] for name in names)
        made._pending = [(namespace[n], n) for n in firsts if n in namespace]
        try:
            made._walk()
        except MemoryError as error:
            raise _no_room(error) from None
        made._refuse()
        made._copy()
        made._streams = Streams.take(devices)
        return made

    def _copy(self) -> None:
        """Copy the memory of the tensors."""
        try:
            self._tensors.copy()
        except (MemoryError, RuntimeError) as error:
            raise _no_room(error) from None

    @property
    def copied_bytes(self) -> int:
        """How many bytes were copied."""
        return self._tensors.copied_bytes

    def restore(self) -> None:
        """Put everything back; may be called again.

        Raises
        ------
        NotSupportedError
            Something could not be put back; all the rest is.
        """
        failed: dict[str, Exception] = {}
        tensors = self._tensors.undo()
        for name, undo in (*self._undo, *tensors, *self._streams.undo()):
            try:
                undo()
            except Exception as error:  # noqa: BLE001 (the rest must come back all the same)
                failed.setdefault(name, error)
        if failed:
            raise _not_restored(failed)

    def without_workers(self) -> None:
        """Let loaders start workers of their own: those that live stay as they are."""
        for loader in self.loaders:
            loader.__dict__["_iterator"] = None

    # ---- the walk ----------------------------------------------------------------

    def _walk(self) -> None:
        """Visit everything that is pending, each object once."""
        while self._pending:
            value, name = self._pending.pop()
            if id(value) in self._seen or keeping.is_unchanging(value):
                continue
            self._seen[id(value)] = value  # kept: an id must not be used anew
            self._pending += [
                (each, name)
                for each in self._children(value, name)
                if not keeping.is_unchanging(each)
            ]

    def _children(self, value: Any, name: str) -> Iterable[object]:  # noqa: ANN401
        """Keep one object; return what it leads to."""
        self._name = name
        mro = type.__dict__["__mro__"].__get__(type(value))
        kinds = set(map(id, mro))  # no metaclass is asked
        for base, visit in self._visits:
            if id(base) in kinds:
                return visit(value)
        kept = keeping.keep(value, mro)
        if isinstance(kept, Kept):
            return self._keep(kept)
        if kept:
            self._refused.setdefault(name, kept)
        return ()

    @property
    def _visits(self) -> tuple[tuple[type, Callable[[Any], Iterable[object]]], ...]:
        """What leads further than its own attributes."""
        return (
            (torch.Tensor, lambda value: self._tensors.add(value, self._name)),
            (types.FunctionType, self._function),
            (type, self._class),
            (types.ModuleType, self._module),
            (torch_data.DataLoader, self._loader),
        )

    def _keep(self, kept: Kept) -> Iterable[object]:
        """Remember how to undo changes of an object; return what it leads to."""
        self._undo.append((self._name, kept.undo))
        return kept.inside

    def _function(self, value: types.FunctionType) -> Iterable[object]:
        inside = list(self._keep(keeping.keep_dict(value.__dict__)))
        inside += self._keep(keeping.keep_code(value))
        for cell in value.__closure__ or ():
            inside += self._keep(keeping.keep_cell(cell))
        inside += value.__defaults__ or ()
        inside += (value.__kwdefaults__ or {}).values()
        if origin.is_user_file(value.__code__.co_filename):
            around = value.__globals__
            if id(around) not in self._seen:
                self._seen[id(around)] = around
                self._keep(keeping.keep_dict(around, in_order=False))
            names = global_names(value.__code__)
            inside += (around[name] for name in names if name in around)
        return inside

    def _class(self, value: type) -> Iterable[object]:
        if not origin.is_user_type(value):
            return ()
        bases = type.__dict__["__mro__"].__get__(value)[1:]
        return (*self._keep(keeping.keep_class(value)), *bases)

    def _module(self, value: types.ModuleType) -> Iterable[object]:
        around = types.ModuleType.__getattribute__(value, "__dict__")
        file = around.get("__file__")
        if around is self.namespace:
            return ()
        if type(file) is not str:
            # Python's own have a loader: this one was made by types.ModuleType.
            made = around.get("__spec__") is None and around.get("__loader__") is None
            return self._keep(keeping.keep_dict(around)) if made else ()
        return (
            self._keep(keeping.keep_dict(around)) if origin.is_user_file(file) else ()
        )

    def _loader(self, value: Any) -> Iterable[object]:  # noqa: ANN401
        self.loaders.append(value)
        self._keep(keeping.keep_dict(value.__dict__))
        # Workers that live are left alone, and none of ours outlives the trial.
        return [each for key, each in value.__dict__.items() if key != "_iterator"]

    def _refuse(self) -> None:
        """Raise an error that names what cannot be put back."""
        if not self._refused:
            return
        listed = [f"`{name}` {why}" for name, why in self._refused.items()]
        names = ", ".join(self._refused)
        raise NotSupportedError(
            "this cell cannot be run again from where it began",
            seen="; ".join(listed[:_MOST_TOLD]),
            hint=f"make {names} inside the cell, after `del {names}`; or leave out "
            "--compare and --auto-batch",
        )


def _no_room(error: BaseException) -> NotSupportedError:
    """Return the error where there is no memory for a copy."""
    return NotSupportedError(
        "what the cell uses does not fit into memory twice, so it cannot be run again "
        "from where it began",
        seen=str(error).partition("\n")[0] or type(error).__name__,
        hint="the cell without --compare and --auto-batch",
    )


def _not_restored(failed: dict[str, Exception]) -> NotSupportedError:
    """Return the error where the cell must not run again."""
    listed = [f"`{name}`: {error}" for name, error in failed.items()]
    return NotSupportedError(
        "the cell was stopped before its next run: what the last run changed could not "
        "all be put back",
        seen="; ".join(listed[:_MOST_TOLD]),
        hint=f"run the cells again that make {', '.join(failed)}, then this one without "
        "--compare and --auto-batch",
    )
