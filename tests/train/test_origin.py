"""Tests for `colabmagic.train.origin`."""

from __future__ import annotations

import collections
import dataclasses
import functools
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from colabmagic.train import origin

STDLIB = sysconfig.get_path("stdlib")
PACKAGES = sysconfig.get_path("purelib")


@pytest.mark.parametrize(
    "filename",
    [
        "<ipython-input-3-0123456789ab>",
        "<string>",
        "<stdin>",
        "/home/me/ipykernel_77/1234.py",
        "/content/my_project/train.py",
        "utils.py",
        __file__,
        STDLIB + "_notes/net.py",
    ],
)  # fmt: skip
def test_cells_and_the_users_files(filename: str) -> None:
    """Cells, files of the working folder and of a cloned repository are the user's."""
    assert origin.is_user_file(filename)


@pytest.mark.parametrize(
    "filename",
    [
        torch.__file__,
        functools.__file__,
        origin.__file__,
        str(Path(PACKAGES) / "anything" / "inside.py"),
        str(Path(STDLIB) / "anything.py"),
        "/opt/other/lib/python3.12/site-packages/lightning/trainer.py",
        "/usr/lib/python3/dist-packages/numpy/core.py",
        "<frozen importlib._bootstrap>",
        "<__array_function__ internals>",
    ],
)
def test_installed_code(filename: str) -> None:
    """What is installed is a library's, in whichever Python, and so is colabmagic."""
    assert not origin.is_user_file(filename)


def test_a_folder_that_begins_like_ours() -> None:
    """A user's folder beside the package is not the package."""
    assert origin.is_user_file(str(Path(origin.__file__).parents[1]) + "_mine/a.py")


def test_types_of_users_and_of_libraries() -> None:
    """A class belongs to whoever wrote its module."""

    class Mine:
        pass

    assert origin.is_user_type(Mine)
    assert not origin.is_user_type(torch.nn.Linear)
    assert not origin.is_user_type(dict)
    assert not origin.is_user_type(collections.OrderedDict)


def test_a_class_of_the_notebook() -> None:
    """``__main__`` is the notebook, although it has no file."""
    assert origin.is_user_type(type("Net", (), {"__module__": "__main__"}))


@pytest.mark.parametrize("module", ["gone", None, 3, ["unhashable"], property()])
def test_odd_names_of_modules(module: object) -> None:
    """A class whose ``__module__`` is anything at all is nobody's, and no error."""
    assert not origin.is_user_type(type("Odd", (), {"__module__": module}))


def test_a_module_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module made by hand, or None in ``sys.modules``, is no user's file."""
    made: Any = types.ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, "made_by_hand", made)
    assert not origin.is_user_type(type("A", (), {"__module__": "made_by_hand"}))
    monkeypatch.setitem(sys.modules, "nothing", None)  # type: ignore[arg-type]
    assert not origin.is_user_type(type("B", (), {"__module__": "nothing"}))


def test_runs_no_code_of_a_metaclass() -> None:
    """Asking about a class does not go through its metaclass."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:  # noqa: ANN401
            message = f"code of the user was run for {name}"
            raise RuntimeError(message)

    kind = Meta("Kind", (), {"__module__": "__main__"})
    assert origin.is_user_type(kind)


def test_generated_code_counts_as_written_where_it_was_asked_for() -> None:
    """A dataclass of the user is his, with the methods that were generated."""

    @dataclasses.dataclass
    class Made:
        value: int

    assert origin.is_user_type(Made)
    assert origin.is_user_file(Made.__init__.__code__.co_filename)
