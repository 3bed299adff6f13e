"""The age of Colab's machine, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.host.vm_clock import VmClock, duration
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from pathlib import Path

COLAB = {"COLAB_RELEASE_TAG": "release-colab_20250902"}
HOUR = 3600


def machine(root: Path, uptime: str, *, colab: bool = True) -> Path:
    """Return a tree that looks like a machine of that age."""
    (root / "proc").mkdir()
    (root / "proc/uptime").write_text(f"{uptime} 1.0\n", "ascii")
    if colab:
        (root / "var/colab").mkdir(parents=True)
        (root / "var/colab/hostname").write_text("colab", "ascii")
    return root


def test_tells_age_and_time_left_on_colab(tmp_path: Path) -> None:
    """Three hours after the start about nine are left of a free machine."""
    clock = VmClock(COLAB, machine(tmp_path, str(3 * HOUR)))
    assert (clock.age_s(), clock.left_s()) == (3 * HOUR, 9 * HOUR)
    assert clock.describe() == (
        "This machine is 3 h old; Colab ends a free one after about 12 h at the latest, so in "
        "about 9 h, and sooner when idle. A new machine has no Drive until you allow it again."
    )
    assert clock.warning() is None


def test_warns_a_quarter_of_an_hour_before_the_end(tmp_path: Path) -> None:
    """The warning names what to type, and comes at 15 minutes, not before."""
    clock = VmClock(COLAB, machine(tmp_path, str(12 * HOUR - 15 * 60)))
    assert "%mount_drive --sync now" in (clock.warning() or "")
    (tmp_path / "proc/uptime").write_text(f"{12 * HOUR - 15 * 60 - 1} 0\n", "ascii")
    assert clock.warning() is None


def test_an_older_machine_is_a_paid_one(tmp_path: Path) -> None:
    """Past the limit of free machines the one of paid machines counts."""
    clock = VmClock(COLAB, machine(tmp_path, str(13 * HOUR)))
    assert clock.left_s() == 11 * HOUR
    assert "ends a paid one after about 24 h" in (clock.describe() or "")


def test_past_all_limits_nothing_is_claimed(tmp_path: Path) -> None:
    """A machine older than every limit has no known end, and no warning."""
    clock = VmClock(COLAB, machine(tmp_path, str(30 * HOUR)))
    assert isinstance(clock.left_s(), Unknown)
    assert "30 h old" in (clock.describe() or "")
    assert clock.warning() is None


@pytest.mark.parametrize(
    ("env", "colab"),
    [
        ({}, True),
        (COLAB, False),
        ({**COLAB, "VERTEX_PRODUCT": "COLAB_ENTERPRISE"}, True),
    ],
)
def test_off_colab_nothing_is_said(
    tmp_path: Path, env: dict[str, str], *, colab: bool
) -> None:
    """A machine that is not known to be Colab's has an age and no end."""
    clock = VmClock(env, machine(tmp_path, "45000", colab=colab))
    assert clock.age_s() == 45000
    assert isinstance(clock.left_s(), Unknown)
    assert (clock.describe(), clock.warning()) == (None, None)


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_an_age_that_cannot_be_read_is_unknown(
    tmp_path: Path, text: str | None
) -> None:
    """No /proc/uptime, or nonsense in it, is told as unknown."""
    machine(tmp_path, "1")
    uptime = tmp_path / "proc/uptime"
    uptime.unlink() if text is None else uptime.write_text(text, "ascii")
    clock = VmClock(COLAB, tmp_path)
    assert isinstance(clock.age_s(), Unknown)
    assert isinstance(clock.left_s(), Unknown)
    assert clock.warning() is None


def test_durations_read_as_people_say_them() -> None:
    """Hours and minutes, without zeros."""
    assert [duration(each) for each in (59, 3600, 11_520)] == [
        "1 min",
        "1 h",
        "3 h 12 min",
    ]
