"""PyTorch's build, read from files."""

from __future__ import annotations

import importlib.metadata
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.facts import Accelerator, TorchState, Unknown
from colabmagic.gpu.sources.torch_build import probe_torch
from tests.gpu.scenarios import CU128, write_torch

if TYPE_CHECKING:
    from pathlib import Path


def test_fake_build(tmp_path: Path) -> None:
    """Version, CUDA and architectures come from the files of a CUDA build."""
    folder = write_torch(tmp_path, *CU128) / "torch"
    facts = probe_torch({}, folder)
    assert (facts.version, facts.cuda, facts.hip) == ("2.11.0+cu128", (12, 8), None)
    assert facts.archs == tuple(CU128[2].split())
    assert not facts.imported


def test_installed_build() -> None:
    """The real PyTorch of these tests is read right, and not imported for it."""
    version = importlib.metadata.version("torch")
    facts = probe_torch({})
    assert facts.state is TorchState.INSTALLED
    assert str(facts.version).partition("+")[0] == version.partition("+")[0]


@pytest.mark.parametrize(
    ("text", "version", "cuda"),
    [
        ("__version__ = '2.4.1'\ncuda = None\n", "2.4.1", None),
        ('__version__="2.4.1"\ncuda: Optional[str]="12.1"\n', "2.4.1", (12, 1)),
        ("debug = False\n__version__ = '2.4.1a0+git'\n", "2.4.1a0+git", None),
    ],
)
def test_ways_to_write_it(
    text: str, version: str, cuda: object, tmp_path: Path
) -> None:
    """Builds differ in quotes and annotations."""
    (tmp_path / "version.py").write_text(text)
    facts = probe_torch({}, tmp_path)
    assert (facts.version, facts.cuda) == (version, cuda)


@pytest.mark.parametrize("text", [None, "", "\0\0", "__version__ = 2\n"])
def test_damaged_build(text: str | None, tmp_path: Path) -> None:
    """A damaged version.py is told, not raised."""
    if text is not None:
        (tmp_path / "version.py").write_text(text)
    assert probe_torch({}, tmp_path).state is TorchState.UNREADABLE


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the state says so."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert probe_torch(sys.modules).state is TorchState.MISSING


@pytest.mark.parametrize("content", [b"", b"no list here sm_ compute_"])
def test_library_without_list(content: bytes, tmp_path: Path) -> None:
    """No list of architectures is unknown, not an empty list."""
    folder = write_torch(tmp_path, *CU128) / "torch"
    (folder / "lib" / "libtorch_python.so").write_bytes(content)
    assert isinstance(probe_torch({}, folder).archs, Unknown)


def test_list_that_begins_with_ptx(tmp_path: Path) -> None:
    """No entry is lost, wherever PTX stands in the list."""
    archs = "compute_50 sm_60 sm_90a compute_90"
    folder = write_torch(tmp_path, "2.6.0+cu126", "12.6", archs) / "torch"
    assert probe_torch({}, folder).archs == tuple(archs.split())


class Imported(SimpleNamespace):
    """An imported PyTorch with an accelerator; counts what is asked of it."""

    def __init__(self, folder: Path, kind: str | None, *, available: bool) -> None:
        self.asked: list[str] = []
        device = None if kind is None else SimpleNamespace(type=kind)

        def ask(name: str, answer: Any) -> Any:  # noqa: ANN401
            def function() -> Any:  # noqa: ANN401
                self.asked.append(name)
                return answer

            return function

        super().__init__(
            __file__=str(folder / "__init__.py"),
            accelerator=SimpleNamespace(
                current_accelerator=ask("type", device),
                is_available=ask("available", available),
                device_count=ask("count", 2),
            ),
            cuda=SimpleNamespace(is_initialized=lambda: False),
        )


@pytest.mark.parametrize(
    ("kind", "available", "expected", "asked"),
    [
        ("fake", True, Accelerator(kind="fake", count=2), 3),
        ("fake", False, None, 2),
        ("cuda", True, None, 1),
        (None, False, None, 1),
    ],
)
def test_accelerator(
    kind: str | None,
    available: bool,  # noqa: FBT001 (a parameter of the test)
    expected: Accelerator | None,
    asked: int,
    tmp_path: Path,
) -> None:
    """A registered back end is reported; of CUDA only the type is asked."""
    folder = write_torch(tmp_path, *CU128) / "torch"
    torch = Imported(folder, kind, available=available)
    facts = probe_torch({"torch": torch})
    assert facts.accelerator == expected
    assert len(torch.asked) == asked
    assert facts.imported
