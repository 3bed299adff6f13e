"""Tests for `colabmagic.train.step_guard`: no parameter holds half an update."""

from __future__ import annotations

import copy
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from colabmagic.train.step_guard import StepGuard
from tests.train.cell import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("registered_fake")
SEEDS = 50
STEPS = 6
SETUP = """
import torch
torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 3)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
"""
LOOP = """
def closure():
    optimizer.zero_grad()
    loss = (model(x) - y).square().mean()
    loss.backward()
    return loss
for number in range(6):
    loss = closure()
    with watch(number):
        optimizer.step({closure})
    scheduler.step()
    seen(number)
"""
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=False),
    "sgd-foreach": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, 0.1, foreach=False),
    "adam-foreach": lambda p: torch.optim.Adam(p, 0.1, foreach=True),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=3),
}


@pytest.fixture(autouse=True)
def _python_handles_interrupts() -> Iterator[None]:
    """Give each test Python's own handler; it must be there at the end."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outer)


class Presses(TorchFunctionMode):
    """Presses Ctrl-C when the n-th call of torch in a block begins."""

    def __init__(self, at: int, times: int = 1) -> None:
        super().__init__()
        self.at, self.times, self.calls = at, times, 0

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Count, press, go on."""
        del types
        self.calls += 1
        if self.calls == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        return func(*args, **(kwargs or {}))


def notebook_with(kind: str) -> Notebook:
    """Return a notebook with a model, an optimizer and a scheduler."""
    notebook = Notebook()
    notebook.run(SETUP)
    names = notebook.names
    names["optimizer"] = OPTIMIZERS[kind](names["model"].parameters())
    names["scheduler"] = torch.optim.lr_scheduler.StepLR(names["optimizer"], 2)
    names["seen"] = lambda _number: None
    return notebook


def state_of(notebook: Notebook) -> list[torch.Tensor]:
    """Return copies of all parameters and of the optimizer's state, on the CPU."""
    found: list[torch.Tensor] = []
    optimizer = notebook["optimizer"]
    for parameter in notebook["model"].parameters():
        found.append(parameter)
        for value in optimizer.state.get(parameter, {}).values():
            found += [value] if isinstance(value, torch.Tensor) else []
    return [each.detach().cpu().clone() for each in found]


def loop_for(kind: str) -> str:
    """Return the cell."""
    return LOOP.format(closure="closure" if kind == "lbfgs" else "")


def states_after_each_step(kind: str) -> tuple[list[list[torch.Tensor]], list[int]]:
    """Train undisturbed; return the states, and how often each step calls torch."""
    notebook = notebook_with(kind)
    states = [state_of(notebook)]
    counters = [Presses(0) for _ in range(STEPS)]
    notebook.names["watch"] = counters.__getitem__
    notebook.names["seen"] = lambda _number: states.append(state_of(notebook))
    notebook.run(loop_for(kind))
    return states, [each.calls for each in counters]


def is_one_of(state: list[torch.Tensor], states: list[list[torch.Tensor]]) -> bool:
    """Tell whether a state is that after some whole number of steps."""
    return any(
        len(state) == len(each) and all(map(torch.equal, state, each))
        for each in states
    )


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.usefixtures("fake")
def test_a_step_is_done_or_not(seed: int) -> None:
    """Ctrl-C inside the n-th call of a step: the whole step is done, all is home."""
    kind = list(OPTIMIZERS)[seed % len(OPTIMIZERS)]
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    states, calls = states_after_each_step(kind)
    chosen = chance.randrange(2, STEPS)
    assert calls[chosen] > 2
    at = chance.randrange(1, calls[chosen] + 1)
    notebook = notebook_with(kind)
    notebook.names["watch"] = lambda number: Presses(at if number == chosen else 0)
    with pytest.raises(KeyboardInterrupt):
        notebook.train_on(loop_for(kind))
    # The very first calls come before the step: torch notes its name for profilers.
    done = chosen + (at > 2)
    assert is_one_of(state_of(notebook), states[done : chosen + 2])
    assert torch.is_grad_enabled()
    for each in notebook["model"].parameters():
        assert each.is_cpu
        assert each.grad is None or each.grad.is_cpu


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.usefixtures("fake")
def test_at_any_time_no_update_is_cut_in_two(seed: int) -> None:
    """Ctrl-C after a random time, anywhere: the state is that after whole steps."""
    kind = list(OPTIMIZERS)[seed % len(OPTIMIZERS)]
    chance = random.Random(f"time {seed}")  # noqa: S311 (nothing secret)
    states, _ = states_after_each_step(kind)
    notebook = notebook_with(kind)
    notebook.names["watch"] = lambda _number: Presses(0)
    outer = signal.signal(
        signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGINT)
    )
    try:
        # The processor's time, not the clock's: pytest-timeout has the other timer.
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.001 + chance.random() ** 2 * 0.04)
        notebook.train_on(loop_for(kind))
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, outer)
    assert is_one_of(state_of(notebook), states)
    assert all(each.is_cpu for each in notebook["model"].parameters())


def test_without_the_guard_a_step_is_cut_in_two() -> None:
    """The tests above are no empty promise: plain torch stops in the middle."""
    states, calls = states_after_each_step("sgd")
    whole = []
    for at in range(1, calls[2] + 1):
        notebook = notebook_with("sgd")
        notebook.names["watch"] = lambda number, at=at: Presses(at * (number == 2))
        with pytest.raises(KeyboardInterrupt), torch.enable_grad():
            notebook.run(loop_for("sgd"))
        whole.append(is_one_of(state_of(notebook), states))
    assert whole.count(False) > 3


def test_on_the_cpu_too() -> None:
    """A cell that says ``cpu`` is guarded as well."""
    states, _ = states_after_each_step("sgd")
    notebook = notebook_with("sgd")
    notebook.names["watch"] = lambda number: Presses(4 if number == 2 else 0)
    with pytest.raises(KeyboardInterrupt):
        notebook.train_on(loop_for("sgd"), "cpu")
    assert all(map(torch.equal, state_of(notebook), states[3]))


@pytest.fixture
def guard() -> Iterator[StepGuard]:
    """Return a guard at work."""
    guard = StepGuard()
    guard.install()
    yield guard
    guard.close()


class Slow(torch.optim.Optimizer):
    """An optimizer whose step does what a test says."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__([torch.nn.Parameter(torch.zeros(1))], {})
        self.action = action

    def step(self, closure: object = None) -> None:
        """Do it."""
        del closure
        self.action()


def press() -> None:
    """Press Ctrl-C once."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("guard")
def test_the_second_press_stops_at_once() -> None:
    """Whoever presses again wants out, whatever it costs."""
    done: list[str] = []

    def action() -> None:
        press()
        done.append("after the first")
        press()
        done.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        Slow(action).step()
    assert done == ["after the first"]


@pytest.mark.usefixtures("guard")
def test_elsewhere_it_stops_at_once() -> None:
    """Outside of a step nothing waits, before the first step and after one."""
    Slow(lambda: None).step()
    with pytest.raises(KeyboardInterrupt):
        press()


@pytest.mark.usefixtures("guard")
def test_a_step_that_raises_holds_nothing_back() -> None:
    """Its error comes through; the next Ctrl-C stops at once, also before a step."""
    with pytest.raises(ZeroDivisionError):
        Slow(lambda: 1 / 0).step()
    with pytest.raises(KeyboardInterrupt):
        press()


@pytest.mark.usefixtures("guard")
def test_a_press_in_a_step_that_raises_is_kept_for_the_next() -> None:
    """A loop that swallows errors of a step is stopped all the same, after the next."""
    done: list[str] = []

    def action() -> None:
        press()
        raise ValueError("swallowed by the loop")

    optimizer = Slow(action)
    with pytest.raises(ValueError, match="swallowed"):
        optimizer.step()
    optimizer.action = lambda: done.append("stepped")
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert done == ["stepped"]


def test_a_step_that_raises_leaves_no_handler_when_the_cell_ends() -> None:
    """The end of the cell puts the handler back; an old press is forgotten."""
    guard = StepGuard()
    guard.install()

    def action() -> None:
        press()
        raise ValueError("the cell's own error")

    with pytest.raises(ValueError, match="own error"):
        Slow(action).step()
    guard.close()
    guard.close()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("guard")
def test_a_step_inside_a_step_is_part_of_it() -> None:
    """An optimizer that wraps another is one step, also where the inner one raises."""
    done: list[str] = []
    inner = Slow(press)

    def failing() -> None:
        raise ValueError("inner")

    def action() -> None:
        inner.step()
        done.append("outer goes on")
        with pytest.raises(ValueError, match="inner"):
            Slow(failing).step()
        done.append("to its end")

    with pytest.raises(KeyboardInterrupt):
        Slow(action).step()
    assert done == ["outer goes on", "to its end"]


def test_the_users_own_handler_is_called_when_the_step_is_over() -> None:
    """A handler that stops the loop by a flag gets its signal, later."""
    seen: list[int] = []

    def own(number: int, _: object) -> None:
        seen.append(number)

    signal.signal(signal.SIGINT, own)
    guard = StepGuard()
    guard.install()
    try:
        optimizer = Slow(lambda: (press(), seen.append(-1)))
        optimizer.step()
        assert seen == [-1, signal.SIGINT]
        guard.close()
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.usefixtures("guard")
def test_a_handler_that_is_set_in_a_step_stays() -> None:
    """What the user's closure installs is his."""

    def own(*_: object) -> None:
        """Do nothing."""

    Slow(lambda: signal.signal(signal.SIGINT, own)).step()
    assert signal.getsignal(signal.SIGINT) is own
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_handler_is_left_alone(handler: signal.Handlers) -> None:
    """An ignored Ctrl-C stays ignored; the system's own way of ending stays too."""
    signal.signal(signal.SIGINT, handler)
    seen: list[object] = []
    Slow(lambda: seen.append(signal.getsignal(signal.SIGINT))).step()
    assert seen == [handler]
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.usefixtures("guard")
def test_a_step_in_another_thread_holds_nothing_back() -> None:
    """Signals are handled in the main thread: what runs elsewhere is not cut in two."""
    inside, free = threading.Event(), threading.Event()
    optimizer = Slow(lambda: (inside.set(), free.wait(10)))
    thread = threading.Thread(target=optimizer.step)
    thread.start()
    try:
        assert inside.wait(10)
        with pytest.raises(KeyboardInterrupt):
            press()
    finally:
        free.set()
        thread.join()


@pytest.mark.usefixtures("guard")
def test_a_grad_scaler_is_no_obstacle() -> None:
    """A step that a GradScaler makes is guarded too."""
    done: list[str] = []
    optimizer = Slow(lambda: (press(), done.append("stepped")))
    (parameter,) = optimizer.param_groups[0]["params"]
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale((parameter * 2).sum()).backward()
    with pytest.raises(KeyboardInterrupt):
        scaler.step(optimizer)
    assert done == ["stepped"]


@pytest.mark.usefixtures("fake")
def test_a_cell_without_an_optimizer_stops_at_once() -> None:
    """A long loop or a slow loader is no reason to wait."""
    notebook = Notebook()
    notebook.run(SETUP)
    notebook.names |= {"press": press, "done": []}
    with pytest.raises(KeyboardInterrupt):
        notebook.train_on("press()\ndone.append(model(x))")
    assert notebook["done"] == []


def test_nothing_of_it_stays_in_an_optimizer() -> None:
    """Hooks are gone with the guard; copies of an optimizer made meanwhile work."""
    guard = StepGuard()
    guard.install()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1)
    twin = copy.deepcopy(optimizer)
    guard.close()
    seen: list[object] = []
    optimizer.register_step_pre_hook(
        lambda *_: seen.append(signal.getsignal(signal.SIGINT))
    )
    optimizer.step()
    twin.step()
    assert seen == [signal.default_int_handler]


@pytest.mark.usefixtures("fake")
def test_starting_workers_is_not_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the second of two workers starts: both start, then the cell stops."""
    notebook = Notebook()
    notebook.run(SETUP)
    loader = torch.utils.data.DataLoader([1.0, 2.0, 3.0, 4.0], num_workers=2)
    notebook.names |= {"loader": loader, "batches": []}
    started: list[object] = []
    original = torch.multiprocessing.Process.start

    def start(process: Any) -> None:  # noqa: ANN401
        started.append(process)
        if len(started) == 1:
            press()
        original(process)

    monkeypatch.setattr(torch.multiprocessing.Process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        notebook.train_on("for batch in loader: batches.append(batch * 1)")
    assert len(started) == 2
    assert notebook["batches"] == []
    deadline = time.monotonic() + 20
    while any(each.is_alive() for each in started) and time.monotonic() < deadline:  # type: ignore[attr-defined]
        time.sleep(0.02)
    assert not any(each.is_alive() for each in started)  # type: ignore[attr-defined]
