"""Tests for `colabmagic.cuda.planning.keeping`, and what plans make of kept toolkits."""

from __future__ import annotations

import json
from dataclasses import replace

from colabmagic.cuda.machine.facts import Compiler, MachineFacts, Toolkit
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Options, Plan
from colabmagic.report.model import Unknown
from tests.cuda.methods.test_archive import OLD, PLAIN
from tests.cuda.planning.machines import load

COLAB = load("colab_t4")
NO_OLD_GCC = replace(
    COLAB, compilers=(Compiler(path="/usr/bin/g++-16", version=(16,)),)
)


def plan(wanted: str, facts: MachineFacts = COLAB, **options: object) -> Plan:
    """Return the plan with a cache on Drive."""
    return make_plan(wanted, "", facts, Options(cache="/drive", **options))  # type: ignore[arg-type]


def kept_by(made: Plan) -> list[str]:
    """Return the releases that are kept afterwards."""
    return [step.to_dict()["release"] for step in made.afterwards]


def method(made: Plan) -> str:
    """Return the way that is taken."""
    assert made.chosen is not None, made.problems
    return made.chosen.method


def test_what_was_fetched_is_kept() -> None:
    """With ``--cache`` alone; it is the last line of what runs."""
    made = plan("12.4")
    assert (method(made), kept_by(made)) == ("redist", ["12.4.1"])
    line = "keep it as one archive: /drive/toolkits/12.4.1-x86_64-….tar.gz"
    assert made.lines()[-1] == line
    assert f"# {line}" in made.text
    assert json.loads(made.to_json())["afterwards"][0]["lines"] == [line]
    assert make_plan("12.4", "", COLAB).afterwards == ()


def test_what_is_kept_is_taken() -> None:
    """Before all that is fetched, with its size and the reason; it stays as it is."""
    made = plan("12.4", replace(COLAB, kept=(PLAIN,)))
    assert (method(made), kept_by(made)) == ("archive", [])
    assert "12.4.1 from an archive that was kept  60.0 MB to fetch" in made.text
    (row,) = [line for line in made.text.splitlines() if line.startswith("archive")]
    assert "chosen" in row
    assert "60.0 MB" in row


def test_what_is_not_ours_or_already_kept_is_not_kept() -> None:
    """The system's toolkits are not; ours are, where that is still missing."""
    assert kept_by(plan("12.8")) == []  # the system's
    ours = Toolkit(root="/data/cuda/12.4.1", build="12.4.131", origin="ours")
    facts = replace(COLAB, toolkits=(ours,))
    assert (method(plan("12.4", facts)), kept_by(plan("12.4", facts))) == (
        "reuse",
        ["12.4.1"],
    )
    assert kept_by(plan("12.4", replace(facts, kept=(PLAIN,)))) == []
    broken = replace(PLAIN, problem="it has 4 bytes, not 5")
    assert kept_by(plan("12.4", replace(facts, kept=(broken,)))) == ["12.4.1"]
    assert kept_by(plan("12.4", system=True, method="apt")) == []


def test_a_compiler_that_came_beside_is_kept_too() -> None:
    """The next machine needs it as well."""
    bare = replace(OLD, compiler=None, system="")
    made = plan("11.1", replace(COLAB, kept=(bare,)))
    assert (method(made), kept_by(made)) == ("archive", ["11.1.1"])
    made = plan("11.1", replace(COLAB, kept=(OLD,)))
    assert (method(made), kept_by(made)) == ("archive", [])


def test_its_own_compiler_is_enough() -> None:
    """Where none is here and none can be brought."""
    facts = replace(NO_OLD_GCC, keyrings=(), apt_sources=(), tools=())
    without = plan("11.1", facts)
    if not without.can_run:
        assert method(plan("11.1", replace(facts, kept=(OLD,)))) == "archive"


def test_a_folder_that_hangs_is_told_before_anything() -> None:
    """A download into it would hang as well."""
    made = plan("12.4", replace(COLAB, kept=Unknown("no answer within 10 s")))
    assert not made.can_run
    (problem,) = made.problems
    assert (problem.code, problem.what, problem.seen) == (
        "E09",
        "the folder of --cache does not answer",
        "/drive: no answer within 10 s",
    )
    assert "CUDA 12.4: not possible here" in made.text
    assert make_plan("12.4", "", made.facts).can_run


def test_the_way_is_not_shown_where_nobody_keeps_anything() -> None:
    """Without ``--cache`` the row would say nothing."""
    plain = make_plan("12.4", "", COLAB)
    assert "\narchive" not in plain.text
    (problem,) = make_plan("12.4", "", COLAB, Options(method="archive")).problems
    assert problem.what == "--method archive cannot bring CUDA 12.4.1"
    assert problem.seen == "no folder is named by --cache"
