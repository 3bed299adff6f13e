"""Tests for `colabmagic.train.tuning` and `colabmagic.train.precision`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import NotSupportedError
from colabmagic.train.options import TrainOptions
from colabmagic.train.patches import Patches
from colabmagic.train.precision import Autocast
from colabmagic.train.tuning import Tuning, refuse_on_cpu
from tests.train.cell import Notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

CUDA = torch.device("cuda", 0)
pytestmark = pytest.mark.usefixtures("registered_fake")


def tuning(device: torch.device = CUDA, **options: Any) -> Tuning:  # noqa: ANN401
    """Return what options ask for on a device."""
    return Tuning(TrainOptions(**options), device)


def tf32_settings() -> list[object]:
    """Return every setting of torch that is about TF32."""
    matmul: Any = torch.backends.cuda.matmul
    return [
        matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        getattr(matmul, "fp32_precision", None),
    ]


def test_tf32_is_set_and_put_back() -> None:
    """Products and convolutions may round, until the cell ends; then all is as before."""
    before = tf32_settings()
    chosen = tuning(tf32=True)
    chosen.enter(Patches(), {}, None, None)  # type: ignore[arg-type]  # not asked here
    inside = tf32_settings()
    chosen.close()
    chosen.close()
    assert inside[:2] == [True, True]
    assert tf32_settings() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tf32": True}, "--tf32 makes no sense on this device"),
        ({"compile": True}, "--compile makes no sense on this device"),
    ],
)
def test_what_a_device_cannot_do_is_refused(
    options: dict[str, Any], words: str
) -> None:
    """Before anything is moved, with what to type instead."""
    notebook = Notebook()
    notebook.run("import torch\nx = torch.ones(2)")
    with pytest.raises(NotSupportedError, match=words) as caught:
        notebook.train_on("x", **options)
    assert len(caught.value.render()) == 3
    assert notebook["x"].device.type == "cpu"
    notebook.train_on("x")  # and another cell can run


ALL = {
    "cache": True, "amp": "bf16", "tf32": True, "channels_last": True, "compile": True,
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_the_cpu_takes_none_of_them(name: str) -> None:
    """Asked for by name it is an error; as a fallback it is left out, and said."""
    options = TrainOptions(**{name: ALL[name]})  # type: ignore[arg-type]
    with pytest.raises(NotSupportedError, match="for an accelerator"):
        refuse_on_cpu(options, asked=True)
    note = refuse_on_cpu(options, asked=False)
    assert note is not None
    assert note.endswith("left out, because the cell ran on the CPU")
    assert refuse_on_cpu(TrainOptions(), asked=True) is None


def test_a_cell_on_the_cpu_says_so() -> None:
    """Through the service: the error for ``cpu``."""
    with pytest.raises(NotSupportedError, match=r"--tf32: for an accelerator"):
        Notebook().train_on("1", "cpu", tf32=True)


def test_channels_last_comes_and_goes() -> None:
    """Weights lie otherwise while the cell runs; values and memory at home are the same."""
    notebook = Notebook()
    notebook.run(
        "import torch\nmodel = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2))\n"
        "w = model[0].weight"
    )
    weight = notebook["w"]
    address, values = weight.data_ptr(), weight.detach().clone()
    notebook.train_on(
        "inside = model[0].weight.is_contiguous(memory_format=torch.channels_last)\n"
        "with torch.no_grad(): model[0].weight.add_(1)",
        channels_last=True,
    )
    assert notebook["inside"] is True
    assert notebook["model"][0].weight is weight
    assert weight.data_ptr() == address
    assert weight.is_contiguous()
    assert torch.equal(weight.detach(), values + 1)


def test_channels_last_without_a_convolution() -> None:
    """Nothing to do is said."""
    notebook = Notebook()
    notebook.run("import torch\nmodel = torch.nn.Linear(2, 2)")
    outcome = notebook.train_on("model", channels_last=True)
    assert outcome.notes == ("--channels-last: no convolution in what the cell uses",)


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_compile_takes_whole_models_and_lets_them_go() -> None:
    """The outermost modules are compiled; a compiled one of the user's stays his."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    users = torch.nn.Linear(2, 2)
    mine = users._compiled_call_impl = lambda x: x
    before = dict(vars(model))
    chosen = tuning(compile=True)
    modules = {id(each): each for each in (model, model[0], users)}
    chosen.enter(Patches(), modules, None, None)  # type: ignore[arg-type]  # not asked here
    assert vars(model)["_compiled_call_impl"] is not None
    assert vars(model[0]).get("_compiled_call_impl") is None
    chosen.close()
    assert vars(model) == before
    assert users._compiled_call_impl is mine


@pytest.fixture(params=["bf16", "fp16"])
def half(request: pytest.FixtureRequest) -> Iterator[Autocast]:
    """Run a test as a cell with ``--amp``; the CPU's autocast is a real one."""
    patches = Patches()
    autocast = Autocast("cpu", request.param)
    before = torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()
    autocast.enter(patches)
    yield autocast
    autocast.close()
    autocast.close()
    patches.undo()
    assert before == (
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_cache_enabled(),
    )


def dtype_of(half: Autocast) -> torch.dtype:
    """Return the half precision of an autocast."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}[half._amp]


def test_the_forward_pass_is_in_half_precision(half: Autocast) -> None:
    """Products are, sums over losses are not."""
    model = torch.nn.Linear(4, 2)
    out = model(torch.ones(3, 4))
    assert out.dtype is dtype_of(half)
    assert torch.nn.functional.cross_entropy(out, torch.tensor([0, 1, 0])).dtype is (
        torch.float32
    )


def test_weights_are_never_those_of_an_earlier_step(half: Autocast) -> None:
    """Autocast's own cache would keep the first ones for the whole cell."""
    model = torch.nn.Linear(1, 1, bias=False)
    x = torch.ones(1, 1)
    for value in (1.0, 2.0, 3.0):
        with torch.no_grad():
            model.weight.fill_(value)
        assert model(x).item() == value
        with torch.autocast("cpu", dtype=dtype_of(half)):  # the user's own
            assert model(x).item() == value


def test_the_backward_pass_and_the_step_are_not() -> None:
    """As where autocast is written around the forward pass by hand."""
    patches, seen = Patches(), []
    autocast = Autocast("cpu", "bf16")
    autocast.enter(patches)

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401, ARG004
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[override]  # noqa: ANN401, ARG004
            seen.append(("backward", torch.is_autocast_enabled("cpu")))
            return grad

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:  # type: ignore[override]  # noqa: ANN401
            seen.append(("step", torch.is_autocast_enabled("cpu")))
            return super().step(closure)

    model = torch.nn.Linear(2, 1)
    optimizer = Watched(model.parameters(), 0.1)

    def closure() -> torch.Tensor:
        seen.append(("closure", torch.is_autocast_enabled("cpu")))
        loss: torch.Tensor = Watch.apply(model(torch.ones(1, 2))).float().sum()
        loss.backward()
        return loss

    try:
        optimizer.step(closure)
        assert torch.is_autocast_enabled("cpu")
    finally:
        autocast.close()
        patches.undo()
    assert seen == [("step", False), ("closure", True), ("backward", False)]
    assert model.weight.grad is not None
    assert model.weight.grad.dtype is torch.float32


def test_a_step_that_fails_leaves_nothing() -> None:
    """The hooks and the state of autocast are gone after the cell."""
    patches = Patches()
    autocast = Autocast("cpu", "bf16")
    autocast.enter(patches)
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), 0.1)

    def fails() -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optimizer.step(fails)
    autocast.close()
    patches.undo()
    assert not torch.is_autocast_enabled("cpu")
    backward: Any = torch.autograd.backward
    assert not hasattr(backward, "__wrapped__")


def test_fp16_wants_a_scaler() -> None:
    """An unscaled loss is refused; one that a GradScaler has scaled is not."""
    patches = Patches()
    autocast = Autocast("cpu", "fp16")
    autocast.enter(patches)
    try:
        model = torch.nn.Linear(2, 1)
        loss = model(torch.ones(1, 2)).float().sum()
        with pytest.raises(NotSupportedError, match="without a loss scale") as caught:
            loss.backward()
        assert len(caught.value.render()) == 3
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        scaler.scale(loss).backward()
        assert model.bias.grad is not None
        assert model.bias.grad.item() == 4
    finally:
        autocast.close()
        patches.undo()


@pytest.mark.parametrize("ending", ["", "1 / 0"])
def test_a_cell_in_half_precision(ending: str) -> None:
    """It is on in the cell, and off again after it, also after an error."""
    notebook = Notebook()
    notebook.run("import torch\nmodel = torch.nn.Linear(2, 2)")
    source = f"inside = torch.is_autocast_enabled('fake')\n{ending}"
    try:
        notebook.train_on(source, amp="bf16")
    except ZeroDivisionError:
        assert ending
    assert notebook["inside"] is True
    assert not torch.is_autocast_enabled("fake")
