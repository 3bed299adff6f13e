"""What the maker's own document promises of a GPU, by its exact name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from colabmagic import data

# NVIDIA dropped and changed these in front of the same name over the years.
_PREFIXES = ("nvidia ", "tesla ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasheet:
    """The peak rates of one kind of GPU: dense, with sums in fp32.

    Parameters
    ----------
    fp32, tf32, fp16, bf16
        Matrix products in TFLOP/s; None where the document states none.
    memory
        Device memory in GB/s.
    source
        The document's title and address.
    basis
        How the row was checked, as explained in ``datasheets.json``.
    note
        What to know about the figures.
    """

    name: str
    source: str
    basis: str
    fp32: float | None = None
    tf32: float | None = None
    fp16: float | None = None
    bf16: float | None = None
    memory: float | None = None
    note: str | None = None

    @property
    def title(self) -> str:
        """Return the document's title without its address."""
        return self.source.partition(", http")[0]

    def peak(self, key: str) -> float | None:
        """Return the rate called `key` (``fp16``, ``memory`` …), if it is stated."""
        rates = {
            "fp32": self.fp32,
            "tf32": self.tf32,
            "fp16": self.fp16,
            "bf16": self.bf16,
            "memory": self.memory,
        }
        return rates.get(key)


@cache
def datasheets() -> tuple[Datasheet, ...]:
    """Return all rows of ``datasheets.json``."""
    path = Path(data.__file__).parent / "datasheets.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return tuple(Datasheet(**row) for row in rows)


def find_datasheet(name: str) -> Datasheet | None:
    """Return the rates of the GPU that NVML or CUDA calls `name`.

    The whole name must be known: ``RTX 4090 D``, ``RTX 4090 Laptop GPU`` and a MIG
    slice of an A100 have other rates than the cards that their names begin with.
    """
    wanted = _key(name)
    return next((row for row in datasheets() if _key(row.name) == wanted), None)


def _key(name: str) -> str:
    """Return a name without what differs between versions of the driver."""
    key = " ".join(name.casefold().split())
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key
