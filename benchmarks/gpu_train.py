"""Whole training loops on a GPU: ours, by hand, and the peers', in one run.

Each case is run with the loop unedited under ``%%train_on``, edited by hand, and as
accelerate and Fabric want it. The share is that of the physical limit: for loops that
compute, the same steps with the data on the device already; for loops that transfer, the
bandwidth of a copy from pinned memory. Without a GPU this says so, and runs each case in
a tiny size on the CPU, to show that the script works.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from _measure import table
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from colabmagic.train import service
from colabmagic.train.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5


class Repeated(Dataset[Any]):
    """Items that cost the processor little, made in workers."""

    def __init__(self, length: int, shape: tuple[int, ...], classes: int) -> None:
        self.length, self.classes = length, classes
        self.item = torch.rand(shape)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        return self.item + index % 7, index % self.classes


class Block(nn.Module):
    """The block of ResNet-18."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after),
            nn.ReLU(), nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )  # fmt: skip
        same = stride == 1 and before == after
        self.way = nn.Identity() if same else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add both ways."""
        out: torch.Tensor = torch.relu(self.body(x) + self.way(x))
        return out


def resnet(width: int) -> nn.Module:
    """Return ResNet-18 for small pictures."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False)]
    before = width
    for number in range(4):
        after = width << number
        layers += [Block(before, after, 1 + (number > 0)), Block(after, after, 1)]
        before = after
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10)
    )


class Language(nn.Module):
    """A transformer that predicts the next word; 125 million weights in full size."""

    def __init__(self, words: int, width: int, layers: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(
            width, width // 64 or 1, 4 * width, 0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.register_buffer("steps", torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of all words, classes second."""
        inner = self.layers(
            self.words(x) + self.places(self.steps), mask=self.mask, is_causal=True
        )
        return (inner @ self.words.weight.T).transpose(1, 2)


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes
    ----------
    name
        As the table shows it.
    model, loader
        Make them.
    cached
        Whether ``--cache`` takes part.
    transfers
        Whether the limit is the bandwidth.
    """

    name: str
    model: Callable[[], nn.Module]
    loader: Callable[[], DataLoader[Any]]
    cached: bool = False
    transfers: bool = False


def cases(*, full: bool) -> list[Case]:
    """Return the cases, in full size or a tiny one."""
    workers: dict[str, Any] = {
        "num_workers": 4 if full else 1,
        "persistent_workers": True,
    }
    pictures = 256 * 100 if full else 8
    digits, words = (60_000, 50_257) if full else (64, 50)
    length, width, layers = (1024, 768, 12) if full else (8, 64, 1)
    numbers = 16_000_000 if full else 1000

    def language() -> DataLoader[Any]:
        torch.manual_seed(0)
        texts = torch.randint(0, words, (16 * 20 if full else 4, length + 1))
        kept = TensorDataset(texts[:, :-1].contiguous(), texts[:, 1:].contiguous())
        return DataLoader(kept, 16 if full else 2)

    def tables() -> DataLoader[Any]:
        torch.manual_seed(0)
        kept = TensorDataset(torch.rand(digits, 784), torch.randint(0, 10, (digits,)))
        return DataLoader(kept, 128 if full else 32, shuffle=True)

    return [
        Case(
            "ResNet-18, 32x32, batch 256, 4 workers",
            lambda: resnet(64 if full else 4),
            lambda: DataLoader(
                Repeated(pictures, (3, 32, 32), 10), 256 if full else 4, **workers
            ),
        ),
        Case(
            "MLP 784-128-10, TensorDataset, batch 128",
            lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
            tables,
            cached=True,
        ),
        Case(
            "transformer, 125 M, batch 16x1024",
            lambda: Language(words, width, layers, length),
            language,
        ),
        Case(
            "64 MB batches, small net, 4 workers",
            lambda: nn.Sequential(nn.Flatten(), nn.AvgPool1d(100), nn.Linear(numbers // 100, 10)),
            lambda: DataLoader(
                Repeated(60 if full else 2, (numbers,), 10), 1, **workers
            ),
            transfers=True,
        ),
    ]  # fmt: skip


def train(model: Any, optimizer: Any, loader: Any) -> None:  # noqa: ANN401
    """Train one epoch, as a notebook does."""
    loss_of = nn.CrossEntropyLoss()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss_of(model(inputs), targets).backward()
        optimizer.step()


def moved(loader: Any, device: torch.device) -> Iterator[Any]:  # noqa: ANN401
    """Edit a loop by hand: ``.to(device)`` for each batch."""
    for inputs, targets in loader:
        yield inputs.to(device), targets.to(device)


def seconds(epoch: Callable[[], None], device: torch.device) -> float:
    """Return the wall time of an epoch, the second of two: workers run then."""
    epoch()
    _wait(device)
    start = time.perf_counter()
    epoch()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def parts(case: Case) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return the model and its optimizer, always with the same weights."""
    torch.manual_seed(0)
    model = case.model()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-4)


def ours(case: Case, device: torch.device, *, cache: bool = False) -> float:
    """Run the unedited loop as a cell."""
    model, optimizer = parts(case)
    names = {"model": model, "optimizer": optimizer, "loader": case.loader()}
    running = service.start(
        namespace=names,
        device=str(device),
        names=tuple(names),
        options=TrainOptions(cache=cache),
    )
    try:
        return seconds(lambda: train(*names.values()), device)
    finally:
        running.finish()


def by_hand(case: Case, device: torch.device) -> float:
    """Run the loop edited by hand."""
    model, optimizer = parts(case)
    loader = case.loader()
    model.to(device)
    return seconds(lambda: train(model, optimizer, moved(loader, device)), device)


def by_accelerate(case: Case, device: torch.device) -> float:
    """Run the loop as accelerate's documentation writes it."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=device.type == "cpu")
    model, optimizer, loader = accelerator.prepare(*parts(case), case.loader())
    loss_of = nn.CrossEntropyLoss()

    def epoch() -> None:
        for inputs, targets in loader:
            optimizer.zero_grad()
            accelerator.backward(loss_of(model(inputs), targets))
            optimizer.step()

    return seconds(epoch, device)


def by_fabric(case: Case, device: torch.device) -> float:
    """Run the loop as Lightning Fabric's documentation writes it."""
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=device.type, devices=1)
    model, optimizer = fabric.setup(*parts(case))
    loader = fabric.setup_dataloaders(case.loader())
    loss_of = nn.CrossEntropyLoss()

    def epoch() -> None:
        for inputs, targets in loader:
            optimizer.zero_grad()
            fabric.backward(loss_of(model(inputs), targets))
            optimizer.step()

    return seconds(epoch, device)


def limit(case: Case, device: torch.device) -> float:
    """Return the seconds that no loop can be faster than."""
    loader = case.loader()
    if case.transfers:
        size = sum(each.nbytes for each in next(iter(loader)))
        return size * len(loader) / bandwidth(size, device)
    model, optimizer = parts(case)
    model.to(device)
    few = list(itertools.islice(moved(loader, device), 4))
    steps = len(loader)
    return seconds(
        lambda: train(model, optimizer, itertools.islice(itertools.cycle(few), steps)),
        device,
    )


def bandwidth(size: int, device: torch.device) -> float:
    """Return the bytes a second of copies from pinned memory."""
    source = torch.empty(size, dtype=torch.uint8)
    source = source.pin_memory() if device.type != "cpu" else source
    there = torch.empty(size, dtype=torch.uint8, device=device)

    def copies() -> None:
        for _ in range(10):
            there.copy_(source, non_blocking=True)

    return 10 * size / seconds(copies, device)


def contestants(case: Case, device: torch.device) -> dict[str, Callable[[], float]]:
    """Return who takes part; the first is the measure."""
    found: dict[str, Callable[[], float]] = {
        "by hand": lambda: by_hand(case, device),
        "**%%train_on**": lambda: ours(case, device),
    }
    if case.cached and device.type != "cpu":
        found["**%%train_on --cache**"] = lambda: ours(case, device, cache=True)
    if find_spec("accelerate"):
        found["accelerate"] = lambda: by_accelerate(case, device)
    if find_spec("lightning_fabric"):
        found["Lightning Fabric"] = lambda: by_fabric(case, device)
    found["limit"] = lambda: limit(case, device)
    return found


def main() -> None:
    """Print a table for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--case", help="only cases whose name holds this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own, about settings
    full = torch.cuda.is_available()
    device = torch.device("cuda", 0) if full else torch.device("cpu")
    where = torch.cuda.get_device_name(0) if full else "the CPU, tiny sizes"
    if not full:
        sys.stdout.write(
            "No CUDA GPU here: each case runs in a tiny size on the CPU, only to show "
            "that it runs. These figures say nothing about a GPU.\n"
        )
        torch.set_num_threads(1)
    rounds = options.rounds if full else min(options.rounds, 1)
    for case in cases(full=full):
        if options.case and options.case not in case.name:
            continue
        run = contestants(case, device)
        taken: dict[str, list[float]] = {name: [] for name in run}
        for number in range(rounds):
            turn = number % len(run)
            order = list(run)
            for name in order[turn:] + order[:turn]:
                taken[name].append(run[name]())
        middle = {name: statistics.median(each) for name, each in taken.items()}
        bound = middle.pop("limit")
        rows = [
            (
                name,
                f"{value * 1e3:.1f}",
                f"{value / middle['by hand']:.3f}" if full else "ran",
                f"{bound / value:.0%}" if full else "ran",
            )
            for name, value in middle.items()
        ]
        what = "pinned bandwidth" if case.transfers else "data on the device already"
        table(
            f"{case.name} ({where}; limit: {what}, {bound * 1e3:.1f} ms)",
            ("", "ms an epoch (median)", "ratio to by hand", "share of the limit"),
            rows,
        )


if __name__ == "__main__":
    main()
