"""A long cell: what grows with the number of steps would be seen here."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import torch

from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types

SETUP = """
import gc, torch
from torch.utils.data import DataLoader, TensorDataset
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
loader = DataLoader(TensorDataset(torch.ones(20_000, 2), torch.ones(20_000, 1)), 2, shuffle=True)
looks = []
"""
LOOP = """
for step, (x, y) in enumerate(loader):
    optimizer.zero_grad()
    (model(x) - y).square().mean().backward()
    optimizer.step()
    if step in (1000, 9999):
        gc.collect()
        looks.append((look(), len(gc.get_objects())))
"""


def hooks() -> list[int]:
    """Count the hooks that torch holds for everybody."""
    module, optimizer = torch.nn.modules.module, sys.modules["torch.optim.optimizer"]
    return [
        len(module._global_forward_pre_hooks),
        len(module._global_forward_hooks),
        len(optimizer._global_optimizer_pre_hooks),
        len(optimizer._global_optimizer_post_hooks),
    ]


def test_ten_thousand_steps(fake: types.ModuleType) -> None:
    """Memory of the device, objects of Python and hooks are those of the first steps."""
    notebook = Notebook()
    notebook.run(SETUP)
    notebook.names["look"] = lambda: (fake.stats(1)["current"], hooks())
    before = hooks()
    outcome = notebook.train_on(LOOP, DEVICE)
    (early, few), (late, many) = notebook["looks"]
    assert outcome.batches == 10_000
    assert late == early
    assert many - few < 100  # a thing for each step would be 9,000
    assert hooks() == before
    del outcome
    notebook.names.clear()
    gc.collect()
    assert fake.stats(1)["current"] == 0
