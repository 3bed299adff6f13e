"""A ladder is plain data, and knows what failed and whose fault it is."""

from __future__ import annotations

import json

import pytest

from colabmagic.cuda.verifying.ladder import RUNGS, TOOLKIT, Ladder, Rung


def ladder(*rungs: tuple[str, str, str]) -> Ladder:
    """Return a ladder of (name, verdict, code)."""
    return Ladder(
        root="/toolkit",
        build="13.0.88",
        rungs=tuple(
            Rung(name=name, verdict=verdict, why="so", code=code, seconds=0.5)
            for name, verdict, code in rungs
        ),
    )


def test_it_comes_back_from_json() -> None:
    """Nothing is lost on the way through a file."""
    made = ladder(("files", "ok", ""), ("run", "no driver", ""))
    assert Ladder.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.to_dict()["ok"] is True


def test_no_driver_is_no_failure() -> None:
    """A CPU runtime passes."""
    made = ladder(("run", "no driver", ""), ("torch", "skipped", "E14"))
    assert made.ok
    assert made.code == ""
    assert made.seconds == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "code", "is_broken"),
    [
        ("files", "E20", True),
        ("run", "E20", True),
        ("gpu", "E06", True),
        ("gpu", "E20", False),
        ("library", "E17", False),
        ("ptx", "E15", False),
        ("torch", "E18", False),
    ],
)
def test_whose_fault_it_is(name: str, code: str, *, is_broken: bool) -> None:
    """A session or a GPU that is in trouble does not make a toolkit a bad one."""
    made = ladder(("version", "ok", ""), (name, "failed", code))
    assert not made.ok
    assert made.code == code
    assert (made.broken is not None) is is_broken


def test_rungs_have_titles() -> None:
    """Each name of the set exists, and has words."""
    assert set(RUNGS) >= TOOLKIT
    assert ladder(("ptx", "ok", "")).rungs[0].title == "PTX on this driver"
    assert ladder(("ptx", "ok", "")).rung("ext") is None
