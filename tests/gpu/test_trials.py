"""``check(bench=True, deep=True)``: measuring and trying as parts of the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from colabmagic.gpu import check
from colabmagic.gpu.trials.deep import DeepReport
from colabmagic.report.model import Finding, Severity
from tests.gpu import schema
from tests.gpu.machines import load


class Steps:
    """Counts what a progress is told."""

    def __init__(self) -> None:
        self.started = self.finished = 0

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step."""
        assert what
        assert total is None or total > 0
        self.started += 1

    def advance(self, amount: float = 1) -> None:
        """Note that so much more is done."""
        assert amount > 0

    def finish(self, summary: str = "") -> None:
        """End the step."""
        assert isinstance(summary, str)
        self.finished += 1


def test_this_machine_is_measured_and_tried() -> None:
    """The whole is one report: text, HTML and a JSON document of the schema."""
    steps = Steps()
    report = check(bench=True, quick=True, deep=True, progress=steps)
    assert report.bench is not None
    assert report.bench.ok
    assert report.deep is not None
    for part in ("GPU check:", "deep check:", "bench:"):
        assert part in report.text
        assert part in report.html
    document = json.loads(report.to_json())
    jsonschema.Draft202012Validator(schema.schema()).validate(document)
    assert document["bench"]["quick"] is True
    assert document["deep"] == report.deep.to_dict()
    assert steps.started
    assert steps.finished


@pytest.mark.parametrize(
    ("severity", "usable"), [(Severity.ERROR, False), (Severity.WARN, True)]
)
def test_a_failed_trial_disproves_the_rules(severity: Severity, usable: bool) -> None:  # noqa: FBT001 (a table)
    """What was tried counts more than what the files say."""
    finding = Finding(code="cuda-poisoned", severity=severity, title="It is broken.")
    trial = DeepReport(frameworks=(), findings=(finding,), kernel=None, elapsed_s=1.0)
    report = replace(check(load("colab_t4")), deep=trial)
    assert report.ok is usable
    assert ("READY" in report.headline) is usable
    assert bool(report.reason) is not usable
    codes = [one["code"] for one in report.to_dict()["findings"]]
    assert "cuda-poisoned" in codes
