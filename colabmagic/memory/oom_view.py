"""Facts about an out-of-memory error as a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.memory.holders import GRAPH, LIBRARIES
from colabmagic.report.document import Document
from colabmagic.report.model import Code, Finding, Report, Severity, Table
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.memory.holders import Share
    from colabmagic.memory.oom import OutOfMemoryFacts
    from colabmagic.memory.written import Growing

TITLE: Final = "Out of memory"
_ROWS: Final = 8
_TINY_SHARE: Final = 0.002  # of the largest: those are summed up in a row
_UNUSED_SHARE: Final = 0.02  # of the device: less is not worth advice
_MOST_NAMES: Final = 3
_MOST_SHARE: Final = 0.5  # of what was held: more than all the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemoryReport(Document):
    """What a cell that ran out of memory shows below its error.

    Attributes
    ----------
    facts
        What was seen.
    freed_bytes
        What came free on devices when the error was let go; None if nobody tells.
    is_freed
        Whether it was let go.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.out-of-memory+json"

    facts: OutOfMemoryFacts
    freed_bytes: int | None = None
    is_freed: bool = False

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        facts = self.facts
        table = _table(facts)
        return Report(
            title=TITLE,
            verdict=f"on {facts.device}",
            summary=", ".join(_figures(facts)),
            findings=(
                Finding(
                    code="out-of-memory",
                    severity=Severity.ERROR,
                    title=_cause(facts),
                    fix=tuple(_advice(facts)),
                ),
                *self._freed(),
            ),
            tables=(table,) if table.rows else (),
        )

    def _freed(self) -> Iterable[Finding]:
        """Say what is already done."""
        if not self.is_freed:
            return
        size = f" ({in_words(self.freed_bytes)})" if self.freed_bytes else ""
        yield Finding(
            code="freed",
            severity=Severity.INFO,
            title=f"What only the failed call held is free again{size}: no restart is "
            "needed. %tb shows the error again.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"facts": to_plain(self.facts), "freed_bytes": self.freed_bytes}


def _figures(facts: OutOfMemoryFacts) -> Iterable[str]:
    """Yield what was wanted and what there was."""
    if facts.requested_bytes is not None:
        yield f"{in_words(facts.requested_bytes)} wanted"
    if facts.free_bytes is not None:
        yield f"{in_words(max(facts.free_bytes, 0))} free"
    if facts.total_bytes is not None:
        yield f"{in_words(facts.total_bytes)} in all"
    if facts.cached_bytes:
        yield f"{in_words(facts.cached_bytes)} only cached"


def _cause(facts: OutOfMemoryFacts) -> str:
    """Say in one sentence what filled the device."""
    requested, total = facts.requested_bytes, facts.total_bytes
    if requested is not None and total is not None and _is_too_large(facts):
        return (
            f"One tensor of {in_words(requested)} is more than all of {facts.device} "
            f"({in_words(total)}): freeing memory cannot help."
        )
    if not facts.shares:
        return f"No tensor of yours is on {facts.device}; others may fill it."
    largest = max(facts.shares, key=lambda each: each.size_bytes)
    return f"Most was held by {largest.name}: {in_words(largest.size_bytes)}."


def _advice(facts: OutOfMemoryFacts) -> Iterable[str]:
    """Yield what to change, the most useful first, as lines to type where it can be."""
    growing = _growing(facts)
    for each in growing:
        yield from _without_graphs(each)
    if not growing or _is_too_large(facts):  # else a smaller batch comes as far
        yield from _smaller_batches(facts)
    for share in facts.shares:
        if _is_unused(share, facts):
            size = in_words(share.size_bytes)
            yield f"{share.name} holds {size} and is not in this cell; to free it:"
            yield Code(share.command)
    told = {each.name for each in growing}
    for share in [each for each in facts.shares if _keeps_graphs(each)][:_MOST_NAMES]:
        if share.name not in told:
            yield (
                f"{share.name} keeps {share.results} results with all that computed "
                "them: store .item() or .detach() of them"
            )
    if (
        not facts.trains
        and not _is_too_large(facts)
        and any(each.results for each in facts.shares)
    ):
        yield "no backward() in this cell: put it below `with torch.no_grad():`"
    if _is_fragmented(facts):
        yield "much is cached and in pieces; restart, and before all else run:"
        yield Code("%env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")
    yield Code("%gpu_memory")


def _growing(facts: OutOfMemoryFacts) -> list[Growing]:
    """Return the sums and lists whose graphs are most of what was held."""
    most = sum(each.size_bytes for each in facts.shares) * _MOST_SHARE
    large = {
        each.name.split(" in ")[0] for each in facts.shares if each.in_graphs > most
    }
    return [each for each in facts.growing if each.name in large]


def _without_graphs(growing: Growing) -> Iterable[str]:
    """Say how a sum or list is written that keeps no graphs."""
    yield (
        f"{growing.name} keeps what computed it, batch for batch; "
        + (f"in {growing.place} write:" if growing.edit else "")
        + ("" if growing.edit else f"in {growing.place} add {growing.call} of it")
    )
    if growing.edit:
        yield Code(growing.edit)


def _smaller_batches(facts: OutOfMemoryFacts) -> Iterable[str]:
    """Say how the batches get smaller."""
    for loader in facts.loaders:
        size = loader.batch_size
        if size > 1 and not _is_too_large(facts, size):
            end = ":" if loader.smaller else ", where it is made"
            yield f"halve the batch size of {loader.name}, {size} to {size // 2}{end}"
            yield from loader.smaller
    if _is_too_large(
        facts, max((each.batch_size for each in facts.loaders), default=1)
    ):
        batch = "; a batch of 1 would not fit either" if facts.loaders else ""
        yield f"make that tensor smaller: images, sequences or layers{batch}"
    elif not facts.loaders:
        yield "use a smaller batch"


def _is_too_large(facts: OutOfMemoryFacts, parts: int = 1) -> bool:
    """Tell whether what was wanted, or one of its parts, is more than there is in all."""
    requested, total = facts.requested_bytes, facts.total_bytes
    return requested is not None and total is not None and requested > total * parts


def _is_unused(share: Share, facts: OutOfMemoryFacts) -> bool:
    """Tell whether somebody holds much without being needed by the cell."""
    names = [name.partition(".")[0] for name in (share.name, *share.shared_with)]
    if share.is_local or not set(facts.used).isdisjoint(names):
        return False
    if any(" in " in name for name in share.shared_with):  # the failed call has it too
        return False
    least = _UNUSED_SHARE * (facts.total_bytes or facts.requested_bytes or 0)
    return share.size_bytes >= max(least, 1)


def _keeps_graphs(share: Share) -> bool:
    """Tell whether a container holds results with all that computed them."""
    inside = share.largest.path not in {share.name, share.name + GRAPH}
    return share.results > 1 and not share.is_local and inside


def _is_fragmented(facts: OutOfMemoryFacts) -> bool:
    """Tell whether CUDA's allocator has the memory, but not in one piece."""
    requested = facts.requested_bytes
    return (
        facts.device.startswith("cuda")
        and requested is not None
        and (facts.cached_bytes or 0) >= requested
    )


def _table(facts: OutOfMemoryFacts) -> Table:
    """Say who held how much."""
    least = _TINY_SHARE * max((each.size_bytes for each in facts.shares), default=0)
    told = [each for each in facts.shares if each.size_bytes >= least][:_ROWS]
    rows = [(each.name, in_words(each.size_bytes), _what(each)) for each in told]
    if rest := [each for each in facts.shares if each not in told]:
        size = in_words(sum(each.size_bytes for each in rest))
        rows.append((f"{len(rest)} more", size, ""))
    return Table(
        caption=f"Held on {facts.device} when it failed",
        columns=("name", "holds", "what"),
        rows=tuple(rows),
    )


def _what(share: Share) -> str:
    """Describe the largest part of a share."""
    largest = share.largest
    shown = (
        largest.shape
        if share.name in {largest.path, LIBRARIES}
        else f"{largest.path}, {largest.shape}"
    )
    return shown if share.tensors == 1 else f"{share.tensors} tensors, largest {shown}"
