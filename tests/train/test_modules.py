"""Tests for `colabmagic.train.modules`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import _global_forward_pre_hooks

from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types

pytestmark = pytest.mark.usefixtures("fake")

START = "import copy, torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


@pytest.fixture
def notebook(fake: types.ModuleType) -> Notebook:  # noqa: ARG001
    """Give a notebook with torch in it."""
    notebook = Notebook()
    notebook.run(START)
    return notebook


def where(*values: torch.Tensor) -> set[str]:
    """Return the devices of some tensors."""
    return {str(each.device) for each in values}


def test_a_module_made_in_the_cell_moves_at_its_first_call(notebook: Notebook) -> None:
    """It is initialised on the CPU, with the bits of the CPU, and is home at the end."""
    torch.manual_seed(5)
    plain = nn.Linear(2, 2).weight.clone()
    torch.manual_seed(5)
    notebook.train_on(
        "net = nn.Linear(2, 2)\n"
        "before = str(net.weight.device)\n"
        "out = net(torch.ones(1, 2))\n"
        "after = str(net.weight.device)\n"
    )
    assert notebook["before"] == "cpu"
    assert notebook["after"] == "fake:1"
    assert where(notebook["net"].weight, notebook["out"]) == {"cpu"}
    assert torch.equal(notebook["net"].weight, plain)


OUTER = """
class Outer(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        return self.inner(x)
Outer(net)(x)
"""


@pytest.mark.parametrize(
    "use",
    [
        "optimizer = torch.optim.SGD(net.parameters(), 0.1)",
        "o = torch.optim.Adam(net[0].parameters())\no.add_param_group({'params': [net[2].weight]})",
        "net(x)",
        "net.forward(net[0](x))",
        "nn.Sequential(net)(x)",
        "torch.func.functional_call(net, dict(net.named_parameters()), (x,))",
        "net[1](net[0](x))",
        OUTER,
    ],
    ids=["sgd", "groups", "call", "forward", "wrapped", "functional", "part", "outer"],
)
def test_every_first_use_moves_it(notebook: Notebook, use: str) -> None:
    """An optimizer, a call, a call of a part, or a functional call."""
    notebook.train_on(
        "net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))\n"
        "x = torch.ones(3, 2)\n" + use + "\n"
        "seen = {str(each.device) for each in net.state_dict().values()}\n"
    )
    assert notebook["seen"] == {"fake:1"}
    assert where(*notebook["net"].state_dict().values()) == {"cpu"}


def test_a_copy_made_in_the_cell_comes_home(notebook: Notebook) -> None:
    """A deep copy of a model on the device is a new model, and moves when used."""
    notebook.run("net = nn.Linear(2, 2)")
    notebook.train_on(
        "average = copy.deepcopy(net)\n"
        "out = average(torch.ones(1, 2))\n"
        "average.weight.data.mul_(2)\n"
    )
    assert where(notebook["average"].weight, notebook["net"].weight) == {"cpu"}
    assert torch.equal(notebook["average"].weight, 2 * notebook["net"].weight)


def test_tied_weights_of_a_new_module_stay_tied(notebook: Notebook) -> None:
    """Each tensor moves once."""
    notebook.train_on(
        "a, b = nn.Linear(2, 2), nn.Linear(2, 2)\n"
        "b.weight = a.weight\n"
        "out = nn.Sequential(a, b)(torch.ones(1, 2))\n"
        "tied = a.weight is b.weight\n"
    )
    assert notebook["tied"]
    assert notebook["a"].weight is notebook["b"].weight
    assert where(notebook["a"].weight) == {"cpu"}


@pytest.mark.parametrize("earlier", [True, False])
def test_lazy_modules_get_their_size_and_move(
    notebook: Notebook, *, earlier: bool
) -> None:
    """In the cell or before it: the first batch decides, on the CPU's stream."""
    make = "torch.manual_seed(2)\nnet = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())\n"
    if earlier:
        notebook.run(make)
        make = ""
    notebook.train_on(
        make + "torch.manual_seed(2)\n"
        "out = net(torch.ones(4, 2))\n"
        "seen = {str(each.device) for each in net.state_dict().values()}\n"
    )
    assert notebook["seen"] == {"fake:1"}
    net = notebook["net"]
    assert where(*net.state_dict().values()) == {"cpu"}
    assert type(net[0]) is nn.Linear
    torch.manual_seed(2)
    plain = nn.LazyLinear(3)
    plain(torch.ones(4, 2))
    assert torch.equal(net[0].weight, plain.weight)


def test_a_lazy_module_that_is_never_called(notebook: Notebook) -> None:
    """It has nothing to move, here or on the device, and no error."""
    notebook.train_on(
        "net = nn.LazyLinear(3)\nthere = nn.LazyLinear(3, device='fake:1')\n"
    )
    assert isinstance(notebook["net"], LazyModuleMixin)
    notebook.train_on("net")


def test_inputs_of_the_cpu_are_moved_on_their_way_in(notebook: Notebook) -> None:
    """A module that the cell calls takes tensors from anywhere, in containers too."""
    notebook.run(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(2, 2)\n"
        "    def forward(self, x, others=(), **named):\n"
        "        values = [x, *others, *named.values()]\n"
        "        return self.linear(sum(values))\n"
        "net = Net()\n"
        "holder = [torch.ones(1, 2)]\n"
    )
    notebook.train_on(
        "here = torch.ones(1, 2, device='cpu')\n"
        "out = net(here, [here, (here,)[0]], extra=here)\n"
        "kept = str(here.device)\n"
    )
    assert notebook["kept"] == "cpu"
    assert torch.equal(notebook["out"], notebook["net"].linear(4 * notebook["here"]))


@pytest.mark.parametrize(
    "call", ["net(x, found)", "net(x, found=found)", "outer(x, found)"]
)
def test_a_container_that_the_model_fills_is_the_users(
    notebook: Notebook, call: str
) -> None:
    """Activations are collected in his list, not in a copy of it."""
    notebook.run(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(2, 2)\n"
        "    def forward(self, x, found):\n"
        "        found.append(self.linear(x))\n"
        "        return x\n"
        "net = Net()\n"
    )
    notebook.train_on(
        "outer = Net()\n"
        "found = []\n"
        "x = torch.ones(1, 2)\n"
        f"for _ in range(2):\n    {call}\n"
    )
    assert len(notebook["found"]) == 2
    assert where(*notebook["found"]) == {"cpu"}


def test_a_module_that_the_user_keeps_on_the_cpu(notebook: Notebook) -> None:
    """``.to("cpu")`` and ``.cpu()`` win: it stays, and its inputs stay."""
    notebook.train_on(
        "net = nn.Linear(2, 2).to('cpu')\n"
        "x = torch.ones(1, 2, device='cpu')\n"
        "first = net(x)\n"
        "second = nn.Linear(2, 2)\n"
        "again = net(x)\n"
        "seen = [str(each.device) for each in (net.weight, first, again)]\n"
    )
    assert notebook["seen"] == ["cpu"] * 3


@pytest.mark.parametrize("device", ["fake:0", "fake:1"])
def test_a_module_that_the_user_puts_there_stays_there(
    notebook: Notebook, device: str
) -> None:
    """``.to(device)`` in the cell holds after it, with the same parameters."""
    notebook.run("net = nn.Linear(2, 2)\nweight = net.weight\n")
    notebook.train_on(f"net.to({device!r})\nbias = net.bias")
    assert where(notebook["net"].weight) == {device}
    assert notebook["net"].weight is notebook["weight"]
    notebook.run("net.to('cpu')")


def test_a_module_that_is_there_and_comes_back(notebook: Notebook) -> None:
    """Moved by hand to and fro, it ends where the last word put it."""
    notebook.run("net = nn.Linear(2, 2)\n")
    notebook.train_on(
        "net.to('fake:1')\nnet.cpu()\nout = net(torch.ones(1, 2, device='cpu'))\n"
    )
    assert where(notebook["net"].weight, notebook["out"]) == {"cpu"}


@pytest.mark.parametrize("way", ["net.cpu()", "net.to('cpu')", "net.to(device='cpu')"])
def test_a_module_that_the_user_brings_home_is_really_home(
    notebook: Notebook, way: str
) -> None:
    """``torch.save(model.cpu())`` at the end: aliases of the weights see the result."""
    notebook.run(
        "net = nn.Linear(2, 1)\nalias = net.weight.data\nwhere = alias.data_ptr()"
    )
    notebook.train_on(
        "opt = torch.optim.SGD(net.parameters(), 0.5)\n"
        "net(torch.ones(1, 2)).sum().backward()\n"
        f"opt.step()\n{way}\n"
        "opt.step()\n"
    )
    net = notebook["net"]
    assert net.weight.data_ptr() == notebook["where"]
    assert torch.equal(net.weight.detach(), notebook["alias"])
    assert where(net.weight, net.weight.grad) == {"cpu"}


def test_modules_of_a_dataset_stay_on_the_cpu(notebook: Notebook) -> None:
    """What Dataset code builds and calls is not the cell's."""
    notebook.run(
        "class Rows(torch.utils.data.Dataset):\n"
        "    seen = []\n"
        "    def __len__(self):\n"
        "        return 2\n"
        "    def __getitem__(self, i):\n"
        "        net = nn.Linear(2, 2)\n"
        "        out = net(torch.ones(1, 2)).detach()\n"
        "        self.seen.append(str(out.device))\n"
        "        return out\n"
    )
    notebook.train_on("batches = list(torch.utils.data.DataLoader(Rows()))")
    assert notebook["Rows"].seen == ["cpu", "cpu"]


def test_a_call_inside_the_constructor_stays_on_the_cpu(notebook: Notebook) -> None:
    """Many models try themselves once, to learn a size."""
    notebook.run(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body = nn.Linear(2, 3)\n"
        "        self.size = self.body(torch.zeros(1, 2)).numel()\n"
        "        self.head = nn.Linear(self.size, 1)\n"
        "    def forward(self, x):\n"
        "        return self.head(self.body(x))\n"
    )
    notebook.train_on(
        "net = Net()\nout = net(torch.ones(1, 2))\nseen = str(out.device)"
    )
    assert notebook["seen"] == "fake:1"
    assert notebook["net"].size == 3
    assert where(*notebook["net"].parameters()) == {"cpu"}


def test_modules_with_a_call_of_their_own(notebook: Notebook) -> None:
    """A class that overrides ``__call__``, and its child, keep their behaviour."""
    notebook.run(
        "class Net(nn.Linear):\n"
        "    def __call__(self, x, twice=False):\n"
        "        out = super().__call__(x)\n"
        "        return super().__call__(out) if twice else out\n"
        "class Child(Net):\n"
        "    pass\n"
        "net, child = Net(2, 2), Child(2, 2)\n"
        "before = Net.__dict__['__call__']\n"
    )
    notebook.train_on(
        "a = net(torch.ones(1, 2), twice=True)\nb = child(torch.ones(1, 2))\n"
    )
    assert where(notebook["a"], notebook["b"]) == {"cpu"}
    assert vars(notebook["Net"])["__call__"] is notebook["before"]
    assert "__call__" not in vars(notebook["Child"])
    net = notebook["net"]
    assert torch.allclose(notebook["a"], net(torch.ones(1, 2), twice=True))


def test_optimizers_of_earlier_cells_go_on(notebook: Notebook) -> None:
    """State that the first step makes in the cell comes home with the weights."""
    notebook.run(
        "torch.manual_seed(0)\n"
        "net = nn.Linear(2, 1)\n"
        "optimizer = torch.optim.Adam(net.parameters())\n"
        "def step():\n"
        "    optimizer.zero_grad()\n"
        "    net(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step()\n"
        "twin, twins = copy.deepcopy((net, optimizer))\n"
    )
    notebook.train_on("step()\nstep()")
    notebook.run("step()")
    state = notebook["optimizer"].state[notebook["net"].weight]
    assert where(
        *(each for each in state.values() if isinstance(each, torch.Tensor))
    ) == {"cpu"}
    assert state["step"] == 3


def snapshot() -> list[dict[str, Any]]:
    """Return what could be patched."""
    owners = (
        nn.Module,
        nn.Linear,
        nn.Sequential,
        nn.RNNBase,
        torch.optim.Optimizer,
        LazyModuleMixin,
    )
    return [dict(vars(each)) for each in owners]


@pytest.mark.parametrize(
    "cell",
    [
        "net = nn.Linear(2, 2)",
        "net = nn.Linear(2, 2)\nnet(torch.ones(1, 2))",
        "net = nn.Sequential(nn.LazyLinear(2))\n1 / 0",
        "model(torch.ones(1, 2))\ntorch.optim.SGD(model.parameters(), 0.1)",
    ],
    ids=["unused", "used", "failed", "earlier"],
)
def test_everything_is_undone(notebook: Notebook, cell: str) -> None:
    """Classes and global hooks are as before, after an error too."""
    notebook.run("model = nn.Linear(2, 2)")
    before, hooks = snapshot(), len(_global_forward_pre_hooks)
    try:
        notebook.train_on(cell)
    except ZeroDivisionError:
        assert "1 / 0" in cell
    after = snapshot()
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert [key for key, value in old.items() if new[key] is not value] == []
    assert len(_global_forward_pre_hooks) == hooks


def test_a_lazy_hook_of_an_earlier_cell_is_put_back(notebook: Notebook) -> None:
    """A lazy module that the cell does not call is as it was."""
    notebook.run("net = nn.LazyLinear(2)")
    net = notebook["net"]
    before = dict(net._forward_pre_hooks)
    notebook.train_on("net.in_features")
    assert dict(net._forward_pre_hooks) == before
    assert net(torch.ones(1, 3)).shape == (1, 2)
    assert copy.deepcopy(net).in_features == 3
