"""What can go wrong goes wrong cleanly: all comes home, nothing is half moved."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from colabmagic.errors import (
    BadDeviceError,
    DeviceFailedError,
    DeviceMemoryError,
    DeviceUnavailableError,
    NestedCellError,
    NotSupportedError,
)
from tests.corpus.witness import entry_points, leftovers, still_patched, tensors_off_cpu
from tests.train.cell import DEVICE, Notebook

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.1)
X = torch.randn(8, 3)
rows = X[2:4]
y = torch.tensor([0, 1] * 4)
def step():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(X), y)
    loss.backward()
    optimizer.step()
    return loss.item()
step()
"""
TRAIN = "for _ in range(3): step()"


@pytest.fixture
def notebook(fake: types.ModuleType) -> Iterator[Notebook]:
    """Give a notebook with a model; afterwards nothing may be left anywhere."""
    book = Notebook()
    book.run(MODEL)
    before = entry_points()
    yield book
    assert_home(book, before)
    book.names.clear()
    gc.collect()
    assert fake.stats(1)["current"] == 0


def assert_home(book: Notebook, before: dict[str, object] | None = None) -> None:
    """Check that nothing is on a device and that torch is as it was."""
    assert leftovers(book.names) == {}
    assert tensors_off_cpu() == []
    if before is not None:
        assert still_patched(before, entry_points()) == []


def state(book: Notebook) -> dict[str, tuple[object, ...]]:
    """Return what a user could notice about the model, its optimizer and the data."""
    found: dict[str, tuple[object, ...]] = {}
    optimizer = book["optimizer"]
    tensors = dict(book["model"].named_parameters())
    tensors |= {"X": book["X"], "rows": book["rows"]}
    tensors |= {
        f"state {name} {key}": value
        for name, parameter in book["model"].named_parameters()
        for key, value in optimizer.state[parameter].items()
    }
    for name, tensor in tensors.items():
        grad = tensor.grad if tensor.is_leaf else None
        found[name] = (
            id(tensor),
            tensor.device.type,
            tensor.data_ptr(),
            tensor.stride(),
            tensor.requires_grad,
            tensor.tolist(),
            None if grad is None else (id(grad), grad.data_ptr(), grad.tolist()),
        )
    return found


def assert_works_on(book: Notebook) -> None:
    """Check that an ordinary cell, and a cell on the device, train as they should."""
    book.run(TRAIN)
    book.train_on(TRAIN)


# --- memory -----------------------------------------------------------------------


def test_no_memory_for_what_the_cell_uses(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """A full device: one clear error, and everything is as it was before."""
    before = state(notebook)
    fake.set_limit(1, 100)
    with pytest.raises(DeviceMemoryError, match="does not fit on fake:1") as caught:
        notebook.train_on(TRAIN)
    assert "100 bytes free" in (caught.value.seen or "")
    assert "train_on cpu" in caught.value.hint
    assert state(notebook) == before
    assert fake.stats(1)["current"] == 0
    fake.clear_limit(1)
    assert_works_on(notebook)


def test_every_single_allocation_on_the_way_in_may_fail(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """Whichever allocation fails, nothing is half moved."""
    before, failures = state(notebook), 0
    for number in range(1, 200):  # the first one is a trial
        fake.fail_allocation(1, number)
        try:
            notebook.train_on("model, optimizer, X, y; entered = True")
        except DeviceMemoryError:
            failures += 1
            assert "entered" not in notebook.names
            assert state(notebook) == before
            assert_home(notebook)
            assert fake.stats(1)["current"] == 0
        else:
            break
    assert failures > 10
    fake.fail_allocation(1, -1)
    assert state(notebook) == before
    assert_works_on(notebook)


def test_memory_runs_out_in_the_middle_of_the_cell(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """The user's own out-of-memory error arrives unchanged, after all came home."""
    fake.set_limit(1, 20_000)
    with pytest.raises(torch.OutOfMemoryError, match="fake out of memory"):
        notebook.train_on("a = step()\nbig = torch.zeros(100, 100)\nb = step()")
    assert "a" in notebook.names
    assert "b" not in notebook.names
    fake.clear_limit(1)
    assert_works_on(notebook)


@pytest.mark.parametrize("number", [0, 1, 5, 20, 60, 100])
def test_any_allocation_in_the_cell_may_fail(
    notebook: Notebook, fake: types.ModuleType, number: int
) -> None:
    """Also a batch, a new module or an optimizer state that does not fit leaves no trace."""
    cell = """
from torch.utils.data import DataLoader, TensorDataset
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
opt = torch.optim.Adam(net.parameters())
kept = []
for xb, yb in DataLoader(TensorDataset(X, y), 4, shuffle=True):
    if not kept: torch.fake.fail_allocation(1, NUMBER)
    loss = nn.functional.cross_entropy(net(xb), yb)
    opt.zero_grad(); loss.backward(); opt.step()
    kept.append((xb, loss))
    step()
""".replace("NUMBER", str(number))
    with pytest.raises(torch.OutOfMemoryError):
        notebook.train_on(cell)
    fake.fail_allocation(1, -1)
    assert_works_on(notebook)


# --- memory of other kinds --------------------------------------------------------

MEMMAP = """
import sys, warnings
warnings.simplefilter("ignore")
from tests.fakes.accelerator import fake_accelerator
fake_accelerator.register()
import numpy as np, torch
from tests.train.cell import Notebook
path = sys.argv[1]
np.arange(12, dtype=np.float32).tofile(path)
book = Notebook()
book.run("import torch")
book.names["array"] = np.memmap(path, dtype=np.float32, mode="r", shape=(4, 3))
book.names["X"] = torch.from_numpy(book.names["array"])
book.names["part"] = book["X"][1]
book.names["model"] = torch.nn.Linear(3, 1)
outcome = book.train_on(sys.argv[2])
print("device", book["X"].device, *outcome.notes)
print("sum", book["X"].sum().item(), book["array"].sum())
"""


def run_memmap(tmp_path: Path, cell: str) -> str:
    """Run a cell over a read-only map in a process of its own, which it could kill."""
    result = subprocess.run(
        [sys.executable, "-c", MEMMAP, str(tmp_path / "x"), cell],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, f"ended with {result.returncode}: {result.stderr}"
    return result.stdout


@pytest.mark.usefixtures("fake")
def test_a_read_only_map_is_used(tmp_path: Path) -> None:
    """Reading a read-only memory map works, and home is the map again."""
    printed = run_memmap(tmp_path, "total = model(X).sum() + part.sum()")
    assert printed == "device cpu\nsum 66.0 66.0\n"


@pytest.mark.usefixtures("fake")
def test_a_read_only_map_is_written(tmp_path: Path) -> None:
    """Writing to it would kill the process on the CPU; here it only has a note."""
    printed = run_memmap(tmp_path, "X += 1\nloss = model(X).sum()")
    assert "device cpu the cell changed a tensor whose memory is read-only" in printed
    assert "sum 78.0 66.0" in printed


def test_a_file_mapped_for_writing_is_written(
    notebook: Notebook, tmp_path: Path
) -> None:
    """A shared map gets the new values, in the file too."""
    path = tmp_path / "shared"
    path.write_bytes(bytes(48))
    notebook.run(f"mapped = torch.from_file({str(path)!r}, shared=True, size=12)")
    pointer = notebook["mapped"].data_ptr()
    notebook.train_on("mapped += 2")
    assert notebook["mapped"].data_ptr() == pointer
    assert path.read_bytes() == b"\x00\x00\x00@" * 12


def test_shared_memory_stays_shared(notebook: Notebook) -> None:
    """A tensor in shared memory is shared again at home, where other processes look."""
    notebook.run("model.share_memory()\nX.share_memory_()\nalias = X[0]")
    before = [each.data_ptr() for each in notebook["model"].parameters()]
    notebook.train_on("step()\nX += 1")
    assert all(each.is_shared() for each in notebook["model"].parameters())
    assert [each.data_ptr() for each in notebook["model"].parameters()] == before
    assert notebook["X"].is_shared()
    assert torch.equal(notebook["alias"], notebook["X"][0])


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_arrays_that_forbid_writing(notebook: Notebook) -> None:
    """Tensors over constants are used; nothing is written to them behind the user."""
    notebook.run(
        "import numpy as np\nconst = np.arange(6.)\nconst.flags.writeable = False\n"
        "T = torch.from_numpy(const)\ntext = b'12345678'\n"
        "B = torch.frombuffer(text, dtype=torch.uint8)"
    )
    notebook.train_on("total = T.sum() + B.sum()")
    assert notebook["T"].data_ptr() == notebook["const"].ctypes.data
    assert notebook["text"] == b"12345678"


def test_inference_tensors(notebook: Notebook) -> None:
    """Tensors made in inference mode are used and changed, and stay what they are."""
    notebook.run("with torch.inference_mode(): I = torch.ones(4, 3); part = I[1:]")
    pointer = notebook["I"].data_ptr()
    notebook.train_on(
        "with torch.inference_mode():\n    out = model(I)\n    I += 1\n"
        "    where = I.device.type"
    )
    tensor = notebook["I"]
    assert notebook["where"] == "fake"
    assert tensor.is_inference()
    assert tensor.data_ptr() == pointer
    assert tensor.eq(2).all()
    assert notebook["part"].eq(2).all()
    assert notebook["out"].is_inference()


def test_a_model_that_runs_only_in_inference_mode(notebook: Notebook) -> None:
    """Parameters made in inference mode move and come home."""
    notebook.run("with torch.inference_mode(): frozen = nn.Linear(3, 2)")
    pointer = notebook["frozen"].weight.data_ptr()
    notebook.train_on("with torch.inference_mode(): out = frozen(X)")
    assert notebook["frozen"].weight.is_inference()
    assert notebook["frozen"].weight.data_ptr() == pointer


# --- graphs -----------------------------------------------------------------------


def test_a_graph_of_an_earlier_cell_survives(notebook: Notebook) -> None:
    """A loss computed before the cell can go backward after it, as on the CPU."""
    notebook.run(
        "model.zero_grad(set_to_none=True)\nold = model(X).square().sum()\n"
        "expected = torch.autograd.grad(old, list(model.parameters()), retain_graph=True)"
    )
    notebook.train_on("with torch.no_grad(): score = model(X).argmax(1)")
    notebook.run("old.backward()")
    for parameter, grad in zip(
        notebook["model"].parameters(), notebook["expected"], strict=True
    ):
        assert torch.equal(parameter.grad, grad)


def test_backward_through_an_earlier_graph_is_refused(notebook: Notebook) -> None:
    """Gradients of a CPU graph for a model that has moved: a clear line, no wrong result."""
    notebook.run("model.zero_grad(set_to_none=True)\nold = model(X).square().sum()")
    with pytest.raises(
        NotSupportedError, match="computed on the CPU in an earlier cell"
    ):
        notebook.train_on("old.backward()\noptimizer.step()")
    assert all(each.grad is None for each in notebook["model"].parameters())
    notebook.run("old.backward()")
    assert all(each.grad is not None for each in notebook["model"].parameters())


def test_backward_after_the_cell_is_refused(notebook: Notebook) -> None:
    """A loss of the cell has its value at home; its graph is gone, and says so."""
    notebook.train_on("late = model(X).square().sum()")
    assert notebook["late"].requires_grad
    assert notebook["late"].item() > 0
    with pytest.raises(NotSupportedError, match="cell has ended"):
        notebook.run("late.backward()")


def test_a_hidden_state_with_a_graph_is_carried(notebook: Notebook) -> None:
    """A state computed before the cell goes in, is detached, and is replaced."""
    notebook.run(
        "rnn = nn.LSTM(3, 4)\nseq = torch.randn(5, 2, 3)\nout, hidden = rnn(seq)\n"
        "plain = [h.detach().clone() for h in hidden]"
    )
    notebook.train_on(
        "hidden = tuple(h.detach() for h in hidden)\n"
        "out2, hidden = rnn(seq, hidden)\nout2.sum().backward()"
    )
    notebook.run("check, _ = rnn(seq, tuple(plain))")
    assert torch.allclose(notebook["check"], notebook["out2"], atol=1e-6)


# --- devices ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "device", ["fake:2", "fake:77", "cudda", "fake:-1", "fake:x", "7"]
)
def test_a_device_that_does_not_exist(notebook: Notebook, device: str) -> None:
    """One line that lists the devices which exist; nothing was touched."""
    before = state(notebook)
    with pytest.raises(BadDeviceError) as caught:
        notebook.train_on(TRAIN, device=device)
    lines = caught.value.render()
    assert len(lines) <= 3
    assert "fake:0" in str(caught.value)
    assert "fake:1" in str(caught.value)
    assert state(notebook) == before


def test_a_device_that_is_lost_in_the_cell(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """The driver is gone: what was moved has its values from before the cell."""
    before = state(notebook)
    with pytest.raises(DeviceFailedError, match="values from before the cell"):
        notebook.train_on("step()\ntorch.fake.set_lost(1, lost=True)\nstep()")
    fake.set_lost(1, lost=False)
    after = state(notebook)
    for name in ("X", "rows", "0.weight", "2.bias"):
        assert after[name][:6] == before[name][:6], name
    gc.collect()


def test_a_device_that_is_lost_at_the_end(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """A cell that ran well cannot be brought home: that is an error, not silence."""
    with pytest.raises(DeviceFailedError, match="fake:1 stopped working"):
        notebook.train_on("step()\ntorch.fake.set_lost(1, lost=True)")
    fake.set_lost(1, lost=False)


def test_a_device_that_is_lost_before(
    notebook: Notebook, fake: types.ModuleType
) -> None:
    """A device that takes nothing counts as absent: the CPU, and the reason."""
    before = state(notebook)
    fake.set_lost(1, lost=True)
    with pytest.raises(DeviceUnavailableError, match="fake:1"):
        notebook.train_on(TRAIN, strict=True)
    assert state(notebook) == before
    outcome = notebook.train_on("where = X.device.type")
    assert (outcome.device, notebook["where"]) == ("cpu", "cpu")
    assert outcome.fallback is not None
    assert "device lost" in outcome.fallback
    fake.set_lost(1, lost=False)
    assert state(notebook) == before
    assert_works_on(notebook)


def test_a_cell_in_a_cell_is_refused(notebook: Notebook) -> None:
    """The inner one says so, the outer one ends in order."""
    notebook.names["notebook"] = notebook
    with pytest.raises(NestedCellError):
        notebook.train_on("notebook.train_on('step()')")
    del notebook.names["notebook"]
    assert_works_on(notebook)


# --- cells that do strange things -------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        "model = nn.Linear(3, 2)\nloss = model(X).sum()",
        "old = model\nmodel = nn.Linear(3, 2)\nmodel(old(X)[:, :1].expand(8, 3)).sum().backward()",
        "del optimizer\nstep = None\nmodel(X).sum().backward()",
        "del model, optimizer, step",
        "step()\nmodel[0] = nn.Linear(3, 4)\nmodel(X)",
        "step()\ndel model[2]\nmodel(X)",
        "model.extra = nn.Parameter(torch.ones(2))\nout = model(X) * model.extra",
        "model[0].weight = nn.Parameter(model[0].weight * 2)\nout = model(X)",
        "model.register_buffer('seen', X.mean(0))\nout = model(X) + model.seen[:2]",
        "optimizer.param_groups.clear()\noptimizer.state.clear()",
        "optimizer = torch.optim.SGD(model.parameters(), .1)\nstep()",
        "X = X.numpy()\nX = torch.tensor(X)",
        "globals()['hidden_name'] = model(X)",
        "import copy\nmodel = copy.deepcopy(model)\nmodel(X)",
        "import pickle\nagain = pickle.loads(pickle.dumps(model.state_dict()))",
        "X.untyped_storage().resize_(0)",
        "model.share_memory()\nstep()",
        "model.double()\nout = model(X.double())",
        "model.half().float()\nstep()",
        "model.to('fake:1')\nmodel.to('cpu')\nout = model(X.to('cpu'))",
        "x = X.cpu()\nx += 1\nassert x.device.type == 'cpu'",
        "names = [n for n in dir()]\nlist(globals().values())[:0]",
        "def f():\n    yield model(X)\ng = f()\nnext(g)",
        "class Later:\n    value = torch.ones(2)\nLater.value += 1",
        "model.requires_grad_(False)\nmodel(X)",
        "torch.manual_seed(0)\nprint(model, optimizer, X)",
        "X[0] = float('nan')\nstep()",
    ],
)
def test_a_strange_cell_ends_at_home(notebook: Notebook, cell: str) -> None:
    """Rebinding, deleting and replacing leaves nothing on the device."""
    notebook.train_on(cell)
    gc.collect()
    assert_home(notebook)


ERRORS = {
    "at once": "1 / 0",
    "after a step": "step()\n1 / 0",
    "in the forward pass": "model(torch.ones(2, 7))",
    "in a Dataset": """
from torch.utils.data import DataLoader, Dataset
class Bad(Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return X[i] if i < 2 else 1 / 0
for xb in DataLoader(Bad(), 2): model(xb)
""",
    "in a Dataset, called directly": """
class Bad(torch.utils.data.Dataset):
    def __getitem__(self, i): return torch.zeros(2) / (1 / 0)
Bad()[0]
""",
    "in a collate_fn": """
def collate(batch): raise ZeroDivisionError
for xb in torch.utils.data.DataLoader(X, 2, collate_fn=collate): pass
""",
    "in a worker": """
from torch.utils.data import DataLoader, Dataset
class Bad(Dataset):
    def __len__(self): return 8
    def __getitem__(self, i): return torch.ones(3) if i < 4 else 1 / 0
seen = [model(xb) for xb in DataLoader(Bad(), 2, num_workers=2)]
""",
    "in backward": """
class Bad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 1
    @staticmethod
    def backward(ctx, g): 1 / 0
Bad.apply(model(X)).sum().backward()
""",
    "in a hook": """
model[0].weight.register_hook(lambda g: 1 / 0)
model(X).sum().backward()
""",
    "in a function with locals": """
def deep(n):
    held = model(X) * n
    return deep(n - 1) if n else 1 / 0
deep(20)
""",
    "with a cause": """
try:
    held = model(X)
    1 / 0
except ZeroDivisionError as error:
    raise ZeroDivisionError('again') from error
""",
    "in a generator": """
def batches():
    for i in range(4):
        yield model(X[i:i + 2])
        if i: 1 / 0
outs = []
for out in batches(): outs.append(out)
""",
    "while a context is open": """
with torch.no_grad():
    with torch.inference_mode():
        out = model(X)
        1 / 0
""",
    "in the optimizer": """
class Bad(torch.optim.SGD):
    def step(self, closure=None):
        super().step(); 1 / 0
bad = Bad(model.parameters(), 0.1)
model(X).sum().backward(); bad.step()
""",
}


@pytest.mark.parametrize("cell", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_in_the_cell(notebook: Notebook, cell: str) -> None:
    """The error is the user's own, and everything is home before he sees it."""
    expected = RuntimeError if "torch.ones(2, 7)" in cell else ZeroDivisionError
    with pytest.raises(expected) as caught:
        notebook.train_on(cell)
    assert leftovers(notebook.names) == {}
    del caught  # its traceback holds the locals of the cell, and their graphs
    assert_home(notebook)
    notebook.run("model[0].weight._backward_hooks = None\nmodel.zero_grad()")
    assert_works_on(notebook)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt(notebook: Notebook, error: type[BaseException]) -> None:
    """Every way out of a cell leads home."""
    notebook.names["stop"] = error
    with pytest.raises(error):
        notebook.train_on("step()\nraise stop")
    assert_home(notebook)
    assert_works_on(notebook)


def test_the_error_of_another_device_is_torchs_own(notebook: Notebook) -> None:
    """What the user placed himself stays there; a mix is torch's own error."""
    with pytest.raises(RuntimeError, match="same device"):
        notebook.train_on(
            "torch.ones(3, device='cpu') + torch.ones(3, device='fake:1')"
        )


# --- sizes ------------------------------------------------------------------------


def test_a_model_of_two_thousand_layers(notebook: Notebook) -> None:
    """It moves, trains and comes home within seconds."""
    notebook.run(
        "deep = nn.Sequential(*[nn.Linear(4, 4) for _ in range(2000)])\n"
        "opt = torch.optim.SGD(deep.parameters(), 0.1)\nx = torch.ones(2, 4)"
    )
    pointers = [each.data_ptr() for each in notebook["deep"].parameters()]
    began = time.perf_counter()
    notebook.train_on("deep, opt")
    assert time.perf_counter() - began < 2
    notebook.train_on("deep(x).sum().backward()\nopt.step()")
    assert [each.data_ptr() for each in notebook["deep"].parameters()] == pointers


def test_modules_nested_a_hundred_and_fifty_deep(notebook: Notebook) -> None:
    """Depth of nesting is no limit of ours."""
    notebook.run(
        "nest = nn.Linear(2, 2)\nfor _ in range(150): nest = nn.Sequential(nest)"
    )
    notebook.train_on("out = nest(torch.ones(1, 2))")


def test_containers_nested_ten_thousand_deep(notebook: Notebook) -> None:
    """A long chain of lists and objects is followed without recursion."""
    notebook.run(
        "class Link: pass\n"
        "chain = bottom = torch.zeros(2)\n"
        "for i in range(10_000):\n"
        "    if i % 2: chain = [chain]\n"
        "    else:\n"
        "        link = Link(); link.next = chain; chain = link\n"
        "del link"
    )
    notebook.train_on("first = chain\nbottom += 1")
    assert notebook["bottom"].eq(1).all()
    found, at = 0, notebook["chain"]
    while not isinstance(at, torch.Tensor):
        at, found = (at[0] if isinstance(at, list) else at.next), found + 1
    assert at is notebook["bottom"]
    for name in ("first", "chain"):  # taken apart by hand: C would recurse
        at = notebook.names.pop(name)
    while not isinstance(at, torch.Tensor):
        if isinstance(at, list):
            at = at.pop()
        else:
            at.next, at = None, at.next


def test_ten_thousand_names_and_containers_that_hold_themselves(
    notebook: Notebook,
) -> None:
    """Only what the cell uses is looked at, and cycles end."""
    for number in range(10_000):
        notebook.names[f"name_{number}"] = (
            torch.zeros(1) if number % 10 == 0 else number
        )
    notebook.run(
        "loop = []; loop.append(loop); loop.append(X)\n"
        "table = {}; table['me'] = table; table['loop'] = loop\n"
        "pair = (loop, table); loop.append(pair)\n"
        "class Node: pass\nnode = Node(); node.me = node; node.pair = pair"
    )
    began = time.perf_counter()
    outcome = notebook.train_on("node.pair[0][1].add_(1)\nwhere = loop[1].device.type")
    assert time.perf_counter() - began < 1
    assert notebook["where"] == "fake"
    assert outcome.moved_bytes < 2_000


# --- hostile objects --------------------------------------------------------------

HOSTILE = """
touched = []

class Hostile:
    def __getattribute__(self, name):
        if name in ("__class__", "__dict__"):
            raise RuntimeError(name)
        touched.append(name); raise RuntimeError(name)
    def __getattr__(self, name): touched.append(name); raise RuntimeError(name)
    def __len__(self): touched.append("len"); raise RuntimeError
    def __bool__(self): touched.append("bool"); raise RuntimeError
    def __eq__(self, other): touched.append("eq"); raise RuntimeError
    def __hash__(self): touched.append("hash"); raise RuntimeError
    def __iter__(self): touched.append("iter"); raise RuntimeError
    def __contains__(self, item): touched.append("contains"); raise RuntimeError
    def __getitem__(self, item): touched.append("getitem"); raise RuntimeError
    def __repr__(self): touched.append("repr"); raise RuntimeError
    def __call__(self): touched.append("call"); raise RuntimeError
    def __setattr__(self, name, value): touched.append("set"); raise RuntimeError
    def __reduce__(self): touched.append("reduce"); raise RuntimeError
    def to(self, *args): touched.append("to"); raise RuntimeError
    def cpu(self): touched.append("cpu"); raise RuntimeError
    def parameters(self): touched.append("parameters"); raise RuntimeError

class HostileDict(dict):
    def __getitem__(self, key): touched.append("dict item"); raise RuntimeError
    def __iter__(self): touched.append("dict iter"); raise RuntimeError
    def items(self): touched.append("items"); raise RuntimeError
    def values(self): touched.append("values"); raise RuntimeError
    def keys(self): touched.append("keys"); raise RuntimeError
    def __len__(self): touched.append("dict len"); raise RuntimeError

class HostileList(list):
    def __iter__(self): touched.append("list iter"); raise RuntimeError
    def __getitem__(self, i): touched.append("list item"); raise RuntimeError
    def __len__(self): touched.append("list len"); raise RuntimeError

class Properties:
    @property
    def model(self): touched.append("property"); raise RuntimeError
    @property
    def __class__(self): touched.append("class"); return torch.Tensor

class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__mro__", "__dict__", "__name__", "__qualname__", "__module__"):
            return type.__getattribute__(cls, name)
        touched.append("meta " + name); raise RuntimeError(name)
    def __eq__(cls, other): touched.append("eq"); raise RuntimeError
    __hash__ = type.__hash__
    def __instancecheck__(cls, other): touched.append("instancecheck"); raise RuntimeError
    def __subclasscheck__(cls, other): touched.append("subclasscheck"); raise RuntimeError

class WithMeta(metaclass=Meta): pass

hostile = Hostile()
hostile_dict = HostileDict(a=X)
hostile_list = HostileList([X, hostile])
properties = Properties()
kind = WithMeta
made = object.__new__(WithMeta)
import weakref, types
dead = weakref.proxy(type("Gone", (), {})())
bare_module = object.__new__(nn.Linear)
bare_optimizer = object.__new__(torch.optim.SGD)
slots = type("Slots", (), {"__slots__": ("never_set",)})()
module = types.ModuleType("odd")
"""
HOSTILE_NAMES = (
    *("hostile", "hostile_dict", "hostile_list", "properties", "kind", "made"),
    *("dead", "bare_module", "bare_optimizer", "slots", "module"),
)


@pytest.fixture
def hostile(fake: types.ModuleType) -> Iterator[Notebook]:
    """Give a notebook full of objects that bite."""
    book = Notebook()
    book.run(MODEL + HOSTILE)
    book["touched"].clear()
    yield book
    book.names.clear()
    gc.collect()
    assert fake.stats(1)["current"] == 0


def test_what_the_cell_does_not_use_is_not_touched(hostile: Notebook) -> None:
    """Not one special method of an object that the cell does not name is called."""
    hostile.train_on(TRAIN)
    assert hostile["touched"] == []
    assert {each.device.type for each in hostile["model"].parameters()} == {"cpu"}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_object_that_the_cell_names(hostile: Notebook, name: str) -> None:
    """It is survived, not called, and what else the cell uses moves as ever."""
    hostile.train_on(f"step()\nagain = {name}\nwhere = X.device.type")
    assert hostile["where"] == "fake"
    assert hostile["X"].device.type == "cpu"
    called = [each for each in hostile["touched"] if not each.startswith("__")]
    assert called == []


def test_hostile_objects_inside_what_the_cell_uses(hostile: Notebook) -> None:
    """A container, a closure and an object of the user may hold them."""
    hostile.run(
        "class Holder: pass\nholder = Holder()\n"
        f"holder.all = [{', '.join(HOSTILE_NAMES)}]\nholder.t = torch.zeros(2)\n"
        "def use(): return holder.t.add_(1).device.type"
    )
    hostile["touched"].clear()
    hostile.train_on("where = use()")
    assert hostile["where"] == "fake"
    assert hostile["holder"].t.tolist() == [1, 1]
    assert hostile["holder"].t.device.type == "cpu"
    assert [each for each in hostile["touched"] if not each.startswith("__")] == []


def test_tensors_that_bite(hostile: Notebook) -> None:
    """A tensor class whose functions raise is moved and brought home by torch itself."""
    hostile.run(
        "class Biting(torch.Tensor):\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, *args, **kwargs): raise RuntimeError('bitten')\n"
        "with torch._C.DisableTorchFunctionSubclass():\n"
        "    biting = torch.ones(2).as_subclass(Biting)"
    )
    hostile.train_on("again = biting\nstep()")
    with torch._C.DisableTorchFunctionSubclass():
        assert hostile["biting"].device.type == "cpu"
        assert hostile["again"] is hostile["biting"]


def test_a_wrong_device_name_in_the_options_is_ours(notebook: Notebook) -> None:
    """The errors of bad input draw themselves in at most three lines."""
    failures: list[Any] = []
    for device in ("fake:9", "nothing"):
        with pytest.raises(BadDeviceError) as caught:
            notebook.train_on("X", device=device)
        failures.append(caught.value)
    for each in failures:
        assert len(each.render()) <= 3
        assert DEVICE in str(each)
