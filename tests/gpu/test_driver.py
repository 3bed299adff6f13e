"""The child process that starts CUDA."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import SourceState, Unknown
from colabmagic.gpu.sources.driver import probe_driver, read_outcome
from colabmagic.host.command import CommandOutcome
from tests.fakes.drivers import build, profiles

if TYPE_CHECKING:
    from pathlib import Path


def outcome(stdout: str = "", **values: object) -> CommandOutcome:
    """Return how a child ended."""
    usual = {"returncode": 0, "stderr": "", "timed_out": False, "elapsed_s": 0.1}
    return CommandOutcome(stdout=stdout, **{**usual, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended", "state", "reason"),
    [
        (outcome('{"missing": "no libcuda"}'), SourceState.NO_LIBRARY, "no libcuda"),
        (outcome('{"code": 804}'), SourceState.REFUSED, "cuInit returned 804"),
        (outcome('{"code": 0}\n{"count": 0}'), SourceState.OK, None),
        (outcome(timed_out=True, returncode=None), SourceState.HUNG, "in time"),
        (outcome(returncode=-11), SourceState.FAILED, "exit status -11"),
        (outcome(returncode=1, stderr="a\nb"), SourceState.FAILED, "failed: b"),
        (outcome(returncode=None, error="gone"), SourceState.FAILED, "gone"),
        (
            outcome(returncode=None, stderr="a\nb", flooded=True),
            SourceState.FAILED,
            "printed without end",
        ),
        (outcome('{"code": 0}', returncode=-11), SourceState.FAILED, "-11"),
    ],
)
def test_end_of_the_child(
    ended: CommandOutcome, state: SourceState, reason: str | None
) -> None:
    """Each way in which the child can end has its state."""
    facts = read_outcome(ended)
    assert facts.state is state
    assert (reason is None and facts.reason is None) or reason in str(facts.reason)


def test_foreign_output_is_skipped() -> None:
    """A driver that writes to the child's output does no harm."""
    facts = read_outcome(outcome('NVRM: hello\n{"code": 0}\n{"device": {}}\n{"dev'))
    assert facts.state is SourceState.OK
    (device,) = facts.devices
    assert isinstance(device.name, Unknown)
    assert isinstance(device.compute_capability, Unknown)


def test_real_child(libraries: Path, tmp_path: Path) -> None:
    """The child tells versions, library and GPUs of the driver that it finds."""
    config = profiles.write_profile("2xt4_kaggle", tmp_path / "gpu.cfg")
    facts = probe_driver(10, env=build.fake_gpu_env(libraries, config))
    assert facts.state is SourceState.OK
    assert facts.cuda_version == (12, 6)
    assert facts.library_path == str(libraries / "libcuda.so.1")
    assert [device.pci_bus_id for device in facts.devices] == [
        "0000:04:00.0",
        "0000:05:00.0",
    ]


def test_hang_is_cut(libraries: Path, tmp_path: Path) -> None:
    """A cuInit that never returns costs no more than the limit."""
    config = profiles.write_profile("cuda_hung", tmp_path / "gpu.cfg")
    started = time.monotonic()
    facts = probe_driver(0.5, env=build.fake_gpu_env(libraries, config))
    assert time.monotonic() - started < 2
    assert facts.state is SourceState.HUNG
    assert facts.cuda_version == (12, 4)  # told before the hang


def test_no_python_no_child() -> None:
    """An embedded Python that does not know its path is no reason to raise."""
    facts = probe_driver(1, env=dict(os.environ), executable="/nonexistent/python")
    assert facts.state is SourceState.FAILED


def test_mac_is_not_asked() -> None:
    """On macOS no child is started."""
    facts = probe_driver(1, executable="/nonexistent/python", platform="darwin")
    assert facts.state is SourceState.NOT_ASKED
