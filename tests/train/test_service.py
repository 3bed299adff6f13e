"""Tests for `colabmagic.train.service`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import (
    BadDeviceError,
    DeviceFailedError,
    DeviceUnavailableError,
    NestedCellError,
)
from colabmagic.train import devices, measuring, service
from colabmagic.train.devices import Resolved
from colabmagic.train.options import TrainOptions
from colabmagic.train.session import Session

if TYPE_CHECKING:
    import types


@pytest.fixture(autouse=True)
def _no_cell_runs(fake: types.ModuleType) -> None:
    """Begin and end without a running cell, with the device registered."""
    assert fake.is_available()
    assert service._running is None


def begun(
    device: str = "fake:1",
    out: list[str] | None = None,
    namespace: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401
) -> service.RunningCell:
    """Start a cell over two names."""
    namespace = {"x": torch.zeros(2)} if namespace is None else namespace
    return service.start(
        namespace=namespace,
        device=device,
        names=("x", "y"),
        options=TrainOptions(**options),
        out=None if out is None else out.append,
    )


def test_a_cell_from_begin_to_end() -> None:
    """Two lines, and an outcome that says it all."""
    namespace, lines = {"x": torch.zeros(250)}, []
    cell = begun(out=lines, namespace=namespace)
    assert namespace["x"].device == torch.device("fake:1")
    assert lines == ["train_on fake:1: moved x (1.0 KB)"]
    result = namespace["x"] + 1
    outcome = cell.finish(result)
    assert namespace["x"].device.type == result.device.type == "cpu"
    assert outcome.device == "fake:1"
    assert outcome.requested == "fake:1"
    assert outcome.moved == ("x",)
    assert outcome.moved_bytes == 1000
    assert outcome.batches == 0
    assert outcome.error is None
    assert outcome.result is result
    assert outcome.seconds >= 0
    assert not outcome.kept
    assert service.last_outcome() is outcome
    assert len(lines) == 2
    assert lines[1].startswith("train_on fake:1: done, ")


def test_finishing_twice_is_finishing_once() -> None:
    """The second call changes nothing and prints nothing."""
    lines: list[str] = []
    cell = begun(out=lines)
    first = cell.finish(1)
    assert cell.finish(2, ValueError()) is first
    assert first.result == 1
    assert len(lines) == 2


def test_quiet_and_without_a_voice() -> None:
    """Nothing is shown with ``quiet``, or where there is nobody to show it."""
    lines: list[str] = []
    begun(out=lines, quiet=True).finish()
    begun().finish()
    assert lines == []


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_cpu_needs_no_session(device: str) -> None:
    """Nothing moves, nothing is patched."""
    lines: list[str] = []
    zeros = torch.zeros
    cell = begun(device, out=lines)
    assert torch.zeros is zeros
    outcome = cell.finish("result")
    assert outcome.device == "cpu"
    assert outcome.result == "result"
    assert lines[0] == "train_on cpu: running on the CPU"
    assert lines[1].startswith("train_on cpu: done")


def test_a_fallback_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell runs on the CPU; ``keep`` means nothing there."""
    monkeypatch.setattr(
        devices, "resolve",
        lambda *_, **__: Resolved(device=torch.device("cpu"), fallback="no GPU here"),
    )  # fmt: skip
    lines: list[str] = []
    outcome = begun(" cuda ", out=lines, keep=True).finish()
    assert outcome.fallback == "no GPU here"
    assert outcome.requested == "cuda"
    assert not outcome.kept
    assert lines[0] == "train_on cuda: running on the CPU. no GPU here"


def test_told_reasons_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second cell on the same fallback is told in short."""
    reason = "no GPU here. Do this."
    monkeypatch.setattr(
        devices, "resolve",
        lambda *_, **__: Resolved(device=torch.device("cpu"), fallback=reason),
    )  # fmt: skip
    lines: list[str] = []
    told: set[str] = set()
    for _ in range(2):
        service.start(
            namespace={}, device="cuda", names=(), out=lines.append, told=told
        ).finish()
    assert told == {reason}
    assert lines[0].endswith(reason)
    assert lines[2].endswith("no GPU here (more: %gpu_check)")


def test_an_empty_text_is_auto() -> None:
    """``%%train_on`` alone takes the best device."""
    outcome = begun("").finish()
    assert outcome.requested == "auto"
    assert outcome.device == "fake:0"


def test_an_error_of_the_cell_is_named() -> None:
    """The exit line says what stopped it, and that everything is back."""
    lines: list[str] = []
    outcome = begun(out=lines).finish(error=KeyError("x"))
    assert outcome.error == "KeyError"
    assert "stopped by KeyError" in lines[1]
    assert "back on the CPU" in lines[1]


def test_keep_is_said() -> None:
    """What was left there is known to be there."""
    namespace = {"x": torch.zeros(2)}
    lines: list[str] = []
    outcome = begun(out=lines, namespace=namespace, keep=True).finish()
    assert outcome.kept
    assert namespace["x"].device.type == "fake"
    assert "left on fake:1 (--keep)" in lines[1]


def test_one_cell_at_a_time() -> None:
    """A second one is refused, and the first goes on."""
    namespace = {"x": torch.zeros(2)}
    cell = begun(namespace=namespace)
    with pytest.raises(NestedCellError):
        begun("cpu")
    assert namespace["x"].device.type == "fake"
    cell.finish()
    begun("cpu").finish()


@pytest.mark.parametrize(
    ("device", "options", "error"),
    [
        ("fake:7", {}, BadDeviceError),
        ("cuda", {"strict": True}, DeviceUnavailableError),
    ],
)
def test_a_cell_that_could_not_begin_is_not_running(
    device: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """After an error at entry, the next cell begins."""
    with pytest.raises(error):
        begun(device, **options)
    begun().finish()


def test_a_line_that_cannot_be_shown() -> None:
    """A broken pipe or Ctrl-C while printing: everything is home, no cell is running."""
    namespace = {"x": torch.zeros(2)}
    zeros = torch.zeros

    def broken(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service.start(namespace=namespace, device="fake:1", names=("x",), out=broken)
    assert namespace["x"].device.type == "cpu"
    assert torch.zeros is zeros
    begun().finish()


def test_a_device_that_fails_at_the_end(fake: types.ModuleType) -> None:
    """The error is raised once; the cell is over all the same."""
    namespace = {"x": torch.zeros(2)}
    cell = begun(namespace=namespace)
    namespace["x"].add_(1)
    fake.set_lost(1, lost=True)
    with pytest.raises(DeviceFailedError):
        cell.finish()
    fake.heal()
    assert namespace["x"].tolist() == [0, 0]
    assert cell.finish().device == "fake:1"
    begun().finish()


def test_figures_come_from_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, memory and notes are those of the cell."""
    monkeypatch.setattr(Session, "peak_bytes", lambda _: 5_000_000)
    lines: list[str] = []
    cell = begun(out=lines)
    session = cell._session
    assert session is not None
    cell._meter.log.extend([0.0] * 3 * 4)
    session.scope.notes["a note"] = None
    outcome = cell.finish()
    assert outcome.peak_bytes == 5_000_000
    assert outcome.batches == 4
    assert outcome.notes == ("a note",)
    assert lines[1].splitlines()[1] == "  note: a note"
    assert "4 batches, peak 5.0 MB" in lines[1]


def test_before_the_first_cell_there_is_no_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`last_outcome` says so with None."""
    monkeypatch.setattr(measuring, "_outcomes", [])
    assert service.last_outcome() is None
