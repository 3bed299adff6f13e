"""What a training loop costs under ``%%train_on``, beside the loop edited by hand.

Everything runs on the CPU, so that only Python's work differs: the hand-written loop
calls ``.to(device)``, we run the unedited loop with all our patches on, the peers run
the loop edited as each of them asks for. Three loops: over a dataset of the user's own,
where all that we add is cost; over a plain ``TensorDataset``, whose batches we fetch at
once; over slices of tensors.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import TYPE_CHECKING, Any

import torch
from _measure import ROUNDS, cpu_seconds, interleaved, ratio_table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from colabmagic.train import service
from colabmagic.train.options import TrainOptions
from colabmagic.train.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS, BATCH, FEATURES, CLASSES = 512, 32, 64, 10
CPU = torch.device("cpu")


class Pairs(TensorDataset):
    """A dataset of the user's own: its rows are taken one by one, as he says."""

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        return super().__getitem__(index)


def parts(
    kind: type[TensorDataset] = Pairs,
) -> tuple[nn.Module, torch.optim.Optimizer, DataLoader[Any]]:
    """Return a small model, its optimizer and a loader; always the same ones."""
    torch.manual_seed(0)
    inputs = torch.randn(STEPS * BATCH, FEATURES)
    targets = torch.randint(0, CLASSES, (STEPS * BATCH,))
    loader = DataLoader(kind(inputs, targets), BATCH, shuffle=True)
    layers = [nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, FEATURES)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(FEATURES, CLASSES))
    # One tensor at a time: the fused loops would hide what Python does.
    return model, torch.optim.Adam(model.parameters(), foreach=False), loader


def plain_loop(model: Any, optimizer: Any, loader: Any) -> None:  # noqa: ANN401
    """Train as a notebook does, with no word about devices."""
    loss_of = nn.CrossEntropyLoss()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss_of(model(inputs), targets).backward()
        optimizer.step()


def hand_loop(model: Any, optimizer: Any, loader: Any) -> None:  # noqa: ANN401
    """Train with ``.to(device)`` written by hand."""
    loss_of = nn.CrossEntropyLoss()
    for inputs, targets in loader:
        there, wanted = inputs.to(CPU), targets.to(CPU)
        optimizer.zero_grad()
        loss_of(model(there), wanted).backward()
        optimizer.step()


def slices_plain(model: Any, optimizer: Any, inputs: Any, targets: Any) -> None:  # noqa: ANN401
    """Train on slices of whole tensors, with no word about devices."""
    loss_of = nn.CrossEntropyLoss()
    for first in range(0, len(inputs), BATCH):
        optimizer.zero_grad()
        here = slice(first, first + BATCH)
        loss_of(model(inputs[here]), targets[here]).backward()
        optimizer.step()


def ours(loop: Callable[..., None], *values: Any) -> float:  # noqa: ANN401
    """Run an unedited loop inside a session; entering and leaving are not counted."""
    names = dict(zip("abcd", values, strict=False)) | {"loop": loop}
    session = Session(names, tuple(names), CPU, TrainOptions())
    # The CPU stands for the device here: what lies on it was not moved there.
    session.mover.is_away = lambda _: False  # type: ignore[method-assign]
    session.enter()
    try:
        return cpu_seconds(lambda: loop(*values))
    finally:
        session.exit(None, None)


def on_cpu(loop: Callable[..., None], *values: Any) -> float:  # noqa: ANN401
    """Run an unedited loop in a cell that says ``cpu``."""
    running = service.start(namespace={}, device="cpu", names=())
    try:
        return cpu_seconds(lambda: loop(*values))
    finally:
        running.finish()


def only_load(loader: Any) -> None:  # noqa: ANN401
    """Go through a loader, as by hand."""
    for inputs, targets in loader:
        inputs.to(CPU)
        targets.to(CPU)


def only_load_plain(loader: Any) -> None:  # noqa: ANN401
    """Go through a loader."""
    for _ in loader:
        pass


def accelerate_loop(kind: type[TensorDataset], *, alone: bool = False) -> float:
    """Run the loop as accelerate's documentation writes it."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(*parts(kind))
    if alone:
        return cpu_seconds(lambda: only_load_plain(loader))
    loss_of = nn.CrossEntropyLoss()

    def loop() -> None:
        for inputs, targets in loader:
            optimizer.zero_grad()
            accelerator.backward(loss_of(model(inputs), targets))
            optimizer.step()

    return cpu_seconds(loop)


def fabric_loop(kind: type[TensorDataset], *, alone: bool = False) -> float:
    """Run the loop as Lightning Fabric's documentation writes it."""
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer, loader = parts(kind)
    model, optimizer = fabric.setup(model, optimizer)
    loader = fabric.setup_dataloaders(loader)
    if alone:
        return cpu_seconds(lambda: only_load_plain(loader))
    loss_of = nn.CrossEntropyLoss()

    def loop() -> None:
        for inputs, targets in loader:
            optimizer.zero_grad()
            fabric.backward(loss_of(model(inputs), targets))
            optimizer.step()

    return cpu_seconds(loop)


def device_context(loop: Callable[..., None], *values: Any) -> float:  # noqa: ANN401
    """Run a loop under ``with torch.device(...)``, the recipe of many posts."""
    with torch.device(CPU):
        return cpu_seconds(lambda: loop(*values))


def available(name: str) -> bool:
    """Tell whether a peer is installed."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def loops(kind: type[TensorDataset]) -> dict[str, Callable[[], float]]:
    """Return the contestants of a loop over a loader."""
    now = parts(kind)
    found: dict[str, Callable[[], float]] = {
        "hand-written `.to(device)`": lambda: cpu_seconds(lambda: hand_loop(*now)),
        "**%%train_on cpu**, unedited": lambda: on_cpu(plain_loop, *now),
        "**%%train_on**, unedited": lambda: ours(plain_loop, *now),
        "`with torch.device`": lambda: device_context(plain_loop, *now),
    }
    if available("lightning_fabric"):
        found["Lightning Fabric"] = lambda: fabric_loop(kind)
    if available("accelerate"):
        found["accelerate"] = lambda: accelerate_loop(kind)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # the peers' own, about settings
    torch.set_num_threads(1)
    start = time.monotonic()

    for kind, what in (
        (Pairs, "DataLoader loop over a dataset of the user's own"),
        (TensorDataset, "DataLoader loop over a plain `TensorDataset`"),
    ):
        ratio_table(
            f"{what}: MLP {FEATURES}-{FEATURES}-{FEATURES}-{CLASSES}, batch {BATCH}, "
            f"{STEPS} steps, {rounds} interleaved rounds",
            interleaved(loops(kind), rounds),
        )
    loader = parts(TensorDataset)[2]
    alone: dict[str, Callable[[], float]] = {
        "hand-written `.to(device)`": lambda: cpu_seconds(lambda: only_load(loader)),
        "**%%train_on cpu**, unedited": lambda: on_cpu(only_load_plain, loader),
        "**%%train_on**, unedited": lambda: ours(only_load_plain, loader),
    }
    if available("lightning_fabric"):
        alone["Lightning Fabric"] = lambda: fabric_loop(TensorDataset, alone=True)
    if available("accelerate"):
        alone["accelerate"] = lambda: accelerate_loop(TensorDataset, alone=True)
    ratio_table("The loader of that `TensorDataset` alone", interleaved(alone, rounds))

    parts_now = parts(TensorDataset)
    model, optimizer, loader = parts_now
    tensors = loader.dataset.tensors  # type: ignore[attr-defined]
    values = (model, optimizer, *tensors)
    moved = (model, optimizer, *(each.to(CPU) for each in tensors))
    slices = {
        "hand-written `.to(device)`": lambda: cpu_seconds(lambda: slices_plain(*moved)),
        "**%%train_on**, unedited": lambda: ours(slices_plain, *values),
        "`with torch.device`": lambda: device_context(slices_plain, *values),
    }
    ratio_table("Tensor-slice loop, same model", interleaved(slices, rounds))
    print(f"\n({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
