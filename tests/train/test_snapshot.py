"""Tests for `colabmagic.train.snapshot`: every kind of thing is put back in place."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from colabmagic.errors import NotSupportedError
from colabmagic.train.snapshot import Snapshot

# A backward pass before the test device is there would shut it out of this process.
pytestmark = pytest.mark.usefixtures("registered_fake")

SETUP = """
import collections, functools, threading, types, weakref
import numpy as np
import torch
from torch import nn
class Slotless: pass
class Slotted:
    __slots__ = ("a", "b")
class Odd:
    def __getattr__(self, name): raise RuntimeError(name)
    def __eq__(self, other): raise RuntimeError
    __hash__ = None
class NoHash(type):
    __hash__ = None
    def __eq__(cls, other): raise RuntimeError
class Strange(metaclass=NoHash): pass
"""
# Each: what is made, what the cell does to it, what must be as before.
CASES = {
    "list": ("v = [1, [2]]; w = v", "v[1].append(3); v.clear()", "(v, w is v)"),
    "list in itself": (
        "v = [1]; v.append(v)",
        "v.clear()",
        "[each is v for each in v]",
    ),
    "dict order": ("v = dict(a=1, b=2, c=3)", "del v['a']; v['a'] = 1", "list(v)"),
    "ordered dict": (
        "v = collections.OrderedDict(a=1, b=2)",
        "v.move_to_end('a'); v['c'] = 3",
        "(list(v), list(reversed(v)))",
    ),
    "default dict": (
        "v = collections.defaultdict(list)",
        "v['x'].append(1)",
        "(dict(v), v.default_factory)",
    ),
    "set and deque": (
        "v = {1, 2}; w = collections.deque([1, 2], maxlen=2)",
        "v.add(3); v.discard(1); w.append(3)",
        "(v, w)",
    ),
    "bytes": ("v = bytearray(b'ab')", "v += b'cd'", "v"),
    "slots": (
        "v = Slotted(); v.a = 1",
        "v.a = 2; v.b = 3",
        "(v.a, hasattr(v, 'b'))",
    ),
    "attributes": (
        "v = types.SimpleNamespace(a=1)",
        "v.a = 2; v.b = 3",
        "vars(v)",
    ),
    "odd classes": (
        "v = Odd(); v.x = 1; w = Strange(); w.x = 1",
        "v.x = 2; w.x = 2; Strange.y = 1",
        "(v.x, w.x, 'y' in vars(Strange))",
    ),
    "a changed class": (
        "v = Strange()",
        "v.__class__ = type('New', (), {})",
        "type(v)",
    ),
    "closure": (
        (
            "def make():\n    n = [0]; k = 0\n    def f():\n        nonlocal k; k += 1; "
            "n[0] += 1; return k\n    return f\nv = make()"
        ),
        "v(); v()",
        "(v.__closure__[0].cell_contents, v.__closure__[1].cell_contents)",
    ),
    "partial and method": (
        "a = []; v = functools.partial(a.append, 1)",
        "v()",
        "a",
    ),
    "array": ("v = np.arange(4.); w = v[1:]", "w += 1", "(v.tolist(), w.base is v)"),
    "array of objects": (
        "v = np.array([[1], None], dtype=object)",
        "v[0].append(2); v[1] = 3",
        "v.tolist()",
    ),
    "tensor and its view": ("v = torch.arange(4.); w = v[1:]", "w += 1", "(v, w)"),
    "data of a parameter": (
        "v = nn.Linear(2, 2); at = v.weight.data_ptr()",
        "v.weight.data = torch.zeros(3, 3)",
        "(v.weight, v.weight.data_ptr() == at)",
    ),
    "gradient": (
        "v = torch.ones(2, requires_grad=True); v.sum().backward(); g = v.grad",
        "v.sum().backward(); v.grad = None",
        "(v.grad, v.grad is g)",
    ),
    "frozen": (
        "v = nn.Linear(2, 2)",
        "v.requires_grad_(False)",
        "v.weight.requires_grad",
    ),
    "in place with a history": (
        "v = torch.zeros(2); p = torch.ones(2, requires_grad=True)",
        "v.add_(p)",
        "(v, v.grad_fn)",
    ),
    "resized": ("v = torch.ones(2)", "v.resize_(50).fill_(3)", "v"),
    "lazy": (
        "v = nn.LazyLinear(2); w = v.weight",
        "v(torch.ones(1, 3))",
        "(type(v), type(v.weight), v.weight is w, len(v._forward_pre_hooks))",
    ),
    "module made another": (
        "v = nn.Sequential(nn.Linear(2, 2))",
        "v.append(nn.ReLU()); v.eval(); v.extra = 1",
        "(len(v), v.training, hasattr(v, 'extra'))",
    ),
    "sparse": ("v = torch.eye(2).to_sparse()", "v.mul_(3)", "v.to_dense()"),
    "default type": (
        "v = 1",
        "torch.set_default_dtype(torch.float64)",
        "torch.ones(1)",
    ),
    "shape of an array": (
        "v = np.arange(4.)",
        "v += 1; v.shape = (2, 2)",
        "v.tolist()",
    ),
    "size of an array": (
        "v = np.arange(4.)",
        "v.resize((5,), refcheck=False)",
        "v.tolist()",
    ),
    "an array made read-only": (
        "v = np.arange(4.)",
        "v += 1; v.setflags(write=False)",
        "(v.tolist(), v.flags.writeable)",
    ),
    "hooks of a weight": (
        "v = nn.Linear(2, 2); v.weight.register_hook(print)",
        (
            "v.weight.register_hook(id); v.bias.register_hook(id); "
            "v.bias.register_post_accumulate_grad_hook(id)"
        ),
        (
            "[dict(getattr(p, n) or {}) for p in v.parameters() "
            "for n in ('_backward_hooks', '_post_accumulate_grad_hooks')]"
        ),
    ),
    "hooks of all": (
        "from torch.optim import optimizer as v; from torch.nn.modules import module as w",
        "v.register_optimizer_step_post_hook(id); w.register_module_forward_hook(id)",
        "(len(v._global_optimizer_post_hooks), len(w._global_forward_hooks))",
    ),
    "a cache": (
        "@functools.lru_cache\ndef v(x): return x",
        "v(1)",
        "v.cache_info().currsize",
    ),
    "a cache without end": (
        "@functools.cache\ndef v(x): return [x]\nw = v(1)",
        "w.append(2)",
        "v(1)",
    ),
    "a function": (
        "def v(a=1, *, b=2): return a, b",
        (
            "v.__defaults__ = (3,); v.__kwdefaults__['b'] = 4; "
            "v.__code__ = (lambda a, *, b: 0).__code__"
        ),
        "v()",
    ),
    "a module without file": (
        "v = types.ModuleType('settings'); v.rate = 1",
        "v.rate = 2; v.other = 3",
        "(v.rate, hasattr(v, 'other'))",
    ),
    "weak keys": (
        "v = weakref.WeakKeyDictionary(); w = Slotless(); v[w] = [1]",
        "v[w].append(2); v[Slotless] = 2",
        "[*v.values()]",
    ),
    "of a thread": (
        "v = threading.local(); v.x = 1",
        "v.x = 2; v.y = 3",
        "(v.x, hasattr(v, 'y'))",
    ),
    "environment": (
        "import os; v = 1; os.environ.pop('COLABMAGIC_TEST', None)",
        "os.environ['COLABMAGIC_TEST'] = 'x'",
        "os.environ.get('COLABMAGIC_TEST')",
    ),
    "an error": ("v = ValueError(1)", "v.args = (2,); v.more = 3", "(v.args, vars(v))"),
    "default factory": (
        "v = collections.defaultdict(list)",
        "v.default_factory = dict",
        "v.default_factory",
    ),
    "anomalies": (
        "v = 1",
        "torch.autograd.set_detect_anomaly(True)",
        "torch.is_anomaly_enabled()",
    ),
    "mapped for reading": (
        "v = np.arange(3); v.flags.writeable = False; w = torch.ones(1)",
        "w.zero_()",
        "(v.tolist(), w)",
    ),
}


def plain(value: object) -> Any:  # noqa: ANN401
    """Return a value with its tensors as lists."""
    if isinstance(value, torch.Tensor):
        return (value.dtype, value.detach().tolist())
    return [plain(each) for each in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_it_is_put_back_in_place(case: tuple[str, str, str]) -> None:
    """Twice: a snapshot serves more than one run."""
    made, cell, look = case
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(SETUP + made, names)  # noqa: S102
    before = repr(plain(eval(look, names)))  # noqa: S307
    snapshot = Snapshot.take(names, ("v", "w", "p", "Strange", "torch"), ())
    for _ in range(2):
        exec(cell, names)  # noqa: S102
        assert repr(plain(eval(look, names))) != before  # noqa: S307
        snapshot.restore()
        assert repr(plain(eval(look, names))) == before  # noqa: S307


def test_names_come_back_and_new_ones_go() -> None:
    """Also those that the cell deletes or does not mention."""
    names: dict[str, Any] = {"a": 1, "b": [2]}
    snapshot = Snapshot.take(names, ("a",), ())
    del names["a"]
    names.update(b=None, c=3)
    snapshot.restore()
    assert names == {"a": 1, "b": [2]}


def test_memory_that_did_not_change_is_not_written(tmp_path: Any) -> None:  # noqa: ANN401
    """A tensor over a file that is mapped for reading only would kill the process."""
    np.arange(8.0).tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that it is not writable
        tensor = torch.from_numpy(mapped)
    snapshot = Snapshot.take({"t": tensor, "m": mapped}, ("t", "m"), ())
    snapshot.restore()
    assert tensor.view(torch.float64).tolist() == list(range(8))


def test_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two copies do not fit: said at once."""
    tensor = torch.ones(1)

    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("colabmagic.train.kept_tensors.raw", no_memory)
    with pytest.raises(NotSupportedError, match="does not fit into memory twice"):
        Snapshot.take({"t": tensor}, ("t",), ())


def test_a_failure_of_our_own_is_not_called_a_lack_of_memory() -> None:
    """Only memory is; another error comes out as it is."""

    class Bad(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            raise RuntimeError("odd")

    with pytest.raises(RuntimeError, match="odd"):
        Snapshot.take(Bad(), ("t",), ())


@pytest.mark.parametrize(
    ("made", "cell", "words"),
    [
        (
            "v = torch.ones(2, requires_grad=True); u = (v ** 2).sum()",
            "u.backward()",
            "`u`: its graph was used up",
        ),
        (
            "import functools\n@functools.lru_cache\ndef u(x): return x\nu(1)",
            "u(2)",
            "`u`: a cache that was filled",
        ),
    ],
)
def test_what_cannot_be_put_back_is_told(made: str, cell: str, words: str) -> None:
    """All the rest is back, whatever stands before it."""
    names: dict[str, Any] = {}
    exec("import torch\nx, y = [1], torch.ones(1)\n" + made, names)  # noqa: S102
    snapshot = Snapshot.take(names, ("x", "u", "y"), ())
    exec("x.append(2); y.zero_();" + cell, names)  # noqa: S102
    with pytest.raises(NotSupportedError) as caught:
        snapshot.restore()
    assert words in str(caught.value.seen)
    assert "run the cells again that make u" in caught.value.hint
    assert (names["x"], names["y"].item()) == ([1], 1)


def test_a_value_whose_graph_was_used_before_is_no_obstacle() -> None:
    """The loss of an earlier cell."""
    names: dict[str, Any] = {}
    exec(  # noqa: S102
        "import torch\nw = torch.ones(1, requires_grad=True)\nu = (w ** 2).sum()\nu.backward()",
        names,
    )
    Snapshot.take(names, ("u", "w"), ()).restore()
