"""``%train_on DEVICE`` as a line, in real kernels: on for all later cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.support import Kernel

SETUP = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
X = torch.randn(64, 8)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters())
criterion = nn.CrossEntropyLoss()
where = lambda: sorted({str(p.device) for p in model.parameters()})
"""
EPOCH = """
for a, b in loader:
    optimizer.zero_grad()
    loss = criterion(model(a), b)
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def kernel(device_kernel: Kernel) -> Iterator[Kernel]:
    """Yield a kernel with a device, a model and data; nothing is on afterwards."""
    device_kernel.run("%reset -f")
    reply = device_kernel.run(SETUP)
    assert reply.status == "ok", reply.shown
    yield device_kernel
    device_kernel.run("%train_on off")


def test_on_until_off(kernel: Kernel) -> None:
    """Later cells run on the device, what they use stays there, and comes home."""
    reply = kernel.run("%train_on fake:1")
    assert reply.stdout == (
        "train_on fake:1: on for all later cells; %train_on off ends it\n"
    )
    assert kernel.run(EPOCH).shown.strip() == ""
    assert kernel.run("where(), loss.device.type").results == ["(['fake:1'], 'fake')"]
    assert kernel.run("torch.zeros(2).device.type").results == ["'fake'"]
    state = kernel.run("%train_on").results[0]
    assert state.startswith("train_on fake:1 is on for all later cells, 3 so far")
    assert "model" in state
    assert "%train_on off" in state
    reply = kernel.run("%train_on off")
    assert reply.stdout == (
        "train_on fake:1: off after 4 cells, everything is back on the CPU\n"
    )
    assert kernel.run("where(), loss.device.type").results == ["(['cpu'], 'cpu')"]
    assert kernel.run("torch.zeros(2).device.type").results == ["'cpu'"]
    assert "%%train_on" in kernel.run("%train_on").results[0]


def test_a_mistyped_line_is_answered_as_a_line(kernel: Kernel) -> None:
    """With one sign; what was meant may also be to end it."""
    assert "try:  %train_on off" in kernel.run("%train_on of").shown
    shown = kernel.run("%train_on fak:1").shown
    assert "try:  %train_on fake:1" in shown
    assert "try:  %%train_on fake:1" in kernel.run("%%train_on device=fake:1\n1").shown


def test_same_result_as_on_the_cpu(kernel: Kernel) -> None:
    """Training over several cells gives the values of the CPU."""
    kernel.run("import copy; saved = copy.deepcopy(model.state_dict())")
    kernel.run("torch.manual_seed(1)")
    kernel.run(EPOCH)
    kernel.run(EPOCH)
    kernel.run("expected = loss.item(); model.load_state_dict(saved)")
    kernel.run("optimizer = torch.optim.Adam(model.parameters())")
    kernel.run("%train_on fake:1")
    kernel.run("torch.manual_seed(1)")
    kernel.run(EPOCH)
    kernel.run(EPOCH)
    kernel.run("%train_on off")
    assert kernel.run("abs(loss.item() - expected) < 1e-6").results == ["True"]


def test_the_rest_of_its_own_cell_runs_there(kernel: Kernel) -> None:
    """One percent sign where two were meant: the cell trains on the device too."""
    reply = kernel.run(f"%train_on fake:1\n{EPOCH}\nprint(where(), loss.device)")
    assert "['fake:1'] fake:1" in reply.stdout, reply.shown


def test_a_deleted_model_frees_the_device(kernel: Kernel) -> None:
    """What the user drops is dropped, also from the device's memory."""
    kernel.run("%train_on fake:1")
    kernel.run("big = torch.nn.Linear(1000, 1000)")
    kernel.run("out = big(torch.ones(2, 1000)).sum(); out.backward()")
    before = int(kernel.run("torch.fake.stats(1)['current']").results[0])
    kernel.run("del big, out")
    after = int(kernel.run("torch.fake.stats(1)['current']").results[0])
    assert before - after >= 8_000_000  # weights and gradients


def test_a_cell_of_its_own_goes_before(kernel: Kernel) -> None:
    """``%%train_on`` in one cell decides for that cell; then it is as it was."""
    kernel.run("%train_on fake:1")
    kernel.run(EPOCH)
    reply = kernel.run("%%train_on cpu\nprint(where(), torch.zeros(1).device)")
    assert "['cpu'] cpu" in reply.stdout, reply.shown
    reply = kernel.run(f"%%time\n%%train_on fake:0\n{EPOCH}\nprint(where())")
    assert "['fake:0']" in reply.stdout, reply.shown
    assert kernel.run("where()").results == ["['fake:1']"]


def test_time_and_timeit(kernel: Kernel) -> None:
    """Magics that run the cell's body run it on the device."""
    kernel.run("%train_on fake:1")
    reply = kernel.run(f"%%time\n{EPOCH}\nprint(where())")
    assert "['fake:1']" in reply.stdout, reply.shown
    reply = kernel.run("%%timeit -n2 -r2\nmodel(X).sum()")
    assert reply.status == "ok", reply.shown
    assert "loop" in reply.stdout
    assert kernel.run("where()").results == ["['fake:1']"]


def test_errors_and_interrupts_leave_it_on(kernel: Kernel) -> None:
    """A failing cell shows its own error, and the next one runs there."""
    kernel.run("%train_on fake:1")
    reply = kernel.run("model(X)\n1 / 0")
    assert reply.ename == "ZeroDivisionError"
    assert "begin_standing" not in reply.shown
    assert not ours(reply.errors[0])
    assert kernel.run("where()").results == ["['fake:1']"]
    reply = kernel.run("def broken(:")
    assert reply.ename == "SyntaxError"
    assert kernel.run("where()").results == ["['fake:1']"]


def test_cells_in_cells(kernel: Kernel) -> None:
    """A cell that a cell runs belongs to it; `await` works."""
    kernel.run("%train_on fake:1")
    reply = kernel.run("get_ipython().run_cell('print(where())'); where()")
    assert "['fake:1']" in reply.stdout
    reply = kernel.run("import asyncio\nawait asyncio.sleep(0)\nwhere()")
    assert reply.results == ["['fake:1']"]


def test_changing_the_device(kernel: Kernel) -> None:
    """Another device takes over; a wrong one changes nothing but ends it."""
    kernel.run("%train_on fake:1")
    kernel.run(EPOCH)
    reply = kernel.run("%train_on fake:0")
    assert "fake:1: off" in reply.stdout
    assert "fake:0: on for all" in reply.stdout
    assert kernel.run("where()").results == ["['fake:0']"]
    reply = kernel.run("%train_on moon")
    assert reply.ename == "BadDeviceError"
    assert kernel.run("where()").results == ["['fake:0']"]
    assert kernel.run("%train_on cpu").stdout.startswith("train_on fake:0: off")
    assert "is off" in kernel.run("%train_on off").stdout


def test_unload_turns_it_off(kernel: Kernel) -> None:
    """Nothing is left on the device, nor patched."""
    kernel.run("%train_on fake:1")
    kernel.run(EPOCH)
    reply = kernel.run("%unload_ext colabmagic")
    try:
        assert "everything is back" in reply.stdout
        state = "where(), hasattr(torch.randn, '__wrapped__')"
        assert kernel.run(state).results == ["(['cpu'], False)"]
    finally:
        kernel.run("%load_ext colabmagic")


def test_keep_and_off_in_the_wrong_place(kernel: Kernel) -> None:
    """One line says what to write instead."""
    assert "%%train_on" in kernel.run("%train_on fake:1 --keep").stderr
    assert "%train_on off" in kernel.run("%%train_on off\n1").stderr
    reply = kernel.run("%%train_on fake:1\n%train_on fake:0")
    assert reply.ename == "NestedCellError"
    assert kernel.run("where()").results == ["['cpu']"]


SCRIPT = """
import argparse
import sys
import torch
from helper import Net

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1)
options = parser.parse_args()

if __name__ == "__main__":
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(options.steps):
        optimizer.zero_grad()
        loss = net(torch.ones(4, 3)).sum()
        loss.backward()
        optimizer.step()
    print(sys.argv[1:], loss.device)
"""
HELPER = """
from torch import nn
class Net(nn.Linear):
    def __init__(self):
        super().__init__(3, 1)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return the path of a script that imports a file beside it."""
    (tmp_path / "helper.py").write_text(HELPER, encoding="utf-8")
    path = tmp_path / "train it.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_script_runs_there(kernel: Kernel, script: Path) -> None:
    """It gets its arguments; its names are the user's afterwards, at home."""
    reply = kernel.run(f"%train_on fake:1 --quiet '{script}' --steps 2")
    assert reply.status == "ok", reply.shown
    assert reply.stdout == "['--steps', '2'] fake:1\n"
    names = "net.weight.device.type, loss.device.type, __name__"
    assert kernel.run(names).results == ["('cpu', 'cpu', '__main__')"]


def test_a_script_that_fails(kernel: Kernel, script: Path) -> None:
    """Its own lines are shown, none of ours; everything is home."""
    reply = kernel.run(f"%train_on fake:1 '{script}' --steps two")
    assert reply.status == "error"
    assert "invalid int value" in reply.stderr
    assert "ended with 2" in reply.stderr
    script.write_text(SCRIPT + "\n    net.gone()\n", encoding="utf-8")
    reply = kernel.run(f"%train_on fake:1 '{script}'")
    assert reply.ename == "AttributeError"
    assert "net.gone()" in reply.errors[0]
    assert "_script.py" not in reply.errors[0]
    assert kernel.run("net.weight.device.type").results == ["'cpu'"]


def test_what_keep_has_left_is_told_and_brought_home(kernel: Kernel) -> None:
    """The state names it; a cell without the option, or off, brings it home."""
    kernel.run("%%train_on fake:1 --keep\n" + EPOCH)
    assert kernel.run("where()").results == ["['fake:1']"]
    state = kernel.run("%train_on").results[0]
    assert "left on a device by --keep" in state
    assert "model" in state
    reply = kernel.run("%train_on off")
    assert "back from --keep:" in reply.stdout
    assert "model" in reply.stdout
    assert kernel.run("where(), loss.device.type").results == ["(['cpu'], 'cpu')"]
    assert "--keep" not in kernel.run("%train_on off").stdout
    kernel.run("%%train_on fake:1 --keep\n" + EPOCH)
    reply = kernel.run("%%train_on fake:1\n" + EPOCH)
    assert "everything is back on the CPU" in reply.stdout
    assert kernel.run("where(), loss.device.type").results == ["(['cpu'], 'cpu')"]


OUT_OF_MEMORY = """
import torch
net = torch.nn.Linear(10, 10)
grown = torch.zeros(100, 10)
def step(batch):
    return net(batch).relu()
for _ in range(6):
    grown = torch.cat([grown] * 6)
    step(grown)
"""


def test_a_script_that_runs_out_of_memory(kernel: Kernel, script: Path) -> None:
    """A report with the script's own names and lines; the whole traceback by %tb."""
    script.write_text(OUT_OF_MEMORY, encoding="utf-8")
    kernel.run("torch.fake.set_limit(1, 200_000)")
    reply = kernel.run(f"%train_on fake:1 '{script}'")
    whole = kernel.run("%tb")
    kernel.run("torch.fake.heal()")
    assert reply.ename == "OutOfMemoryError"
    (error,) = reply.errors
    assert "in train it.py, line 9: step(grown)" in error
    assert "by step(), line 6: return net(batch).relu()" in error
    assert len(error.splitlines()) == 3
    (report,) = [
        out["data"]["text/plain"]
        for out in reply.outputs
        if out["type"] == "display_data"
    ]
    assert "Most was held by grown: 144.0 KB" in report
    assert "return net(batch).relu()" in whole.shown
    assert not ours(whole.shown)


def test_no_such_script(kernel: Kernel, script: Path) -> None:
    """One line names the scripts that are there."""
    reply = kernel.run(f"%train_on fake:1 '{script.parent}/trian.py'")
    assert reply.ename == "UsageError"
    assert "there is no script" in reply.stderr
    assert "train it.py" in reply.stderr
    assert len(reply.stderr.strip().splitlines()) == 1
