"""Tests for `colabmagic.cuda.machine.kept`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from colabmagic.cuda.keeping.label import FOLDER
from colabmagic.cuda.machine.facts import Kept, facts_from_dict, facts_to_dict
from colabmagic.cuda.machine.kept import find_kept
from colabmagic.host.command import CommandOutcome, run
from colabmagic.report.model import Unknown
from tests.cuda.keeping.trees import WHAT, kept
from tests.cuda.planning.machines import load


def test_all_that_lies_there(tmp_path: Path) -> None:
    """Each label is read; what is no label tells so; what is hidden is not looked at."""
    plain, more = kept(tmp_path), kept(tmp_path, replace(WHAT, parts=("cudnn",)))
    folder = Path(plain.path).parent
    (folder / ".12.4.1.json").write_text("{")
    (folder / "notes.txt").write_text("x")
    (folder / "odd.json").write_text("[" * 10_000)
    (folder / "zz.json").write_bytes(b"x" * 100_000)
    found = find_kept(tmp_path / "cache", run)
    assert not isinstance(found, Unknown)
    assert set(found[:2]) == {plain, more}
    assert [bool(each.problem) for each in found] == [False, False, True, True]
    Path(plain.path).unlink()
    Path(more.path).write_bytes(b"x")
    found = find_kept(tmp_path / "cache", run)
    assert not isinstance(found, Unknown)
    assert {each.problem for each in found[:2]} == {
        "the archive is gone",
        f"it has 1 bytes, not {more.size}",
    }


def test_no_folder_yet(tmp_path: Path) -> None:
    """The first time there is none; a file in its place is told."""
    assert find_kept(tmp_path, run) == ()
    (tmp_path / FOLDER).write_text("x")
    (told,) = find_kept(tmp_path, run)  # type: ignore[misc]  # it answers
    assert isinstance(told, Kept)
    assert "NotADirectoryError" in told.problem


def test_a_folder_that_hangs(tmp_path: Path) -> None:
    """It is left to itself after a time."""

    def hang(argv: list[str], *, timeout_s: float) -> CommandOutcome:
        hanging = argv[4].replace(
            "import json", "import time; time.sleep(60)\nimport json"
        )
        return run([*argv[:4], hanging, *argv[5:]], timeout_s=timeout_s)

    found = find_kept(tmp_path, hang, timeout_s=0.2)
    assert found == Unknown("no answer within 0.2 s")


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """A pipe to which nobody writes holds nobody up; a device has no end."""
    made = kept(tmp_path)
    folder = Path(made.path).parent
    os.mkfifo(folder / "00.json")
    (folder / "01.json").symlink_to("/dev/zero")
    (folder / "02.json").mkdir()
    found = find_kept(tmp_path / "cache", run)
    assert not isinstance(found, Unknown)
    assert [bool(each.problem) for each in found] == [True, True, True, False]
    assert found[3] == made


def test_no_label_hides_another(tmp_path: Path) -> None:
    """Neither many long ones nor one that is as deep as JSON can be just read."""
    made = kept(tmp_path)
    folder = Path(made.path).parent
    long = json.dumps({"file": "x.tar.gz", "parts": ["\x01"] * 700})
    for number in range(70):
        (folder / f"0{number}.json").write_text(long)
    for number, depth in enumerate(range(900, 1000, 7)):
        deep = '{"file": "x.tar.gz", "parts": ' + "[" * depth + "]" * depth + "}"
        (folder / f"1{number}.json").write_text(deep)
    (folder / "1x.json").write_text('{"file": "\u0665.tar.gz"}', encoding="utf-8")
    found = find_kept(tmp_path / "cache", run)
    assert not isinstance(found, Unknown)
    assert [each for each in found if not each.problem] == [made]


def test_the_label_that_is_judged_is_the_one_that_was_read(tmp_path: Path) -> None:
    """A link to another's file is another's file."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    made = kept(tmp_path)
    (label,) = Path(made.path).parent.glob("*.json")
    elsewhere = tmp_path / "label"
    label.rename(elsewhere)
    os.chown(elsewhere, 4242, -1)
    label.symlink_to(elsewhere)
    (told,) = find_kept(tmp_path / "cache", run)  # type: ignore[misc]  # it answers
    assert isinstance(told, Kept)
    assert "user 4242" in told.problem


def test_a_child_that_does_not_start(tmp_path: Path) -> None:
    """Nobody fails for it."""

    def refuse(argv: list[str], *, timeout_s: float) -> CommandOutcome:
        del argv, timeout_s
        return CommandOutcome(
            returncode=None, stdout="", stderr="", timed_out=False, elapsed_s=0.0,
            error="no more processes",
        )  # fmt: skip

    (told,) = find_kept(tmp_path, refuse)  # type: ignore[misc]  # it answers
    assert isinstance(told, Kept)
    assert told.problem == "no more processes"


def test_facts_hold_it(tmp_path: Path) -> None:
    """Through JSON and back, also that it is not known."""
    for value in ((kept(tmp_path),), Unknown("no answer"), ()):
        facts = replace(load("colab_t4"), kept=value)
        assert facts_from_dict(json.loads(json.dumps(facts_to_dict(facts)))) == facts
