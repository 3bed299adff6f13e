"""The small scripts behind the Makefile, on machines that lack something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.repo.project import ROOT, text_of

if TYPE_CHECKING:
    from pathlib import Path

SHELL = shutil.which("sh") or "sh"


def run(name: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a script of ``.ci`` with these variables only; return its status and words."""
    done = subprocess.run(
        [SHELL, ROOT / ".ci" / name, *arguments],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def poor_path(tmp_path: Path) -> str:
    """Return a PATH with nothing on it but what a script asks first."""
    (tmp_path / "id").symlink_to(shutil.which("id") or "")
    return str(tmp_path)


def test_a_python_is_found_by_its_version() -> None:
    """The path that is printed is an interpreter of the version asked for."""
    version = "{}.{}".format(*sys.version_info)
    status, path = run("find_python", version, **os.environ)
    assert status == 0
    asked = [path.strip(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    assert subprocess.check_output(asked, text=True).strip() == version


def test_a_missing_python_is_a_plain_no(poor_path: str) -> None:
    """Where there is none, nothing is printed, and the status says so."""
    assert run("find_python", "3.13", PATH=poor_path, HOME=poor_path) == (1, "")


def test_a_shim_that_leads_nowhere_is_no_python(tmp_path: Path) -> None:
    """A command that is there but fails is not taken for an interpreter."""
    shim = tmp_path / "python3.13"
    shim.write_text(f"#!{SHELL}\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    found = run("find_python", "3.13", PATH=str(tmp_path), HOME=str(tmp_path))
    assert found == (1, "")


def test_without_a_browser_it_says_what_to_install(poor_path: str) -> None:
    """On a person's machine the browser tests are left out, in so many words."""
    status, words = run("ensure_browser", PATH=poor_path)
    assert status == 0
    assert "skipped: install chromium" in words


def test_without_a_browser_ci_fails(poor_path: str) -> None:
    """CI does not pass by leaving tests out."""
    status, words = run("ensure_browser", PATH=poor_path, CI="true")
    assert status == 1
    assert "install chromium" in words


def test_without_fuse_and_rclone_it_says_what_to_install(poor_path: str) -> None:
    """The tests that need them are left out, in so many words; nothing fails."""
    status, words = run("ensure_drive_tools", PATH=poor_path)
    assert status == 0
    assert words == "some tests of Drive will be skipped: install fuse3 rclone\n"


def test_without_an_archive_tool_it_says_what_to_install(poor_path: str) -> None:
    """The tests that make an apt repository are left out, in so many words."""
    status, words = run("ensure_cuda_tools", PATH=poor_path)
    assert status == 0
    assert words == "some tests of CUDA will be skipped: install apt-utils gnupg\n"


def test_ci_runs_what_the_readme_names() -> None:
    """`.ci/run` is executable and runs `make test`, without waiting for input."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test </dev/null" in text_of(".ci/run")
