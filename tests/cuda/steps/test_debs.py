"""Debian packages come without root, signed and hashed, and are not installed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import (
    ChecksumError,
    PlatformUnsupportedError,
    SourceUnreachableError,
)
from colabmagic.cuda.steps.debs import FetchDebs
from colabmagic.cuda.steps.fetch import Unpack
from tests.cuda.steps.working import make_work, parts_of
from tests.fakes.nvidia.archive import (
    REPO,
    Archive,
    make_archive,
    make_deb,
    missing_tools,
)
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import tiny_trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    bool(missing_tools()), reason=f"install apt-utils: {missing_tools()} missing"
)
WANTED = ("cuda-nvcc-11-1", "cuda-cudart-dev-11-1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Archive]:
    """Return a served folder with a repository, made once."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "served").mkdir()
    trees = tiny_trees(folder / "trees")
    return folder / "served", make_archive(folder / "served", folder / "s", trees)


@pytest.fixture
def nvidia(made: tuple[Path, Archive]) -> Iterator[FileServer]:
    """Serve the repository."""
    with FileServer(made[0]) as server:
        yield server


@pytest.fixture
def step(nvidia: FileServer, made: tuple[Path, Archive]) -> FetchDebs:
    """Return the step for a compiler and its runtime."""
    return FetchDebs(
        suites=(f"{nvidia.url}/{REPO} ./",),
        packages=WANTED,
        keyring=str(made[1].keyring),
    )


def test_packages_come_and_are_unpacked(step: FetchDebs, tmp_path: Path) -> None:
    """Only those that were named, though they depend on others."""
    work = make_work(tmp_path)
    step.do(work)
    assert sorted(work.files) == [
        "cuda-cudart-dev-11-1_11.1.105-1_amd64.deb",
        "cuda-nvcc-11-1_11.1.105-1_amd64.deb",
    ]
    Unpack(format="deb").do(work)
    assert "usr/local/cuda-11.1/bin/nvcc" in parts_of(work, "deb")


def test_the_lists_are_fetched_once(
    step: FetchDebs, nvidia: FileServer, tmp_path: Path
) -> None:
    """A second kernel within the hour asks nobody; offline neither."""
    step.do(make_work(tmp_path))
    before = len(nvidia.requests)
    step.do(make_work(tmp_path))
    work = make_work(tmp_path, offline=True)
    step.do(work)
    assert len(work.files) == 2
    assert len(nvidia.requests) == before
    other = replace(step, packages=("cuda-thrust-11-1",))
    with pytest.raises(SourceUnreachableError, match="missing: cuda-thrust-11-1"):
        other.do(make_work(tmp_path, offline=True))


def test_a_package_that_was_replaced_meanwhile_is_found(
    step: FetchDebs, made: tuple[Path, Archive], tmp_path: Path
) -> None:
    """A mirror deletes old ones at once, and our list is up to an hour old."""
    step = replace(step, packages=("build-essential",))
    step.do(make_work(tmp_path / "other"))
    work = make_work(tmp_path)
    step.do(work)
    for path in work.files.values():
        path.unlink()
    folder, archive = made[0] / REPO, made[1]
    (folder / "build-essential_12.9_amd64.deb").unlink()
    make_deb(folder, "build-essential", "12.10", {})
    archive.sign()
    work = make_work(tmp_path)
    step.do(work)
    assert list(work.files) == ["build-essential_12.10_amd64.deb"]


def test_a_key_that_is_not_trusted_is_one_error(
    step: FetchDebs, tmp_path: Path
) -> None:
    """Nothing of such a list is used."""
    empty = tmp_path / "empty.gpg"
    empty.touch()
    with pytest.raises(ChecksumError, match="not signed as it should be") as caught:
        replace(step, keyring=str(empty)).do(make_work(tmp_path))
    assert caught.value.seen is not None
    assert "apt-get:" in caught.value.seen


def test_a_package_that_is_not_there_is_named(step: FetchDebs, tmp_path: Path) -> None:
    """With what apt says."""
    with pytest.raises(SourceUnreachableError) as caught:
        replace(step, packages=("cuda-nvcc-11-9",)).do(make_work(tmp_path))
    assert caught.value.what == "the archive does not have cuda-nvcc-11-9"
    assert "Unable to locate package" in str(caught.value.seen)


def test_a_server_that_lacks_the_list_is_one_error(
    step: FetchDebs, nvidia: FileServer, tmp_path: Path
) -> None:
    """As where a suite has been moved to an archive."""
    with pytest.raises(SourceUnreachableError) as caught:
        replace(step, suites=(f"{nvidia.url}/none ./",)).do(make_work(tmp_path))
    assert "does not have a Release file" in str(caught.value.seen)
    with pytest.raises(SourceUnreachableError) as caught:
        replace(step, suites=("http://me:s3cret@127.0.0.1:9/x ./",)).do(
            make_work(tmp_path)
        )
    assert "s3cret" not in str(caught.value)


def test_wrong_bytes_of_a_package_are_one_error(
    step: FetchDebs, nvidia: FileServer, tmp_path: Path
) -> None:
    """The hash of the signed list tells."""
    nvidia.fail("corrupt", "cuda-nvcc-11-1", times=-1)
    with pytest.raises(ChecksumError, match="damaged, or another file"):
        step.do(make_work(tmp_path))


def test_nothing_of_this_machine_is_touched(step: FetchDebs, tmp_path: Path) -> None:
    """All that apt writes lies in our cache, and others cannot read it."""
    work = make_work(tmp_path)
    step.do(work)
    (state,) = (work.cache.root / "apt").iterdir()
    assert state.stat().st_mode & 0o077 == 0
    settings = (state / "apt.conf").read_text("utf-8")
    assert "Post-Invoke" not in settings  # scripts of the system would run
    assert f'Dir::State::lists "{state}/lists";' in settings


def test_apt_uses_the_proxy_of_the_environment(
    step: FetchDebs,
    nvidia: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And so do the downloads."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", nvidia.url)
    work = make_work(tmp_path)
    replace(step, suites=(f"http://nvidia.invalid/{REPO} ./",)).do(work)
    assert len(work.files) == 2
    assert {each.headers["Host"] for each in nvidia.requests} == {"nvidia.invalid"}


def test_without_apt_it_says_so(
    step: FetchDebs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another method is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformUnsupportedError, match="need apt-get") as caught:
        step.do(make_work(tmp_path))
    assert "--method redist" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"packages": ("-o=APT::Foo=1",)},
        {"packages": ("a b",)},
        {"suites": ("http://h/x ./\ndeb http://evil ./",)},
        {"suites": ("http://h/x] [trusted=yes ./",)},
    ],
)
def test_no_option_comes_in_by_a_name(
    changes: dict[str, tuple[str, ...]], step: FetchDebs, tmp_path: Path
) -> None:
    """A name that is none is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"no name of a package|no line of sources"):
        replace(step, **changes).do(make_work(tmp_path))


def test_the_plan_shows_what_is_done(step: FetchDebs) -> None:
    """And its data is plain; a login is in neither."""
    assert step.lines() == (
        f"apt-get update, in a state of our own: {step.suites[0]}",
        "apt-get download --print-uris cuda-nvcc-11-1 cuda-cudart-dev-11-1",
        "download the packages that it names",
    )
    secret = replace(step, suites=("http://me:s3cret@h/x ./",))
    assert "s3cret" not in json.dumps([secret.to_dict(), secret.lines()])
    assert (step.outside, step.undo()) == ((), ())
