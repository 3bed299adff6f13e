"""The doubles speak the real formats: real programs read them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.nvidia.archive import (
    REPO,
    make_archive,
    missing_tools,
    scratch_root,
)
from tests.fakes.nvidia.redist import FOLDER, make_redist, sums
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import renamed_trees, tiny_trees

if TYPE_CHECKING:
    from pathlib import Path

SH = shutil.which("sh") or "sh"
APT = shutil.which("apt-get") or "apt-get"
VERSIONS = ["9.2.148", "10.2.89", "11.1.1"]
needs_apt = pytest.mark.skipif(
    bool(missing_tools()), reason=f"install apt-utils: {missing_tools()} missing"
)


def files_of(folder: Path) -> set[str]:
    """Return the paths of the files below a folder."""
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }


def test_the_list_is_of_the_archives(tmp_path: Path) -> None:
    """Hash and size are those of the file that is at the path; tar reads it."""
    manifest = make_redist(tmp_path, "11.1.1", tiny_trees(tmp_path / "trees"))
    row = json.loads(manifest.read_text("utf-8"))["cuda_nvcc"]["linux-x86_64"]
    archive = tmp_path / FOLDER / row["relative_path"]
    assert row == {"relative_path": row["relative_path"], **sums(archive)}
    with tarfile.open(archive) as tar:
        assert "cuda_nvcc-linux-x86_64-11.1.105-archive/bin/nvcc" in tar.getnames()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_runfile_installs_a_toolkit_and_no_driver(
    version: str, tmp_path: Path
) -> None:
    """A shell runs it, with the options of the real one."""
    run = make_runfile(tmp_path / "cuda.run", version, tiny_trees(tmp_path / "trees"))
    target = tmp_path / "installed"
    options = ["--silent", "--toolkit", f"--toolkitpath={target}", "--override"]
    subprocess.run([SH, run, *options, "--no-man-page"], check=True, cwd=tmp_path)
    said = subprocess.check_output([target / "bin" / "nvcc", "--version"], text=True)
    assert "release 11.1, V11.1.105" in said
    assert {"lib64/libcudart_static.a", "lib/libcudart_static.a"} & files_of(
        target
    ) or (target / "lib64" / "libcudart_static.a").exists()
    assert not list(tmp_path.rglob("driver-was-run"))


def test_the_runfile_extracts_helps_and_refuses(tmp_path: Path) -> None:
    """``--extract=`` writes the parts; an unknown option is an error."""
    run = make_runfile(tmp_path / "cuda.run", "11.1.1", tiny_trees(tmp_path / "trees"))
    target = tmp_path / "extracted"
    subprocess.run([SH, run, f"--extract={target}"], check=True)
    assert "cuda_nvcc/bin/nvcc" in files_of(target)
    assert "NVIDIA-Linux-x86_64-455.32.00.run" in files_of(target)
    said = subprocess.check_output([SH, run, "--help"], text=True)
    assert "--toolkitpath=" in said
    refused = subprocess.run(
        [SH, run, "--tolkit"], check=False, stderr=subprocess.PIPE, text=True
    )
    assert refused.returncode
    assert "Unknown option: --tolkit" in refused.stderr


@needs_apt
def test_apt_installs_parts_into_a_scratch_root(tmp_path: Path) -> None:
    """Real apt-get and dpkg check the signature and install; no driver comes along."""
    served = tmp_path / "served"
    served.mkdir()
    archive = make_archive(served, tmp_path / "s", tiny_trees(tmp_path / "trees"))
    with FileServer(served) as server:
        apt = [APT, "-q", *scratch_root(tmp_path, server.url, archive)]
        subprocess.run([*apt, "update"], check=True, timeout=60)
        wanted = ["cuda-nvcc-11-1", "cuda-cudart-dev-11-1"]
        subprocess.run([*apt, "install", "-y", *wanted], check=True, timeout=60)
        driver = subprocess.check_output([*apt, "-s", "install", "cuda"], text=True)
    root = tmp_path / "root"
    assert (root / "usr/local/cuda-11.1/bin/nvcc").exists()
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    assert "Package: cuda-cudart-11-1" in status
    assert "cuda-drivers" not in status
    assert "Inst cuda-drivers" in driver  # so that it matters what is asked for


@needs_apt
def test_the_repository_is_where_nvidias_is(tmp_path: Path) -> None:
    """Flat, below ``compute/cuda/repos``, with a signed list."""
    archive = make_archive(tmp_path, tmp_path / "s", tiny_trees(tmp_path / "trees"))
    assert archive.folder == tmp_path / REPO
    signed = (archive.folder / "InRelease").read_text("utf-8")
    assert signed.startswith("-----BEGIN PGP SIGNED MESSAGE-----")
    subprocess.run(
        [shutil.which("gpgv") or "gpgv", "--keyring", archive.keyring, "InRelease"],
        cwd=archive.folder,
        check=True,
        capture_output=True,
    )


def test_the_server_breaks_off_and_goes_on(tmp_path: Path) -> None:
    """A fault strikes as often as was said, and the bytes are counted."""
    (tmp_path / "a").write_bytes(bytes(100_000))
    with FileServer(tmp_path) as server, requests.Session() as session:
        server.fail("truncate", "a", fraction=0.25)
        with pytest.raises(requests.RequestException):
            _ = session.get(f"{server.url}/a", timeout=10).content
        assert server.sent["/a"] == 25_000
        rest = session.get(
            f"{server.url}/a", headers={"Range": "bytes=25000-"}, timeout=10
        )
        assert (rest.status_code, len(rest.content)) == (206, 75_000)
        assert session.get(f"{server.url}/../a", timeout=10).ok
        assert session.get(f"{server.url}/b", timeout=10).status_code == 404


@pytest.fixture(scope="session")
def compiling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a toolkit that says 11.1 and compiles; skip without an index."""
    folder = tmp_path_factory.mktemp("compiling")
    try:
        parts = renamed_trees(folder / "parts", "11.1.105")
    except OSError as error:
        pytest.skip(f"CUDA's wheels do not come: {error}")
    for part in parts.values():
        shutil.copytree(part, folder / "root", dirs_exist_ok=True, symlinks=True)
    return folder / "root"


@pytest.mark.xdist_group("cuda-toolkit")
def test_the_toolkit_of_the_doubles_says_one_version_and_compiles(
    compiling: Path, tmp_path: Path
) -> None:
    """``--version`` is of the part that it plays; a kernel becomes real machine code."""
    nvcc = compiling / "bin" / "nvcc"
    said = subprocess.check_output([nvcc, "--version"], text=True)
    assert "Cuda compilation tools, release 11.1, V11.1.105" in said
    source = tmp_path / "k.cu"
    source.write_text("__global__ void k(float *x) { x[threadIdx.x] += 1; }\n", "utf-8")
    cubin = tmp_path / "k.cubin"
    subprocess.run(
        [nvcc, "-cubin", "-arch=sm_75", "-o", cubin, source], check=True, timeout=100
    )
    assert cubin.read_bytes()[:4] == b"\x7fELF"
