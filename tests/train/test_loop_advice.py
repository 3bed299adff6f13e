"""Tests for `colabmagic.train.loop_advice`: one cause, one fix, or none."""

from __future__ import annotations

from typing import Any

import pytest

from colabmagic.report.model import Code
from colabmagic.train.loader_facts import LoaderFacts
from colabmagic.train.loop_advice import LoopFigures, advise


def loader(**changes: Any) -> LoaderFacts:  # noqa: ANN401
    """Return a loader without workers, gone through three times."""
    values: dict[str, Any] = {
        "name": "train_loader",
        "num_workers": 0,
        "pin_memory": False,
        "persistent_workers": False,
        "batch_size": 32,
        "passes": 3,
    }
    return LoaderFacts(**{**values, **changes})


def figures(*loaders: LoaderFacts, **changes: Any) -> LoopFigures:  # noqa: ANN401
    """Return a loop on a T4 that waits for most of its time."""
    values: dict[str, Any] = {
        "device": "cuda:0",
        "loop_s": 100.0,
        "wait_s": 61.0,
        "transfer_s": 2.0,
        "batches": 1000,
        "busy_percent": 30.0,
        "cpu_count": 2,
        "loaders": loaders or (loader(),),
    }
    return LoopFigures(**{**values, **changes})


@pytest.mark.parametrize(
    ("loader", "changes", "fix"),
    [
        ({}, {}, "DataLoader(..., num_workers=2, persistent_workers=True)"),
        ({"passes": 1}, {}, "DataLoader(..., num_workers=2)"),
        ({"passes": 1}, {"cpu_count": 64}, "DataLoader(..., num_workers=8)"),
        ({"passes": 1}, {"device": "cpu"}, "DataLoader(..., num_workers=2)"),
        (
            {"passes": 1},
            {"device": "cpu", "wait_s": 40.0},
            "DataLoader(..., num_workers=1)",
        ),
        ({"num_workers": 1}, {}, "DataLoader(..., num_workers=2): it has 1"),
        (
            {"num_workers": 8},
            {},
            "DataLoader(..., num_workers=2): 8 are more than the 2 processors here",
        ),
        (
            {"num_workers": 2},
            {},
            "DataLoader(..., persistent_workers=True): they are started in each pass",
        ),
        (
            {"num_workers": 2, "pin_memory": False},
            {"wait_s": 5.0, "transfer_s": 40.0},
            "DataLoader(..., pin_memory=True)",
        ),
        (
            {"at_once": True},
            {},
            "%%train_on cuda:0 --cache, which keeps its data there",
        ),
        (
            {"at_once": True},
            {"cached": True},
            "DataLoader(..., batch_size=...): a larger one; its data is in memory",
        ),
        (
            {"at_once": True},
            {"device": "cpu"},
            "DataLoader(..., batch_size=...): a larger one; its data is in memory",
        ),
    ],
)
def test_the_fix(loader: dict[str, Any], changes: dict[str, Any], fix: str) -> None:
    """What to type fits the loader and the machine."""
    found = advise(figures(_loader(**loader), **changes))
    assert found is not None
    assert found.fix == fix


_loader = loader


def test_the_cause_names_share_device_and_loader() -> None:
    """As the user knows them."""
    found = advise(figures())
    assert found is not None
    assert found.cause == "61% of the time cuda:0 waited for train_loader."
    found = advise(figures(loader(name=""), device="cpu"))
    assert found is not None
    assert found.cause == "61% of the time the loop waited for the loader."


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (0.9, "All processors work already: do less for each item"),
        (None, "More workers hardly help here: do less for each item"),
        (0.07, "Its 2 workers compute 7% of the time and wait for the rest"),
    ],
)
def test_as_many_workers_as_processors(share: float | None, says: str) -> None:
    """What they do decides; where nobody knows it, nothing is said of it."""
    workers = loader(num_workers=2, persistent_workers=True)
    found = advise(figures(workers, worker_share=share))
    assert found is not None
    assert found.fix.startswith(says)


def test_a_loader_that_can_be_made_anew_gets_its_whole_line() -> None:
    """What stands behind it is a remark."""
    whole = loader(num_workers=1, anew=lambda changes: f"a = make({changes})")
    found = advise(figures(whole))
    assert found is not None
    assert found.fix == "a = make({'num_workers': '2'})  # it has 1"
    assert isinstance(found.fix, Code)


def test_when_all_processors_work() -> None:
    """More workers would not help: less work would."""
    found = advise(figures(loader(), device="cpu", cpu_count=1))
    assert found is not None
    assert "num_workers" not in found.fix


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_s": 29.0},
        {"batches": 5},
        {"loop_s": 0.0},
        {"busy_percent": 95.0},
        {"loaders": ()},
        {"device": "cpu", "wait_s": 1.0, "transfer_s": 60.0},
    ],
)
def test_no_advice(changes: dict[str, Any]) -> None:
    """A loop that is fast enough, too short to tell, or busy all the time."""
    assert advise(figures(**changes)) is None


def test_sending_fewer_bytes() -> None:
    """Without workers pinned memory does not help."""
    found = advise(figures(wait_s=1.0, transfer_s=50.0))
    assert found is not None
    assert "uint8" in found.fix
    assert found.cause == "50% of the time went into sending batches to cuda:0."
