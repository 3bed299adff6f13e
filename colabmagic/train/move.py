"""Move tensors between home and a device in place: the objects stay the same."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from colabmagic.interrupts import deferred_interrupts
from colabmagic.train import storage
from colabmagic.train.exchange import (
    data_of,
    history_of,
    is_movable,
    is_plain,
    no_subclass,
    set_data,
    with_history,
)
from colabmagic.train.landing import Landing, landed
from colabmagic.train.outcome import LEFT_BEHIND
from colabmagic.train.traveller import (
    OUR_REFERENCES,
    Traveller,
    attach,
    bring_back,
    has_gradient,
    leave,
    on_storage,
    place_of,
    settle,
    with_gradients,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

Plan = tuple[torch.Tensor, torch.Tensor, storage.Pair | None]
READ_ONLY_NOTE = (
    "the cell changed a tensor whose memory is read-only at home; "
    "it has memory of its own now"
)


@dataclass(eq=False)
class Mover:
    """Takes tensors to one device and brings them home.

    Parameters
    ----------
    device
        Where to.

    Attributes
    ----------
    travellers
        What is away, by ``id`` of the tensor.
    pairs
        Storages that are away, by key of the storage at home.
    moved_bytes
        How much was copied to the device.
    """

    device: torch.device
    travellers: dict[int, Traveller] = field(default_factory=dict)
    pairs: dict[int, storage.Pair] = field(default_factory=dict)
    moved_bytes: int = 0

    def is_away(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor is on the device now."""
        return tensor.device == self.device

    # ---- to the device ------------------------------------------------------

    def away(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Move tensors and their gradients to the device, all of them or none.

        Parameters
        ----------
        tensors
            In any order; those that are not on the CPU stay where they are.

        Returns
        -------
        list of torch.Tensor
            Those that were moved.

        Raises
        ------
        torch.OutOfMemoryError
            The device is full; nothing was moved then.
        """
        with torch.no_grad(), no_subclass():
            chosen = [
                tensor
                for tensor in with_gradients(tensors)
                if tensor.is_cpu and is_movable(tensor)
            ]
            gradients = [(each, each.grad) for each in chosen if has_gradient(each)]
            before, bytes_before = tuple(self.pairs), self.moved_bytes
            done: list[Traveller] = []
            with deferred_interrupts():
                try:
                    for tensor, made, pair in self._plan(chosen):
                        done.append(leave(tensor, made, pair))
                    attach(gradients)
                except BaseException:  # whatever it is: nothing may stay half moved
                    for traveller in reversed(done):
                        bring_back(traveller, traveller.home)
                    attach(gradients)
                    # A pair that was widened has taken its tensors along.
                    self.pairs = {key: self.pairs[key] for key in before}
                    self.moved_bytes = bytes_before
                    raise
                self.travellers.update((id(each.tensor), each) for each in done)
        return chosen

    def _plan(self, tensors: list[torch.Tensor]) -> list[Plan]:
        """Copy all memory to the device and make the new tensors; change none yet."""
        groups, plans = self._grouped(tensors)
        for home_key, group in groups.items():
            memory = group[0].untyped_storage()
            lone = len(group) == 1 and home_key not in self.pairs
            if lone and fills(group[0], memory):
                plans.append(self._plan_lone(home_key, group[0], memory))
            else:
                plans += self._plan_shared(home_key, group)
        return plans

    def _grouped(
        self, tensors: list[torch.Tensor]
    ) -> tuple[dict[int, list[torch.Tensor]], list[Plan]]:
        """Group tensors by their memory; copy those that have none, or a history."""
        groups: dict[int, list[torch.Tensor]] = {}
        plans: list[Plan] = []
        computed: list[torch.Tensor] = []
        for tensor in tensors:
            if history_of(tensor) is not None:
                computed.append(tensor)
            elif is_plain(tensor):
                home_key = tensor.untyped_storage()._cdata  # noqa: SLF001 (its identity)
                group = groups.get(home_key)
                if group is None:
                    groups[home_key] = [tensor]
                else:
                    group.append(tensor)
            else:
                plans.append((tensor, tensor.detach().to(self.device), None))
        for tensor in computed:
            if tensor.retains_grad:
                continue  # bound to the graph of the CPU; its gradient goes
            home_key = storage.key(tensor) if is_plain(tensor) else 0
            if home_key in groups:  # a row of a weight
                groups[home_key].append(tensor)
            else:
                with torch.enable_grad():
                    plans.append((tensor, tensor.to(self.device), None))
        return groups, plans

    def _plan_shared(self, home_key: int, group: list[torch.Tensor]) -> list[Plan]:
        """Copy memory that several tensors share, or that one uses in part."""
        there = [each for each in group if storage.holds(each)]
        if not there:
            return []
        pair = self.pairs.get(home_key)
        if pair is None or not pair.covers(*storage.span(there)):
            pair = self._widened(pair, there)
            self._note(home_key, pair)
        plans: list[Plan] = []
        for tensor in there:
            made = on_storage(tensor, pair.away, pair.start)
            if history_of(tensor) is not None:
                made = with_history(tensor, made)
            plans.append((tensor, made, pair))
        return plans

    def _plan_lone(
        self, home_key: int, tensor: torch.Tensor, memory: torch.UntypedStorage
    ) -> Plan:
        """Copy a tensor that has its storage for itself: the common case, made quick."""
        if tensor.is_inference():
            with torch.inference_mode():
                made = tensor.to(self.device)
            pair = storage.Pair(memory, made.untyped_storage(), 0)
        else:
            # `.data` has a version counter of its own: a copy home is no change.
            here = data_of(tensor)
            made = here.to(self.device)
            pair = storage.Pair(
                memory, made.untyped_storage(), 0, (here, data_of(made))
            )
        self._note(home_key, pair)
        return tensor, made, pair

    def _note(self, home_key: int, pair: storage.Pair) -> None:
        """Remember which storages belong together."""
        self.pairs[home_key] = pair
        self.moved_bytes += pair.size

    def _widened(
        self, old: storage.Pair | None, group: list[torch.Tensor]
    ) -> storage.Pair:
        """Return the pair for a group; tensors on an older, narrower one change over."""
        if old is None or not storage.fetch(old):
            return storage.send(group, self.device)
        away = storage.raw(old.home, 0, old.home.nbytes()).to(self.device)
        pair = storage.Pair(old.home, away.untyped_storage(), 0)
        for each in self.travellers.values():
            if each.pair is old and each.is_in_place():
                set_data(each.tensor, on_storage(each.tensor, pair.away, -old.start))
                each.pair, each.place = pair, place_of(each.tensor)
        return pair

    def is_alone(self, tensor: torch.Tensor) -> bool:
        """Tell whether a moved tensor shares its memory with no other."""
        traveller = self.travellers.get(id(tensor))
        return traveller is not None and traveller.place is None

    def accept_place(self, tensors: Iterable[torch.Tensor]) -> None:
        """Take note that torch moved tensors to other memory of the device."""
        for tensor in tensors:
            traveller = self.travellers.get(id(tensor))
            if traveller is not None and not traveller.is_in_place():
                traveller.place = place_of(tensor)
                traveller.by_value = True

    def came_home(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors that the user brought to the CPU the memory that they came from.

        On the CPU ``model.cpu()`` changes nothing, so aliases must see what it holds.
        Where others on the device share the memory, the user's copy stays one.
        """
        with torch.no_grad(), no_subclass():
            back = with_gradients(tensors)
            gradients = [(each, each.grad) for each in back if has_gradient(each)]
            users = Counter(id(each.pair) for each in self.travellers.values())
            for tensor in back:
                each = self.travellers.get(id(tensor))
                if each is None or each.pair is None or not fits_home(each):
                    continue
                if users[id(each.pair)] == 1 and each.pair.home.resizable():
                    bring_back(each, each.home, tensor.detach())
                    del self.travellers[id(tensor)]
                    del self.pairs[int(each.pair.home._cdata)]  # noqa: SLF001
            attach(gradients)

    def forget_dropped(self) -> None:
        """Let go of what only we hold, so that ``del model`` frees the device's memory.

        Whoever looks at the same memory at home sees the last values.
        """
        if not self._dropped():  # after most cells: thousands of tensors, all in use
            return
        with torch.no_grad(), no_subclass(), deferred_interrupts():
            while dropped := self._dropped():
                gone = [self.travellers.pop(key) for key in dropped]
                used = {id(each.pair) for each in self.travellers.values()}
                for each in gone:
                    if each.pair is None or id(each.pair) in used:
                        continue
                    if each.is_seen_at_home():
                        storage.fetch(each.pair)
                    self.pairs.pop(each.pair.home._cdata, None)  # noqa: SLF001 (its identity)

    def _dropped(self) -> list[int]:
        """Return the keys of travellers that only we hold."""
        count, ours = sys.getrefcount, OUR_REFERENCES
        maybe = [
            key for key, each in self.travellers.items() if count(each.tensor) <= ours
        ]
        return [key for key in maybe if self.travellers[key].is_dropped()]

    # ---- home ----------------------------------------------------------------

    def home(
        self, others: Iterable[torch.Tensor] = (), *, copy: bool = True
    ) -> list[str]:
        """Bring everything home: what was moved, and other tensors on the device.

        Parameters
        ----------
        others
            Tensors that may be on the device.
        copy
            Whether the device can be read. If not, what was moved gets the values from
            before, and the others are left alone.

        Returns
        -------
        list of str
            Notes for the user, one line each.
        """
        notes: list[str] = []
        with torch.no_grad(), no_subclass(), deferred_interrupts():
            if not copy:
                self._give_up()
            else:
                strangers = self._strangers(others)
                landing = self._land(strangers, notes)
                gradients = self._gradients(strangers)
                for key in list(self.travellers):
                    self._return(self.travellers[key], landing)
                    del self.travellers[key]  # never twice: that would swap it back
                notes += self._settled(strangers, landing)
                attach(gradients)
            self.travellers.clear()
            self.pairs.clear()
        return notes

    def _give_up(self) -> None:
        """Point everything to its home memory as it is; the device is not asked."""
        while self.travellers:
            _, each = self.travellers.popitem()
            bring_back(each, each.home)
            if has_gradient(each.tensor):
                gradient: torch.Tensor = each.tensor.grad  # type: ignore[assignment]
                if id(gradient) not in self.travellers and self.is_away(gradient):
                    each.tensor.grad = None

    def leave_there(self, tensors: Container[torch.Tensor]) -> None:
        """Forget travellers that the user himself put on the device meanwhile."""
        self.travellers = {
            key: each
            for key, each in self.travellers.items()
            if each.tensor not in tensors
        }

    def _strangers(self, others: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Return what must come home and was not moved there by us."""
        travellers = self.travellers
        fresh = [each for each in others if id(each) not in travellers]
        for traveller in travellers.values():
            tensor = traveller.tensor
            if has_gradient(tensor) and id(tensor.grad) not in travellers:
                fresh.append(tensor.grad)  # type: ignore[arg-type]
        return [
            tensor
            for tensor in with_gradients(fresh)
            if self.is_away(tensor)
            and id(tensor) not in travellers
            and is_movable(tensor)
        ]

    def _gradients(
        self, strangers: list[torch.Tensor]
    ) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Return the gradients that an exchange would leave behind, or bring back."""
        found: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        for each in self.travellers.values():
            if each.shadow is None or history_of(each.tensor) is not None:
                continue
            gradient = each.tensor.grad
            if gradient is not None or each.had_gradient:
                found.append((each.tensor, gradient))
        return found + [(each, each.grad) for each in strangers if has_gradient(each)]

    def _land(self, strangers: list[torch.Tensor], notes: list[str]) -> Landing:
        """Copy all memory from the device; tensors still point to the device."""
        landing = Landing()
        unfit = landing.fetch(self.pairs.values())
        if any(not each.home.resizable() for each in unfit):
            notes.append(READ_ONLY_NOTE)
        groups: dict[int, list[torch.Tensor]] = {}
        travelled: list[torch.Tensor] = []
        for each in self.travellers.values():
            each.stayed = each.is_in_place()
            if not each.stayed or not landed(each, landing):
                travelled.append(each.tensor)
        for tensor in [*strangers, *travelled]:
            if self.is_away(tensor) and is_plain(tensor):
                groups.setdefault(storage.key(tensor), []).append(tensor)
        for away_key, group in groups.items():
            if away_key not in landing.memory:
                landing.copy(away_key, group)
        return landing

    def _settled(self, strangers: list[torch.Tensor], landing: Landing) -> list[str]:
        """Give strangers their home; one that cannot come keeps no other away."""
        failures: list[str] = []
        for tensor in strangers:
            try:
                settle(tensor, landing.tensor(tensor), self.device)
            except RuntimeError as error:
                failures.append(str(error).strip().partition("\n")[0])
        if not failures:
            return []
        many = f"{len(failures)} tensors" if len(failures) > 1 else "a tensor"
        return [f"{many} {LEFT_BEHIND} {self.device}: {failures[0]}"]

    def _return(self, traveller: Traveller, landing: Landing) -> None:
        """Bring one moved tensor home, wherever the cell left it."""
        tensor = traveller.tensor
        if not self.is_away(tensor):
            return  # the user put it elsewhere
        pair = traveller.pair
        if (
            traveller.place is None
            and history_of(tensor) is None
            and not traveller.by_value
            and traveller.stayed
            and landing.memory.get(pair.away_key) is pair.home  # type: ignore[union-attr]
        ):
            bring_back(traveller, traveller.home)  # nearly always
            return
        same_history = history_of(tensor) is traveller.history
        untouched = same_history and traveller.stayed
        if traveller.history is not None:  # a computed value, copied with its history
            if untouched and tensor._version == traveller.version:  # noqa: SLF001
                bring_back(traveller, traveller.home)
            else:
                settle(tensor, landing.tensor(tensor), self.device)
        elif not same_history:
            settle(tensor, landing.tensor(tensor), self.device)
        elif traveller.by_value and untouched:
            bring_back(traveller, traveller.home, tensor.detach().cpu())
        elif untouched and landed(traveller, landing):
            bring_back(traveller, traveller.home)
        else:
            bring_back(traveller, landing.tensor(tensor))


def fits_home(traveller: Traveller) -> bool:
    """Tell whether a tensor is on the CPU, with the size and type of its home."""
    tensor, home = traveller.tensor, traveller.home
    return (
        tensor.is_cpu
        and history_of(tensor) is None
        and tensor.shape == home.shape
        and tensor.dtype is home.dtype
    )


def fills(tensor: torch.Tensor, memory: torch.UntypedStorage) -> bool:
    """Tell whether a tensor is all there is in its storage, in order."""
    return (
        tensor.nbytes == memory.nbytes()
        and tensor.is_contiguous()
        and not tensor.is_conj()
        and not tensor.is_neg()
    )
