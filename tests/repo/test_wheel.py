"""What is built can be installed, and holds what it needs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

import colabmagic
from tests.repo.project import PACKAGE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

LOOK = """
import importlib.resources, colabmagic
print(colabmagic.__version__)
files = importlib.resources.files("colabmagic")
print(files.joinpath("py.typed").is_file())
print(sorted(path.name for path in files.joinpath("data").iterdir()
             if path.name.endswith(".json")))
print(colabmagic.__file__)
"""


def package_files() -> set[str]:
    """Return all files that belong into the wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and from it the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    """Sources, data files, the mark of types, the licence; no tests."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"colabmagic-{colabmagic.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(info)} == package_files()
    assert "colabmagic/py.typed" in names
    assert f"{info}licenses/LICENSE" in names


def test_the_sdist_holds_all_that_is_needed_to_build(built: Path) -> None:
    """The package, its settings, its papers and its tests."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files() <= names
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md"} <= names
    assert "tests/conftest.py" in names


def test_it_installs_into_an_empty_environment(built: Path, tmp_path: Path) -> None:
    """The installed package imports alone, with its data, without torch or IPython."""
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    install += ["--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    seen = subprocess.run(
        [python, "-I", "-c", LOOK], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    data = sorted(path.name for path in (PACKAGE / "data").glob("*.json"))
    assert seen[:3] == [colabmagic.__version__, "True", str(data)]
    assert seen[3].startswith(str(tmp_path))
