"""Pip itself says which wheels it would take, and what it lacks."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    NoCompilerInPackageError,
    SourceUnreachableError,
)
from colabmagic.cuda.fetching.pip_resolver import _by_dry_run, as_pip_fetches, resolve
from colabmagic.host.command import run
from tests.fakes.nvidia.wheels import make_index, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.nvidia.server import FileServer


@pytest.fixture
def index(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """Serve two versions of a package, and let pip know of nothing else."""
    folder = server.root / "whl" / "cu111"
    for version in ("13.0.48", "13.0.88", "13.1.80"):
        make_wheel(folder, "nvidia-tiny", version)
    make_wheel(folder, "nvidia-old", "1.0", tag="cp27-none-any")
    make_index(server.root)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/whl/cu111")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return server


def test_the_newest_that_fits_is_found_with_its_hash(index: FileServer) -> None:
    """The address is the index's, and nothing is downloaded to the environment."""
    (found,) = resolve(["nvidia-tiny==13.0.*"], run=run)
    assert found.name == "nvidia_tiny-13.0.88-py3-none-any.whl"
    assert found.url == f"{index.url}/whl/cu111/{found.name}"
    wheel = index.root / "whl" / "cu111" / found.name
    assert found.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_both_ways_find_the_same(index: FileServer) -> None:
    """Pip's report, and its finder, which downloads no wheel."""
    asked = ["nvidia-tiny<13.1"]
    assert resolve(asked, run=run) == _by_dry_run(asked, run)
    assert [path for path in index.sent if path.endswith(".whl")] == [
        "/whl/cu111/nvidia_tiny-13.0.88-py3-none-any.whl"  # by the dry run
    ]


def test_where_pips_inside_has_changed_its_report_does(
    index: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finder of pip is not public: without it, the slower way answers."""
    monkeypatch.setattr(
        "colabmagic.cuda.fetching.pip_resolver.finder_argv",
        lambda _: ["python-that-is-not-there"],
    )
    (found,) = resolve(["nvidia-tiny"], run=run)
    assert found.url.startswith(index.url)
    assert found.sha256 is not None


def test_wrong_bytes_under_a_dry_run_are_one_error(index: FileServer) -> None:
    """Pip has downloaded, and says so in capitals."""
    index.fail("corrupt", ".whl", times=-1)
    with pytest.raises(ChecksumError):
        _by_dry_run(["nvidia-tiny"], run)


@pytest.mark.parametrize("wanted", ["nvidia-tiny==99.*", "nvidia-old", "nvidia-no"])
def test_a_version_that_is_not_there_is_named(index: FileServer, wanted: str) -> None:
    """What pip says last is what is seen."""
    del index
    with pytest.raises(NoCompilerInPackageError) as caught:
        resolve([wanted], run=run)
    assert caught.value.code == "E16"
    assert caught.value.seen == f"pip: No matching distribution found for {wanted}"
    assert "%cuda_install auto" in caught.value.hint


def test_an_index_that_does_not_answer_is_named_without_its_login(
    index: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password of the address is nowhere in the error."""
    del index
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:s3cret@127.0.0.1:9/simple")
    with pytest.raises(SourceUnreachableError) as caught:
        resolve(["nvidia-tiny"], run=run)
    assert caught.value.code == "E09"
    assert "http://127.0.0.1:9/simple" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_no_requirement_at_all_is_what_pip_says(index: FileServer) -> None:
    """A line that pip does not understand is no crash of ours."""
    del index
    with pytest.raises(CudaError, match="pip does not find the wheels"):
        resolve(["not a requirement"], run=run)


def test_the_login_of_a_private_index_is_found(
    index: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip's report has none, and the server wants one for the file as well."""
    index.login = "Basic " + base64.b64encode(b"me:s3cret").decode()
    host = index.url.removeprefix("http://")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s3cret@{host}/whl/cu111")
    found = resolve(["nvidia-tiny"], run=run)
    assert "s3cret" not in found[0].url
    (private,) = as_pip_fetches(found, run=run)[0]
    assert private.url == found[0].url.replace("http://", "http://me:s3cret@")
    assert private.sha256 == found[0].sha256


def test_files_beside_the_notebook_are_not_pips(
    index: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The finder does not import them, so no wheel is downloaded by the dry run."""
    for name in ("json", "html", "logging"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    (found,) = resolve(["nvidia-tiny==13.0.*"], run=run)
    assert found.name == "nvidia_tiny-13.0.88-py3-none-any.whl"
    assert not [path for path in index.sent if path.endswith(".whl")]


def test_a_file_of_settings_does_not_change_what_is_found(
    index: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not for another Python, and into no other folder; its index is asked."""
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"[global]\nindex-url = {index.url}/whl/cu111\n[install]\nuser = true\n"
        f"target = {tmp_path / 'elsewhere'}\npython-version = 2.7\n"
        f"requirement = {tmp_path / 'more.txt'}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.delenv("PIP_INDEX_URL")
    (found,) = _by_dry_run(["nvidia-tiny==13.0.*"], run)
    assert found.name == "nvidia_tiny-13.0.88-py3-none-any.whl"
    assert not (tmp_path / "elsewhere").exists()
