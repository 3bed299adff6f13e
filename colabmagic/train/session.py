"""One cell on one device: everything goes there, the cell runs, everything comes home."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.errors import DeviceFailedError
from colabmagic.interrupts import deferred_interrupts
from colabmagic.memory.children import is_kind
from colabmagic.train import conversions, factories
from colabmagic.train.belongings import described, frame_values, is_users, owns
from colabmagic.train.budget import refuse_too_much
from colabmagic.train.collector import paused_collector
from colabmagic.train.departure import first_line, flatten, guard_graphs, send
from colabmagic.train.device_memory import device_memory
from colabmagic.train.exchange import no_subclass
from colabmagic.train.loading import Loading, indexed_datasets
from colabmagic.train.meter import Meter
from colabmagic.train.modules import Modules
from colabmagic.train.move import Mover
from colabmagic.train.patches import Patches
from colabmagic.train.reach import Reach
from colabmagic.train.resident import Resident
from colabmagic.train.scope import Scope
from colabmagic.train.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.train.options import TrainOptions

_ABSENT: Final = object()


class Session:
    """Runs one cell on a device.

    Parameters
    ----------
    namespace
        The user's names.
    names
        The dotted names that the cell mentions.
    device
        An accelerator; the CPU needs no session.
    options
        What the user asked for.
    lasting
        Whether it outlives the cell: later cells are let in by `admit`, what the user
        drops is let go, and all his names are swept at the end.
    meter
        Adds up the times of the loaders.
    """

    def __init__(  # noqa: PLR0913 (two by keyword)
        self,
        namespace: dict[str, Any],
        names: tuple[str, ...],
        device: torch.device,
        options: TrainOptions,
        *,
        lasting: bool = False,
        meter: Meter | None = None,
    ) -> None:
        self.namespace = namespace
        self.lasting = lasting
        self.names = self._with_looked_up(names)
        self.device = device
        self.options = options
        self.scope = Scope(device=device, rng=options.rng)
        self.mover = Mover(device)
        self.patches = Patches()
        self.modules = Modules(self.scope, self.mover, self.patches, namespace, names)
        known = self.mover.travellers
        resident = Resident(self.scope, known) if options.cache else None
        self.meter = meter or Meter(namespace)
        self.loading = Loading(self.scope, self.mover, self.meter, resident)
        self.tuning = Tuning(options, device)
        self.moved: tuple[str, ...] = ()
        self._before: dict[str, Any] = {}
        self._named_before: set[tuple[int, object]] = set()
        self._guards: list[Any] = []
        self._entry_bytes = 0
        self._outer_device: int | None = None
        self._grad_mode = torch.is_grad_enabled()
        self._left: list[weakref.ref[torch.Tensor]] = []

    def _with_looked_up(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Add all names where one is looked up by its text: it may be any."""
        if {"globals", "locals"}.isdisjoint(names):
            return names
        return (*names, *filter(is_users, self.namespace))

    # ---- enter ---------------------------------------------------------------------

    def enter(self) -> None:
        """Move what the cell uses and patch what it calls.

        Raises
        ------
        DeviceMemoryError
            It does not fit; nothing was moved then.
        NotSupportedError
            The device cannot do what an option asks for.
        """
        self.tuning.check()
        try:
            with deferred_interrupts(), paused_collector(), no_subclass():
                reach = Reach(self.namespace, devices=[]).names(self.names)
                self._remember(reach)
                self._choose_device()
                self._move_in(reach)
                self._patch(reach)
                self.tuning.enter(self.patches, reach.modules, self.mover, self.scope)
        except BaseException:  # an interrupt is held back until all that was done
            with deferred_interrupts():
                self._unpatch()
                self.mover.home(copy=False)  # nothing was computed yet
                self._release()
            raise

    def admit(self, names: tuple[str, ...]) -> None:
        """Move what one more cell uses, in a session that lasts.

        Parameters
        ----------
        names
            The dotted names that the cell mentions.

        Raises
        ------
        DeviceMemoryError
            It does not fit; nothing more was moved then.
        """
        with deferred_interrupts(), paused_collector(), no_subclass():
            self.names = self.modules.names = self._with_looked_up(names)
            reach = Reach(self.namespace, devices=[]).names(self.names)
            self._note_devices()
            device_memory("reset_peak_memory_stats", self.device)
            self._move_in(reach)
            self._meet(reach)

    def admit_inner(self, namespace: dict[str, Any], names: tuple[str, ...]) -> None:
        """Move what a block inside uses; it comes home with the rest."""
        with deferred_interrupts(), paused_collector(), no_subclass():
            reach = Reach(namespace, devices=[]).names(names)
            self._move_in(reach)
            self._meet(reach)

    def let_go(self) -> None:
        """Forget what the user has dropped since, so that its memory is free."""
        with paused_collector():
            self.loading.forget()
            self.mover.forget_dropped()

    def _remember(self, reach: Reach) -> None:
        """Note what is bound to which name, and what is on the device already."""
        if self.lasting:  # no value: it would not be free when the user drops it
            everything = filter(is_users, self.namespace)
            reach = Reach(self.namespace, devices=[]).names(everything)
            self._before = {
                name: value
                for name, value in self.namespace.items()
                if type(value) is torch.device
            }
        else:
            self._before = dict(self.namespace)
        self._note_devices()
        self._named_before = {
            (id(owner), key)
            for owner, key in reach.devices or ()
            if owner[key] == self.device
        }
        self._entry_bytes = self._allocated()
        device_memory("reset_peak_memory_stats", self.device)
        present = [each for each in reach.tensors.values() if self.mover.is_away(each)]
        if self._entry_bytes:
            present += self._alive_on_device()
        for each in present:
            self.scope.stay.add(each)

    def _note_devices(self) -> None:
        """Note how the user names devices: that tells what he chooses himself."""
        self.scope.named_devices = tuple(
            each for each in self.namespace.values() if type(each) is torch.device
        )
        self.scope.makes_devices = "torch.device" in self.names or any(
            self.namespace.get(name) is torch.device for name in self.names
        )

    def _choose_device(self) -> None:
        """Make the device current, so that the user's ``"cuda"`` means it."""
        accelerator: Any = getattr(torch, "accelerator", None)  # torch 2.6 and later
        if self.device.index is None or accelerator is None:  # type: ignore[redundant-expr]  # its stub says int
            return
        current = accelerator.current_device_index()
        if current != self.device.index:
            self._outer_device = current
            accelerator.set_device_index(self.device.index)

    def chosen(self, reach: Reach) -> list[torch.Tensor]:
        """Return the tensors that belong on the device."""
        at_home = self.scope.at_home
        return [
            each
            for each in reach.tensors.values()
            if id(each) not in reach.at_home and each not in at_home
        ]

    def _move_in(self, reach: Reach) -> None:
        """Move everything that the cell reaches."""
        chosen = self.chosen(reach)
        refuse_too_much(chosen, self.mover, self.namespace, self.names)
        taken = send(self.mover, chosen)
        if taken:
            self._guard_graphs()
        if self.device.type == "cuda":
            flatten(reach.modules.values(), {id(each) for each in taken}, self.mover)
        self.moved = self._described({id(each) for each in taken})

    def _guard_graphs(self) -> None:
        """Refuse a backward pass into a graph of the CPU whose leaves have moved."""
        self._guards += guard_graphs(self.mover.travellers)

    def there(self) -> tuple[tuple[str, ...], int]:
        """Return the user's names whose values are on the device, and their bytes."""
        moved = {
            key for key, each in self.mover.travellers.items() if each.is_in_place()
        }
        names = [
            name
            for name, value in self.namespace.items()
            if is_users(name) and owns(value, moved)
        ]
        return tuple(names), sum(each.size for each in self.mover.pairs.values())

    def _described(self, taken: set[int]) -> tuple[str, ...]:
        """Return the names whose values moved, as the user knows them."""
        return described(self.namespace, self.names, taken)

    def _patch(self, reach: Reach) -> None:
        """Change what the cell calls."""
        factories.install(self.scope, self.patches, self.namespace)
        conversions.install(self.scope, self.patches, self.mover)
        self.loading.install(self.patches)
        self.modules.install()
        self._meet(reach)

    def _meet(self, reach: Reach) -> None:
        """Change what the cell calls of the user's own classes."""
        inside = any("dataset" in name.split(".")[1:] for name in self.names)
        datasets = indexed_datasets(reach.data.values(), inside=inside)
        self.loading.meet(self.patches, datasets)
        self.modules.meet(reach.modules)

    # ---- exit ------------------------------------------------------------------------

    def exit(
        self, result: object, error: BaseException | None, *, keep: bool = False
    ) -> tuple[str, ...]:
        """Undo the patches and bring everything home.

        Parameters
        ----------
        result
            Value of the last expression.
        error
            What ended the cell, if it failed.
        keep
            Leave on the device what was moved there.

        Returns
        -------
        tuple of str
            Notes for the user.

        Raises
        ------
        DeviceFailedError
            The device could not be read any more. What was moved there has its values
            from before the cell.
        """
        with deferred_interrupts(), paused_collector(), no_subclass():
            self._unpatch()
            if isinstance(error, KeyboardInterrupt):
                self._restore_grad_mode()
            try:
                if keep:
                    self._note_left(result)
                else:
                    self._bring_home(result, error)
            finally:
                self._release(keep=keep)
        return tuple(self.scope.notes)

    def fetch(self) -> tuple[str, ...]:
        """Bring home what a cell with ``--keep`` left on the device.

        Returns
        -------
        tuple of str
            Notes for the user.

        Raises
        ------
        DeviceFailedError
            As `exit`.
        """
        with deferred_interrupts(), paused_collector(), no_subclass():
            self.scope.notes.clear()  # those of its cell have been told
            reach = Reach(self.namespace).names(filter(is_users, self.namespace))
            states = [
                state
                for optimizer in reach.optimizers.values()
                for parameter, state in optimizer.state.items()
                if id(parameter) in self.mover.travellers
            ]
            others = [each for ref in self._left if (each := ref()) is not None]
            others += Reach({}).values(states).tensors.values()
            others = [each for each in others if self.mover.is_away(each)]
            try:
                self._home(others)
            finally:
                self._left.clear()
                self._release()
        return tuple(self.scope.notes)

    def _note_left(self, result: object) -> None:
        """Remember what a cell with ``--keep`` leaves on the device, to fetch it later."""
        if self.scope.on_device:
            self.mover.leave_there(self.scope.on_device)
        reach = Reach(self.namespace, into_data=True).names(self.names)
        reach.values([result, *self._rebound()])
        self._let_states_stay(reach)
        self._left = [
            weakref.ref(each) for each in self._going_home(reach.tensors.values())
        ]

    def _unpatch(self) -> None:
        """Put back everything that was patched."""
        self.scope.rest()
        self.tuning.close()
        self.modules.close()
        self.patches.undo()
        self.loading.close()
        self._restore_names()
        for guard in self._guards:
            guard.remove()
        self._guards.clear()

    def _restore_grad_mode(self) -> None:
        """Undo a ``no_grad`` of torch's own that Ctrl-C cut off before it could end."""
        if not any("set_grad_enabled" in name for name in self.names):
            torch.set_grad_enabled(self._grad_mode)

    def _restore_names(self) -> None:
        """Put torch's own functions where the cell imported our wrappers by name."""
        originals = self.scope.originals
        for name, value in list(self.namespace.items()):
            own = originals.get(id(value))
            if own is not None and own[0] is value:
                self.namespace[name] = own[1]

    def _bring_home(self, result: object, error: BaseException | None) -> None:
        """Bring home what was moved and what the cell made."""
        others = self._found(result, error)
        if self.scope.on_device:
            self.mover.leave_there(self.scope.on_device)
        self._return_all(others)

    def _found(self, result: object, error: BaseException | None) -> list[torch.Tensor]:
        """Return the tensors that the cell made and that somebody can still reach."""
        reach = Reach(self.namespace, into_data=True, devices=[])
        try:
            reach.names(self.names)
            reach.values([result, *self._rebound(), *frame_values(error)])
            self._let_states_stay(reach)
            self._call_device_home(reach)
        except Exception:  # noqa: BLE001 (an object that cannot be walked must not keep the rest away)
            return self._going_home(self._alive_on_device())
        return self._going_home(reach.tensors.values())

    def _call_device_home(self, reach: Reach) -> None:
        """Let devices that the cell read off its tensors mean the CPU from now on.

        ``device = next(model.parameters()).device`` is followed by ``x.to(device)`` in
        a later cell, when the model is at home again.
        """
        if self.scope.on_device:
            return  # the user has put something there himself
        places = list(reach.devices or ())
        places += [
            (self.namespace, name)
            for name, value in self.namespace.items()
            if type(value) is torch.device and self._before.get(name) is not value
        ]
        for owner, key in places:
            value = owner.get(key)
            known = (id(owner), key) in self._named_before
            if value == self.device and not known and not self.scope.is_chosen(value):
                owner[key] = torch.device("cpu")

    def _return_all(self, others: list[torch.Tensor]) -> None:
        """Bring home what was moved and others; look for what was overlooked."""
        mover = self.mover
        if self.device.type == "meta":  # it holds no values
            mover.home(copy=False)
            return
        self._home(others)
        if self._allocated() > self._entry_bytes:
            self._home(self._going_home(self._alive_on_device()))

    def _home(self, others: list[torch.Tensor]) -> None:
        """Bring home what was moved and others; give up where the device fails."""
        try:
            notes = self.mover.home(others)
        except RuntimeError as failure:
            self.mover.home(copy=False)
            raise DeviceFailedError(
                f"{self.device} stopped working: what was moved there has its values "
                "from before the cell",
                seen=first_line(failure),
                hint="restart the kernel; the device is lost to this process",
            ) from failure
        self.scope.notes.update(dict.fromkeys(notes))

    def _rebound(self) -> list[object]:
        """Return the values of the names that the cell bound."""
        before = self._before
        if self.lasting:
            return [each for name, each in self.namespace.items() if is_users(name)]
        return [
            value
            for name, value in self.namespace.items()
            if before.get(name, _ABSENT) is not value
        ]

    def _going_home(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tensors on the device that do not stay there."""
        return [
            each
            for each in tensors
            if id(each) not in self.mover.travellers
            and self.mover.is_away(each)
            and each not in self.scope.stay
            and each not in self.scope.on_device
        ]

    def _let_states_stay(self, reach: Reach) -> None:
        """Leave the state of an optimizer where its parameters stay."""
        for optimizer in reach.optimizers.values():
            for parameter, state in list(optimizer.state.items()):
                if parameter in self.scope.stay or parameter in self.scope.on_device:
                    for each in Reach({}).values([state]).tensors.values():
                        self.scope.stay.add(each)

    def _release(self, *, keep: bool = False) -> None:
        """Give memory back to the device, and the current device to the user."""
        self._before.clear()
        if self._outer_device is not None:
            torch.accelerator.set_device_index(self._outer_device)
            self._outer_device = None
        if self.device.type == "cuda" and not keep:
            with contextlib.suppress(RuntimeError):  # a lost device has no cache
                torch._C._cuda_clearCublasWorkspaces()  # noqa: SLF001
                torch.cuda.empty_cache()

    # ---- memory of the device ----------------------------------------------------------

    def _allocated(self) -> int:
        """Return the bytes that are in use on the device; 0 where it does not tell."""
        return int(device_memory("memory_allocated", self.device) or 0)

    def used_bytes(self) -> int | None:
        """Return the bytes in use on the device; None where it does not tell."""
        return device_memory("memory_allocated", self.device)

    def peak_bytes(self) -> int | None:
        """Return the highest memory in use since `enter`."""
        return device_memory("max_memory_allocated", self.device)

    def _alive_on_device(self) -> list[torch.Tensor]:
        """Return every tensor object on the device, however it is held."""
        with no_subclass():
            return [
                each
                for each in gc.get_objects()
                if is_kind(each, torch.Tensor) and self.mover.is_away(each)
            ]
