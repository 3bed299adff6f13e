"""Errors, names and objects that are out to break an explanation."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from colabmagic.errors import NotSupportedError
from colabmagic.explain import explain
from tests.explain.cases import HEAD
from tests.explain.cell import run_cell

if TYPE_CHECKING:
    from colabmagic.explain.model import Explanation

TEXT = "mat1 and mat2 must have the same dtype, but got Double and Float"
MIXED = (
    "Expected all tensors to be on the same device, but found at least two devices, "
    "cuda:0 and cpu!"
)


def of_cell(cell: str, **names: object) -> Explanation | None:
    """Return the explanation of a cell that fails."""
    namespace: dict[str, Any] = dict(names)
    assert run_cell(HEAD, namespace) is None
    error = run_cell(cell, namespace)
    assert error is not None
    return explain(error, namespace=namespace, languages=("zh",))


def test_html_in_names_is_escaped() -> None:
    """What comes from the cell or the error is text in the page, never markup."""
    cell = "rows = {'<img src=x>': torch.ones(2, 2).double()}\n"
    cell += "a = torch.ones(2, 2)\na @ rows['<img src=x>']"
    explanation = of_cell(cell)
    assert explanation is not None
    bundle = explanation._repr_mimebundle_()
    assert "<img" not in bundle["text/html"]
    assert "&lt;img" in bundle["text/html"]


def test_control_characters_stay_out_of_the_terminal() -> None:
    """An escape sequence in a file's name is not sent on."""
    error = OSError(24, "Too many open files", "\x1b[2Jfile")
    shown = str(explain(error))
    assert "\x1b" not in shown


class Raises:
    """An object of which everything raises."""

    def __repr__(self) -> str:
        raise ValueError("repr")

    def __getattr__(self, name: str) -> object:
        raise ZeroDivisionError(name)

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


class Loud(nn.Module):
    """A module whose properties must not be called."""

    @property
    def weight(self) -> object:
        """Tell that it was called."""
        sys.exit("a property was called")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Fail as a matrix product does."""
        return torch.ones(2, 2) @ x


class Watched(torch.Tensor):
    """A tensor that notes what is asked of it."""

    calls: list[str] = []  # noqa: RUF012 (one for the test)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def,override]  # noqa: ANN001, ANN206
        """Note the call."""
        cls.calls.append(str(func))
        return super().__torch_function__(func, types, args, kwargs or {})


def test_objects_that_raise_are_not_touched() -> None:
    """Names beside the failing ones may hold anything."""
    explanation = of_cell(
        "strange = Raises()\nm = Loud()\nm(torch.ones(2, 2).double())",
        Raises=Raises,
        Loud=Loud,
    )
    assert explanation is not None
    assert explanation.code == "dtype-mismatch"


def test_no_code_of_a_tensor_subclass_runs() -> None:
    """Device, type and size are read past ``__torch_function__``."""
    watched = torch.ones(2, 2).double().as_subclass(Watched)
    namespace = {"a": torch.ones(2, 2), "b": watched}
    error = run_cell("a @ b", namespace)
    assert error is not None
    Watched.calls.clear()
    explanation = explain(error, namespace=namespace)
    assert explanation is not None
    assert explanation.names == ("b", "a")
    assert Watched.calls == []


class WordlessError(RuntimeError):
    """An error without words."""

    def __str__(self) -> str:
        raise ValueError("no words")


class UsersError(RuntimeError):
    """A kind of error of the user."""


@pytest.mark.parametrize(
    "error",
    [
        WordlessError(TEXT),
        RuntimeError(),
        RuntimeError(""),
        ValueError(None),
        TypeError(b"\xff"),
        OSError("\udcff lone surrogate"),
        KeyboardInterrupt(TEXT),
        SystemExit(TEXT),
        SyntaxError(TEXT),
        MemoryError(TEXT),
        torch.OutOfMemoryError(MIXED),
        NotSupportedError(TEXT, hint="nothing"),
        ExceptionGroup("several", [RuntimeError(TEXT)]),
    ],
    ids=lambda error: f"{type(error).__name__} {len(error.args)}",
)
def test_these_have_no_explanation(error: BaseException) -> None:
    """Errors without words, interrupts, our own, and those that others explain."""
    assert explain(error) is None


def test_a_kind_of_the_users_own_is_explained() -> None:
    """What counts is what is said."""
    explanation = explain(UsersError(TEXT))
    assert explanation is not None
    assert explanation.code == "dtype-mismatch"
    assert explanation.commands == ()


def test_the_cause_of_a_chained_error_is_explained() -> None:
    """``raise … from error``, and an error while handling one."""
    for word in ("from error", ""):
        explanation = of_cell(
            "try:\n    torch.ones(2, 2) @ torch.ones(2, 2).double()\n"
            f"except RuntimeError as error:\n    raise ValueError('step failed') {word}"
        )
        assert explanation is not None
        assert explanation.code == "dtype-mismatch"
    hidden = of_cell(
        "try:\n    torch.ones(2, 2) @ torch.ones(2, 2).double()\n"
        "except RuntimeError:\n    raise ValueError('step failed') from None"
    )
    assert hidden is None


def test_a_ring_of_errors_ends() -> None:
    """Errors that are each other's cause."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert explain(one) is None


def test_a_deep_recursion_is_quick() -> None:
    """Of a thousand frames only the last ones are read."""
    cell = (
        "def down(n):\n    return down(n - 1) if n else one @ half\n"
        "one, half = torch.ones(2, 2), torch.ones(2, 2).half()\ndown(600)"
    )
    before = time.thread_time()
    explanation = of_cell(cell)
    assert explanation is not None
    assert explanation.commands
    assert time.thread_time() - before < 30  # not a measurement: only that it ends


def test_a_recursion_error_has_no_explanation() -> None:
    """There is nothing to say about it."""
    assert of_cell("def down():\n    return down()\ndown()") is None


def test_a_huge_message_is_cut() -> None:
    """A message of megabytes neither takes long nor fills the page."""
    explanation = explain(RuntimeError("x" * 5_000_000 + MIXED))
    assert explanation is not None
    assert len(str(explanation)) < 2_000


@pytest.mark.parametrize(
    "cell",
    [
        "exec('torch.ones(2, 2) @ torch.ones(2, 2).double()')",
        "eval('torch.ones(2, 2) @ torch.ones(2, 2).double()')",
        "(lambda a: a @ a.double())(torch.ones(2, 2))",
        "[row @ row.double() for row in [torch.ones(2, 2)]]",
        "class Now:\n    made = torch.ones(2, 2) @ torch.ones(2, 2).double()",
        "torch.ones(2, 2) @ \\\n    torch.ones(2, 2).double()",
        "x = (torch.ones(2, 2)\n     @ torch.ones(2, 2).double())",
        "é = torch.ones(2, 2).double(); ü = torch.ones(2, 2); (é @ ü)",
    ],
)
def test_odd_places_give_a_cause_and_no_wrong_line(cell: str) -> None:
    """Where names cannot be seen, none are given; a command is a whole line."""
    explanation = of_cell(cell)
    assert explanation is not None
    assert explanation.code == "dtype-mismatch"
    for command in explanation.commands:
        compile(command, "<command>", "exec")


def test_letters_beyond_ascii_keep_their_place() -> None:
    """Positions in a line count bytes; the new line is right all the same."""
    explanation = of_cell(
        "größe = torch.ones(2, 2).double()\n'é'; y = torch.ones(2, 2) @ größe"
    )
    assert explanation is not None
    expected = "'é'; y = torch.ones(2, 2) @ größe"
    assert explanation.commands in {(), (expected + ".float()",)}


def test_a_script_is_named_by_its_file(tmp_path: Any) -> None:  # noqa: ANN401 (a path)
    """Outside of a notebook a place is a file and a line."""
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\na, b = torch.ones(2, 2), torch.ones(2, 2).double()\nc = a @ b\n"
    )
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with pytest.raises(RuntimeError) as caught:
        exec(compile(script.read_text(), str(script), "exec"), namespace)  # noqa: S102
    explanation = explain(caught.value)
    assert explanation is not None
    assert "train.py line 3" in explanation.cause
    assert explanation.commands == ("c = a @ b.float()",)


def test_nothing_is_kept() -> None:
    """An explanation holds texts; the error, its frames and tensors can go."""

    class Kept:
        """Something in the frame."""

    namespace: dict[str, Any] = {"Kept": Kept, "refs": [], "weakref": weakref}
    assert run_cell(HEAD, namespace) is None
    error = run_cell(
        "def step():\n    kept = Kept()\n    refs.append(weakref.ref(kept))\n"
        "    torch.ones(2, 2) @ torch.ones(2, 2).double()\nstep()",
        namespace,
    )
    assert error is not None
    explanation = explain(error, namespace=namespace)
    assert explanation is not None
    (reference,) = namespace["refs"]
    assert reference() is not None
    del error
    gc.collect()
    assert reference() is None


def test_torch_is_not_imported() -> None:
    """A rule that needs no torch works where nobody imported it."""
    import subprocess

    code = (
        "import sys\nfrom colabmagic.explain import explain\n"
        "e = explain(RuntimeError('CUDA error: device-side assert triggered'))\n"
        "assert e.code == 'device-assert'\n"
        "assert not [n for n in ('torch', 'numpy', 'IPython') if n in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
