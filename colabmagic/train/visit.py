"""Home for the length of a call: what Dataset code and the cell both use.

The tensor object points to its home memory while Dataset code runs, and to the device
again afterwards; nothing is copied unless the cell has changed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from colabmagic.train import storage
from colabmagic.train.exchange import (
    compatible,
    history_of,
    is_movable,
    is_plain,
    no_subclass,
    set_data,
    swap,
)
from colabmagic.train.traveller import Traveller, on_storage, place_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.train.move import Mover


def adopt(mover: Mover, tensors: Iterable[torch.Tensor]) -> list[Traveller]:
    """Give tensors that were made on the device a home; return them as travellers."""
    with torch.no_grad(), no_subclass():
        known: list[torch.Tensor] = []
        groups: dict[int, list[torch.Tensor]] = {}
        for tensor in tensors:
            if id(tensor) in mover.travellers:
                known.append(tensor)
            elif history_of(tensor) is None and is_plain(tensor) and is_movable(tensor):
                groups.setdefault(storage.key(tensor), []).append(tensor)
        for group in groups.values():
            _adopt_group(mover, group)
            known += group
        return _with_mates(mover, [mover.travellers[id(each)] for each in known])


def _with_mates(mover: Mover, visitors: list[Traveller]) -> list[Traveller]:
    """Add what shares memory with the visitors: it tells when that was changed."""
    if not visitors:
        return visitors
    found = {id(each): each for each in visitors}
    pairs = {id(each.pair) for each in visitors if each.pair is not None}
    for each in mover.travellers.values():
        if id(each.pair) in pairs:
            found.setdefault(id(each), each)
    return list(found.values())


def _adopt_group(mover: Mover, group: list[torch.Tensor]) -> None:
    """Find or make home memory for the tensors of one storage of the device."""
    away = group[0].untyped_storage()
    pair = _pair_of(mover, away)
    for tensor in group:
        home = on_storage(tensor, pair.home, -pair.start)
        shadow = None
        if not compatible(tensor, home):
            home.requires_grad_(tensor.requires_grad)
            shadow = home
        version = version_of(tensor)
        mover.travellers[id(tensor)] = Traveller(
            tensor, shadow, home, pair, place_of(tensor), version, None, version
        )


def _pair_of(mover: Mover, away: torch.UntypedStorage) -> storage.Pair:
    """Return the pair of a storage of the device, with equal memory at home."""
    away_key = away._cdata  # noqa: SLF001 (the identity of a storage)
    for pair in mover.pairs.values():
        if pair.away_key == away_key and storage.fetch(pair):
            return pair  # a view of what was moved: its home is where that came from
    memory = storage.raw(away, 0, away.nbytes()).cpu().untyped_storage()
    pair = storage.Pair(memory, away, 0)
    mover.pairs[int(memory._cdata)] = pair  # noqa: SLF001
    return pair


def visit_home(travellers: Iterable[Traveller]) -> None:
    """Point tensors to their home memory, which is made equal if need be."""
    with torch.no_grad(), no_subclass():
        for each in travellers:
            tensor = each.tensor
            if tensor.is_cpu or not each.is_in_place():
                continue
            version = version_of(tensor)
            if version != max(each.synced, each.version) and each.pair is not None:
                storage.fetch(each.pair)
                each.synced = version
            if each.shadow is None:
                each.visiting = tensor.detach()
                set_data(tensor, each.home)
            else:
                each.visiting = each.shadow
                swap(tensor, each.shadow)
            each.visited = version_of(tensor)


def end_visit(travellers: Iterable[Traveller]) -> None:
    """Point tensors to the device again; what was written at home is written there."""
    with torch.no_grad(), no_subclass():
        for each in travellers:
            if each.visiting is None:
                continue
            written = each.tensor.is_cpu and version_of(each.tensor) != each.visited
            if each.shadow is None:
                set_data(each.tensor, each.visiting)
            elif each.tensor.is_cpu:  # not if an interrupt came before it was
                swap(each.tensor, each.shadow)
            each.visiting = None
            if written and each.pair is not None:
                storage.resend(each.pair)
                each.synced = version_of(each.tensor)
