"""Google's units: spent as fast as they come, by all threads together."""

from __future__ import annotations

import threading

from colabmagic.drive.api.budget import FREE, UnitBudget


def test_threads_share_the_budget() -> None:
    """What all of them wait for together is what was spent beyond the burst."""
    slept, lock = [], threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            slept.append(seconds)

    budget = UnitBudget(
        60, clock=lambda: 0.0, sleep=sleep
    )  # one a second; ten at first
    threads = [threading.Thread(target=budget.take, args=(5,)) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert budget.spent == 30
    assert sorted(slept) == [5, 10, 15, 20]


def test_what_costs_nothing_waits_for_nothing() -> None:
    """Also where all is spent."""
    slept: list[float] = []
    budget = UnitBudget(60, clock=lambda: 0.0, sleep=slept.append)
    budget.take(10)
    budget.take(FREE)
    assert (slept, budget.spent) == ([], 10)
