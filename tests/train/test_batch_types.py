"""The table of batch types: each comes to the device as what it was."""

from __future__ import annotations

import types
from collections import UserDict

import pytest
import torch
from torch.utils.data import DataLoader

from colabmagic.train.batch import moved
from tests.train.batch_types import (
    CASES,
    META,
    AttrsSample,
    BatchEncoding,
    Case,
    judged,
)
from tests.train.cell import Notebook


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_type_of_batch(case: Case) -> None:
    """Type, contents, identity and immutability are kept; the original is as it was."""
    assert judged(case, moved) == "ok"


def test_the_judge_can_say_no() -> None:
    """What leaves things, changes them or fails is not called right."""
    by_name = {case.name: case for case in CASES}
    assert judged(by_name["list"], lambda batch, _: batch) == "left on the CPU"
    assert judged(by_name["list"], lambda batch, _: tuple(batch)) == "becomes tuple"
    assert judged(by_name["dict"], lambda *_: 1 / 0) == "ZeroDivisionError"
    twice = by_name["the same tensor twice"]
    halves = judged(twice, lambda b, d: [b[0].to(d), {"again": b[0].to(d)}])
    assert halves == "identity lost"
    encoding = by_name["BatchEncoding (Hugging Face)"]
    assert judged(encoding, lambda b, d: b.to(d)) == "the original is changed"


NO_SPARSE = {"sparse tensor", "nested tensor"}  # which the test device has not


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name not in NO_SPARSE], ids=lambda c: c.name
)
@pytest.mark.usefixtures("fake")
def test_through_a_loader(case: Case) -> None:
    """So it is for a loader in a cell; what the dataset keeps is as it was afterwards."""
    notebook = Notebook()
    kept = case.make(torch.arange(2.0))
    notebook.names.update(
        loader=DataLoader([kept], batch_size=None, collate_fn=lambda each: each),
        tensors=case.tensors,
    )
    notebook.train_on(
        "for batch in loader: places = [str(x.device) for x in tensors(batch)]"
    )
    assert set(notebook["places"]) == {"fake:1"}
    assert all(each.device.type == "cpu" for each in case.tensors(kept))


def test_what_moves_nothing_stays_the_same_object() -> None:
    """An object that is asked to move itself and has nothing to move is passed on."""
    encoding = BatchEncoding({"n": 1}, ["tokens"])
    assert moved(encoding, META) is encoding


def test_a_namespace_object() -> None:
    """``SimpleNamespace`` is an object like others."""
    out = moved(types.SimpleNamespace(x=torch.ones(1), n=2), META)
    assert out.x.device == META
    assert out.n == 2


def test_what_holds_a_class_of_attrs() -> None:
    """It is looked into, as a dataclass is."""
    holder = types.SimpleNamespace(inner=AttrsSample(torch.ones(1), "cat"))
    assert moved(holder, META).inner.x.device == META


def test_an_object_that_cannot_be_copied_moves_itself() -> None:
    """Better so than not at all."""

    class Single(UserDict[str, torch.Tensor]):
        def __copy__(self) -> Single:
            raise TypeError

        def to(self, device: torch.device) -> Single:
            self.data = {key: each.to(device) for key, each in self.data.items()}
            return self

    assert moved(Single(x=torch.ones(1)), META)["x"].device == META
