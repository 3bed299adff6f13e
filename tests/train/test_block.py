"""Tests for `colabmagic.train.block`: the same for scripts."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from colabmagic import train
from colabmagic.errors import BadDeviceError, NestedCellError, NotSupportedError
from colabmagic.memory.oom import noted

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

OUTER = torch.ones(3)


@pytest.fixture(autouse=True)
def _device(fake: types.ModuleType) -> None:
    """Register the device."""
    assert fake.is_available()


def test_a_block_in_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    """Local and global names go there; what the block binds comes home with them."""
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    with train.on("fake:1") as block:
        places = {str(each.device) for each in (model.weight, x, OUTER)}
        y = model(x) + OUTER[0]
    assert places == {"fake:1"}
    tensors = (model.weight, x, OUTER, y)
    assert {each.device.type for each in tensors} == {"cpu"}
    assert block.outcome is not None
    assert block.outcome.device == "fake:1"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("train_on fake:1: moved model")


def test_only_what_the_block_names_is_moved() -> None:
    """A tensor that is used before or after the block stays where it is."""
    other = torch.ones(1000)
    with train.on("fake:1", quiet=True) as block:
        torch.zeros(1)
    assert other.sum() == 1000
    assert block.outcome is not None
    assert block.outcome.moved_bytes == 0


def test_an_error_in_the_block_passes() -> None:
    """It is the user's own error, and everything is home."""
    x = torch.ones(2)
    block = train.on("fake:1", quiet=True)
    with contextlib.suppress(ZeroDivisionError), block:
        x.add_(1)
        x = x / (1 // 0)
    assert x.device.type == "cpu"
    assert x.tolist() == [2, 2]
    assert block.outcome is not None
    assert block.outcome.error == "ZeroDivisionError"


def fit(model: nn.Module, x: torch.Tensor) -> None:
    """Fail below what is wrapped while a device is on."""
    model(x)


def test_an_error_below_a_wrapped_call_shows_no_frame_of_ours() -> None:
    """A model and a loader are wrapped; the traceback reads as without a device."""
    model, x = nn.Linear(3, 1), torch.ones(2, 4)
    on = train.on("fake:1", quiet=True)
    with pytest.raises(RuntimeError) as plain:
        fit(model, x)
    with pytest.raises(RuntimeError) as block, on:
        fit(model, x)
    with pytest.raises(RuntimeError) as function:
        on(fit)(model, x)
    names = [entry.name for entry in plain.traceback]
    assert [entry.name for entry in block.traceback] == names
    assert (
        [entry.name for entry in function.traceback]
        == [
            names[0],
            "on_device",  # the decorator itself
            *names[1:],
        ]
    )


def test_out_of_memory_is_looked_at_while_all_is_there(
    fake: types.ModuleType,
) -> None:
    """For the report in a notebook: afterwards everything is home."""
    x = torch.ones(10, 100)
    fake.set_limit(1, 10_000)
    on = train.on("fake:1", quiet=True)
    with pytest.raises(torch.OutOfMemoryError) as caught, on:
        x = torch.cat([x] * 3)
    seen = noted(caught.value)
    assert seen is not None
    facts, in_use = seen
    assert {each.name for each in facts.shares} >= {"x"}
    assert in_use == 4_000
    assert noted(caught.value) is None


def test_a_decorated_function() -> None:
    """Arguments, closures and results: there while it runs, at home afterwards."""
    factor = torch.full((1,), 3.0)
    seen = []

    @train.on("fake:1", quiet=True)
    def fit(model: nn.Module, *, steps: int = 1) -> torch.Tensor:
        """Say what it does."""
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(steps):
            loss = (model(torch.ones(4, 3)) * factor).sum()
            loss.backward()
            optimizer.step()
        seen.append(str(factor.device))
        return loss

    model = nn.Linear(3, 1)
    before = model.weight.clone()
    loss = fit(model, steps=2)
    assert fit.__doc__ == "Say what it does."
    assert seen == ["fake:1"]
    assert loss.device.type == model.weight.device.type == factor.device.type == "cpu"
    assert not torch.equal(before, model.weight)


def test_what_cannot_be_decorated() -> None:
    """A generator stops in the middle, when everything would have to be home."""

    def rows() -> Iterator[int]:
        yield 1

    with pytest.raises(NotSupportedError, match="rows"):
        train.on("fake:1")(rows)


def test_bad_use() -> None:
    """A wrong device, and two devices at a time."""
    with pytest.raises(BadDeviceError), train.on("moon"):
        pass
    with (
        train.on("fake:1", quiet=True),
        pytest.raises(NestedCellError, match=r"train\.on\('fake:0'\)") as caught,
    ):
        train.on("fake:0").__enter__()
    assert "%%" not in str(caught.value)


def test_a_block_inside_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    """On the same device it runs as a part of it, also the same block again."""
    block = train.on("fake:1")
    x, y, z = torch.ones(2), torch.ones(2), torch.ones(2)
    with block:
        places = [x.device.type]
        with block:
            places.append(y.device.type)
        with train.on("auto"):
            places += [z.device.type, x.device.type]
    assert places == ["fake"] * 4
    assert {each.device.type for each in (x, y, z)} == {"cpu"}
    assert block.outcome is not None
    assert capsys.readouterr().err.count("done") == 1


HELD = torch.ones(2, 3)


@train.on("fake:1", quiet=True)
def evaluate(model: nn.Module) -> str:
    """Use what only this function mentions."""
    return str(model(HELD).device)


@train.on("fake:1", quiet=True)
def fit_deep(model: nn.Module, depth: int, x: torch.Tensor) -> list[str]:
    """Call another one, and itself with something new."""
    model(x).sum().backward()
    if not depth:
        return [evaluate(model)]
    return [*fit_deep(model, depth - 1, x + 1), str(x.device)]


def test_decorated_functions_that_call_each_other() -> None:
    """All of it runs on the device once, and comes home at the end."""
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    assert fit_deep(model, 2, x) == ["fake:1"] * 3
    assert model.weight.grad is not None
    tensors = (model.weight, model.weight.grad, x, HELD)
    assert {each.device.type for each in tensors} == {"cpu"}


def test_a_block_entered_by_a_stack() -> None:
    """What the code behind it mentions is moved, wherever it stands."""
    x = torch.ones(2)
    stack = contextlib.ExitStack()
    stack.enter_context(train.on("fake:1", quiet=True))
    place = str(x.device)
    stack.close()
    assert (place, str(x.device)) == ("fake:1", "cpu")


class Trainer:
    """Holds a model."""

    def __init__(self) -> None:
        self.model = nn.Linear(3, 1)

    def fit(self, x: torch.Tensor) -> str:
        """Use it."""
        return str(self.model(x).device)


def test_partials_and_methods() -> None:
    """What they give to the function goes there too."""
    model, x, trainer = nn.Linear(3, 1), torch.ones(2, 3), Trainer()
    on = train.on("fake:1", quiet=True)
    fit(model, x)
    assert on(functools.partial(trainer.fit, x))() == "fake:1"
    assert on(functools.partial(Trainer.fit, trainer))(x) == "fake:1"
    assert on(functools.partial(Trainer.fit, x=x))(trainer) == "fake:1"
    assert on(trainer.fit)(x=x) == "fake:1"
    assert on(model)(x).device.type == "cpu"
    assert trainer.model.weight.device.type == x.device.type == "cpu"


def test_without_source() -> None:
    """Code that has no source is taken by all its names."""
    names = {"train": train, "x": torch.ones(2), "__name__": "__main__"}
    code = "with train.on('fake:1', quiet=True):\n    place = str(x.device)\n"
    exec(compile(code, "<no source>", "exec"), names)  # noqa: S102
    assert names["place"] == "fake:1"
    x = torch.ones(2)
    with contextlib.ExitStack() as stack:
        stack.enter_context(train.on("fake:1", quiet=True))
    assert x.device.type == "cpu"


def test_importing_it_brings_in_no_torch() -> None:
    """A script pays for torch when it uses it."""
    code = (
        "import sys; from colabmagic import train; train.on('cuda')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
