"""Zstd is read by whatever is here."""

from __future__ import annotations

import importlib
import io
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.unpacking import zstd

if TYPE_CHECKING:
    from collections.abc import Callable


def packed(content: bytes) -> io.BytesIO:
    """Return it packed."""
    for name in zstd._MODULES:
        try:
            module: Any = importlib.import_module(name)
        except ImportError:
            continue
        return io.BytesIO(module.compress(content))
    pytest.skip("no Python module of zstd is here")


@pytest.fixture
def no_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that takes Python's modules of zstd away."""

    def take() -> None:
        monkeypatch.setattr(zstd, "_MODULES", ("no_such_module_of_zstd",))
        monkeypatch.setattr(zstd, "_OTHER", "no_such_module_either")

    return take


def test_python_reads_it() -> None:
    """With the module of 3.14, or its backport."""
    assert zstd.open_zstd(packed(b"hello" * 1000)).read() == b"hello" * 1000


@pytest.mark.skipif(shutil.which("zstd") is None, reason="install zstd")
def test_the_program_reads_it(no_module: Callable[[], None]) -> None:
    """Where Python has no module; a damaged file is an error of the archive."""
    stream = packed(b"hello" * 1000)
    no_module()
    with zstd.open_zstd(stream) as plain:
        assert plain.read() == b"hello" * 1000
    with pytest.raises(ValueError, match="zstd"):
        zstd.open_zstd(io.BytesIO(b"\x28\xb5\x2f\xfdno"))


def test_without_both_it_says_what_to_install(
    no_module: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line."""
    no_module()
    assert zstd.is_readable() == (shutil.which("zstd") is not None)
    monkeypatch.setenv("PATH", "")
    assert not zstd.is_readable()
    with pytest.raises(CudaError) as caught:
        zstd.open_zstd(io.BytesIO(b""))
    assert caught.value.hint == "%pip install backports.zstd"
    assert str(caught.value.seen).startswith("no program zstd")
