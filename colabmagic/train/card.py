"""What a cell did, as a card: where the time went, and one advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.report.chart import sparkline, squeeze
from colabmagic.report.model import Field, Finding, Report, Severity, Table

if TYPE_CHECKING:
    from collections.abc import Container

    from colabmagic.train.outcome import TrainOutcome

_CHART: Final = 20  # letters


def card(outcome: TrainOutcome, told: Container[str] = ()) -> Report:
    """Return what a cell did as a report: where the time went, and one advice.

    Parameters
    ----------
    outcome
        What happened.
    told
        Notes that the user has read already.
    """
    findings = []
    if outcome.advice is not None:
        findings.append(
            Finding(
                code="slow-loop",
                severity=Severity.INFO,
                title=outcome.advice.cause,
                fix=(outcome.advice.fix,),
            )
        )
    return Report(
        title=f"train_on {outcome.device}",
        verdict="DONE" if outcome.error is None else f"STOPPED by {outcome.error}",
        summary=outcome.in_short(),
        findings=tuple(findings),
        tables=(_times(outcome),) if outcome.loop_s > 0 else (),
        fields=tuple(
            Field(label="Note:", value=note)
            for note in outcome.notes
            if note not in told
        ),
    )


def _times(outcome: TrainOutcome) -> Table:
    """Return where the time of the loop went."""
    waited = outcome.wait_s / outcome.loop_s
    sent = outcome.transfer_s / outcome.loop_s
    rate = outcome.batches / outcome.loop_s
    columns = ["Batches/s", "Waiting for data"]
    row = [f"{rate:.3g}", f"{waited:.0%}"]
    chart = sparkline(squeeze(outcome.rates, _CHART), max(outcome.rates, default=0.0))
    if len(outcome.rates) > 1:
        columns.insert(1, "Over time")
        row.insert(1, chart)
    if outcome.device != "cpu":
        columns.append("Sending")
        row.append(f"{sent:.0%}")
    columns.append("The rest")
    row.append(f"{max(0.0, 1 - waited - sent):.0%}")
    if outcome.busy_percent is not None:
        columns.append("GPU busy")
        row.append(f"{outcome.busy_percent:.0f}%")
    return Table(caption="The loop", columns=tuple(columns), rows=(tuple(row),))
