"""The table of magics, and what stands in it until a magic is used."""

from __future__ import annotations

import inspect
import types
from typing import ClassVar

import pytest
from traitlets.config import Configurable

from colabmagic.magics import CELL_MAGICS, MAGICS
from colabmagic.magics._completion import Completion
from colabmagic.magics._lazy import LazyMagic, import_object


class Shell(Configurable):
    """As much of a shell as the class behind a magic asks for."""

    configurables: ClassVar[list[object]] = []


SHELL = Shell()


@pytest.mark.parametrize("name", MAGICS)
def test_each_row_names_a_class_with_such_a_method(name: str) -> None:
    """The path can be imported, and the class has the magic with its help."""
    method = getattr(import_object(MAGICS[name]), name)
    assert callable(method)
    assert f"%{name}" in (method.__doc__ or "")
    assert "Example" in (method.__doc__ or "")
    assert hasattr(method, "parser")


@pytest.mark.parametrize("name", CELL_MAGICS)
def test_each_opener_can_be_imported(name: str) -> None:
    """It takes shell, line and names; its magic takes a cell."""
    assert list(inspect.signature(import_object(CELL_MAGICS[name])).parameters) == [
        "shell",
        "line",
        "names",
    ]
    assert name in MAGICS


class Greeter:
    """A class behind a magic."""

    def __init__(self, shell: object) -> None:
        self.shell = shell

    def greet(self, line: str) -> str:
        """Greet somebody."""
        return f"hello {line}"


def test_a_lazy_magic_imports_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then there is no instance; then its help and value are the method's."""
    module = types.ModuleType("a_module_of_magics")
    module.Greeter = Greeter  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "a_module_of_magics", module)
    magic = LazyMagic(SHELL, "greet", "a_module_of_magics:Greeter")  # type: ignore[arg-type]
    assert repr(magic) == "<magic greet of a_module_of_magics:Greeter>"
    assert magic.instance is None
    assert magic("you") == "hello you"
    assert magic.__doc__ == "Greet somebody."
    assert inspect.unwrap(magic) == magic.instance.greet


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("%%train_on cu", "cu", ["cuda"]),
        ("x = %train_on mp", "mp", ["mps"]),
        ("%%train_on cuda --ke", "--ke", ["--keep"]),
        ("%%train_on --keep --ke", "--ke", []),
        ("%%train_on --rng d", "d", ["device"]),
        ("%%train_on --rng=", "--rng=", ["--rng=auto", "--rng=cpu", "--rng=device"]),
        ("%%train_on --rng cpu x", "x", ["xpu"]),
        ("%%train_on cuda c", "c", []),
        ("train_on cu", "", []),
        ("%%other cu", "", []),
        ("print('%%train_on cu", "", []),
    ],
)
def test_candidates(text: str, word: str, found: list[str]) -> None:
    """What can stand at the cursor, by the arguments before it."""
    magic = LazyMagic(SHELL, "train_on", MAGICS["train_on"])  # type: ignore[arg-type]
    completion = Completion(SHELL, {"train_on": magic})  # type: ignore[arg-type]
    got_word, got = completion.candidates(text)
    assert got_word == word
    # Which numbers are offered depends on the devices of this machine.
    assert [text for text in got if ":" not in text] == found
