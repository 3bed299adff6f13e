"""What is kept of a run of pip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.packages.record import (
    Change,
    Record,
    drop_record,
    name_of,
    read_record,
    token_of,
    write_record,
)
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.pip import PipInstall, outcome_of
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path

RECORD = Record(
    before=("numpy==2.1.0",),
    changes=(Change(name="numpy", before="2.1.0", after="1.26.4"),),
    restart=("numpy",),
)


def test_a_record_comes_back(tmp_path: Path) -> None:
    """It is a whole file, or none."""
    home = Home(tmp_path)
    assert read_record(home, "a") is None
    write_record(home, "a", RECORD)
    assert read_record(home, "a") == RECORD
    assert [path.name for path in (home.toolkits / "pip").iterdir()] == ["a.json"]
    drop_record(home, "a")
    drop_record(home, "a")
    assert read_record(home, "a") is None


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    """Nothing is taken back by a guess."""
    home = Home(tmp_path)
    write_record(home, "a", RECORD)
    (home.toolkits / "pip" / "a.json").write_text("{")
    assert read_record(home, "a") is None


def test_a_kernel_that_has_restarted_need_not_restart(tmp_path: Path) -> None:
    """What was imported in another process is no reason any more."""
    home = Home(tmp_path)
    step = PipInstall(requirements=("numpy<2",))
    write_record(home, step.token, RECORD)
    found = outcome_of(step, home)
    assert found is not None
    assert found.restart == ("numpy",)
    write_record(home, step.token, replace(RECORD, process="another"))
    found = outcome_of(step, home)
    assert found is not None
    assert (found.restart, found.changes) == ((), RECORD.changes)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Torch_Vision==0.1", "torch-vision"),
        ("x @ https://host/x.whl", "x"),
        ("-e git+https://host/a.git@1#egg=My_App", "my-app"),
        ("-e /src/my-app", "my-app"),
        ("# Editable install with no version control", None),
        ("", None),
    ],
)
def test_lines_of_pip_freeze(line: str, name: str | None) -> None:
    """Each names its package."""
    assert name_of(line) == name


def test_a_token_tells_nothing() -> None:
    """It is the same for the same requirements, and no part of them."""
    assert token_of(["a", "b"]) == token_of(["a", "b"]) != token_of(["ab"])


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"before": 1}', "[" * 100_000])
def test_a_record_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    """What it said cannot be taken back, and that is said: nothing is claimed."""
    home, step = Home(tmp_path), PipInstall(requirements=("numpy<2",))
    write_record(home, step.token, RECORD)
    (file,) = (home.toolkits / "pip").iterdir()
    file.write_text(text)
    assert read_record(home, step.token) is None
    (undo,) = step.undo()
    work = Work(
        home=home,
        staging=home.toolkits,
        cache=Cache(home.cache),
        run=run,
        progress=SILENT,
    )
    with pytest.raises(CudaError, match="record of it is damaged"):
        undo.do(work)
