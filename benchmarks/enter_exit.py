"""What entering and leaving ``%%train_on`` costs, on the test accelerator or a real one."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import torch
from _measure import ROUNDS, cpu_seconds, table
from torch import nn

from colabmagic.train import service

sys.path.insert(0, str(Path(__file__).parents[1]))


def device() -> str:
    """Return the best accelerator; the test double where there is none."""
    if torch.accelerator.is_available():
        return "auto"
    from tests.fakes.accelerator import fake_accelerator

    fake_accelerator.register()
    return "fake:1"


def milliseconds(namespace: dict[str, object], where: str, rounds: int) -> list[float]:
    """Enter and leave with a cell that mentions all names and does nothing."""

    def once() -> None:
        names = tuple(namespace)
        service.start(namespace=namespace, device=where, names=names).finish()

    once()
    return [cpu_seconds(once) * 1e3 for _ in range(rounds)]


def under_the_line(
    namespace: dict[str, object], names: tuple[str, ...], where: str, rounds: int
) -> list[float]:
    """Let cells in that mention some names, while ``%train_on`` is on for all."""
    service.stand(namespace=namespace, device=where)
    standing = service.standing()
    assert standing is not None
    standing.cell(tuple(namespace)).finish()  # everything is there already

    def once() -> None:
        standing.cell(names).finish()

    once()
    taken = [cpu_seconds(once) * 1e3 for _ in range(rounds)]
    service.turn_off()
    return taken


def by_hand(model: nn.Module, where: str, rounds: int) -> list[float]:
    """Move a model there and back with torch's own ``.to``."""
    device = torch.accelerator.current_accelerator() if where == "auto" else where

    def once() -> None:
        model.to(device)
        model.to("cpu")

    once()
    return [cpu_seconds(once) * 1e3 for _ in range(rounds)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    where = device()
    layers = nn.Sequential(*(nn.Linear(8, 8) for _ in range(2000)))
    cases: dict[str, tuple[dict[str, object], str]] = {
        "no names (an empty cell)": ({}, "5"),
        "10 names: small models": ({f"n{i}": nn.Linear(8, 8) for i in range(10)}, "5"),
        "a model of 2,000 layers": ({"model": layers}, "50"),
        "2,000 layers, not named by the cell": ({}, "5"),
    }
    rows = []
    for name, (namespace, budget) in cases.items():
        taken = milliseconds(namespace, where, rounds)
        rows.append(
            (name, f"{min(taken):.1f}", f"{statistics.median(taken):.1f}", budget)
        )
    plain: dict[str, object] = {"text": "x" * 10_000, "numbers": list(range(1_000))}
    lasting = {**plain, "model": layers}
    for name, names, budget in (
        ("on for all cells: a cell without torch", tuple(plain), "1"),
        ("on for all cells: one that mentions 2,000 layers", ("model",), "-"),
    ):
        taken = under_the_line(lasting, names, where, rounds)
        rows.append(
            (name, f"{min(taken):.2f}", f"{statistics.median(taken):.2f}", budget)
        )
    taken = milliseconds({"model": layers}, "cpu", rounds)
    name = "`%%train_on cpu`: a model of 2,000 layers"
    rows.append((name, f"{min(taken):.2f}", f"{statistics.median(taken):.2f}", "0.1"))
    taken = by_hand(layers, where, rounds)
    rows.append(
        (
            "by hand: 2,000 layers `.to(device)` and `.to('cpu')`",
            f"{min(taken):.1f}",
            f"{statistics.median(taken):.1f}",
            "-",
        )
    )
    table(
        f"Enter and leave `%%train_on {where}`, CPU ms, {rounds} rounds",
        ("the cell mentions", "min", "median", "budget"),
        rows,
    )


if __name__ == "__main__":
    main()
