"""Home is the very storage that a tensor came from, with all that was attached to it."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.corpus.witness import entry_points, leftovers, still_patched, tensors_off_cpu
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("fake")

MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
X = torch.randn(8, 3)
y = torch.tensor([0, 1] * 4)
"""
STEP = """
optimizer.zero_grad()
loss = nn.functional.cross_entropy(model(X), y)
loss.backward()
optimizer.step()
"""


@pytest.fixture
def notebook(fake: types.ModuleType) -> Iterator[Notebook]:
    """Give a notebook with a model; afterwards nothing may be left anywhere."""
    book = Notebook()
    book.run(MODEL)
    before = entry_points()
    yield book
    assert leftovers(book.names) == {}
    assert still_patched(before, entry_points()) == []
    assert tensors_off_cpu() == []
    book.names.clear()
    gc.collect()
    assert fake.stats(1)["current"] == 0


def like_on_the_cpu(setup: str, cell: str, *names: str) -> Notebook:
    """Run a cell on both devices; the names have to be equal and as before."""
    plain, book = Notebook(), Notebook()
    for each in (plain, book):
        each.run(MODEL + setup)
    identities = {name: (id(book[name]), place(book[name])) for name in names}
    expected = {name: place(plain[name]) for name in names}
    plain.run(cell)
    book.train_on(cell)
    for name in names:
        one, other = plain[name], book[name]
        assert other.device.type == "cpu", name
        assert torch.equal(one, other), name
        assert one.stride() == other.stride(), name
        assert one.requires_grad == other.requires_grad, name
        assert id(other) == identities[name][0], name
        stayed = place(one)[0] == expected[name][0]
        assert (place(other)[0] == identities[name][1][0]) == stayed, name
    return book


def place(tensor: torch.Tensor) -> tuple[int, int]:
    """Return where a tensor lies: its storage and its offset there."""
    return tensor.untyped_storage().data_ptr(), tensor.storage_offset()


def test_parameters_keep_everything_that_belongs_to_them(notebook: Notebook) -> None:
    """Identity, memory, gradient object, hooks and references are those of before."""
    calls: list[object] = []
    notebook.run(STEP)
    parameters = list(notebook["model"].parameters())
    for each in parameters:
        each.register_hook(lambda grad: calls.append(grad.shape))
    pointers = [each.data_ptr() for each in parameters]
    gradients = [each.grad for each in parameters]
    weak = [weakref.ref(each) for each in parameters]
    notebook.train_on(
        "for p in model.parameters():\n    p.grad.zero_()\n"
        "nn.functional.cross_entropy(model(X), y).backward()\noptimizer.step()"
    )
    after = list(notebook["model"].parameters())
    assert all(one is other for one, other in zip(parameters, after, strict=True))
    assert [each.data_ptr() for each in after] == pointers
    assert all(one.grad is grad for one, grad in zip(after, gradients, strict=True))
    assert all(ref() is each for ref, each in zip(weak, after, strict=True))
    assert all(isinstance(each, torch.nn.Parameter) for each in after)
    assert len(calls) == len(parameters)
    notebook.run(STEP)
    assert len(calls) == 2 * len(parameters)
    assert set(notebook["optimizer"].state) == set(parameters)


def test_an_alias_that_the_cell_does_not_name_sees_the_new_values() -> None:
    """Aliases of every kind made before the cell share memory with the model after it."""
    book = like_on_the_cpu(
        "param = model[0].weight\ndata = model[0].weight.data\n"
        "detached = model[0].bias.detach()\nrow = model[0].weight.detach()[1]\n"
        "turned = model[2].weight.detach().T\n"
        "array = model[2].bias.detach().numpy()",
        STEP * 3,
        *("param", "data", "detached", "row", "turned"),
    )
    model = book["model"]
    assert book["param"] is model[0].weight
    assert torch.equal(book["data"], model[0].weight.detach())
    assert torch.equal(book["row"], model[0].weight[1].detach())
    assert torch.equal(book["turned"], model[2].weight.detach().T)
    assert np.array_equal(book["array"], model[2].bias.detach().numpy())
    with torch.no_grad():
        model[0].weight.fill_(7)
    assert book["row"].eq(7).all()
    assert book["data"].eq(7).all()


@pytest.mark.parametrize(
    "write",
    [
        "alias.data.fill_(3)",
        "alias.data[0] = 5",
        "model[0].weight.data.mul_(2)",
        "model[0].weight.data = torch.ones(4, 3)",
        "with torch.no_grad(): alias[1:] += 1",
        "row.zero_()",
        "flat = alias.detach().view(-1)\nflat[3] = 9",
        "model[0].weight.requires_grad_(False)",
        "alias.detach().copy_(torch.eye(4)[:, :3])",
        "torch.nn.init.constant_(model[0].weight, 0.5)",
        "model[0].load_state_dict({'weight': torch.ones(4, 3), 'bias': torch.zeros(4)})",
    ],
)
def test_writes_through_an_alias_are_kept(write: str) -> None:
    """What the cell writes through one name is seen through all others."""
    like_on_the_cpu(
        "alias = model[0].weight\nrow = model[0].weight.detach()[2]",
        write + "\nout = model(X).sum()",
        *("alias", "row"),
    )


@pytest.mark.parametrize(
    "change",
    [
        "X += 1",
        "X[0] = 0",
        "X.t_()",
        "X.unsqueeze_(0)",
        "X.squeeze_()",
        "X.transpose_(0, 1)",
        "X.resize_(4, 3)",
        "X.resize_(20, 3); X.fill_(1)",
        "X.data = torch.zeros(2, 2)",
        "X.set_(torch.ones(3))",
        "X.requires_grad_()",
        "X.swapaxes_(0, 1).mul_(2)",
        "X.fill_diagonal_(0)",
        "X.index_fill_(0, torch.tensor([1]), 4.)",
    ],
)
def test_a_tensor_changed_in_place(change: str) -> None:
    """Values and geometry come home as the CPU would have left them."""
    like_on_the_cpu("", change, "X")


VIEWS = {
    "slice": "base[2:5]",
    "column": "base[:, 1]",
    "strided": "base[::2, ::3]",
    "transposed": "base.t()",
    "expanded": "base[0].expand(7, 6)",
    "unfolded": "base.view(-1).unfold(0, 4, 1)",
    "overlapping": "base.as_strided((3, 3), (1, 1), 2)",
    "diagonal": "base.diagonal()",
    "flattened": "base.flatten()",
    "as ints": "base.view(torch.int32)",
    "scalar": "base[1, 1]",
    "empty": "base[:0]",
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("named", ["base", "view", "both"])
def test_views_share_memory_there_and_at_home(view: str, named: str) -> None:
    """A base and its view are one memory on the device, and again at home."""
    cell = {
        "base": "base.add_(1)\nbase[1, 1] = 5",
        "view": "total = view.sum()\nbefore = total.item()",
        "both": "base.mul_(2)\ntotal = (view.float() * 1).sum()\nbase[1, 1] = 3",
    }[named]
    book = like_on_the_cpu(
        f"base = torch.arange(42.).view(7, 6)\nview = {view}", cell, "base", "view"
    )
    with torch.no_grad():
        book["base"].fill_(1)
    expected = eval(view, {"base": book["base"], "torch": torch})  # noqa: S307 (ours)
    assert torch.equal(book["view"], expected)


def test_a_view_made_in_the_cell_is_a_view_at_home(notebook: Notebook) -> None:
    """``v = X[0]`` in the cell still shares memory with ``X`` after it."""
    notebook.train_on("v = X[0]\nw = X.t()\nout = model(X)")
    notebook["X"].fill_(4)
    assert notebook["v"].eq(4).all()
    assert notebook["w"].eq(4).all()
    assert notebook["w"].stride() == (1, 3)


def test_tied_weights_stay_tied(notebook: Notebook) -> None:
    """One Parameter in two modules is one Parameter, there and at home."""
    notebook.run(
        "tied = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))\n"
        "tied[1].weight = tied[0].weight\nalso = [tied[0].weight]"
    )
    notebook.train_on(
        "opt = torch.optim.SGD(tied.parameters(), 0.1)\n"
        "tied(torch.ones(2, 5)).sum().backward()\nopt.step()\n"
        "same_there = tied[0].weight is tied[1].weight\n"
        "count = len(list(tied.parameters()))"
    )
    assert notebook["same_there"]
    assert notebook["count"] == 3
    tied = notebook["tied"]
    assert tied[0].weight is tied[1].weight is notebook["also"][0]


def test_weights_that_are_views_of_one_flat_vector() -> None:
    """Weights flattened by the user stay slices of the flat vector."""
    setup = """
flat = torch.cat([p.detach().flatten() for p in model.parameters()])
spare = flat.clone()
place = 0
for p in model.parameters():
    p.data = flat[place:place + p.numel()].view_as(p)
    place += p.numel()
"""
    book = like_on_the_cpu(setup, STEP * 2 + "norm = flat.norm().item()", "flat")
    joined = torch.cat([p.detach().flatten() for p in book["model"].parameters()])
    assert torch.equal(book["flat"], joined)
    book["flat"].zero_()
    assert all(p.eq(0).all() for p in book["model"].parameters())


def test_the_flat_vector_is_not_named() -> None:
    """It is the memory of the weights, so it has their new values all the same."""
    setup = """
flat = torch.zeros(sum(p.numel() for p in model.parameters()) + 10)
place = 5
for p in model.parameters():
    flat[place:place + p.numel()] = p.detach().flatten()
    p.data = flat[place:place + p.numel()].view_as(p)
    place += p.numel()
"""
    like_on_the_cpu(setup, STEP * 2, "flat")


DTYPES = {
    "half": "torch.ones(5).half()",
    "bfloat16": "torch.ones(5).bfloat16()",
    "double": "torch.ones(5).double()",
    "bool": "torch.tensor([True, False])",
    "uint8": "torch.arange(5).byte()",
    "int64": "torch.arange(5)",
    "complex": "torch.ones(5, dtype=torch.complex64)",
    "zero-dimensional": "torch.tensor(3.5)",
    "empty": "torch.empty(0, 3)",
    "channels last": "torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)",
    "odd offset": "torch.arange(9).byte()[3:7]",
    "reversed dims": "torch.arange(24.).view(2, 3, 4).permute(2, 0, 1)",
}


@pytest.mark.parametrize("made", DTYPES.values(), ids=DTYPES.keys())
def test_every_type_and_layout(made: str) -> None:
    """Type, size, strides and values come home unchanged."""
    like_on_the_cpu(f"t = {made}", "u = t.clone()\nt.copy_(u)\nn = t.numel()", "t")


def test_conjugate_and_negative_views() -> None:
    """Lazy conjugation and negation stay lazy, and right."""
    book = like_on_the_cpu(
        "z = torch.complex(torch.arange(4.), torch.ones(4))\nc = z.conj()\n"
        "imaginary = c.imag",
        "z.mul_(2)",
        *("z", "c"),
    )
    assert book["c"].is_conj()
    assert torch.equal(book["imaginary"], -torch.full((4,), 2.0))


def test_numpy_sees_what_the_cell_writes(notebook: Notebook) -> None:
    """An array and a tensor over the same memory stay that, in both directions."""
    array = np.zeros((4, 3), dtype=np.float32)
    notebook.names.update(array=array, T=torch.from_numpy(array))
    notebook.run("other = X.numpy()")
    notebook.train_on("T += model(X)[:4, :1] * 0 + 2\nX.mul_(3)")
    assert (array == 2).all()
    assert np.array_equal(notebook["other"], notebook["X"].numpy())
    array[0] = 9
    assert notebook["T"][0].eq(9).all()


def test_only_a_slice_of_a_big_tensor_is_named(notebook: Notebook) -> None:
    """Memory outside the slice is neither moved nor written."""
    notebook.run("big = torch.zeros(3_000_000)\nsmall = big[1_000_000:1_000_010]")
    outcome = notebook.train_on("small += 1")
    assert outcome.moved_bytes < 10_000
    assert notebook["big"].sum() == 10
    assert notebook["big"][1_000_005] == 1


def test_the_rest_of_a_big_tensor_is_reached_later(notebook: Notebook) -> None:
    """A wider part of the same memory that comes up in the cell joins the slice."""
    notebook.run(
        "big = torch.zeros(3_000_000)\nsmall = big[10:20]\n"
        "class Late(nn.Module):\n"
        "    def __init__(self, value):\n"
        "        super().__init__()\n"
        "        self.register_buffer('value', value)\n"
        "    def forward(self, x):\n"
        "        return x + self.value[:20].sum()\n"
        "keep = {'late': lambda: Late(big)}\n"
    )
    notebook.train_on("small += 1\nlate = keep['late']()\nout = late(torch.zeros(1))")
    assert notebook["out"].item() == 10
    assert notebook["big"].sum() == 10
    assert notebook["late"].value.data_ptr() == notebook["big"].data_ptr()


def test_requires_grad_that_the_cell_changes(notebook: Notebook) -> None:
    """Freezing in the cell is kept; gradients may go away."""
    notebook.run(STEP)
    notebook.train_on(
        "model[0].requires_grad_(False)\nfor p in model[2].parameters(): p.grad = None\n"
        "out = model(X)"
    )
    model = notebook["model"]
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad
    assert model[2].weight.grad is None
    assert model[0].weight.grad is not None


def test_gradients_shared_and_replaced(notebook: Notebook) -> None:
    """A gradient that the user holds is the tensor's own gradient, also at home."""
    notebook.run(STEP + "g = model[0].weight.grad\nold = g.clone()")
    notebook.train_on("nn.functional.cross_entropy(model(X), y).backward()")
    assert notebook["g"] is notebook["model"][0].weight.grad
    assert not torch.equal(notebook["g"], notebook["old"])
    notebook.train_on(
        "model[0].weight.grad = torch.ones(4, 3)\nnew = model[0].weight.grad"
    )
    assert notebook["new"] is notebook["model"][0].weight.grad
    assert notebook["new"].eq(1).all()


def test_backward_after_the_cell_works_on_the_cpu(notebook: Notebook) -> None:
    """An ordinary cell trains on, with the same graph leaves and hooks."""
    plain = Notebook()
    plain.run(MODEL + STEP + STEP)
    notebook.train_on(STEP)
    notebook.run(STEP)
    for one, other in zip(
        plain["model"].parameters(), notebook["model"].parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_post_accumulate_hooks_travel(notebook: Notebook) -> None:
    """A hook after accumulation is called on the device and at home, and removable."""
    seen: list[str] = []
    handle = notebook["model"][0].weight.register_post_accumulate_grad_hook(
        lambda p: seen.append(p.grad.device.type)
    )
    notebook.train_on(STEP)
    notebook.run(STEP)
    handle.remove()
    notebook.run(STEP)
    assert seen == ["fake", "cpu"]


class Tagged(torch.Tensor):
    """A user's tensor class."""

    tag: Any = None


def test_a_tensor_class_of_the_user(notebook: Notebook) -> None:
    """Class and attributes stay, memory too."""
    tensor = torch.ones(3).as_subclass(Tagged)
    tensor.tag = {"unit": "m"}
    pointer = tensor.data_ptr()
    notebook.names["tagged"] = tensor
    notebook.train_on("tagged += 1\nwhere = tagged.device.type")
    assert notebook["where"] == "fake"
    assert type(tensor) is Tagged
    assert tensor.tag == {"unit": "m"}
    assert tensor.data_ptr() == pointer
    assert tensor.as_subclass(torch.Tensor).eq(2).all()


def test_the_same_tensor_in_many_places(notebook: Notebook) -> None:
    """Containers and objects hold one tensor, before, during and after."""
    notebook.run(
        "t = torch.zeros(2)\nholder = {'a': t, 'b': [t, (t,)], 'c': {1: {2: t}}}\n"
        "class Box: pass\nbox = Box(); box.t = t; box.me = box"
    )
    notebook.train_on(
        "t += 1\none = holder['a'] is t and holder['b'][1][0] is t and box.t is t"
    )
    assert notebook["one"]
    assert notebook["holder"]["c"][1][2] is notebook["t"] is notebook["box"].t
    assert notebook["t"].eq(1).all()


def test_recurrent_layers_keep_their_flat_weights(notebook: Notebook) -> None:
    """The weak references of an RNN still lead to its parameters, and it runs."""
    notebook.run(
        "rnn = nn.GRU(3, 4, 2)\nseq = torch.randn(5, 2, 3)\nbefore = rnn(seq)[0]"
    )
    pointers = [each.data_ptr() for each in notebook["rnn"].parameters()]
    notebook.train_on("out, h = rnn(seq)")
    rnn = notebook["rnn"]
    assert torch.allclose(notebook["out"], notebook["before"], atol=1e-6)
    assert [each.data_ptr() for each in rnn.parameters()] == pointers
    weights = [ref() for ref in rnn._flat_weight_refs]
    assert all(
        one is other for one, other in zip(weights, rnn.parameters(), strict=True)
    )
    assert all(
        one is other
        for one, other in zip(rnn._flat_weights, rnn.parameters(), strict=True)
    )
    notebook.run("again = rnn(seq)[0]")
    assert torch.equal(notebook["again"], notebook["before"])
