"""Tests for `colabmagic.train.factories`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from colabmagic.train import draws, factories
from colabmagic.train.patches import Patches
from colabmagic.train.scope import Scope
from tests.train.cell import Notebook

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator
    from pathlib import Path

LIBRARY = "/opt/lib/site-packages/library.py"


@contextlib.contextmanager
def wrapped(
    rng: Any = "auto",  # noqa: ANN401 (one of the three words)
    **namespace: Any,  # noqa: ANN401 (the user's values)
) -> Iterator[tuple[Scope, dict[str, Any]]]:
    """Patch the factories as a cell on ``fake:1`` does."""
    scope, patches = Scope(device=torch.device("fake", 1), rng=rng), Patches()
    factories.install(scope, patches, namespace)
    try:
        yield scope, namespace
    finally:
        patches.undo()


@pytest.fixture
def scope(fake: types.ModuleType) -> Iterator[Scope]:  # noqa: ARG001
    """Give a patched torch."""
    with wrapped() as (scope, _):
        yield scope


def in_library(expression: str, **names: Any) -> Any:  # noqa: ANN401
    """Evaluate an expression as the code of an installed library."""
    return eval(compile(expression, LIBRARY, "eval"), {"torch": torch, **names})  # noqa: S307


MAKERS = [
    "torch.zeros(2, 3)", "torch.ones(2)", "torch.empty(3)", "torch.full((2,), 1.5)",
    "torch.eye(2)", "torch.arange(5)", "torch.linspace(0, 1, 3)",
    "torch.logspace(0, 1, 3)", "torch.tensor([1, 2])", "torch.tensor(3.5)",
    "torch.as_tensor([1.0])", "torch.asarray([1.0])", "torch.scalar_tensor(2)",
    "torch.empty_strided((2, 2), (1, 2))", "torch.tril_indices(2, 2)",
    "torch.triu_indices(2, 2)", "torch.hann_window(4)", "torch.hamming_window(4)",
    "torch.bartlett_window(4)", "torch.blackman_window(4)",
    "torch.rand(2)", "torch.randn(2, 2)", "torch.randint(5, (3,))",
    "torch.randint(0, 5, (3,))", "torch.randperm(4)", "torch.normal(0.0, 1.0, (2,))",
    "torch.rand(2, requires_grad=True)", "torch.zeros(2, dtype=torch.int64)",
    "torch.frombuffer(bytearray(8), dtype=torch.uint8)",
    "torch.from_numpy(np.zeros(2))", "torch.Tensor([1, 2])", "torch.Tensor(2, 3)",
    "torch.FloatTensor([1.5])", "torch.LongTensor(3)", "torch.BoolTensor([True])",
]  # fmt: skip


# Random, or memory that nobody has written.
UNEQUAL = ("empty", "rand", "normal", "Tensor(2, 3)", "Tensor(3)")


@pytest.mark.parametrize("expression", MAKERS)
def test_what_the_cell_makes_is_on_the_device(scope: Scope, expression: str) -> None:
    """Every factory, with the values and the type that it has on the CPU."""
    made = eval(expression)  # noqa: S307
    assert made.device == scope.device
    plain = in_library(expression, np=np)
    assert plain.device.type == "cpu"
    assert made.dtype is plain.dtype
    assert made.shape == plain.shape
    assert made.requires_grad is plain.requires_grad
    assert made.is_leaf
    if not any(word in expression for word in UNEQUAL):
        assert torch.equal(made.cpu(), plain)


@pytest.mark.parametrize("expression", MAKERS)
def test_library_code_stays_on_the_cpu(scope: Scope, expression: str) -> None:  # noqa: ARG001
    """An installed library that makes a tensor gets it where it expects it."""
    assert in_library(expression, np=np).device.type == "cpu"


@pytest.mark.usefixtures("scope")
def test_modules_are_initialised_on_the_cpu() -> None:
    """In ``__init__`` of a module, of the user too, a factory gives a CPU tensor."""
    devices = []

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 2)
            self.register_buffer("mask", torch.ones(2))
            self.helper()

        def helper(self) -> None:
            devices.append(torch.zeros(1).device.type)

        def forward(self) -> None:
            devices.append(torch.zeros(1).device.type)

    net = Net()
    net()
    assert devices == ["cpu", "fake"]
    assert net.linear.weight.device.type == "cpu"
    assert net.mask.device.type == "cpu"


def test_dataset_code_stays_on_the_cpu(scope: Scope) -> None:
    """While a loader works, nothing is made on the device."""
    scope.inside_loader = 1
    assert torch.zeros(1).device.type == "cpu"
    assert torch.randn(1).device.type == "cpu"
    assert torch.Tensor([1]).device.type == "cpu"
    assert torch.FloatTensor([1]).device.type == "cpu"
    assert torch.from_numpy(np.zeros(1)).device.type == "cpu"


@pytest.mark.parametrize(
    "expression",
    ["torch.zeros(2, device='cpu')", "torch.randn(2, device='cpu')",
     "torch.randperm(2, device='cpu')", "torch.tensor([1], device=torch.device('cpu'))",
     "torch.zeros(2, out=torch.empty(2, device='cpu'))",
     "torch.randn(2, out=torch.empty(2, device='cpu'))"],
)  # fmt: skip
@pytest.mark.usefixtures("scope")
def test_what_the_user_says_wins(expression: str) -> None:
    """``device=`` and ``out=`` are obeyed."""
    assert eval(expression).device.type == "cpu"  # noqa: S307


def test_what_the_user_puts_there_is_remembered(scope: Scope) -> None:
    """With ``device=`` naming the device, the tensor is his to keep there."""
    kept = torch.zeros(2, device="fake:1")
    other = torch.zeros(2, device="fake:0")
    ours = torch.zeros(2)
    assert kept in scope.on_device
    assert other not in scope.on_device
    assert ours not in scope.on_device


@pytest.mark.parametrize(
    "expression",
    ["torch.zeros(2, device=None)", "torch.randn(2, device=None)",
     "torch.ones(2, out=None)", "torch.rand(2, pin_memory=False)",
     "torch.rand_like(torch.zeros(2), device=None)", "torch.randperm(3, device=None)"],
)  # fmt: skip
def test_none_says_nothing(scope: Scope, expression: str) -> None:
    """``device=None``, as functions hand it on, leaves the choice to the cell."""
    made = eval(expression)  # noqa: S307
    assert made.device == scope.device
    assert made not in scope.on_device


def test_tensors_that_follow_another_stay_with_it(scope: Scope) -> None:
    """``*_like`` and ``new_*`` need no help, on either side."""
    here = torch.zeros(2, device="cpu")
    there = torch.zeros(2)
    for like in (torch.zeros_like, torch.randn_like, torch.rand_like, torch.empty_like):
        assert like(here).device.type == "cpu"
        assert like(there).device == scope.device
    assert there.new_zeros(3).device == scope.device


# ---- random numbers -------------------------------------------------------------------


DRAWS = [
    "torch.rand({n})", "torch.randn({n})", "torch.randint(9, ({n},))",
    "torch.normal(1.0, 2.0, ({n},))", "torch.rand_like(torch.zeros({n}))",
    "torch.randn_like(torch.zeros({n}))", "torch.randint_like(torch.zeros({n}), 9)",
    "torch.randn_like(input=torch.zeros({n}))",
]  # fmt: skip
BORDER = draws.SMALL_BYTES // 4


def drawn(
    expression: str, rng: str, fake: types.ModuleType
) -> tuple[torch.Tensor, bool]:
    """Draw with all streams at a known place; tell whether the CPU's was used."""
    torch.manual_seed(1)
    fake.manual_seed_all(2)
    before = torch.get_rng_state()
    with wrapped(rng):
        made = eval(expression)  # noqa: S307
    return made, not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("rng", ["auto", "cpu", "device"])
@pytest.mark.parametrize("size", ["small", "border", "large"])
def test_whose_stream_a_draw_comes_from(
    fake: types.ModuleType, draw: str, rng: str, size: str
) -> None:
    """Up to 64 KiB the CPU's, so that the noise is that of the CPU; larger the device's."""
    number = {"small": 5, "border": BORDER, "large": BORDER + 1}[size]
    if "randint(" in draw:
        number = {"small": 5, "border": BORDER // 2, "large": BORDER // 2 + 1}[size]
    expression = draw.format(n=number)
    made, from_cpu = drawn(expression, rng, fake)
    assert made.device == torch.device("fake", 1)
    assert from_cpu is (rng == "cpu" or (rng == "auto" and size != "large"))
    if from_cpu:
        torch.manual_seed(1)
        assert torch.equal(made.cpu(), eval(expression))  # noqa: S307


@pytest.mark.parametrize(
    ("rng", "expected"), [("auto", True), ("cpu", True), ("device", False)]
)
def test_permutations_come_from_the_cpu(
    fake: types.ModuleType, rng: str, *, expected: bool
) -> None:
    """Shuffling is the CPU's, whatever the size, unless the device was asked for."""
    made, from_cpu = drawn("torch.randperm(40_000)", rng, fake)
    assert made.device == torch.device("fake", 1)
    assert from_cpu is expected


@pytest.mark.parametrize(
    "draw", ["torch.randn(50_000, generator=g)", "torch.randperm(9, generator=g)"]
)
def test_the_users_generator_is_used(scope: Scope, draw: str) -> None:
    """A generator of the CPU gives its numbers, which are then moved."""
    names = {"torch": torch, "g": torch.Generator().manual_seed(3)}
    made = eval(draw, names)  # noqa: S307
    names["g"] = torch.Generator().manual_seed(3)
    assert made.device == scope.device
    assert torch.equal(made.cpu(), in_library(draw, **names))


def test_draws_that_require_gradients_are_leaves(scope: Scope) -> None:
    """A moved draw is no computed value."""
    for number in (3, 50_000):
        made = torch.randn(number, requires_grad=True)
        assert made.device == scope.device
        assert made.is_leaf
        assert made.requires_grad


@pytest.mark.parametrize(
    "expression",
    ["torch.normal(mean, mean)", "torch.normal(mean, 1.0)", "torch.normal(0.0, mean)",
     "torch.normal(mean=mean, std=mean)"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (3,)])
def test_normal_of_tensors_follows_them(
    scope: Scope, expression: str, shape: tuple[int, ...]
) -> None:
    """Means and deviations decide, 0-dimensional ones too."""
    for device in ("cpu", scope.device):
        mean = torch.ones(shape, device=device)
        made = eval(expression)  # noqa: S307
        assert made.device == mean.device
        assert made.shape == shape


def test_a_bound_may_be_a_tensor(scope: Scope) -> None:
    """``torch.randint(0, n, …)`` takes a 0-dimensional tensor as a number."""
    made = torch.randint(0, torch.tensor(5, device="cpu"), (3,))
    assert made.device == scope.device


FILLS = [
    "x.normal_()", "x.uniform_(-1, 1)", "x.random_(9)", "x.bernoulli_(0.5)",
    "x.exponential_()", "torch.nn.init.normal_(x)", "torch.nn.init.kaiming_uniform_(x)",
]  # fmt: skip


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("rng", ["auto", "cpu", "device"])
@pytest.mark.parametrize("side", [4, 200])
def test_tensors_that_are_filled_with_noise(
    fake: types.ModuleType, fill: str, rng: str, side: int
) -> None:
    """As draws are; weights are initialised from the CPU's stream whatever their size."""
    torch.manual_seed(1)
    fake.manual_seed_all(2)
    plain = torch.zeros(side, side)
    there = plain.to("fake:1")
    before = torch.get_rng_state()
    address = there.data_ptr()
    with wrapped(rng):
        made = eval(fill, {"torch": torch, "x": there})  # noqa: S307
    from_cpu = not torch.equal(before, torch.get_rng_state())
    assert made is there
    assert there.data_ptr() == address
    assert from_cpu is (
        rng == "cpu" or (rng == "auto" and (side == 4 or "init" in fill))
    )
    if from_cpu:
        torch.manual_seed(1)
        eval(fill, {"torch": torch, "x": plain})  # noqa: S307
        assert torch.equal(there.cpu(), plain)


@pytest.mark.parametrize(
    "draw",
    [
        "torch.bernoulli(p)",
        "torch.multinomial(p, 2)",
        "torch.poisson(p)",
        "torch.normal(p, 1.0)",
    ],
)
@pytest.mark.parametrize(
    ("rng", "expected"), [("auto", True), ("cpu", True), ("device", False)]
)
def test_draws_from_probabilities_on_the_device(
    fake: types.ModuleType, draw: str, rng: str, *, expected: bool
) -> None:
    """Small ones give the numbers that the CPU gives."""
    torch.manual_seed(1)
    fake.manual_seed_all(2)
    plain = torch.full((5,), 0.5)
    before = torch.get_rng_state()
    with wrapped(rng):
        made = eval(draw, {"torch": torch, "p": plain.to("fake:1")})  # noqa: S307
    assert made.device == torch.device("fake", 1)
    assert (not torch.equal(before, torch.get_rng_state())) is expected
    if expected:
        torch.manual_seed(1)
        assert torch.equal(made.cpu(), eval(draw, {"torch": torch, "p": plain}))  # noqa: S307


INSIDE = [
    "D.Normal(x, w).sample()", "D.Normal(x, w).rsample()", "D.Bernoulli(w).sample()",
    "D.Categorical(w).sample((3,))", "D.Uniform(x, x + 1).sample()",
    "D.Exponential(w).sample()", "D.Gumbel(x, w).sample()", "D.Gamma(w, w).rsample()",
    "D.Beta(w, w).sample()", "D.Dirichlet(w).rsample()", "D.Binomial(5, w).sample()",
    "D.MultivariateNormal(x[0], torch.eye(6)).sample()", "F.gumbel_softmax(x)",
    "torch.ones(6).bernoulli(0.5)", "w.bernoulli()", "w.multinomial(2)",
    "x.clone().bernoulli_(w.detach())", "torch.bernoulli(w)", "torch.normal(w, w)",
    "F.rrelu(x, training=True)", "F.rrelu(x.clone(), training=True, inplace=True)",
    "torch.randn(3, device=x.device)", "torch.randint(9, (3,), device=x.device)",
]  # fmt: skip
MASKS = [
    "F.dropout(x, 0.3)", "F.dropout(x.t(), 0.3)", "F.dropout(w * 1, 0.3, inplace=True)",
    "F.dropout2d(torch.ones(2, 3, 4, 4))", "torch.dropout(w, 0.5, True)",
    "nn.Dropout()(w)", "F.dropout(w, 0.5, False)",
]  # fmt: skip


@pytest.mark.parametrize(
    ("draw", "rng"),
    [(draw, rng) for draw in INSIDE for rng in ("auto", "cpu")]
    + [(draw, "cpu") for draw in MASKS],
)
def test_draws_in_torchs_own_code(fake: types.ModuleType, draw: str, rng: str) -> None:  # noqa: ARG001
    """They give the CPU's numbers, gradients and next number."""
    seen = []
    for away in (True, False):
        book = Notebook()
        book.run(
            "import torch, torch.distributions as D\nfrom torch import nn\n"
            "import torch.nn.functional as F\ntorch.manual_seed(0)\n"
            "x, w = torch.randn(4, 6), nn.Parameter(torch.rand(4, 6))\n"
        )
        cell = (
            f"made = {draw}\nif made.requires_grad: made.sum().backward()\n"
            "after = torch.rand(1)"
        )
        book.train_on(cell, rng=rng, quiet=True) if away else book.run(cell)
        made, grad = book["made"].detach(), book["w"].grad
        seen.append(
            (
                made.tolist(),
                None if grad is None else grad.tolist(),
                book["after"].item(),
            )
        )
    assert seen[0] == seen[1]


def test_what_is_drawn_on_the_device_on_request(fake: types.ModuleType) -> None:
    """``--rng device`` and a device that the user chose are left alone."""
    for rng, draw in (("device", "x.bernoulli()"), ("auto", "torch.rand(3, device=d)")):
        book = Notebook()
        book.run(
            "import torch\ntorch.manual_seed(0)\nx = torch.rand(9)\n"
            "d = torch.device('fake', 1)\nbefore = torch.get_rng_state()"
        )
        book.train_on(f"made = {draw}", rng=rng, quiet=True)
        assert torch.equal(book["before"], torch.get_rng_state())
    del fake


# ---- what knows no device -------------------------------------------------------------


def test_from_numpy_says_that_memory_is_not_shared(scope: Scope) -> None:
    """Once, as a note."""
    array = np.zeros(2)
    for _ in range(2):
        assert torch.from_numpy(array).device == scope.device
    assert list(scope.notes) == [factories.NUMPY_NOTE]


def test_loading(scope: Scope, tmp_path: Path) -> None:
    """Tensors come to the device, unless a place is named; states of optimizers stay."""
    path = tmp_path / "x.pt"
    leaf = torch.zeros(2, requires_grad=True, device="cpu")
    weight = torch.nn.Parameter(torch.zeros(2, device="cpu"))
    for value, kind in [(leaf, torch.Tensor), (weight, torch.nn.Parameter)]:
        torch.save(value, path)
        made = torch.load(path)
        assert made.device == scope.device
        assert type(made) is kind
        assert made.is_leaf
        assert made.requires_grad
    assert torch.load(path, map_location=None).device == scope.device
    assert torch.load(path, map_location="cpu").device.type == "cpu"
    assert torch.load(path, "cpu").device.type == "cpu"
    torch.save({"a": torch.zeros(2, device="cpu")}, path)
    assert torch.load(path)["a"].device == scope.device
    torch.save({"opt": {"param_groups": []}, "a": torch.zeros(2, device="cpu")}, path)
    assert torch.load(path)["a"].device.type == "cpu"


def test_a_loaded_module_moves_when_it_is_used(scope: Scope, tmp_path: Path) -> None:
    """It is taken for one that the cell has made."""
    path = tmp_path / "net.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    net = torch.load(path, weights_only=False)
    assert [reference() for reference in scope.pending] == [net]


# ---- types of older code ---------------------------------------------------------------


def test_legacy_types_are_still_types(scope: Scope) -> None:
    """``isinstance``, keys, comparison and attributes work as before, on both sides."""
    with_original = in_library("torch.FloatTensor")._original
    here, there = torch.zeros(1, device="cpu"), torch.zeros(1)
    assert isinstance(here, torch.FloatTensor)
    assert isinstance(there, torch.FloatTensor)
    assert not isinstance(there, torch.LongTensor)
    assert not isinstance(1, torch.FloatTensor)
    assert torch.FloatTensor == with_original
    assert {with_original: 1}[torch.FloatTensor] == 1
    assert torch.FloatTensor != torch.LongTensor
    assert torch.FloatTensor.dtype is torch.float32
    assert repr(torch.FloatTensor) == repr(with_original)
    assert scope.device.type == "fake"


def test_tensors_of_tensors(scope: Scope) -> None:
    """``torch.Tensor(x)`` of what is on the device shares its memory, as on the CPU."""
    there = torch.zeros(3)
    for kind in (torch.Tensor, torch.FloatTensor):
        made = kind(there)
        assert made.device == scope.device
        made[0] = 1
        assert there[0] == 1
        made[0] = 0


@pytest.mark.parametrize("kind", ["torch.DoubleTensor", torch.float64, "object"])
def test_changing_the_type(scope: Scope, kind: Any) -> None:  # noqa: ANN401
    """``x.type(…)`` of a CPU type changes the elements, not the device."""
    target = torch.DoubleTensor if kind == "object" else kind
    there, here = torch.ones(2), torch.ones(2, device="cpu")
    assert there.type(target).device == scope.device
    assert there.type(target).dtype is torch.float64
    assert here.type(target).device.type == "cpu"
    assert "FloatTensor" in there.type()


@pytest.mark.usefixtures("scope")
@pytest.mark.filterwarnings("ignore:.*deprecated.*:UserWarning")
@pytest.mark.parametrize("by_name", [True, False])
def test_the_default_type_can_be_set(*, by_name: bool) -> None:
    """Older notebooks begin with ``torch.set_default_tensor_type``."""
    try:
        torch.set_default_tensor_type(
            "torch.DoubleTensor" if by_name else torch.DoubleTensor
        )
        assert torch.zeros(1).dtype is torch.float64
    finally:
        torch.set_default_tensor_type(torch.FloatTensor)


@pytest.mark.usefixtures("scope")
def test_tensor_classes_of_the_user_are_made_as_ever() -> None:
    """Only ``torch.Tensor`` itself is answered for."""

    class Mine(torch.Tensor):
        pass

    assert type(Mine([1.0])) is Mine
    assert Mine([1.0]).device.type == "cpu"


# ---- by name, and undone ---------------------------------------------------------------


@pytest.mark.usefixtures("fake")
def test_factories_imported_by_name() -> None:
    """``from torch import zeros`` counts, also for functions of earlier cells."""
    names: dict[str, Any] = {"zeros": torch.zeros, "noise": torch.randn, "other": 3}
    exec(compile("def f():\n    return zeros(2), noise(2)\n", "<cell>", "exec"), names)  # noqa: S102
    plain = dict(names)
    with wrapped(**names) as (scope, namespace):
        function = namespace["f"]
        function.__globals__.update({key: namespace[key] for key in ("zeros", "noise")})
        assert all(each.device == scope.device for each in function())
    assert namespace["zeros"] is plain["zeros"] is torch.zeros
    assert namespace["noise"] is torch.randn


@pytest.mark.usefixtures("fake")
def test_everything_is_undone() -> None:
    """Every attribute of torch and of its tensors is the very object of before."""
    owners = (torch, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    with wrapped():
        assert torch.zeros is not before[0]["zeros"]
    after = [dict(vars(owner)) for owner in owners]
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert [key for key, value in old.items() if new[key] is not value] == []
    assert torch.zeros(1).device.type == "cpu"
    assert torch.Tensor([1]).device.type == "cpu"
    assert isinstance(torch.zeros(1), torch.FloatTensor)
