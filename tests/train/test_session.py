"""Tests for `colabmagic.train.session`."""

from __future__ import annotations

import gc
import signal
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import DeviceFailedError, DeviceMemoryError
from colabmagic.train import modules, service, session
from colabmagic.train.options import TrainOptions
from colabmagic.train.session import Session
from tests.corpus.witness import entry_points, still_patched
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

START = (
    "import torch\nfrom torch import nn\n"
    "torch.manual_seed(0)\n"
    "model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))\n"
    "optimizer = torch.optim.Adam(model.parameters())\n"
    "X, y = torch.randn(8, 2), torch.randn(8, 1)\n"
)
STEP = (
    "optimizer.zero_grad()\n"
    "loss = ((model(X) - y) ** 2).mean()\n"
    "loss.backward()\n"
    "optimizer.step()\n"
)


@pytest.fixture
def notebook(fake: types.ModuleType) -> Iterator[Notebook]:  # noqa: ARG001
    """Give a notebook with a model; afterwards torch must be as before."""
    before = entry_points()
    notebook = Notebook()
    notebook.run(START)
    yield notebook
    assert still_patched(before, entry_points()) == []
    assert not torch.__future__.get_swap_module_params_on_conversion()
    assert torch.accelerator.current_device_index() == 0


def opened(notebook: Notebook, *names: str, **options: Any) -> Session:  # noqa: ANN401
    """Return a session over the notebook, not yet entered."""
    device = torch.device("fake", 1)
    return Session(notebook.names, names, device, TrainOptions(**options))


def at_home(notebook: Notebook) -> bool:
    """Tell whether model, gradients, optimizer and data are on the CPU."""
    model, optimizer = notebook["model"], notebook["optimizer"]
    tensors = [*model.parameters(), notebook["X"], notebook["y"]]
    tensors += [each.grad for each in model.parameters() if each.grad is not None]
    for state in optimizer.state.values():
        tensors += [each for each in state.values() if isinstance(each, torch.Tensor)]
    return all(each.device.type == "cpu" for each in tensors)


def test_a_step_equals_the_step_on_the_cpu(notebook: Notebook) -> None:
    """Entered and left twice, training gives the bits of a plain run."""
    plain = Notebook()
    plain.run(START)
    for _ in range(2):
        plain.run(STEP)
        notebook.train_on(STEP)
        assert at_home(notebook)
    for a, b in zip(
        plain["model"].parameters(), notebook["model"].parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)
    assert plain["loss"].item() == notebook["loss"].item()


def test_only_what_the_cell_names_moves(notebook: Notebook) -> None:
    """Data that the cell does not mention stays where it is."""
    running = opened(notebook, "model")
    running.enter()
    try:
        assert notebook["model"][0].weight.device.type == "fake"
        assert notebook["X"].device.type == "cpu"
        assert running.moved == ("model",)
    finally:
        running.exit(None, None)
    assert at_home(notebook)


@pytest.mark.parametrize(
    ("names", "moved"),
    [
        (("model", "X", "gone"), ("model", "X")),
        (("optimizer.step",), ("optimizer",)),
        (("holder",), ("4 tensors",)),
        (("a", "b", "c", "d", "X", "y"), ("a", "b", "c", "d", "2 more")),
        (("X", "optimizer", "model"), ("model", "optimizer", "X")),
        (("main",), ("model", "optimizer", "X")),
        (("trainer.fit",), ("trainer",)),
        ((), ()),
    ],
)
def test_what_moved_is_named_as_the_user_knows_it(
    notebook: Notebook, names: tuple[str, ...], moved: tuple[str, ...]
) -> None:
    """Names, at most four; hidden tensors are counted."""
    notebook.run(
        "holder = {'deep': [model]}\na, b, c, d = torch.zeros(4).clone().split(1)\n"
    )
    notebook.run(
        "def main():\n    optimizer.zero_grad()\n    return model(X)\n"
        "class Trainer:\n    def fit(self): return self.net\n"
        "trainer = Trainer(); trainer.net = nn.Linear(2, 1)"
    )
    notebook.run("a, b, c, d = (torch.zeros(1) for _ in range(4))")
    running = opened(notebook, *names)
    running.enter()
    running.exit(None, None)
    assert running.moved == moved


def test_the_result_comes_home(notebook: Notebook) -> None:
    """The value of the last expression, also inside a container."""
    running = opened(notebook, "X")
    running.enter()
    result = {"out": [notebook["X"] * 2]}
    running.exit(result, None)
    assert result["out"][0].device.type == "cpu"


@pytest.mark.parametrize(
    "cell",
    [
        "kept = X * 2",
        "kept = [X * 2]",
        "history.append(X * 2)",
        "table['a'] = {'b': X * 2}",
        "box.kept = X * 2",
        "def later(kept=X * 2):\n    return kept",
        "y2 = X * 2\nlater = lambda: y2",
        "rows = (each * 2 for each in X)\nnext(rows)",
        "import itertools\nrows = itertools.cycle([X * 2])",
        "class Kept:\n    value = X * 2",
        "X.note = X * 2",
        "model.note = X * 2",
        "hook = X.new_ones(2)\nmodel[0].weight.register_hook(lambda g: g * hook)",
        "from functools import lru_cache\n@lru_cache\ndef table(n):\n    return X * n\ntable(2)",
    ],
)
def test_what_the_cell_made_comes_home(notebook: Notebook, cell: str) -> None:
    """Wherever it was put: names, containers, objects, closures, generators, caches."""
    notebook.run("history, table = [], {}\nclass Box:\n    pass\nbox = Box()\n")
    notebook.train_on(cell)
    gc.collect()
    left = [
        each
        for each in gc.get_objects()
        if torch.Tensor in type(each).__mro__ and each.device.type == "fake"
    ]
    assert left == []


def test_locals_that_an_error_keeps_come_home(notebook: Notebook) -> None:
    """``%debug`` after a failed cell shows tensors of the CPU."""
    notebook.run("def fail():\n    inner = X * 2\n    raise KeyError\n")
    with pytest.raises(KeyError) as caught:
        notebook.train_on("X\nfail()")
    frames = [each.frame for each in caught.traceback]
    inner = [each.f_locals["inner"] for each in frames if "inner" in each.f_locals]
    assert [each.device.type for each in inner] == ["cpu"]


def test_errors_with_causes_come_home(notebook: Notebook) -> None:
    """The frames of the error before the error, too."""
    notebook.run(
        "def fail():\n    inner = X * 2\n    raise KeyError\n"
        "def wrap():\n    try:\n        fail()\n"
        "    except KeyError as error:\n        raise ValueError from error\n"
    )
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (raised by the cell)
        notebook.train_on("X\nwrap()")
    trace = caught.value.__cause__.__traceback__  # type: ignore[union-attr]
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_locals["inner"].device.type == "cpu"


def test_what_was_on_the_device_before_stays(notebook: Notebook) -> None:
    """The user's own tensors there are not taken away from him."""
    notebook.run(
        "there = torch.ones(2, device='fake:1')\nother = torch.ones(2, device='fake:0')"
    )
    notebook.train_on("total = X.sum() + there.sum()\nother")
    assert notebook["there"].device == torch.device("fake:1")
    assert notebook["other"].device == torch.device("fake:0")
    assert notebook["total"].device.type == "cpu"


def test_the_state_of_an_optimizer_stays_with_its_weights(notebook: Notebook) -> None:
    """A model that the user put there keeps optimizer state there, and can go on."""
    notebook.train_on("model.to('fake:1')")
    notebook.run("Xd, yd = X.to('fake:1'), y.to('fake:1')")
    cell = STEP.replace("X", "Xd").replace("y)", "yd)")
    notebook.train_on(cell)
    notebook.run(cell)
    state = notebook["optimizer"].state[notebook["model"][0].weight]
    assert state["exp_avg"].device.type == "fake"
    assert state["step"] == 2


def test_keep_leaves_everything_there(notebook: Notebook) -> None:
    """With ``--keep`` nothing goes home, and later cells work with it there."""
    notebook.train_on(STEP, keep=True)
    assert notebook["model"][0].weight.device.type == "fake"
    assert notebook["X"].device.type == "fake"
    notebook.train_on(STEP, keep=True)
    notebook.run(STEP)
    assert notebook["model"][0].weight.device.type == "fake"
    service.fetch_kept()


ENDINGS: dict[str, Callable[[Notebook], object]] = {
    "a cell without it": lambda notebook: notebook.train_on("loss = loss + 0"),
    "a cell that names nothing": lambda notebook: notebook.train_on("1"),
    "a cell on the CPU": lambda notebook: notebook.train_on("model(X)", device="cpu"),
    "another device": lambda notebook: notebook.train_on("model(X)", device="fake:0"),
    "all later cells": lambda notebook: (
        service.stand(namespace=notebook.names, device="fake:1"),
        service.turn_off(),
    ),
    "off": lambda _: service.fetch_kept(),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_kept_comes_home_later(notebook: Notebook, ending: str) -> None:
    """With what ordinary cells did there meanwhile, as without a device."""
    plain = Notebook()
    plain.run(START)
    for _ in range(3):
        plain.run(STEP)
    memory = notebook["X"].data_ptr()
    notebook.train_on(STEP, keep=True)
    notebook.run(STEP)  # by hand, on the device: makes no difference
    notebook.train_on(STEP, keep=True)
    notebook.run("mine = torch.ones(2, device='fake:1')")
    assert "model" in service.state().kept
    ENDINGS[ending](notebook)
    assert at_home(notebook)
    assert notebook["loss"].device.type == "cpu"
    assert notebook["X"].data_ptr() == memory
    assert notebook["mine"].device.type == "fake"
    assert service.state().kept == ()
    for a, b in zip(
        plain["model"].parameters(), notebook["model"].parameters(), strict=True
    ):
        assert torch.equal(a, b)
    notebook.run(STEP)
    notebook.train_on(STEP)
    assert at_home(notebook)


def test_what_was_kept_and_dropped_is_free(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """``del`` frees the device's memory by the next cell."""
    notebook.train_on("big = torch.zeros(1000); X", keep=True)
    notebook.run("del big, X, model, optimizer")
    notebook.train_on("1", keep=True)
    gc.collect()
    assert fake.stats(1)["current"] == 0
    service.fetch_kept()


def test_what_the_user_took_home_himself_stays_as_it_is(notebook: Notebook) -> None:
    """``model.cpu()`` after ``--keep``: his values, and the optimizer follows."""
    notebook.train_on(STEP, keep=True)
    notebook.run("model.cpu(); before = [p.clone() for p in model.parameters()]")
    service.fetch_kept()
    for a, b in zip(notebook["before"], notebook["model"].parameters(), strict=True):
        assert torch.equal(a, b)
    assert at_home(notebook)
    notebook.run(STEP)


def test_the_current_device_is_the_cells(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """``"fake"`` without a number means the device of the cell, and only there."""
    notebook.train_on("where = str(torch.zeros(1, device='fake').device)")
    assert notebook["where"] == "fake:1"
    assert fake.current_device() == 0


def test_an_old_graph_is_guarded_while_the_cell_runs(notebook: Notebook) -> None:
    """The guard refuses in the cell, and is gone after it."""
    from colabmagic.errors import NotSupportedError

    notebook.run("loss = model(X).sum()")
    with pytest.raises(NotSupportedError, match="earlier cell"):
        notebook.train_on("model\nloss.backward()")
    notebook.run("loss.backward()")
    assert notebook["model"][0].weight.grad is not None


# ---- roll-back ------------------------------------------------------------------------


STEPS = [
    "_remember",
    "_choose_device",
    "_move_in",
    "_guard_graphs",
    "_described",
    "_patch",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_at_entry_undoes_everything(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Whichever step fails: everything at home, nothing patched, the next cell runs."""
    original = getattr(Session, step)

    def fail(self: Session, *args: Any) -> Any:  # noqa: ANN401
        if when == "after":
            original(self, *args)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Session, step, fail)
        with pytest.raises(ZeroDivisionError):
            notebook.train_on(STEP)
    assert at_home(notebook)
    notebook.train_on(STEP)


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_at_entry_undoes_everything(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Ctrl-C while things move is raised when that is done; nobody would call `exit`."""
    original = getattr(Session, step)

    def interrupted(self: Session, *args: Any) -> Any:  # noqa: ANN401
        signal.raise_signal(signal.SIGINT)
        return original(self, *args)

    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Session, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                notebook.train_on(STEP, keep=True)
    finally:
        signal.signal(signal.SIGINT, outer)
    assert at_home(notebook)
    notebook.train_on(STEP)
    assert at_home(notebook)


def test_an_interrupt_at_exit_comes_when_all_is_home(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C on the way home waits."""
    running = opened(notebook, "model", "X", "y", "optimizer")
    running.enter()
    original = Session._unpatch

    def interrupted(self: Session) -> None:
        signal.raise_signal(signal.SIGINT)
        original(self)

    monkeypatch.setattr(Session, "_unpatch", interrupted)
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            running.exit(None, None)
    finally:
        signal.signal(signal.SIGINT, outer)
    assert at_home(notebook)


@pytest.mark.parametrize(
    ("cell", "error", "is_on"),
    [
        ("{}", KeyboardInterrupt, True),  # it came between torch's two switches
        ("torch.set_grad_enabled(False); {}", KeyboardInterrupt, False),
        ("{}", ZeroDivisionError, False),  # an error does not come out of nowhere
    ],
)
def test_an_interrupt_inside_no_grad_leaves_gradients_on(
    notebook: Notebook, cell: str, error: type[BaseException], *, is_on: bool
) -> None:
    """Else the next cell ends with "does not require grad", and nobody knows why."""

    def cut_off() -> None:
        torch.set_grad_enabled(mode=False)
        raise error

    notebook.names["cut_off"] = cut_off
    try:
        with pytest.raises(error):
            notebook.train_on(STEP + "\n" + cell.format("cut_off()"))
        assert torch.is_grad_enabled() is is_on
    finally:
        torch.set_grad_enabled(mode=True)


def test_a_device_that_is_lost_while_entering(
    notebook: Notebook, fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the step is raised, not one about the way home."""

    def lose(*_: Any) -> None:  # noqa: ANN401
        fake.set_lost(1, lost=True)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_patch", lose)
        with pytest.raises(ZeroDivisionError):
            notebook.train_on(STEP)
    fake.heal()
    assert at_home(notebook)


def test_a_full_device(notebook: Notebook, fake: types.ModuleType) -> None:
    """The error says how much was to move; nothing moved, nothing is patched."""
    fake.set_limit(1, 40)
    with pytest.raises(DeviceMemoryError, match="does not fit on fake:1") as caught:
        notebook.train_on(STEP)
    assert caught.value.seen is not None
    assert "to move" in caught.value.seen
    assert at_home(notebook)


def test_a_lost_device_at_the_end(notebook: Notebook, fake: types.ModuleType) -> None:
    """The values of before the cell, an error of ours, and a process that works on."""
    before = notebook["model"][0].weight.clone()
    running = opened(notebook, "model", "X", "y", "optimizer")
    running.enter()
    notebook.run(STEP)
    fake.set_lost(1, lost=True)
    with pytest.raises(DeviceFailedError) as caught:
        running.exit(None, None)
    fake.heal()
    assert "fake:1 stopped working" in str(caught.value)
    assert torch.equal(notebook["model"][0].weight, before)
    assert notebook["X"].device.type == "cpu"


def test_an_object_that_cannot_be_walked_keeps_nothing_away(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the search at the end fails, what was moved still comes home."""
    running = opened(notebook, "model", "X", "y", "optimizer")
    running.enter()
    notebook.run("made = X * 2")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(session.Reach, "values", fail)
    running.exit(None, None)
    monkeypatch.undo()
    assert at_home(notebook)
    assert notebook["made"].device.type == "cpu"


def test_a_session_keeps_nothing_alive(notebook: Notebook) -> None:
    """After the exit, what the user deletes is gone."""
    running = opened(notebook, "X")
    running.enter()
    running.exit(None, None)
    watch = weakref.ref(notebook["X"])
    notebook.run("del X")
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize("outer", [True, False])
def test_the_users_choice_about_swapping_is_kept(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, *, outer: bool
) -> None:
    """A global setting of torch is as he left it, also after a failed entry."""
    future = torch.__future__
    future.set_swap_module_params_on_conversion(outer)
    try:
        notebook.train_on("model.to('cpu')\nmodel(X.cpu())")
        assert future.get_swap_module_params_on_conversion() is outer
        with monkeypatch.context() as patch:
            patch.setattr(modules.Modules, "install", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                notebook.train_on(STEP)
        assert future.get_swap_module_params_on_conversion() is outer
    finally:
        future.set_swap_module_params_on_conversion(False)


def test_on_meta_shapes_are_tried_and_values_kept(notebook: Notebook) -> None:
    """``%%train_on meta`` computes nothing: everything has its values of before."""
    before = notebook["model"][0].weight.clone()
    cell = "out = model(X)\nout.sum().backward()\nshape = tuple(out.shape)\n"
    notebook.train_on(cell, device="meta")
    assert notebook["shape"] == (8, 1)
    assert at_home(notebook)
    assert notebook["model"][0].weight.grad is None
    assert torch.equal(notebook["model"][0].weight, before)


ESCAPED = """
kept = []
def inner(row):
    kept.append(row * 2)
    return (row * 3).sum()
{call}
made = X * 2
"""


@pytest.mark.parametrize(
    "call",
    [
        "torch.func.vmap(inner)(X)",
        "torch.func.grad(inner)(X)",
        "torch.func.vmap(torch.func.grad(inner))(X)",
        "torch.func.grad(lambda Z: torch.func.vmap(inner)(Z).sum())(X)",
    ],
)
def test_what_a_transform_let_out_keeps_nothing_away(
    notebook: Notebook, call: str
) -> None:
    """A value that escaped from ``vmap`` cannot be used at all; all the rest is home."""
    notebook.train_on(STEP + ESCAPED.format(call=call))
    assert at_home(notebook)
    assert notebook["made"].device.type == "cpu"
    # and a cell that names it works as well
    notebook.train_on(f"{STEP}\nlen(kept)")
    assert at_home(notebook)
