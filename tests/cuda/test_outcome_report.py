"""What people see of outcomes, ladders and lists, part by part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.outcome import Done, Outcome, Toolkits
from colabmagic.cuda.outcome_report import (
    done_view,
    ladder_view,
    list_view,
    outcome_view,
)
from colabmagic.cuda.packages.record import Change, Record
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.store.inventory import Installed
from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.data import compat
from colabmagic.report.html import render_html
from colabmagic.report.model import Report, Severity, Unknown
from tests.cuda.planning.machines import load

ROOT = "/data/cuda/13.0.3"
HOSTILE = "<script>alert(1)</script>"


def rung(name: str, verdict: str = "ok", why: str = "It is.", **more: str) -> Rung:
    """Return a rung."""
    return Rung(name=name, verdict=verdict, why=why, **more)


def ladder(*rungs: Rung) -> Ladder:
    """Return a ladder."""
    return Ladder(root=ROOT, build="13.0.88", rungs=rungs)


def toolkit(name: str, **more: Any) -> Installed:  # noqa: ANN401
    """Return one of ours."""
    fields: dict[str, Any] = {
        "name": name,
        "build": name,
        "method": "redist",
        "installed": 1.0,
        "root": f"/data/cuda/{name}",
        "size_bytes": 280_000_000,
    }
    return Installed(**{**fields, **more})


def seen(machine: str = "debian12_cpu", wanted: str = "13.0", **parts: Any) -> Report:  # noqa: ANN401
    """Return what is seen of an outcome."""
    plan = make_plan(wanted, "", load(machine))
    values: dict[str, Any] = {"root": Path(ROOT), "ladder": ladder(rung("cubin"))}
    return outcome_view(Outcome(plan=plan, **{**values, **parts}))


def next_of(report: Report) -> tuple[str, ...]:
    """Return what can be typed next."""
    return next(each.lines for each in report.listings if each.caption == "Next")


@pytest.mark.parametrize(
    ("rungs", "words"),
    [
        ((), ""),
        ((rung("version"),), ""),
        ((rung("cubin"),), "it compiles"),
        ((rung("cubin"), rung("run")), "it compiles, links and runs"),
        (
            (rung("cubin"), rung("run", "no driver"), rung("gpu", "no driver")),
            "it compiles and links; there is no GPU here to run on",
        ),
        ((rung("run"), rung("gpu")), "it computes on the GPU"),
        ((rung("run"), rung("gpu", "failed")), "it compiles, links and runs"),
    ],
)
def test_how_far_it_is_proven(rungs: tuple[Rung, ...], words: str) -> None:
    """The highest rung that passed, in words."""
    assert seen(ladder=ladder(*rungs)).summary == ", ".join(
        part for part in (words, "0.0 s") if part
    )


def test_what_it_cost() -> None:
    """Time always, bytes where some came, and when it was proven if not now."""
    report = seen(seconds=3.14, fetched_bytes=104_500_000)
    assert report.summary == "it compiles, 3.1 s, 104.5 MB fetched"
    again = seen(seconds=0.1, proven_at=0.0)
    assert "(tried 19" in again.summary  # the beginning of time, wherever that was
    assert "nothing has changed since" in again.summary
    assert again.tables == ()


def test_rungs_that_say_nothing_new_are_left_out() -> None:
    """Without a driver those of the GPU; flags where none are set."""
    rungs = (rung("run", "no driver"), rung("flags"), rung("gpu", "no driver"))
    (table,) = ladder_view(ladder(*rungs, rung("ptx", "no driver"))).tables
    assert [row[0] for row in table.rows] == ["link and run"]
    rungs = (rung("run"), rung("flags", "failed", fix="x"), rung("gpu"), rung("ptx"))
    (table,) = ladder_view(ladder(*rungs)).tables
    assert [row[1] for row in table.rows] == ["ok", "failed", "ok", "ok"]


def test_all_that_failed_is_told_with_its_code() -> None:
    """Each with what was seen and what to type; one without a code has none."""
    report = ladder_view(
        ladder(
            rung(
                "library", "failed", "Another runtime.", code="E17", seen="/x", fix="%y"
            ),
            rung("gpu", "failed", "It fails.", fix="%gpu_check"),
        )
    )
    assert report.verdict == "fails: library that programs load"
    assert report.summary == ""
    assert [(each.code, each.evidence) for each in report.findings] == [
        ("E17", ("/x",)),
        ("note", ()),
    ]
    assert all(each.severity is Severity.WARN for each in report.findings)


def test_a_toolkit_that_does_not_tell_its_build() -> None:
    """It has a title all the same."""
    assert ladder_view(replace(ladder(), build=None)).title == "CUDA toolkit"
    assert ladder_view(ladder(), "13.0.3").title == "CUDA 13.0.3"  # as --list has it


def test_one_that_was_here_is_called_by_its_release() -> None:
    """Ours by the name of its folder, another's by its build; a plan's warnings are told."""
    facts = load("colab_t4")
    ours = Toolkit(root="/data/cuda/12.4.1", build="12.4.131", origin="ours")
    plan = make_plan("12.4", "", replace(facts, toolkits=(ours,)))
    assert plan.is_reuse
    made = ladder(rung("cubin"))
    report = outcome_view(Outcome(plan=plan, root=Path(ours.root), ladder=made))
    assert (report.title, report.verdict) == ("CUDA 12.4.1", "is here already")
    assert next_of(report) == ("!nvcc --version",)
    other = seen("colab_t4", "12.8", root=Path("/usr/local/cuda-12.8"))
    assert other.title == "CUDA 13.0.88"
    newest = compat.newest_of("12.8").version  # where nothing tells
    assert seen("colab_t4", "12.8", ladder=None).title == f"CUDA {newest}"


def test_that_there_is_no_driver_is_said_once() -> None:
    """The summary has it; what else the plan warns of stays."""
    facts = replace(load("colab_t4"), driver=None, gpus=(), driver_cuda=None)
    plan = make_plan("12.8", "", facts)
    assert "no-driver" in {each.code for each in plan.warnings}
    report = outcome_view(Outcome(plan=plan, root=Path(ROOT), ladder=ladder()))
    assert "no-driver" not in {each.code for each in report.findings}


def test_packages_that_changed() -> None:
    """Six by name, the rest as a number; a restart only where one is needed."""
    changes = tuple(Change(name=f"p{n}", before="1", after="2") for n in range(7))
    record = Record(before=(), changes=changes)
    (told,) = (
        each
        for each in seen(packages=record).findings
        if each.severity is Severity.INFO
    )
    assert told.title.endswith("; p5 1 → 2; and 1 more")
    codes = {each.code for each in seen(packages=record).findings}
    assert "restart-needed" not in codes
    again = replace(record, changes=(), restart=("torch", "numpy"))
    (told,) = (
        each for each in seen(packages=again).findings if each.code == "restart-needed"
    )
    assert told.title == "this kernel still works with the old torch, numpy"


def test_a_list_of_nothing() -> None:
    """No table, and how to begin."""
    report = list_view(Toolkits(folder="/data"))
    assert (report.verdict, report.tables) == ("none is here", ())
    assert next_of(report) == ("%cuda_install auto",)


def test_only_toolkits_of_others() -> None:
    """Their version as far as it is known; one without a compiler says so."""
    others = (
        Toolkit(root="/usr/local/cuda-12.8", build="12.8.93", origin="system"),
        Toolkit(root="/v", build="13.0", origin="wheels", has_compiler=False),
        Toolkit(root="/odd", build=Unknown("it is silent"), origin="path"),
    )
    report = list_view(Toolkits(others=others))
    assert report.verdict == "0 in our folder, 3 of others"
    assert [row[:2] for row in report.tables[0].rows] == [
        ("12.8.93", "system"),
        ("13.0", "wheels, no nvcc"),
        ("unknown", "path"),
    ]
    assert next_of(report) == ("%cuda_install auto",)


@pytest.mark.parametrize(
    ("active", "lines"),
    [
        (
            "/data/cuda/13.0.3",
            ("--use 12.4.1", "--verify 13.0.3", "--uninstall 12.4.1"),
        ),
        (
            "/data/cuda/12.4.1",
            ("--use 13.0.3", "--verify 13.0.3", "--uninstall 13.0.3"),
        ),
        (None, ("--use 13.0.3", "--verify 13.0.3", "--uninstall 12.4.1")),
    ],
)
def test_what_can_be_done_with_ours(active: str | None, lines: tuple[str, ...]) -> None:
    """Used is one that is not; taken away is none that is in use, if there is another."""
    ours = (toolkit("13.0.3", method="wheels"), toolkit("12.4.1", method="brew"))
    report = list_view(Toolkits(ours=ours, active=active, cache_bytes=5_000_000))
    assert next_of(report) == tuple(f"%cuda_install {line}" for line in lines)
    rows = report.tables[0].rows
    assert [row[0].endswith("(in use)") for row in rows] == [
        each.root == active for each in ours
    ]
    assert [row[1] for row in rows] == ["NVIDIA's wheels", "brew"]
    assert report.fields[-1].value == "5.0 MB"


def test_the_only_one_of_ours_in_use() -> None:
    """It cannot be switched to; it can be taken away."""
    ours = (toolkit("13.0.3"),)
    report = list_view(Toolkits(ours=ours, active=ours[0].root))
    assert next_of(report) == (
        "%cuda_install --verify 13.0.3",
        "%cuda_install --uninstall 13.0.3",
    )


def test_what_was_done() -> None:
    """With what can be typed next, or without."""
    done = Done(title="CUDA", verdict="done", summary="so", typed=("%cuda_install x",))
    assert next_of(done_view(done)) == ("%cuda_install x",)
    assert done_view(replace(done, typed=())).listings == ()


def test_names_from_outside_are_no_html() -> None:
    """A folder, a build or a program's words may be called anything."""
    others = (Toolkit(root=f"/{HOSTILE}", build=HOSTILE, origin="path"),)
    reports = [
        list_view(Toolkits(others=others, folder=HOSTILE)),
        ladder_view(
            ladder(rung("files", "failed", HOSTILE, seen=HOSTILE, fix=HOSTILE))
        ),
        done_view(Done(title=HOSTILE, verdict=HOSTILE, typed=(HOSTILE,))),
        seen(root=Path(HOSTILE)),
    ]
    for report in reports:
        assert "<script>" not in render_html(report)
