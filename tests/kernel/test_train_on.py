"""``%%train_on`` in real kernels: the magic, its lines, and what it hands to the backend."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kernel.support import ours

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

TRAINING = """%%train_on cpu
import torch
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for step in range(5):
    optimizer.zero_grad()
    loss = (model(torch.ones(4, 2)) - 1).pow(2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
losses[-1] < losses[0]
"""


@pytest.mark.usefixtures("needs_torch")
def test_a_training_cell_runs(kernel: Kernel) -> None:
    """The cell trains, shows its value once, between one line of ours and another."""
    reply = kernel.run(TRAINING)
    assert reply.status == "ok", reply.shown
    assert reply.results == ["True"]
    lines = reply.stdout.strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("train_on cpu") for line in lines)
    assert reply.stderr == ""


@pytest.mark.usefixtures("needs_torch")
def test_quiet(kernel: Kernel) -> None:
    """``--quiet``, or the setting, leaves our two lines out."""
    assert kernel.run("%%train_on cpu --quiet\n1").shown.split() == ["1"]
    kernel.run("%config ColabMagic.quiet = True")
    assert kernel.run("%%train_on cpu\n1").shown.split() == ["1"]
    kernel.run("%config ColabMagic.quiet = False")
    assert "train_on cpu" in kernel.run("%%train_on cpu\n1").shown


@pytest.mark.usefixtures("needs_torch")
def test_the_setting_of_the_device(kernel: Kernel) -> None:
    """Without a device in the line, ``ColabMagic.device`` decides."""
    kernel.run("%config ColabMagic.device = 'cpu'")
    reply = kernel.run("%%train_on\n1")
    assert "train_on cpu" in reply.stdout
    refused = kernel.run("%config ColabMagic.device = 'moon'")
    assert "one of auto, cpu, cuda" in refused.shown
    assert "not 'moon'" in refused.shown
    assert "train_on cpu" in kernel.run("%%train_on\n1").stdout
    kernel.run("%config ColabMagic.device = 'auto'")


@pytest.mark.usefixtures("needs_torch")
def test_a_bad_device_takes_three_lines(kernel: Kernel) -> None:
    """It lists the devices that exist, and what to type."""
    reply = kernel.run("%%train_on moon\nran = True")
    assert reply.status == "error"
    (text,) = reply.errors
    assert len(text.splitlines()) == 3
    assert "cpu" in text
    assert kernel.value("'ran' in globals()") is False


@pytest.mark.usefixtures("needs_torch")
def test_an_absent_device(kernel: Kernel) -> None:
    """Without a GPU the cell runs on the CPU and says why; ``--strict`` raises."""
    if kernel.value("__import__('torch').cuda.is_available()"):
        pytest.skip("this machine has a CUDA device")
    reply = kernel.run("%%train_on cuda\n1")
    assert reply.results == ["1"], reply.shown
    assert "CPU" in reply.stdout
    reply = kernel.run("%%train_on cuda --strict\n1")
    assert reply.ename == "DeviceUnavailableError"
    assert len(reply.errors) == 1
    assert "Traceback" not in reply.shown


@pytest.mark.usefixtures("needs_torch")
def test_an_error_in_the_training_loop(kernel: Kernel) -> None:
    """It is the user's own error, shown once, at the user's line."""
    reply = kernel.run(TRAINING.replace("optimizer.step()", "optimizer.stop()"))
    assert reply.ename == "AttributeError"
    (text,) = reply.errors
    assert "---> 11     optimizer.stop()" in text
    assert not ours(text)


@pytest.mark.usefixtures("needs_torch")
def test_the_stop_button(kernel: Kernel) -> None:
    """The loop stops within a step, and the next cell is an ordinary one again."""
    start = time.monotonic()
    reply = kernel.run(
        "%%train_on cpu\nimport time, torch\nprint('going', flush=True)\n"
        "for step in range(400):\n    torch.ones(3).sum().item()\n    time.sleep(0.05)",
        interrupt_at="going",
    )
    assert reply.ename == "KeyboardInterrupt"
    assert time.monotonic() - start < 10
    assert kernel.run("%%train_on cpu\n2").results == ["2"]


@pytest.mark.usefixtures("needs_torch")
@pytest.mark.parametrize("door", ["%%train_on cpu\n{}", "back"])
def test_a_class_of_the_cell_goes_to_loader_workers(kernel: Kernel, door: str) -> None:
    """A Dataset defined in the cell works with ``num_workers``, at both doors."""
    body = (
        "import torch\n"
        "class Squares(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n        return 8\n"
        "    def __getitem__(self, index):\n        return torch.tensor(index ** 2)\n"
        "loader = torch.utils.data.DataLoader(Squares(), batch_size=4, num_workers=2)\n"
        "sorted(int(x) for batch in loader for x in batch)"
    )
    call = f"get_ipython().run_cell_magic('train_on', 'cpu', {body!r})"
    reply = kernel.run(call if door == "back" else door.format(body))
    assert reply.results == ["[0, 1, 4, 9, 16, 25, 36, 49]"], reply.shown


@pytest.mark.usefixtures("needs_torch")
def test_inside_itself_it_is_refused(kernel: Kernel) -> None:
    """Three lines; the outer cell is closed, and the next one runs."""
    reply = kernel.run("%%train_on cpu\n%%train_on cpu\n1")
    assert reply.ename == "NestedCellError"
    assert len(reply.errors[0].splitlines()) == 3
    assert kernel.run("%%train_on cpu\n2").results == ["2"]


@pytest.mark.usefixtures("needs_torch")
def test_under_time_and_over_it(kernel: Kernel) -> None:
    """``%%time`` works above it and below it."""
    for cell in ("%%time\n%%train_on cpu\n3", "%%train_on cpu\n%%time\n3"):
        reply = kernel.run(cell)
        assert reply.results == ["3"], reply.shown
        assert "Wall time" in reply.stdout


def test_without_torch_it_says_so(kernel: Kernel) -> None:
    """Where PyTorch is absent: three lines at most, with the command to type."""
    if kernel.value("__import__('importlib.util').util.find_spec('torch') is not None"):
        pytest.skip("this kernel has torch")
    reply = kernel.run("%%train_on cpu\n1")
    assert reply.errors == [
        "NotSupportedError: PyTorch is not installed here\n  try:  %pip install torch"
    ]
