"""Parts of each layout become one root that can be moved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import NoCompilerInPackageError
from colabmagic.cuda.rooting.assemble import assemble
from colabmagic.cuda.rooting.manifest import differences, read_manifest
from tests.cuda.rooting.trees import compiler, fill, hybrid, links, wheels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a staging folder."""
    folder = tmp_path / ".staging-1"
    folder.mkdir()
    return folder


def test_wheels(root: Path) -> None:
    """Both names of the library folder, names without versions, a stub, a list."""
    made = assemble(wheels(root / "parts"), root, "wheels")
    assert made.environment == {}
    assert sorted(path.name for path in root.iterdir()) == [
        "bin", "files.json", "include", "lib", "lib64", "licenses", "nvvm",
    ]  # fmt: skip
    assert links(root) == {
        "lib": "lib64",
        "lib64/libcudart.so": "libcudart.so.13",
        "lib64/libnvvm.so": "libnvvm.so.4",
        "lib64/stubs/libcuda.so.1": "libcuda.so",
        "nvvm/lib64/libnvvm.so": "../../lib64/libnvvm.so",
    }
    assert (root / "licenses" / "nvidia_cuda_nvcc-13.0.88.txt").read_text(
        "utf-8"
    ) == "EULA"
    assert (root / "bin" / "nvcc.profile").read_text("utf-8") == "TOP = $(_HERE_)/..\n"
    assert not list(root.rglob("__init__.py"))


def test_programs_can_be_run_by_all(root: Path) -> None:
    """Wheels give their owner alone the right to run them."""
    assemble(wheels(root / "parts"), root, "wheels")
    modes = {name: (root / name).stat().st_mode & 0o777 for name in
             ("bin/nvcc", "nvvm/bin/cicc", "bin/nvcc.profile", "include/cuda.h")}  # fmt: skip
    assert modes == {
        "bin/nvcc": 0o755,
        "nvvm/bin/cicc": 0o755,
        "bin/nvcc.profile": 0o644,
        "include/cuda.h": 0o644,
    }


def test_it_can_be_moved(root: Path, tmp_path: Path) -> None:
    """No link and no text knows where it was made, and the list still agrees."""
    assemble(wheels(root / "parts"), root, "wheels")
    final = tmp_path / "13.0.3"
    root.rename(final)
    staging = os.fsencode(str(root))
    assert not [
        p for p in final.rglob("*") if p.is_file() and staging in p.read_bytes()
    ]
    manifest = read_manifest(final)
    assert manifest is not None
    assert differences(final, manifest, hashes=True) == []


@pytest.mark.parametrize(
    "prefix", ["redist", "redist/cuda_nvcc-linux-x86_64-11.8.89-archive"]
)
def test_archives(root: Path, prefix: str) -> None:
    """NVIDIA's archives, with and without their top folder; documents are left out."""
    parts = fill(root / "parts" / prefix, compiler("lib"))
    fill(parts, {
        "LICENSE": "EULA",
        "pkg-config/cudart-11.8.pc": "cudaroot=/usr/local/cuda-11.8",
        "nsight/big": "x",
        "lib/stubs/libcuda.so": "NVIDIA's own",
    })  # fmt: skip
    assemble(root / "parts", root, "redist")
    assert not (root / "pkg-config").exists()
    assert not (root / "nsight").exists()
    stub = root / "lib64" / "stubs" / "libcuda.so"
    assert stub.read_text("utf-8") == "NVIDIA's own"


def test_runfile(root: Path) -> None:
    """Files below ``targets`` come to where the links of an installed toolkit lead."""
    files = compiler("targets/x86_64-linux/lib")
    moved = {
        name.replace("include/", "targets/x86_64-linux/include/"): text
        for name, text in files.items()
    }
    fill(root / "parts" / "runfile", {
        **moved,
        "include": "->targets/x86_64-linux/include",
        "lib64": "->targets/x86_64-linux/lib",
        "doc/big.pdf": "x",
        "libnvvp/jre/big": "x",
        "EULA.txt": "EULA",
    })  # fmt: skip
    assemble(root / "parts", root, "runfile")
    assert (root / "include" / "cuda_runtime.h").is_file()
    assert (root / "lib64" / "libcudart.so.13").is_file()
    assert links(root)["targets/x86_64-linux/include"] == "../../include"
    assert links(root)["targets/x86_64-linux/lib"] == "../../lib64"
    assert not (root / "doc").exists()


def test_components_of_a_runfile(root: Path) -> None:
    """Since 11 each component has a tree of its own."""
    whole = compiler()
    builds = root / "parts" / "runfile" / "builds"
    fill(builds / "cuda_nvcc", {k: v for k, v in whole.items() if "lib64" not in k})
    library = {f"targets/x86_64-linux/lib/{k[6:]}": v for k, v in whole.items()
               if k.startswith("lib64")}  # fmt: skip
    fill(builds / "cuda_cudart", library)
    assemble(root / "parts", root, "runfile")
    assert (root / "lib64" / "libcudart.so").exists()


def test_debian(root: Path) -> None:
    """Debian's compiler, the wheels' headers and runtime, and a profile of ours."""
    made = assemble(hybrid(root / "parts"), root, "deb")
    flags = f"-cudart=shared -cudadevrt=none -Xlinker -rpath -Xlinker {root / 'lib64'}"
    assert made.environment == {"NVCC_APPEND_FLAGS": flags}
    assert (root / "bin" / "nvcc").read_bytes().startswith(b"\x7fELF")
    assert (root / "bin" / "ptxas").read_text("utf-8") == "of Debian"
    assert not (root / "bin" / "g++").exists()
    assert "$(TOP)/nvvm/bin" in (root / "bin" / "nvcc.profile").read_text("utf-8")
    for name in (
        "include/cub/cub.cuh",
        "include/crt/host_config.h",
        "bin/crt/link.stub",
    ):
        assert (root / name).is_file(), name
    assert not list(root.rglob("libsanitizer.so"))
    assert (root / "nvvm" / "lib64" / "libnvvm.so").exists()


def test_a_folder_with_a_space(tmp_path: Path) -> None:
    """The run path is quoted: nvcc splits its flags."""
    root = tmp_path / "my drive"
    root.mkdir()
    made = assemble(hybrid(root / "parts"), root, "deb")
    assert made.environment["NVCC_APPEND_FLAGS"].endswith(f'"{root}/lib64"')


def test_a_shadow(root: Path, tmp_path: Path) -> None:
    """Libraries and headers are linked file by file; the other tree is not touched."""
    foreign = fill(tmp_path / "site-packages" / "nvidia" / "cu13", {
        "lib/libcublas.so.13": "large",
        "lib/libcudart.so.13": "library",
        "lib/libcudart_static.a": "archive",
        "include/cublas_v2.h": "// blas",
        "include/crt/other.h": "// other",
        "include/__init__.py": "",
    })  # fmt: skip
    before = {path: path.lstat().st_mtime_ns for path in foreign.rglob("*")}
    own = {n: t for n, t in compiler("lib").items() if "libcudart" not in n}
    fill(root / "parts" / "wheels" / "nvidia" / "cu13", own)
    assemble(root / "parts", root, "shadow", foreign)
    found = links(root)
    assert found["lib64/libcublas.so.13"] == str(foreign / "lib" / "libcublas.so.13")
    assert found["lib64/libcublas.so"] == "libcublas.so.13"
    assert found["include/crt/other.h"] == str(foreign / "include" / "crt" / "other.h")
    assert not (root / "include" / "crt").is_symlink()
    assert {path: path.lstat().st_mtime_ns for path in foreign.rglob("*")} == before
    (foreign / "lib" / "libcublas.so.13").unlink()  # pip uninstall
    manifest = read_manifest(root)
    assert manifest is not None
    changed = [str(each) for each in differences(root, manifest, hashes=False)]
    assert changed[0].startswith(
        "lib64/libcublas.so leads to libcublas.so.13, which is gone"
    )


def test_packages_without_a_compiler(root: Path) -> None:
    """The metapackages of 12.x install and bring no nvcc: this is told, not discovered later."""
    fill(root / "parts" / "wheels" / "nvidia" / "cuda_nvcc", {"bin/ptxas": "p"})
    with pytest.raises(NoCompilerInPackageError) as caught:
        assemble(root / "parts", root, "wheels")
    assert caught.value.render() == [
        "NoCompilerInPackageError: These packages install and bring no working compiler.",
        (
            "  seen: bin/nvcc, bin/cudafe++, bin/fatbinary, bin/nvlink, nvvm/bin/cicc,"
            " nvvm/libdevice/libdevice.10.bc, include/cuda_runtime.h missing in wheels"
        ),
        "  try:  run the cell again with --method auto: it chooses packages that bring one",
    ]


def test_no_part_at_all(root: Path) -> None:
    """Nothing unpacked is the same error."""
    with pytest.raises(NoCompilerInPackageError, match="in no part at all"):
        assemble(root / "parts", root, "wheels")


@pytest.mark.parametrize(
    ("layout", "foreign"), [("conda", False), ("shadow", False), ("wheels", True)]
)
def test_no_such_layout(root: Path, layout: str, *, foreign: bool) -> None:
    """A mistake of the caller is no error of the user."""
    with pytest.raises(ValueError, match="no layout"):
        assemble(root / "parts", root, layout, root if foreign else None)
