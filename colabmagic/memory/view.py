"""Facts about memory as a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.memory.holders import GRAPH
from colabmagic.report.model import Code, Field, Finding, Report, Severity, Table
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.memory.devices import DeviceMemory
    from colabmagic.memory.holders import Holding, MemoryFacts

TITLE: Final = "GPU memory"
ROWS: Final = 12
CPU_FROM_BYTES: Final = 1_000_000  # smaller ones of the CPU are nobody's trouble
_HIDDEN_FROM_BYTES: Final = 2_000_000
_HIDDEN_SHARE: Final = 0.05
_NAMES: Final = 3


def view(facts: MemoryFacts, freed: str | None = None) -> Report:
    """Return what a person sees.

    Parameters
    ----------
    facts
        Who holds what.
    freed
        What ``--free`` did.
    """
    if not facts.torch_loaded:
        return Report(
            title=TITLE, verdict="nothing", summary="PyTorch is not imported here."
        )
    shown = [each for each in facts.holdings if _matters(each)]
    total = sum(each.size_bytes for each in shown)
    on_devices = sum(each.size_bytes for each in shown if each.device != "cpu")
    places = f"{in_words(on_devices)} on devices, {in_words(total - on_devices)} on cpu"
    findings = [*_findings(facts)]
    if freed is not None:
        findings.insert(0, _note("freed", freed))
    return Report(
        title=TITLE,
        verdict=f"{in_words(total)} in tensors" if shown else "nothing to speak of",
        summary=places if shown else "",
        findings=tuple(findings),
        tables=tuple(_tables(shown, facts.devices)),
        fields=tuple(_left_out(facts.holdings, shown)),
    )


def _matters(holding: Holding) -> bool:
    """Tell whether a holding is worth a row."""
    return holding.device != "cpu" or holding.size_bytes >= CPU_FROM_BYTES


def _tables(shown: list[Holding], devices: tuple[DeviceMemory, ...]) -> Iterable[Table]:
    """Yield the devices, and who holds what."""
    if devices:
        yield Table(
            caption="Devices",
            columns=("device", "in tensors", "only cached", "free", "of"),
            rows=tuple(
                (
                    each.device,
                    *map(
                        _size,
                        (
                            each.allocated_bytes,
                            each.cached_bytes,
                            each.free_bytes,
                            each.total_bytes,
                        ),
                    ),
                )
                for each in devices
            ),
        )
    if shown:
        rows = [row for each in shown[:ROWS] for row in _rows(each)]
        yield Table(
            caption="Who holds it",
            columns=("name", "holds", "where", "what", "to free it"),
            rows=tuple(rows),
        )


def _rows(holding: Holding) -> list[tuple[str, ...]]:
    """Return a row for each command that is needed."""
    names = ", ".join(holding.names[:_NAMES])
    if len(holding.names) > _NAMES:
        names += f" and {len(holding.names) - _NAMES} more"
    first = (
        names,
        in_words(holding.size_bytes),
        holding.device,
        _what(holding),
        holding.commands[0],
    )
    return [first, *(("", "", "", "and", each) for each in holding.commands[1:])]


def _what(holding: Holding) -> str:
    """Say what holds it, and what the largest part is."""
    largest = holding.largest[0]
    if holding.tensors == 1 and largest.path in holding.names:
        return largest.shape
    count = f"{holding.tensors} tensors" if holding.tensors > 1 else "1 tensor"
    if largest.path in {"?", *holding.names}:
        return f"{count}, largest {largest.shape}"
    return f"{count}, largest {largest.path}"


def _findings(facts: MemoryFacts) -> Iterable[Finding]:
    """Yield what the table cannot say."""
    keeping = {
        each.names[0]: each
        for each in reversed(facts.holdings)
        if each.largest[0].path.endswith(GRAPH) and _matters(each)
    }
    for name, holding in list(keeping.items())[::-1][:_NAMES]:
        yield Finding(
            code="keeps-graphs",
            severity=Severity.WARN,
            title=f"{name} keeps what computed it: {in_words(holding.size_bytes)} that "
            "only backward() would need.",
            fix=_without_graph(holding),
        )
    for device in facts.devices:
        named = sum(
            each.size_bytes for each in facts.holdings if each.device == device.device
        )
        hidden = (device.allocated_bytes or 0) - named
        if hidden > max(_HIDDEN_FROM_BYTES, _HIDDEN_SHARE * named):
            yield _note(
                "held-by-libraries",
                f"{in_words(hidden)} more on {device.device} belongs to no tensor that "
                "Python knows: graphs, or buffers of libraries.",
            )
    if not facts.is_complete:
        yield _note("not-all-seen", "There are more objects than were looked at.")


def _without_graph(holding: Holding) -> tuple[str, ...]:
    """Say how a name lets go of graphs: as a command where it is one plain value."""
    if len(holding.results) == 1 and all(
        part.isidentifier() for part in holding.results[0].split(".")
    ):
        (path,) = holding.results
        return (Code(f"{path} = {path}.detach()"),)
    count = len(holding.results) or "all"
    return (f"store .item() or .detach() of the {count} results in {holding.names[0]}",)


def _note(code: str, title: str) -> Finding:
    """Return a remark."""
    return Finding(code=code, severity=Severity.INFO, title=title)


def _left_out(all_of_them: tuple[Holding, ...], shown: list[Holding]) -> list[Field]:
    """Say what has no row."""
    rest = shown[ROWS:]
    small = len(all_of_them) - len(shown)
    found = []
    if rest:
        size = in_words(sum(each.size_bytes for each in rest))
        found.append(Field(label=f"{len(rest)} more rows:", value=size))
    if small:
        value = f"{small} below {in_words(CPU_FROM_BYTES)}"
        found.append(Field(label="not shown on cpu:", value=value))
    return found


def _size(size_bytes: int | None) -> str:
    """Return a size, or that the device does not tell."""
    return "unknown" if size_bytes is None else in_words(size_bytes)
