"""Tests for `colabmagic.train.scope`."""

from __future__ import annotations

import gc
import inspect
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from colabmagic.train import scope as scope_module
from colabmagic.train.scope import Marks, Scope, constructs_module

if TYPE_CHECKING:
    from types import FrameType

META = torch.device("meta")


def here() -> FrameType:
    """Return the frame of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back


def test_marks_know_the_very_object() -> None:
    """An equal object is not marked; a discarded one not any more."""
    marks = Marks()
    assert not marks
    one, other = torch.zeros(2), torch.zeros(2)
    marks.add(one)
    assert marks
    assert one in marks
    assert other not in marks
    marks.discard(one)
    marks.discard(other)
    assert one not in marks


def test_marks_keep_nothing_alive() -> None:
    """A marked tensor dies as if it were not marked."""
    marks = Marks()
    tensor = torch.zeros(2)
    marks.add(tensor)
    number = id(tensor)
    del tensor
    gc.collect()
    assert marks._references[number]() is None


def test_a_reused_id_is_no_mark() -> None:
    """An object that was born at the address of a dead one is not taken for it."""
    marks = Marks()
    dead, other = torch.zeros(2), torch.zeros(2)
    marks.add(dead)
    marks._references[id(other)] = marks._references.pop(id(dead))  # as if reused
    assert other not in marks
    marks.add(other)
    assert other in marks


def test_marks_compare_nothing() -> None:
    """Neither ``==`` nor ``bool`` of a marked object is asked."""

    class Odd(nn.Module):
        def __eq__(self, _: object) -> bool:
            raise RuntimeError

        def __bool__(self) -> bool:
            raise RuntimeError

        __hash__ = nn.Module.__hash__

    marks = Marks()
    one, other = Odd(), Odd()
    marks.add(one)
    assert one in marks
    assert other not in marks


def test_user_code_means_the_device() -> None:
    """A call from a file of the user counts."""
    assert Scope(device=META).applies(here())


def frame_of(filename: str) -> FrameType:
    """Return a frame whose code comes from a file of that name."""
    names: dict[str, Any] = {"here": here}
    exec(  # noqa: S102 (the only way to say where code comes from)
        compile("def work():\n    return here()\n", filename, "exec"), names
    )
    frame: FrameType = names["work"]()
    return frame


def test_library_code_means_the_cpu() -> None:
    """A call from an installed file does not count, one from a cell does."""
    scope = Scope(device=META)
    assert not scope.applies(frame_of("/opt/lib/site-packages/lib/inner.py"))
    assert scope.applies(frame_of("<ipython-input-1-abc>"))


def test_dataset_code_means_the_cpu() -> None:
    """Inside the loader nothing counts."""
    scope = Scope(device=META)
    scope.inside_loader = 1
    assert not scope.applies(here())


def test_threads_of_the_cell_are_on_the_device() -> None:
    """A thread that the cell starts is on the device; one that ran before is not."""
    answers = []
    go = threading.Event()

    def early() -> None:
        go.wait(10)
        answers.append(scope.applies(here()))

    before = threading.Thread(target=early)
    before.start()
    scope = Scope(device=META)
    go.set()
    before.join()
    after = threading.Thread(target=lambda: answers.append(scope.applies(here())))
    after.start()
    after.join()
    assert answers == [False, True]


def test_a_device_that_is_only_followed_is_no_choice() -> None:
    """A text, a device without a number and one with a name of the user's are choices."""
    mine = torch.device("meta", 0)
    scope = Scope(device=META, named_devices=(mine,))
    assert scope.is_chosen("meta")
    assert scope.is_chosen(torch.device("meta"))
    assert scope.is_chosen(mine)
    assert not scope.is_chosen(torch.device("meta", 0))
    scope.makes_devices = True
    assert scope.is_chosen(torch.device("meta", 0))


def test_nothing_moves_when_the_cell_has_ended() -> None:
    """Whoever kept a wrapper has a plain function from then on."""
    scope = Scope(device=META)
    assert scope.applies(here())
    scope.rest()
    assert scope.rests
    assert not scope.applies(here())


class Watched(nn.Module):
    """Notes whether its parts are taken for construction."""

    def __init__(self, action: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.seen = [constructs_module(here()), self.helper(), action()]
        self.seen.append([constructs_module(here()) for _ in range(1)][0])  # noqa: RUF015 (a frame of its own)

    def helper(self) -> bool:
        """Answer from a method that ``__init__`` calls."""
        return constructs_module(here())

    def forward(self) -> bool:
        """Answer from a call."""
        return constructs_module(here())


def test_modules_are_made_on_the_cpu() -> None:
    """All that ``__init__`` of a module calls belongs to it; a forward does not."""
    made = Watched(lambda: constructs_module(here()))
    assert made.seen == [True, True, True, True]
    assert made() is False
    assert not constructs_module(here())


def test_other_constructors_are_no_modules() -> None:
    """A Trainer, a Dataset or a function named ``__init__`` constructs no module."""

    class Trainer:
        def __init__(self) -> None:
            self.seen = constructs_module(here())

    def __init__() -> bool:  # noqa: N807
        return constructs_module(here())

    assert not Trainer().seen
    assert not __init__()


def test_self_may_have_any_name_and_be_in_a_closure() -> None:
    """The first argument counts, also where a lambda captures it."""

    class Odd(nn.Module):
        def __init__(this) -> None:  # noqa: N805
            super().__init__()
            this.seen = constructs_module(here())
            this.action = lambda: this

    assert Odd().seen


def test_an_object_with_an_odd_class_is_survived() -> None:
    """Looking at ``self`` of a foreign constructor runs none of its code."""

    class Odd:
        def __init__(self) -> None:
            self.__dict__["seen"] = constructs_module(here())

        def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
            if name != "__dict__":
                raise RuntimeError(name)
            return object.__getattribute__(self, name)

    assert Odd().__dict__["seen"] is False


def test_a_deep_stack_is_searched_within_bounds() -> None:
    """A constructor far up is not found, and the search ends."""

    def deep(depth: int) -> bool:
        return deep(depth - 1) if depth else constructs_module(here())

    assert Watched(lambda: deep(10)).seen[2] is True
    assert Watched(lambda: deep(200)).seen[2] is False


@pytest.mark.parametrize(
    ("kind", "expected"), [("cuda", True), ("mps", False), ("meta", False)]
)
def test_only_cuda_copies_without_waiting(kind: str, *, expected: bool) -> None:
    """MPS must never copy without waiting: its results would be wrong."""
    assert Scope(device=torch.device(kind, 0)).non_blocking is expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_rests() -> None:
    """In a child process nothing is moved; in the parent all goes on."""
    scope = Scope(device=META)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # the child says what it sees, and ends at once
        os.write(writer, b"1" if scope.applies(here()) else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        assert answers.read() == b"0"
    assert scope.applies(here())


def test_a_scope_ends_with_its_cell() -> None:
    """Nothing keeps a scope alive."""
    scope = Scope(device=META)
    assert scope in scope_module._alive
    del scope
    gc.collect()
    assert all(each.device != torch.device("xpu", 7) for each in scope_module._alive)
    before = len(scope_module._alive)
    Scope(device=torch.device("xpu", 7))
    gc.collect()
    assert len(scope_module._alive) == before
