"""An installation that is killed leaves what was there, and the next one completes."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cuda import kills
from tests.cuda.kill_bench import PHASES, WAYS, Bench

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.xdist_group("cuda-toolkit"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("g++") is None, reason="install g++"),
]
MOMENTS = (("download", 0.5), ("unpack", 0.5), ("publish", 0.2))


def test_three_kills_in_a_row_and_a_run_that_completes(tmp_path: Path) -> None:
    """Each leaves an empty folder, or the whole toolkit; nothing comes twice."""
    try:
        kills.served_folder()
    except OSError as error:
        pytest.skip(f"CUDA's wheels do not come: {error}")
    with kills.served("runfile") as server:
        bench = Bench(tmp_path, server, "runfile")
        rows = []
        for phase, fraction in MOMENTS:
            row = kills.Killed(way="runfile", home="empty", aimed=phase)
            rows.append(row)
            before = bench.state()
            row.hit, row.after_s = bench.kill(phase, fraction)
            kills.judge(bench, row, before, "9.2.148")
        kills.go_on(bench, row, None)
    assert {row.state for row in rows} <= {"as before", "as after"}
    assert [row.problems for row in rows] == [[], [], []], kills.as_text(rows)
    assert rows[0].hit == "download"


def test_kills_are_spread_over_all() -> None:
    """Each way, on each home, in each phase; each at another moment."""
    found = kills.moments(30, 1)
    every = itertools.product(WAYS, ("empty", "older"), PHASES)
    assert {each[:3] for each in found} == set(every)
    assert len({each[3] for each in found}) == 30
