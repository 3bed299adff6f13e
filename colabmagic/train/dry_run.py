"""``--dry-run``: what a cell would move, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.report.document import Document
from colabmagic.report.model import Field, Finding, Report, Severity, Table
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.train.batch_size import BatchEstimate
    from colabmagic.train.budget import Item

_MANY: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Document):
    """What a cell would move; it has not run.

    Attributes
    ----------
    device
        Where it would run.
    requested
        What was asked for.
    fallback
        Why that is the CPU; None if it is not, or was asked for.
    items
        What would go there, the largest first.
    free_bytes
        What the device has for it; None where it does not tell.
    device_bytes
        What the device has in all; None where it does not tell.
    batch
        What a batch takes, and the largest that fits; None on the CPU.
    notes
        What the user should know.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.dry-run+json"

    device: str
    requested: str
    fallback: str | None = None
    items: tuple[Item, ...] = ()
    free_bytes: int | None = None
    device_bytes: int | None = None
    batch: BatchEstimate | None = None
    notes: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Return how much would be moved at entry."""
        return sum(each.size_bytes for each in self.items)

    @property
    def fits(self) -> bool | None:
        """Tell whether it fits; None where the device does not tell."""
        return None if self.free_bytes is None else self.total_bytes <= self.free_bytes

    def view(self) -> Report:
        """Return what a person sees."""
        return view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        plain: dict[str, Any] = to_plain(self)
        return plain | {"total_bytes": self.total_bytes, "fits": self.fits}


def view(dry_run: DryRun) -> Report:
    """Return a dry run as a report.

    Parameters
    ----------
    dry_run
        What would move.
    """
    fields = [Field(label="Note:", value=note) for note in dry_run.notes]
    if dry_run.fallback is not None:
        fields.append(Field(label="CPU:", value=dry_run.fallback))
    if dry_run.device == "cpu":
        verdict = "NOTHING TO MOVE"
    else:
        verdict = {True: "FITS", False: "DOES NOT FIT", None: "FIT UNKNOWN"}[
            dry_run.fits
        ]
        fields += _sizes(dry_run)
    return Report(
        title=f"train_on {dry_run.device} --dry-run",
        verdict=verdict,
        summary="the cell did not run, nothing has moved",
        findings=tuple(_findings(dry_run)),
        tables=(_table(dry_run),) if dry_run.items else (),
        fields=tuple(fields),
    )


def _sizes(dry_run: DryRun) -> list[Field]:
    """Return the sums."""
    free, whole = dry_run.free_bytes, dry_run.device_bytes
    room = "the device does not tell" if free is None else in_words(free)
    if free is not None and whole is not None:
        room += f" of {in_words(whole)}"
    fields = [
        Field(label="To move:", value=in_words(dry_run.total_bytes)),
        Field(label="Free:", value=room),
    ]
    if dry_run.batch is not None:
        fields.append(Field(label="Batch:", value=_batch(dry_run.batch)))
    return fields


def _batch(batch: BatchEstimate) -> str:
    """Return what is known of the size of a batch."""
    if batch.why_not is not None:
        return f"how large a batch fits, only a run can tell: {batch.why_not}"
    return (
        _largest(batch)
        + f"{in_words(batch.sample_bytes)} a sample by the shapes in one training step of "
        f"{', '.join(batch.models)} with a sample of {batch.source}, and "
        f"{in_words(batch.once_bytes)} of gradients and optimizer state that come once"
    )


def _largest(batch: BatchEstimate) -> str:
    """Return the largest batch in words; "" where it is not known."""
    if batch.largest is None:
        return ""
    if batch.samples is not None and batch.largest >= batch.samples:
        return f"all {batch.samples:,} samples of {batch.source} would fit in one; "
    known = batch.batch_size is not None
    now = f" ({batch.source} has {batch.batch_size})" if known else ""
    return f"up to about {batch.largest:,} samples{now}; "


def _table(dry_run: DryRun) -> Table:
    """Return what would move, name by name."""
    rows = [
        (each.name, ", ".join(each.kinds), in_words(each.size_bytes))
        for each in dry_run.items[:_MANY]
    ]
    rest = dry_run.items[_MANY:]
    if rest:
        size = in_words(sum(each.size_bytes for each in rest))
        rows.append((f"{len(rest)} more", "", size))
    return Table(
        caption="Would move", columns=("Name", "Type", "Size"), rows=tuple(rows)
    )


def _findings(dry_run: DryRun) -> Iterator[Finding]:
    """Return what speaks against running the cell."""
    batch = dry_run.batch
    if dry_run.fits is False:
        yield _too_much(dry_run)
    elif batch is not None and batch.largest is not None and batch.largest < 1:
        yield Finding(
            code="batch-does-not-fit",
            severity=Severity.WARN,
            title="not even a batch of one sample would fit, by the shapes",
            fix=("%gpu_memory, which shows who holds memory", "or a smaller model"),
        )
    elif batch is not None and batch.is_too_large:
        yield Finding(
            code="batch-does-not-fit",
            severity=Severity.WARN,
            title=f"batches of {batch.batch_size} would not fit, by the shapes",
            fix=(
                f"batch_size={batch.largest} in {batch.source}",
                "or %%train_on --auto-batch, which keeps the gradient",
            ),
        )


def _too_much(dry_run: DryRun) -> Finding:
    """Return what to do where it does not fit."""
    missing = dry_run.total_bytes - (dry_run.free_bytes or 0)
    return Finding(
        code="does-not-fit",
        severity=Severity.ERROR,
        title=f"{in_words(missing)} too much for {dry_run.device}",
        fix=(
            "%gpu_memory, which shows who holds memory",
            "or a smaller model, or %%train_on cpu",
        ),
    )
