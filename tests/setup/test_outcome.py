"""Tests for `colabmagic.setup.outcome`."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from colabmagic.setup.outcome import PartOutcome, SetupReport

GPU = "GPU check: READY  cuda:0 Tesla T4"
DRIVE = PartOutcome(name="drive", state="done", what="/content/drive/MyDrive")
TRAIN = PartOutcome(
    name="train", state="done", what="later cells run on cuda:0", todo="%train_on off"
)
FAILED = PartOutcome(
    name="cuda",
    state="failed",
    what="it <b>broke</b>",
    seen="smoke",
    todo="%cuda_install 12.4\nor Runtime > Restart",
)
REPORT = SetupReport(parts=(FAILED, DRIVE, TRAIN), gpu=GPU, seconds=12.34)


def test_all_is_well() -> None:
    """One table, the counts, the time, and GPU check last."""
    report = SetupReport(parts=(DRIVE, TRAIN), gpu=GPU, seconds=12.34)
    assert report.ok
    assert report.headline == "Setup: READY  2 done; 12.3 s"
    lines = report.text.splitlines()
    assert lines[1].split("  ")[0] == "Part"
    assert lines[-1] == "GPU check: READY cuda:0 Tesla T4"
    assert "%train_on off" in report.text
    assert len(lines) == 5


def test_a_failure_has_its_three_lines_and_a_row() -> None:
    """What, seen, what to type: above the table; the headline says that not all is done."""
    text = REPORT.text
    assert not REPORT.ok
    assert "NOT ALL DONE  1 failed, 2 done" in REPORT.headline
    assert "Why     cuda: it <b>broke</b>" in text
    assert "Seen    smoke" in text
    assert "%cuda_install 12.4" in text
    assert "or Runtime > Restart" in text
    assert text.index("smoke") < text.index("Part ")
    (row,) = (line for line in text.splitlines() if line.startswith("cuda"))
    assert row.split() == ["cuda", "failed", "see", "Why", "above"]


def test_who_asked_for_what_failed() -> None:
    """A file is named, once."""
    part = replace(FAILED, source="a.toml")
    text = SetupReport(parts=(part,), gpu=GPU).text
    assert "it <b>broke</b> (a.toml asks for it)" in text
    part = replace(part, what="a.toml: cuda cannot be a list")
    assert SetupReport(parts=(part,), gpu=GPU).text.count("a.toml") == 1


def test_html_escapes_what_comes_from_outside() -> None:
    """No markup of others."""
    assert "<b>" not in REPORT.html
    assert "it &lt;b&gt;broke" in REPORT.html


def test_the_second_time() -> None:
    """Nothing new is said in one word."""
    parts = tuple(replace(each, state="already", todo="") for each in (DRIVE, TRAIN))
    looked = PartOutcome(name="gpu", state="ok", what="cuda:0 Tesla T4")
    report = SetupReport(parts=(looked, *parts), gpu=GPU, seconds=0.1)
    assert report.headline == "Setup: READY  all was so already"
    assert "Type or click" not in report.text


def test_what_files_asked_for() -> None:
    """They are named; what in them means nothing is a warning, and spoils `ok`."""
    report = replace(
        REPORT,
        parts=(DRIVE,),
        sources=("colabmagic.toml",),
        problems=("colabmagic.toml: there is no 'x'",),
    )
    assert "defaults from colabmagic.toml" in report.headline
    assert "Warning colabmagic.toml: there is no 'x'" in report.text
    assert not report.ok


def test_nothing_was_asked_for() -> None:
    """The user reads what can be."""
    report = SetupReport(parts=(), gpu=GPU)
    assert report.headline == "Setup: NOTHING WAS ASKED FOR"
    assert "%colab_setup --drive" in report.text


@pytest.mark.parametrize("state", ["given up", "left out", "not run"])
def test_what_is_not_done_is_not_well(state: str) -> None:
    """Whyever it is not."""
    part = replace(DRIVE, state=state)
    report = SetupReport(parts=(part,), gpu=GPU)
    assert not report.ok
    assert state in report.headline
    assert ("STOPPED" in report.headline) == (state == "not run")


def test_parts_by_name() -> None:
    """As in a dictionary."""
    assert REPORT["train"] is TRAIN
    with pytest.raises(KeyError):
        REPORT["gpu"]


def test_it_travels() -> None:
    """As JSON and as a pickle."""
    data = json.loads(REPORT.to_json())
    assert data["ok"] is False
    assert [part["name"] for part in data["parts"]] == ["cuda", "drive", "train"]
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT  # noqa: S301 (our own)


def test_a_bad_gpu_says_where_the_reason_is() -> None:
    """Unless a part has told it."""
    parts = (DRIVE,)
    report = SetupReport(parts=parts, gpu="GPU check: NO GPU", gpu_ok=False)
    last = report.text.splitlines()[-1]
    assert last == "GPU check: NO GPU; why, and what to do: %gpu_check"
    told = replace(report, parts=(replace(FAILED, name="gpu"), *parts))
    assert told.text.splitlines()[-1] == "GPU check: NO GPU"


def test_a_cell_to_be_pasted_is_one() -> None:
    """What stands below a cell magic is copied with it; another way is not."""
    todo = "%%cuda_install auto\ntorch\ntorchvision\nor\nchoose a GPU runtime"
    report = SetupReport(parts=(replace(FAILED, todo=todo),), gpu=GPU)
    lines = report.text.splitlines()
    first = lines.index("      %%cuda_install auto")
    assert lines[first + 1 : first + 3] == ["      torch", "      torchvision"]
    assert lines[first + 3] == "          or"


def test_what_is_to_be_copied_is_not_wrapped() -> None:
    """However long: commands, and a line of Python."""
    for command in (
        f"!mkdir -p /content/{'x' * 90}",
        f"import os; os.makedirs('/{'x y ' * 30}')",
    ):
        report = SetupReport(parts=(replace(FAILED, todo=command),), gpu=GPU)
        assert command in report.text
