"""Pip's command lines and its answers; a small program stands in for the interpreter."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.errors import CudaError, RequirementError, SourceUnreachableError
from colabmagic.cuda.packages import pip_run
from colabmagic.cuda.packages.pip_run import Pip, changes_of, exact, install_argv
from tests.cuda.steps.working import make_work

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cr3t"  # noqa: S105 (of this test)


def row(name: str, version: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what a report of pip says of a package."""
    return {"metadata": {"name": name, "version": version}, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for the files of a run."""
    made = tmp_path / "run"
    made.mkdir()
    return made


def pip_that(says: str, folder: Path, **options: Any) -> Pip:  # noqa: ANN401
    """Return a pip whose Python is a script of the shell."""
    python = folder.parent / "python"
    python.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    python.chmod(0o755)
    return Pip(make_work(folder.parent, **options), str(python), folder)


def test_the_whole_command() -> None:
    """Each part in its place: what is shown in a plan is this with bare names."""
    argv = install_argv(
        "python",
        folder="/f/",
        command_options=("--upgrade", "--quiet"),
        with_wheels=True,
        with_found=True,
        dry_run=True,
        offline=True,
    )
    assert argv == [
        "python", "-P", "-m", "pip", "install", "--no-input",
        "--progress-bar=off",
        "--upgrade", "--quiet", "--no-index", "--find-links=/f/torch-wheels.html",
        "--constraint=/f/found.txt", "--dry-run", "--report=/f/report.json",
        "--requirement=/f/requirements.txt",
    ]  # fmt: skip
    assert install_argv("python")[7:] == ["--requirement=requirements.txt"]


def test_only_files_that_were_written_are_named(folder: Path) -> None:
    """A constraint that is not there would be an error of pip."""
    pip = Pip(make_work(folder.parent), None, folder)
    pip.write(pip_run.REQUIREMENTS, ["torch", "numpy<2"])
    assert (folder / "requirements.txt").read_text() == "torch\nnumpy<2\n"
    assert not any("found" in word or "wheels" in word for word in pip.argv())
    pip.write(pip_run.FOUND, ["torch===2.5"])
    assert f"--constraint={folder}/found.txt" in pip.argv()
    assert "--no-index" not in pip.argv()
    assert "--no-index" in Pip(
        make_work(folder.parent, offline=True), None, folder
    ).argv(dry_run=True)


def test_what_is_installed_line_by_line(folder: Path) -> None:
    """By the names that indexes compare; comments are none."""
    says = (
        "echo '# editable: not on an index'; echo 'Foo_Bar==1.0';"
        "echo '-e git+https://h/a.git@0#egg=A.b'; echo 'x @ file:///x.whl'; echo"
    )
    assert pip_that(says, folder).freeze() == {
        "foo-bar": "Foo_Bar==1.0",
        "a-b": "-e git+https://h/a.git@0#egg=A.b",
        "x": "x @ file:///x.whl",
    }


def test_versions_are_the_last_line(folder: Path) -> None:
    """What starts with each Python may print first."""
    says = """echo hello from sitecustomize; echo '{"Foo.Bar": "1.0", "x": null}'"""
    assert pip_that(says, folder).versions() == {"foo-bar": "1.0", "x": "None"}


@pytest.mark.parametrize(
    "says", ["true", "echo no json", "echo '[1, 2]'", "echo '3'", "echo '{\"a\": '"]
)
def test_versions_that_make_no_sense(folder: Path, says: str) -> None:
    """One clear error, and what to type."""
    with pytest.raises(CudaError, match="what is installed") as caught:
        pip_that(says, folder).versions()
    assert "%pip install -U pip" in caught.value.hint


def test_a_python_that_fails_is_explained(folder: Path) -> None:
    """As pip's words mean."""
    pip = pip_that("echo 'No module named pip' >&2; exit 1", folder)
    for look in (pip.freeze, pip.versions, lambda: pip.resolve(())):
        with pytest.raises(RequirementError, match="this Python has no pip"):
            look()


def test_the_report_of_a_dry_run_is_read(folder: Path) -> None:
    """It lies where the command says."""
    report = {"install": [row("Torch", "2.5.1", is_direct=False)]}
    says = f"""for word in "$@"; do case $word in
    --report=*) echo '{json.dumps(report)}' >"${{word#--report=}}" ;; esac; done"""
    assert pip_that(says, folder).resolve(("--pre",)) == report["install"]


@pytest.mark.parametrize(
    "report",
    [
        "",
        "not json",
        "[]",
        '{"install": 3}',
        '{"install": [{}]}',
        '{"install": [{"metadata": {"name": "a", "version": null}}]}',
        '{"install": [{"metadata": {"name": ["a"], "version": "1"}}]}',
        None,
    ],
)
def test_a_report_that_makes_no_sense(folder: Path, report: str | None) -> None:
    """A pip of another time, or a full disk: nothing is installed by half of it."""
    if report is not None:
        (folder / "report.json").write_text(report)
    with pytest.raises(CudaError, match="the report of its dry run"):
        pip_that("true", folder).resolve(())


def test_its_lines_are_heard_and_its_end_is_told(folder: Path) -> None:
    """Each as it comes; of a failure the last ones count, without passwords."""
    heard: list[str] = []
    pip = pip_that("echo Collecting a; echo Downloading a", folder)
    pip.install((), heard.append)
    assert heard == ["Collecting a\n", "Downloading a\n"]
    pip = pip_that(
        f"echo 'ERROR: Could not find https://me:{SECRET}@h/x'; exit 1", folder
    )
    with pytest.raises(RequirementError) as caught:
        pip.install((), heard.append)
    assert SECRET not in str(caught.value)
    assert "https://****@h/x" in str(caught.value.seen)


def test_offline_what_is_missing_is_not_the_cells_fault(folder: Path) -> None:
    """It says what would help."""
    says = "echo 'ERROR: No matching distribution found for a' >&2; exit 1"
    with pytest.raises(SourceUnreachableError, match="--offline was given") as caught:
        pip_that(says, folder, offline=True).resolve(())
    assert "without --offline" in caught.value.hint
    with pytest.raises(RequirementError, match="pip finds no package a"):
        pip_that(says, folder).resolve(())


def test_an_environment_without_advice_and_without_places(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is the user's; each command has its own section of the settings."""
    settings = folder / "pip.conf"
    settings.write_text(
        "[install]\ntarget = /x\npre = 1\n[freeze]\nuser = 1\nall = 1\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_PREFIX", "/x")
    pip = pip_that('env | grep ^PIP_ | sort >"$0.$4"', folder)
    pip.freeze()
    pip.run(pip.argv(), lambda _: None)
    told = {
        name: (folder.parent / f"python.{name}").read_text()
        for name in ("freeze", "install")
    }
    assert "PIP_PRE=1" in told["install"]
    assert "PIP_ALL=1" in told["freeze"]
    assert "PIP_PRE=1" not in told["freeze"]
    for text in told.values():
        assert "PIP_ROOT_USER_ACTION=ignore\n" in text
        assert f"PIP_CONFIG_FILE={os.devnull}\n" in text
        for name in ("TARGET", "PREFIX", "USER"):
            assert f"PIP_{name}=" not in text


def test_changes_are_sorted_and_compared_by_name() -> None:
    """New, newer, and older."""
    rows = [row("Zlib_X", "2"), row("a", "1"), row("b.c", "0.9")]
    found = changes_of(rows, {"b-c": "1.0", "zlib-x": "1"})
    assert [each.shown for each in found] == [
        "a (new) → 1",
        "b-c 1.0 → 0.9",
        "zlib-x 1 → 2",
    ]


def test_what_was_found_is_what_is_installed() -> None:
    """Three signs: a version without a label is no other one; files need no pin."""
    rows = [row("torch", "2.5.1+cu124"), row("x", "1", is_direct=True)]
    assert exact(rows) == ["torch===2.5.1+cu124"]
