"""Tests for `colabmagic.train.patches`."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch

from colabmagic.train.patches import Patches


class Base:
    """Has a method to inherit."""

    def hello(self) -> str:
        """Greet."""
        return "base"


class Child(Base):
    """Inherits, and holds one of each kind itself."""

    def own(self) -> str:
        """Answer."""
        return "own"

    @staticmethod
    def still() -> str:
        """Answer without an object."""
        return "still"

    @classmethod
    def kind(cls) -> str:
        """Answer for the class."""
        return cls.__name__

    @property
    def value(self) -> int:
        """Return a number."""
        return 1


def replacement(*_: object) -> str:
    """Stand for a method."""
    return "patched"


@pytest.mark.parametrize("name", ["hello", "own", "still", "kind", "value"])
def test_everything_is_put_back_as_it_was(name: str) -> None:
    """Methods, static and class methods and properties come back identically.

    An inherited method is inherited again: it does not stay behind as a copy.
    """
    before = dict(vars(Child))
    patches = Patches()
    patches.set(Child, name, replacement)
    assert vars(Child)[name] is replacement
    patches.undo()
    after = dict(vars(Child))
    assert after.keys() == before.keys()
    assert all(after[key] is value for key, value in before.items())


def test_an_inherited_method_follows_its_class_again() -> None:
    """After `undo`, a change of the base class is seen in the child."""

    class Root:
        def say(self) -> str:
            return "one"

    class Leaf(Root):
        pass

    patches = Patches()
    patches.set(Leaf, "say", replacement)
    assert Leaf().say() == "patched"
    patches.undo()
    Root.say = lambda _: "two"  # type: ignore[method-assign, assignment]
    assert Leaf().say() == "two"


def test_a_module_can_be_patched() -> None:
    """Functions of a module are set, and new names vanish again."""
    module: Any = types.ModuleType("sample")
    module.old = original = object()
    patches = Patches()
    patches.set(module, "old", replacement)
    patches.set(module, "new", replacement)
    assert module.old is module.new is replacement
    patches.undo()
    assert module.old is original
    assert not hasattr(module, "new")


def test_the_last_patch_is_undone_first() -> None:
    """Two patches of one attribute leave the original, not the first patch."""
    original = vars(Child)["own"]
    patches = Patches()
    patches.set(Child, "own", replacement)
    patches.set(Child, "own", lambda _: "second")
    assert Child().own() == "second"
    patches.undo()
    assert vars(Child)["own"] is original


def test_what_somebody_else_set_meanwhile_stays() -> None:
    """A patch by the user in the cell is not taken from him."""
    original = vars(Child)["own"]
    patches = Patches()
    patches.set(Child, "own", replacement)
    theirs = lambda _: "theirs"  # noqa: E731
    Child.own = theirs  # type: ignore[method-assign, assignment]
    try:
        patches.undo()
        assert vars(Child)["own"] is theirs
    finally:
        Child.own = original  # type: ignore[method-assign]


def test_what_somebody_else_deleted_meanwhile_is_no_error() -> None:
    """An attribute that is gone stays gone."""
    module: Any = types.ModuleType("sample")
    module.old = 1
    patches = Patches()
    patches.set(module, "old", 2)
    del module.old
    patches.undo()
    assert not hasattr(module, "old")


def test_items_of_a_namespace() -> None:
    """A name is set and put back, unless the cell bound it anew or deleted it."""
    namespace: dict[str, object] = {"a": 1, "b": 2, "c": 3}
    patches = Patches()
    for name in namespace:
        patches.set_item(namespace, name, replacement)
    namespace["b"] = "theirs"
    del namespace["c"]
    patches.undo()
    assert namespace == {"a": 1, "b": "theirs"}


def test_items_are_compared_by_identity() -> None:
    """A value whose ``==`` does anything odd is put back all the same."""

    class Odd:
        def __eq__(self, _: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    original = Odd()
    namespace: dict[str, object] = {"a": original}
    patches = Patches()
    patches.set_item(namespace, "a", replacement)
    patches.undo()
    assert namespace["a"] is original


def test_undo_twice_is_harmless() -> None:
    """The second `undo` finds nothing to do."""
    module: Any = types.ModuleType("sample")
    module.old = 1
    patches = Patches()
    patches.set(module, "old", 2)
    patches.undo()
    module.old = 3
    patches.undo()
    assert module.old == 3


def test_a_set_that_fails_leaves_nothing_to_undo() -> None:
    """Where an attribute cannot be set, `undo` does not touch it."""
    patches = Patches()
    with pytest.raises(TypeError):
        patches.set(int, "real", replacement)
    with pytest.raises(KeyError):
        patches.set_item({}, "absent", 1)
    patches.undo()
    assert (3).real == 3


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (torch, "zeros"),
        (torch.Tensor, "numpy"),
        (torch.Tensor, "__new__"),
        (torch.Tensor, "to"),
        (torch.nn.Module, "__init__"),
        (torch._VF, "_pack_padded_sequence"),
        (torch.utils.data.dataloader._BaseDataLoaderIter, "__next__"),
    ],
)
def test_torch_itself_comes_back(owner: Any, name: str) -> None:  # noqa: ANN401
    """What is patched in torch is there afterwards, by identity and by place."""
    before = dict(vars(owner))
    patches = Patches()
    patches.set(owner, name, replacement)
    patches.undo()
    after = dict(vars(owner))
    assert after.keys() == before.keys()
    assert all(after[key] is value for key, value in before.items())
    assert torch.Tensor([1.0]).tolist() == [1.0]
    assert type(torch.nn.Parameter(torch.zeros(1))) is torch.nn.Parameter
