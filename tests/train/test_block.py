"""Tests for `colabmagic.train.block`: the same for scripts."""

from __future__ import annotations

import contextlib
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
    """A wrong device, and a block in itself."""
    with pytest.raises(BadDeviceError), train.on("moon"):
        pass
    block = train.on("fake:1", quiet=True)
    with block, pytest.raises(NestedCellError), block:
        pass
    with train.on("fake:1", quiet=True), pytest.raises(NestedCellError):
        train.on("fake:0").__enter__()


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
