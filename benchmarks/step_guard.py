"""What it costs that no optimizer's step is cut in two, and that losses are looked at."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from _measure import ROUNDS, cpu_seconds, interleaved, ratio_table

from colabmagic.train.nan_guard import NanGuard
from colabmagic.train.patches import Patches
from colabmagic.train.step_guard import StepGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 40
SHORT_ROUNDS = 10 * ROUNDS  # many and short: the minimum then is free of others' work


@contextmanager
def nothing() -> Iterator[None]:
    """Run the loop plainly."""
    yield


@contextmanager
def guarded_steps() -> Iterator[None]:
    """Guard each step, as every cell does."""
    guard = StepGuard()
    guard.install()
    try:
        yield
    finally:
        guard.close()


@contextmanager
def guarded_losses() -> Iterator[None]:
    """Look at losses, as with ``--nan-guard``."""
    patches = Patches()
    NanGuard(50, {}).install(patches)
    try:
        yield
    finally:
        patches.undo()


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs, targets = torch.randn(32, 64), torch.randint(0, 10, (32,))
    layers = [torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    loss_of = torch.nn.CrossEntropyLoss()

    def loop() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model(inputs), targets).backward()
            optimizer.step()

    def seconds(guard: object) -> float:
        with guard():  # type: ignore[operator]
            return cpu_seconds(loop)

    rows = interleaved(
        {
            "plain loop": lambda: seconds(nothing),
            "steps guarded": lambda: seconds(guarded_steps),
            "losses looked at": lambda: seconds(guarded_losses),
        },
        SHORT_ROUNDS,
    )
    ratio_table(f"{STEPS} small steps, batch 32", rows)


if __name__ == "__main__":
    main()
