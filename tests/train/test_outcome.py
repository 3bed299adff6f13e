"""Tests for `colabmagic.train.outcome`."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from colabmagic.report.size import in_words
from colabmagic.train.outcome import TrainOutcome

PLAIN = TrainOutcome(
    device="cuda:0",
    requested="auto",
    fallback=None,
    moved=("model", "opt"),
    moved_bytes=45_200_000,
    batches=312,
    seconds=12.34,
    peak_bytes=2_100_000_000,
    kept=False,
    error=None,
    notes=(),
)


def outcome(**changes: Any) -> TrainOutcome:  # noqa: ANN401
    """Return the plain outcome with some fields changed."""
    return dataclasses.replace(PLAIN, **changes)


def test_the_line_at_entry_names_what_moved() -> None:
    """Names and size, as the user knows them."""
    assert PLAIN.entry_line() == "train_on cuda:0: moved model, opt (45.2 MB)"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"moved": ()}, "train_on cuda:0: nothing to move yet"),
        ({"device": "cpu", "moved": ()}, "train_on cpu: running on the CPU"),
        (
            {"device": "cpu", "requested": "cuda", "fallback": "no driver"},
            "train_on cuda: running on the CPU. no driver",
        ),
    ],
)
def test_the_line_at_entry_for_rarer_cases(changes: dict[str, Any], line: str) -> None:
    """A fallback gives its reason; the CPU and an empty cell are said plainly."""
    assert outcome(**changes).entry_line() == line


def test_a_reason_is_given_in_full_once() -> None:
    """Later cells name it, and where to read more."""
    reason = "This container has no GPU. Start it with --gpus all."
    cell = outcome(device="cpu", requested="auto", fallback=reason)
    assert cell.entry_line({"another"}).endswith(reason)
    assert cell.entry_line({reason}) == (
        "train_on auto: running on the CPU. This container has no GPU "
        "(more: %gpu_check)"
    )
    short = outcome(device="cpu", requested="cuda", fallback="no driver")
    assert short.entry_line({"no driver"}) == (
        "train_on cuda: running on the CPU. no driver"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            (
                "train_on cuda:0: done, 12.3 s, 312 batches, peak 2.1 GB, "
                "everything is back on the CPU"
            ),
        ),
        (
            {"batches": 0, "peak_bytes": None, "seconds": 0.04},
            "train_on cuda:0: done, 0.0 s, everything is back on the CPU",
        ),
        (
            {"batches": 0, "peak_bytes": 0, "kept": True},
            "train_on cuda:0: done, 12.3 s, left on cuda:0 (--keep)",
        ),
        (
            {"device": "cpu", "batches": 0, "peak_bytes": None},
            "train_on cpu: done, 12.3 s",
        ),
        (
            {"error": "ValueError", "batches": 0, "peak_bytes": None},
            (
                "train_on cuda:0: stopped by ValueError, 12.3 s, "
                "everything is back on the CPU"
            ),
        ),
    ],
)
def test_the_line_at_exit(changes: dict[str, Any], line: str) -> None:
    """What happened, and where everything is now."""
    assert outcome(**changes).exit_line() == line


def test_notes_have_lines_of_their_own() -> None:
    """Each note stands below, where it can be read."""
    lines = outcome(notes=("first", "second")).exit_line().splitlines()
    assert lines[1:] == ["  note: first", "  note: second"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (45_678, "45.7 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1.0 MB"),
        (999_999, "1.0 MB"),
        (2_100_000_000, "2.1 GB"),
        (3_000_000_000_000, "3.0 TB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    """One figure behind the point, in decimal units; never "1000.0 KB"."""
    assert in_words(size) == words


def test_an_outcome_cannot_be_changed() -> None:
    """It is plain data for tables and tests."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAIN.batches = 0  # type: ignore[misc]
