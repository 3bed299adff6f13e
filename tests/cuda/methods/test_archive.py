"""Tests for `colabmagic.cuda.methods.archive`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.cuda.machine.facts import Kept
from colabmagic.cuda.planning.plan import Options
from colabmagic.report.model import Unknown
from tests.cuda.methods.judge import fields, judge, kinds

CACHE = Options(cache="/drive")
PLAIN = Kept(
    path="/drive/toolkits/12.4.1-x86_64-0.tar.gz",
    release="12.4.1",
    build="12.4.131",
    method="redist",
    arch="x86_64",
    sha256="0" * 64,
    size=60_000_000,
    files=100,
    unpacked_bytes=220_000_000,
)
OLD = replace(
    PLAIN,
    path="/drive/toolkits/11.1.1-x86_64-g++10-ubuntu22.04-0.tar.gz",
    release="11.1.1",
    build="11.1.105",
    compiler=10,
    system="ubuntu 22.04",
)


def test_it_is_unpacked_proven_and_named() -> None:
    """Nothing is fetched; the compiler is this machine's; the card tells its origin."""
    made = judge("archive", "colab_t4", "12.4", CACHE, kept=(PLAIN,))
    assert made.fits
    assert kinds(made) == [
        "unpack-kept", "use-compiler", "verify", "publish", "activate",
    ]  # fmt: skip
    assert fields(made, "unpack-kept")["compiler"] is None
    assert fields(made, "verify")["build"] == "12.4.131"
    assert fields(made, "publish")["method"] == "redist"
    assert (made.download_bytes, made.disk_bytes) == (60_000_000, 220_000_000)
    assert made.why == (
        "the toolkit was kept in /drive/toolkits/12.4.1-x86_64-0.tar.gz; if it does not "
        "pass, the next possible way is taken"
    )
    forced = replace(CACHE, method="archive")
    made = judge("archive", "colab_t4", "12.4", forced, kept=(PLAIN,))
    assert "next" not in made.why  # who names a way wants no other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arch": "aarch64"}, "it is for aarch64"),
        ({"system": "debian 12"}, "it has packages of debian 12 in it"),
        ({"build": "12.8.93"}, "it holds CUDA 12.8.93"),
        ({"problem": "it has 4 bytes, not 5"}, "it has 4 bytes, not 5"),
    ],
)
def test_those_that_do_not_fit(change: dict[str, str], words: str) -> None:
    """Each says why."""
    other = replace(PLAIN, **change)  # type: ignore[arg-type]  # texts
    made = judge("archive", "colab_t4", "12.4", CACHE, kept=(other,))
    assert made.why == f"{PLAIN.path} is not used: {words}"
    assert made.problem is not None
    assert made.problem.code == "E23"


def test_none() -> None:
    """No folder, none in it, none of this release, or no answer."""
    assert "--cache" in judge("archive", "colab_t4", "12.4", kept=(PLAIN,)).why
    made = judge("archive", "colab_t4", "12.4", CACHE)
    assert made.why == "no CUDA 12.4.1 is kept in /drive"
    assert not judge("archive", "colab_t4", "12.8", CACHE, kept=(PLAIN,)).fits
    made = judge("archive", "colab_t4", "12.4", CACHE, kept=Unknown("no answer"))
    assert made.why == "/drive: no answer"


def test_libraries() -> None:
    """All of ``--with`` must be in it; of those that fit, the smallest is taken."""
    wish = replace(CACHE, parts=("cudnn",))
    full = replace(PLAIN, path="/drive/full", parts=("cudnn", "nccl"), size=10**9)
    made = judge("archive", "colab_t4", "12.4", wish, kept=(PLAIN, full))
    assert fields(made, "unpack-kept")["path"] == "/drive/full"
    assert made.seconds is not None
    made = judge("archive", "colab_t4", "12.4", wish, kept=(PLAIN,))
    assert made.why.endswith("it has no cudnn")
    made = judge("archive", "colab_t4", "12.4", CACHE, kept=(full, PLAIN))
    assert fields(made, "unpack-kept")["path"] == PLAIN.path


def test_its_own_compiler() -> None:
    """One that would have to be brought is taken out of the archive, on its system."""
    bare = replace(OLD, path="/drive/bare", compiler=None, system="", size=1)
    made = judge("archive", "colab_t4", "11.1", CACHE, kept=(bare, OLD))
    assert fields(made, "unpack-kept") == {
        "kind": "unpack-kept",
        "path": OLD.path,
        "sha256": "0" * 64,
        "size": OLD.size,
        "files": 100,
        "unpacked_bytes": OLD.unpacked_bytes,
        "arch": "x86_64",
        "compiler": 10,
    }
    assert "bring-compiler" not in kinds(made)
    assert made.download_bytes == OLD.size
    made = judge("archive", "colab_t4", "11.1", CACHE, kept=(bare,))
    assert "bring-compiler" in kinds(made)
    assert made.download_bytes is not None
    assert made.download_bytes > 40_000_000


def test_libraries_of_pytorch() -> None:
    """Where PyTorch has brought them, a toolkit is made that has its headers, too."""
    thirteen = replace(PLAIN, release="13.0.3", build="13.0.88", method="wheels")
    made = judge("archive", "torch_cu130", "13.0", CACHE, kept=(thirteen,))
    assert "links to PyTorch's own libraries" in made.why
    assert not made.fits
    forced = replace(CACHE, method="archive")
    assert judge("archive", "torch_cu130", "13.0", forced, kept=(thirteen,)).fits


def test_no_room() -> None:
    """What comes out of it must fit, whatever its label says."""
    huge = replace(PLAIN, unpacked_bytes=10**15)
    made = judge("archive", "colab_t4", "12.4", CACHE, kept=(huge,))
    assert made.problem is not None
    assert made.problem.code == "E08"


@pytest.mark.parametrize("kept", [(), Unknown("no answer"), (PLAIN,)])
def test_a_folder_with_an_odd_name(kept: tuple[Kept, ...] | Unknown) -> None:
    """What a terminal would obey does not reach it."""
    odd = replace(CACHE, cache="/drive\x1b[31m\n")
    if isinstance(kept, tuple):
        kept = tuple(replace(each, path="/drive\x1b[31m\n/x") for each in kept)
    made = judge("archive", "colab_t4", "12.4", odd, kept=kept)
    assert made.why.startswith(("no CUDA", "/drive", "the toolkit was kept in"))
    assert made.why.isprintable()
