"""Out-of-memory errors: what they say, and the report."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from colabmagic.memory import oom
from colabmagic.memory.oom_view import OutOfMemoryReport
from colabmagic.report.model import Code
from tests.explain.cell import run_cell

GIB = 2**30
MB = 1_000_000

# Messages as PyTorch writes them, and what they say: device, requested, free, total.
MESSAGES = {
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 1 has a total capacity of "
    "14.75 GiB of which 1.00 GiB is free. Process 1 has 13.00 GiB memory in use. Of the "
    "allocated memory 12.00 GiB is allocated by PyTorch, and 512.00 MiB is reserved by "
    "PyTorch but unallocated. If reserved but unallocated memory is large try setting "
    "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True": (
        "cuda:1",
        2.5 * GIB,
        GIB,
        14.75 * GIB,
    ),
    "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 14.76 GiB total capacity; "
    "13.52 GiB already allocated; 3.00 MiB free; 13.60 GiB reserved in total by "
    "PyTorch)": ("cuda:0", 20 * 2**20, 3 * 2**20, round(14.76 * GIB)),
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported": (
        "cuda:0",
        None,
        None,
        None,
    ),
    "MPS backend out of memory (MPS allocated: 18.00 GB, other allocations: 24.00 KB, "
    "max allowed: 18.50 GB). Tried to allocate 256.00 MB on private pool.": (
        "mps",
        256 * 2**20,
        None,
        18.5 * GIB,
    ),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_are_read(message: str) -> None:
    """Old and new ones of CUDA, and those of Apple's GPUs."""
    facts = oom.look(torch.OutOfMemoryError(message), {})
    assert facts is not None
    expected = MESSAGES[message]
    figures = (facts.requested_bytes, facts.free_bytes, facts.total_bytes)
    assert (facts.device, *figures) == expected


def test_the_computer_itself() -> None:
    """A real error of the CPU's allocator: sizes come from the system."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**14)
    facts = oom.look(caught.value, {}, "x = torch.empty(10**14)")
    assert facts is not None
    assert (facts.device, facts.requested_bytes) == ("cpu", 4 * 10**14)
    assert facts.total_bytes
    assert "freeing memory cannot help" in OutOfMemoryReport(facts=facts).text.replace(
        "\n          ", " "
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        RuntimeError("host is out of memory"),
        RuntimeError("my program ran out of memory"),
        RuntimeError("I ran out of memory; nn out of memory"),
        RuntimeError(7, "x"),
        RuntimeError(),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_are_none_of_ours(error: BaseException) -> None:
    """Not every text with these words is PyTorch's."""
    assert oom.find_out_of_memory(error) is None or "nn" in str(error)


def step(model: Any, x: Any) -> Any:  # noqa: ANN401
    """Compute with activations in locals, until memory runs out."""
    h = model(x)
    return torch.cat([torch.relu(h)] * 100)


def fail(fake: Any, source: str, **names: Any) -> oom.OutOfMemoryFacts:  # noqa: ANN401
    """Run a cell into the limit of the device, and look around."""
    fake.set_limit(0, 20 * MB)
    names |= {"torch": torch, "step": step}
    try:
        exec(compile(source, "<cell>", "exec"), names)  # noqa: S102
    except torch.OutOfMemoryError as error:
        error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]  # not us
        facts = oom.look(error, names, source)
        assert facts is not None
        return facts
    raise AssertionError


def test_activations_have_the_names_of_locals(fake: Any) -> None:  # noqa: ANN401
    """Names first, then what the failed call holds, and the loader that runs."""
    model = torch.nn.Linear(500, 500).to("fake")
    loader = DataLoader(TensorDataset(torch.zeros(2000, 500)), 1000, shuffle=True)
    facts = fail(
        fake,
        "for (x,) in loader:\n    step(model, x.to('fake')).sum().backward()",
        model=model,
        loader=loader,
        old=torch.zeros(1_000_000, device="fake"),
        small=torch.zeros(2, device="fake"),
    )
    assert facts.requested_bytes == 200 * MB
    shares = {each.name: each for each in facts.shares}
    assert shares["old"].size_bytes == 4 * MB
    assert shares["x in step()"].size_bytes == 2 * MB
    assert shares["h in step()"].is_local
    (found,) = facts.loaders
    assert (found.name, found.batch_size) == ("loader", 1000)
    made = eval(  # noqa: S307 (the line that the user is told to type)
        found.smaller[0].partition(" = ")[2], {"torch": torch, "loader": loader}
    )
    assert made.batch_size == 500
    text = OutOfMemoryReport(facts=facts, freed_bytes=5 * MB, is_freed=True).text
    assert "halve the batch size of loader, 1000 to 500" in text
    assert "%xdel old" in text
    assert "%xdel model" not in text
    assert "%xdel small" not in text
    assert "no_grad" not in text
    assert "free again (5.0 MB)" in text


def test_what_a_called_function_uses_is_not_to_be_deleted(fake: Any) -> None:  # noqa: ANN401
    """The cell mentions only a function; the function's names count as used."""
    names: dict[str, Any] = {"weights": torch.zeros(1_000_000, device="fake")}
    names |= {"torch": torch, "__name__": "__main__"}
    exec(  # noqa: S102
        "def go():\n    return inner()\ndef inner():\n    return weights.repeat(9)",
        names,
    )
    facts = fail(fake, "go()", **names)
    assert "weights" in facts.used
    assert "%xdel weights" not in OutOfMemoryReport(facts=facts).text


def test_evaluation_without_no_grad_is_noticed(fake: Any) -> None:  # noqa: ANN401
    """No backward anywhere, but graphs that grow in a list."""
    facts = fail(
        fake,
        "outs = []\nwhile True:\n    outs.append(model(x).relu())",
        model=torch.nn.Linear(500, 500).to("fake"),
        x=torch.zeros(500, 500, device="fake"),
    )
    text = OutOfMemoryReport(facts=facts).text
    assert "torch.no_grad()" in text
    assert "Most was held by outs" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_size": 8}, "batch_size=4)"),
        ({"batch_size": 8, "shuffle": True}, "batch_size=4, shuffle=True)"),
        ({"batch_size": 9, "drop_last": True}, "batch_size=4, drop_last=True)"),
        (
            {"batch_size": 8, "collate_fn": lambda rows: rows},
            "batch_size=4, collate_fn=loader.collate_fn)",
        ),
        (
            {
                "batch_size": 8,
                "sampler": torch.utils.data.SubsetRandomSampler(range(4)),
            },
            "batch_size=4, sampler=loader.sampler)",
        ),
    ],
)
def test_the_line_with_half_the_batch(
    options: dict[str, Any],
    expected: str,
) -> None:
    """What the loader has besides stays as it is; the line runs."""
    loader = DataLoader(TensorDataset(torch.zeros(20, 2)), **options)
    (found,) = oom.find_loaders({"loader": loader}, ["loader"], [])
    assert found.smaller[0].endswith(expected)
    exec(found.smaller[0], {"torch": torch, "loader": loader})  # noqa: S102


OPTIONS: dict[str, dict[str, Any]] = {
    "generator": {"shuffle": True, "generator": torch.Generator()},
    "replacement": {
        "sampler": torch.utils.data.RandomSampler(
            range(20), replacement=True, num_samples=7
        )
    },
    "workers": {
        "num_workers": 1,
        "worker_init_fn": print,
        "persistent_workers": True,
        "prefetch_factor": 5,
        "multiprocessing_context": "fork",
        "timeout": 9,
    },
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_new_loader_is_the_old_one_but_for_the_batch(kind: str) -> None:
    """Generator, sampler and all that concerns workers stay."""
    rows = TensorDataset(torch.zeros(20, 2))
    names = {"loader": DataLoader(rows, 8, **OPTIONS[kind]), "DataLoader": DataLoader}
    old: Any = names["loader"]
    (found,) = oom.find_loaders(names, ["loader"], [])
    (line,) = found.smaller
    exec(line, names)  # noqa: S102 (as the user pastes it)
    new: Any = names["loader"]
    assert (new.batch_size, new is old) == (4, False)
    for name in (
        *("dataset", "generator", "num_workers", "worker_init_fn", "timeout"),
        *("persistent_workers", "prefetch_factor", "multiprocessing_context"),
    ):
        assert getattr(new, name) is getattr(old, name), name
    if kind == "generator":
        assert new.sampler.generator is old.sampler.generator
    else:
        assert type(new.sampler) is type(old.sampler)
        assert len(new.sampler) == len(old.sampler)


HEAD = (
    "import torch; from torch import nn\n"
    "from torch.utils.data import DataLoader, TensorDataset\n"
    "rows = TensorDataset(torch.zeros(5000, 100)); BATCH = 4096\n"
    "def use(batch, n=99): return torch.cat([batch.to('fake')] * n)\n"
    "def val(loader):\n"
    "    for (x,) in loader:\n"
    "        use(x)\n"
    "def own():\n"
    "    mine = DataLoader(rows, batch_size=2048)\n"
    "    for (x,) in mine:\n"
    "        use(x)"
)
LOOP = "\nfor (x,) in train:\n    use(x)"


def advised(fake: Any, *cells: str, limit: int = 20 * MB) -> list[str]:  # noqa: ANN401
    """Run cells of a notebook; return what the report of the last one advises."""
    fake.set_limit(0, limit)
    names: dict[str, Any] = {}
    for cell in (HEAD, *cells[:-1]):
        error = run_cell(cell, names)
        assert error is None, error
    error = run_cell(cells[-1], names)
    assert isinstance(error, torch.OutOfMemoryError), error
    facts = oom.look(error, names, cells[-1])
    assert facts is not None
    finding = OutOfMemoryReport(facts=facts).view().findings[0]
    return [f"> {each}" if isinstance(each, Code) else each for each in finding.fix]


HALVE = "halve the batch size of "


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            ["# one\ntrain = DataLoader(rows, batch_size=4096)" + LOOP],
            [HALVE + "train, 4096 to 2048:", "in cell line 2 write batch_size=2048"],
        ),
        (
            ["train = DataLoader(rows, 4096)" + LOOP],
            [
                HALVE + "train, 4096 to 2048:",
                "in cell line 1 write 2048 in place of 4096",
            ],
        ),
        (
            ["train = DataLoader(rows, batch_size=BATCH)" + LOOP],
            [
                HALVE + "train, 4096 to 2048:",
                "> BATCH = 2048",
                "and run this cell again",
            ],
        ),
        (
            ["size = 4096\ntrain = DataLoader(rows, batch_size=size)" + LOOP],
            [HALVE + "train, 4096 to 2048:", "in cell line 1 write size = 2048"],
        ),
        (
            ["train = DataLoader(rows, batch_size=BATCH)", LOOP],
            [
                HALVE + "train, 4096 to 2048:",
                "> train = DataLoader(train.dataset, batch_size=2048)",
            ],
        ),
        (
            ["train = DataLoader(rows, batch_size=BATCH)", "val(train)"],
            [
                HALVE + "train, 4096 to 2048:",
                "> train = DataLoader(train.dataset, batch_size=2048)",
            ],
        ),
        (
            ["val(DataLoader(rows, batch_size=2048, shuffle=True))"],
            [
                HALVE + "loader in val(), 2048 to 1024:",
                "in cell line 1 write batch_size=1024",
            ],
        ),
        (
            ["own()"],
            [
                HALVE + "mine in own(), 2048 to 1024:",
                "in line 9 of the cell that defines own write batch_size=1024",
                "and run that cell again",
            ],
        ),
        (
            ["make = lambda: DataLoader(rows, 2048)", "val(make())"],
            [HALVE + "loader in val(), 2048 to 1024, where it is made"],
        ),
        (
            [
                "loaders = {'train': DataLoader(rows, 4096)}",
                "for (x,) in loaders['train']:\n    use(x)",
            ],
            [
                HALVE + "loaders['train'], 4096 to 2048:",
                "> {0} = DataLoader({0}.dataset, batch_size=2048)".format(
                    "loaders['train']"
                ),
            ],
        ),
        (
            [
                "X = torch.zeros(5000, 100); bs = 4096",
                "for i in range(0, 5000, bs):\n    use(X[i:i + bs])",
            ],
            [HALVE + "bs, 4096 to 2048:", "> bs = 2048", "and run this cell again"],
        ),
    ],
)
def test_where_half_the_batch_is_written(
    fake: Any,  # noqa: ANN401
    cells: list[str],
    expected: list[str],
) -> None:
    """By the user's own name where that helps, else where he wrote the number."""
    assert advised(fake, *cells)[: len(expected)] == expected


def test_a_sum_that_keeps_all_graphs_comes_first(fake: Any) -> None:  # noqa: ANN401
    """A smaller batch does not help; the model's own weights are not accused."""
    fixes = advised(
        fake,
        "model = nn.Sequential(nn.Linear(100, 500), nn.ReLU(), nn.Linear(500, 2))"
        ".to('fake')\nx = torch.zeros(500, 100).to('fake')\ntrain = DataLoader(rows, 8)",
        "total = 0\nfor _ in range(99):\n    total += model(x).exp().sum()\n",
        limit=9 * MB,
    )
    assert fixes[:2] == [
        "total keeps what computed it, batch for batch; in cell line 3 write:",
        "> total += model(x).exp().sum().item()",
    ]
    text = " ".join(fixes)
    assert "halve" not in text
    assert "model keeps" not in text


def test_results_are_counted_as_the_user_counts_them(fake: Any) -> None:  # noqa: ANN401
    """What autograd saved besides is no result of his."""
    fake.set_limit(0, 9 * MB)
    names: dict[str, Any] = {}
    assert run_cell(HEAD + "\nw = torch.ones(500, 500, device='fake')", names) is None
    assert run_cell("w.requires_grad_(); preds = []", names) is None
    error = run_cell("while True:\n    preds += [(w * 2).exp().sum()]", names)
    assert error is not None
    facts = oom.look(error, names, "")
    assert facts is not None
    share = next(each for each in facts.shares if each.name == "preds")
    assert share.results == len(names["preds"])
    text = " ".join(OutOfMemoryReport(facts=facts).text.split())
    assert f"preds keeps {share.results} results" in text


def test_calls_inside_libraries_have_one_row(fake: Any) -> None:  # noqa: ANN401
    """The names of PyTorch's own variables say nothing to the user."""
    fake.set_limit(0, 14 * MB)
    names: dict[str, Any] = {}
    model = "model = nn.Sequential(nn.Linear(100, 500), nn.Linear(500, 900)).to('fake')"
    assert run_cell(f"{HEAD}\n{model}", names) is None
    error = run_cell("model(torch.zeros(4000, 100).to('fake') + 1)", names)
    facts = oom.look(error, names, "") if error else None
    assert facts is not None
    shown = OutOfMemoryReport(facts=facts).text
    assert "calls inside libraries" in shown
    assert "_call" not in shown
    assert "args" not in shown


def test_loaders_without_a_batch_size_get_no_advice() -> None:
    """Batches that the user makes himself cannot be halved by us."""
    loader = DataLoader(TensorDataset(torch.zeros(20, 2)), batch_size=None)
    assert oom.find_loaders({"loader": loader}, ["loader"], []) == ()


def test_a_loader_in_an_object_of_the_user_is_found() -> None:
    """With the line that replaces it there."""
    kind = type("Trainer", (), {"__module__": "__main__"})
    trainer = kind()
    trainer.loader = DataLoader(TensorDataset(torch.zeros(20, 2)), batch_size=8)
    (found,) = oom.find_loaders({"trainer": trainer}, ["trainer"], [])
    assert (found.name, found.batch_size) == ("trainer.loader", 8)
    exec(found.smaller[0], {"torch": torch, "trainer": trainer})  # noqa: S102
    assert trainer.loader.batch_size == 4


class Pairs(torch.nn.Module):
    """Wants hundreds of terabytes, half of that or an eighth: never to be had."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Take a tensor that grows with the batch."""
        return torch.empty(len(batch), 10**14)


def test_a_loader_that_only_a_function_names() -> None:
    """It is found by the function that failed; half a batch would not help here."""
    namespace: dict[str, Any] = {
        "__name__": "__main__",
        "loader": DataLoader(TensorDataset(torch.ones(8, 2)), batch_size=4),
        "model": Pairs(),
    }
    source = "def fit():\n    for (batch,) in loader:\n        model(batch)\n"
    exec(source, namespace)  # noqa: S102 (a function as a cell defines one)
    with pytest.raises(RuntimeError) as caught:
        namespace["fit"]()
    facts = oom.look(caught.value, namespace, "fit()")
    assert facts is not None
    assert [each.name for each in facts.loaders] == ["loader"]
    shown = " ".join(OutOfMemoryReport(facts=facts).text.split())
    assert "a batch of 1 would not fit either" in shown
    assert "halve" not in shown
    assert "1600.0 TB wanted" in shown
    fits = dataclasses.replace(facts, total_bytes=10**15, free_bytes=10**14)
    assert (
        "halve the batch size of loader, 4 to 2:" in OutOfMemoryReport(facts=fits).text
    )
