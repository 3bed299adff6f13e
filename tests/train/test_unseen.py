"""What Dataset code and the cell write for each other, counted by torch or not.

Each case runs on the CPU and on the test device; both must print the same.
"""

# ruff: noqa: ISC004 (the parts of a tuple are cells, of several lines each)

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from colabmagic.train import visit
from colabmagic.train.patches import Patches
from colabmagic.train.scope import Scope
from colabmagic.train.unseen import Unseen
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types

    from tests.train.places import Place

SETUP = """
import numpy as np, torch
from torch import nn
from torch.utils.data import *
torch.manual_seed(0)
X = torch.arange(12.0).reshape(6, 2) + 0
class Rows(Dataset):
    def __init__(self, rows): self.rows = rows
    def __len__(self): return 4
    def __getitem__(self, i): return self.rows[i] * 1
class Counting(Rows):
    def __getitem__(self, i):
        self.rows[i] += 1
        return self.rows[i] * 1
class Predicting(Dataset):
    def __len__(self): return 6
    def __getitem__(self, i):
        with torch.no_grad(): return m(X[i])
"""
LOOP = "for x, in L: print(x.sum().item(), X.sum().item())"


def loader(dataset: str, **options: object) -> str:
    """Return the statement that makes a loader."""
    more = "".join(f", {name}={value}" for name, value in options.items())
    return f"L = DataLoader({dataset}, batch_size=2{more})"


def counter(statement: str) -> tuple[str, str, str]:
    """Return a case whose dataset counts by a statement; the cell doubles the counts."""
    return (
        "class Counts(Dataset):\n"
        "    def __init__(self): self.c, self.held = torch.zeros(6), None\n"
        "    def __len__(self): return 6\n"
        "    def __getitem__(self, i):\n"
        f"        {statement}\n"
        "        return i\n"
        "ds = Counts(); " + loader("ds"),
        "for i in L: print(ds.c.tolist()); ds.c.mul_(2)\nds[0]; print(ds.c.tolist())",
        "print(ds.c.tolist())",
    )


# What comes before the cell, the cell, and what comes after it.
CASES: dict[str, tuple[str, str, str]] = {
    **{
        f"a view: {view}": (
            loader(f"TensorDataset({view})"), f"X.sub_(100)\n{LOOP}\nX.mul_(2)\n{LOOP}", ""
        )
        for view in (
            "X[:4]", "X.reshape(3, 4)", "X[:, 0]", "X.detach()", "X.data",
        )
    },
    "rows": (
        loader("list(X)"),
        "X.sub_(100)\nfor x in L:\n    print(x.sum().item()); X.mul_(2)",
        "",
    ),
    "a view is written": (
        loader("Counting(X[:4])"),
        "for x in L:\n    X.mul_(2); print(x.sum().item(), X.sum().item())",
        "print(X.sum().item())",
    ),
    "another counter is written": (
        loader("Counting(X.data)"),
        "for x in L:\n    X.mul_(2); print(x.sum().item(), X.sum().item())",
        "print(X.sum().item())",
    ),
    "a state_dict": (
        "m = nn.Linear(2, 2, bias=False)\n"
        + loader("Rows([m.state_dict()['weight']] * 4)"),
        "for x in L:\n    print(x.sum().item())\n    with torch.no_grad(): m.weight.mul_(2)",
        "",
    ),
    "items": ("ds = TensorDataset(X[:4])", "X.sub_(100); print(ds[0][0].sum().item())", ""),
    "through .data": (
        loader("TensorDataset(X)"),
        "for x, in L:\n    print(x.sum().item(), X.sum().item()); X.data.mul_(2)",
        "",
    ),
    "through .data, kept": (
        loader("TensorDataset(X)"),
        "d = X.data\nfor x, in L:\n    print(x.sum().item()); d.mul_(2)",
        "",
    ),
    "through .data, before a worker": (
        loader("TensorDataset(X)", num_workers=1), f"X.data.mul_(10)\n{LOOP}", ""
    ),
    "through .data, for collate_fn": (
        "def collate(rows): return X.sum() * 1\n"
        + loader("range(6)", collate_fn="collate"),
        "for x in L:\n    X.data.mul_(10); print(x.item())",
        "",
    ),
    "parameters, through .data": (
        "m = nn.Linear(2, 1)\n" + loader("Predicting()"),
        "for x in L:\n    print(x.sum().item())\n"
        "    for p in m.parameters(): p.data.mul_(2)",
        "",
    ),
    "parameters, .data replaced": (
        "m = nn.Linear(2, 1)\n" + loader("Predicting()"),
        "for x in L:\n    print(x.sum().item())\n"
        "    for p in m.parameters(): p.data = p.data * 2",
        "print([p.tolist() for p in m.parameters()])",
    ),
    "vector_to_parameters": (
        "m = nn.Linear(2, 1)\n" + loader("Predicting()"),
        "from torch.nn.utils import *\nfor x in L:\n    print(x.sum().item())\n"
        "    vector_to_parameters(parameters_to_vector(m.parameters()) * 2, m.parameters())",
        "print([p.tolist() for p in m.parameters()])",
    ),
    "running statistics": (
        "m = nn.BatchNorm1d(2)\n"
        "class Frozen(Dataset):\n"
        "    def __len__(self): return 6\n"
        "    def __getitem__(self, i):\n"
        "        m.eval(); made = m(torch.ones(1, 2) * i).detach(); m.train()\n"
        "        return made\n" + loader("Frozen()"),
        "for x in L:\n    print(x.sum().item()); m(torch.arange(6.0).reshape(3, 2))",
        "",
    ),
    "an array": (
        "a = np.ones((6, 2)); X = torch.from_numpy(a)\n" + loader("Counting(a)"),
        "for x in L:\n    X.mul_(2); print(x.sum().item(), X.sum().item())",
        "print(a.sum())",
    ),
    "an array, twice": (
        "a = np.ones((6, 2)); X = torch.from_numpy(a)\n"
        + loader("TensorDataset(torch.from_numpy(a))"),
        "for x, in L:\n    X.mul_(2); print(x.sum().item(), X.sum().item())",
        "",
    ),
    **{
        f"counts: {statement}": counter(statement)
        for statement in (
            "self.c.data[i] += 1", "self.c.numpy()[i] += 1", "np.asarray(self.c)[i] += 1",
            "self.c.data.numpy()[i] += 1", "torch.from_dlpack(self.c)[i] += 1",
            "self.c[i : i + 2].numpy()[0] += 1", "self.c.data = self.c.data + 1",
            "self.held = self.c.numpy() if self.held is None else self.held; "
            "self.held[i] += 1",
        )
    },
}  # fmt: skip


def printed(case: tuple[str, str, str], *, away: bool, **options: Any) -> str:  # noqa: ANN401
    """Return what a case prints, on the test device or without us."""
    before, cell, after = case
    book, out = Notebook(), io.StringIO()
    with contextlib.redirect_stdout(out):
        book.run(SETUP + before)
        book.train_on(cell, quiet=True, **options) if away else book.run(cell)
        book.run(after)
    return out.getvalue()


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_stale(fake: types.ModuleType, name: str) -> None:  # noqa: ARG001
    """Dataset code sees what the cell wrote, and the cell what Dataset code wrote."""
    case = CASES[name]
    assert printed(case, away=True) == printed(case, away=False)


@pytest.mark.parametrize("name", ["a view: X[:4]", "through .data"])
def test_nothing_is_stale_in_the_cache(fake: types.ModuleType, name: str) -> None:  # noqa: ARG001
    """``--cache`` keeps no memory that the cell works with."""
    case = CASES[name]
    assert printed(case, away=True, cache=True) == printed(case, away=False)


def test_both_kinds_of_devices(place: Place) -> None:
    """Where data is exchanged: views, distrusted memory, memory left by the cell."""
    base = torch.arange(4.0)
    part, array = base[:2], np.zeros(4)
    alone, shared = torch.zeros(2), torch.from_numpy(array)
    mover = place.mover()
    mover.away([base, alone, shared])
    unseen = Unseen(Scope(device=place.device, inside_loader=1), mover)
    visits = visit.visitors_among(mover, [part, base, alone], [array], unseen)
    torch._C.TensorBase.data.__get__(base).add_(1)  # type: ignore[attr-defined]
    unseen.away.add(base.untyped_storage()._cdata)
    there = alone.detach() + 5
    torch._C.TensorBase.data.__set__(alone, there)  # type: ignore[attr-defined]
    visit.visit_home(visits)
    assert part.tolist() == [1, 2]
    assert alone.device.type == "cpu"
    assert alone.tolist() == [5, 5]
    part.add_(1)
    alone.add_(1)
    array += 3
    patches = Patches()
    unseen.install(patches)
    base.data[3] = 9
    patches.undo()
    visit.end_visit(visits)
    assert base.device == alone.device == place.device
    assert base.cpu().tolist() == [2, 3, 3, 9]
    assert alone.cpu().tolist() == [6, 6]
    assert shared.cpu().tolist() == [3] * 4
    mover.home()
    assert base.tolist() == [2, 3, 3, 9]
    assert part.data_ptr() == base.data_ptr()
    assert alone.tolist() == [6, 6]


def test_memory_is_watched_as_long_as_somebody_can_write(place: Place) -> None:
    """An array of a row that is gone costs nothing any more."""
    rows = torch.zeros(4, 2)
    mover, patches = place.mover(), Patches()
    mover.away([rows])
    scope = Scope(device=place.device, inside_loader=1)
    unseen = Unseen(scope, mover)
    visits = visit.visitors_among(mover, [rows], (), unseen)
    unseen.install(patches)
    try:
        visit.visit_home(visits)
        kept = rows[1].numpy()
        rows[2].numpy()
        assert len(unseen._watched) == 2
        visit.end_visit(visits)
        assert len(unseen._watched) == 1
        visit.visit_home(visits)
        kept[0] = 4
        visit.end_visit(visits)
        assert rows.cpu()[1, 0] == 4
        del kept
        visit.visit_home(visits)
        visit.end_visit(visits)
        assert not unseen._watched
        rows.data.add_(1)  # the cell's: it is distrusted, not watched
        scope.rest()
        rows.data.add_(1)
        assert not unseen._watched
    finally:
        patches.undo()
    assert not {"data", "__dlpack__"} - set(dir(torch.Tensor))
    assert "data" not in vars(torch.Tensor)
