"""``%cuda_install``: its words and options; kernels and real toolkits are tested elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from colabmagic.cuda.outcome import Outcome
from colabmagic.cuda.packages.record import Change, Record
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import METHODS, Options
from colabmagic.data import compat
from colabmagic.magics import cuda as magic
from colabmagic.magics._base import parse
from colabmagic.magics._completion import Completion
from colabmagic.magics._lazy import LazyMagic
from colabmagic.magics._progress import DownloadProgress
from colabmagic.magics.cuda import CudaMagics
from tests.cuda.planning.machines import load
from tests.kernel.support import ROOT
from tests.magics.test_gpu import terminal
from tests.magics.test_table import SHELL

if TYPE_CHECKING:
    from pathlib import Path


def verb_of(line: str, body: str = "") -> str:
    """Return what a line asks for."""
    return magic._verb(parse(CudaMagics.cuda_install, line), body)


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("", "install"),
        ("13.0", "install"),
        ("13.0 --verify=ext", "install"),
        ("12.4 --with cublas,cudnn --method redist --mirror nju --yes", "install"),
        ("--plan 11.1", "plan"),
        ("--plan 11.1 --verify=ext", "plan"),
        ("--rollback --yes", "rollback"),
        ("--list", "list"),
        ("--use 12.4", "use"),
        ("--use none", "use"),
        ("--verify", "verify"),
        ("--verify 11.8", "verify"),
        ("--verify=ext", "verify"),
        ("--verify ext", "verify"),
        ("--rollback", "rollback"),
        ("--uninstall 11.1", "uninstall"),
    ],
)
def test_each_line_has_one_verb(line: str, verb: str) -> None:
    """A line without a verb installs."""
    assert verb_of(line) == verb


@pytest.mark.parametrize(
    ("line", "verify"),
    [("--verify", ""), ("--verify 11.8", "11.8"), ("--verify ext", "ext")],
)
def test_what_is_verified(line: str, verify: str) -> None:
    """The word after it is a version, or ``ext``, with or without ``=``."""
    options = parse(CudaMagics.cuda_install, line)
    assert magic._verb(options, "") == "verify"
    assert options.verify == verify


@pytest.mark.parametrize(
    ("line", "body", "told"),
    [
        ("--list --rollback", "", "--list and --rollback are two things: one a line"),
        ("--list 12.4", "", "--list takes no version"),
        ("--use 12.4 --with nccl", "", "--with goes with installing, not with --use"),
        ("--rollback --offline", "", "--offline goes with installing, not with --ro"),
        ("--plan --list", "", "--plan and --list are two things"),
        ("--rollback 12.4", "", "--rollback takes no version"),
        ("--use 12.4", "torch", "--use takes no lines for pip"),
        ("13.0 --offline --mirror nju", "", "--offline fetches nothing"),
        ("--methode wheels", "", "there is no option --methode; did you mean --method"),
        ("--method wheel", "", "not 'wheel'; did you mean --method wheels"),
        ("13.0 torch", "", "'torch' is one word too many"),
        ("rollback", "", "rollback is an option; type %cuda_install --rollback"),
        ("list -q", "", "list is an option; type %cuda_install --list"),
        ("none", "", "none goes with --use; type %cuda_install --use none"),
        ("13.0 torch==2.9", "", "'torch==2.9' is one word too many"),
    ],
)
def test_what_does_not_go_together(line: str, body: str, told: str) -> None:
    """One line says why, and what is meant."""
    with pytest.raises(UsageError) as caught:
        verb_of(line, body)
    assert told in str(caught.value)


def test_words_of_other_programs() -> None:
    """Ours is named; each that is named there is."""
    for written, ours in magic._MEANT.items():
        parse(CudaMagics.cuda_install, ours)
        with pytest.raises(
            UsageError, match=f"no option {written}; did you mean {ours}"
        ):
            parse(CudaMagics.cuda_install, written, meant=magic._MEANT)


def test_options_become_those_of_the_plan() -> None:
    """Each by its own name; without any they are the plan's defaults."""
    line = (
        "12.4 --torch --system --method apt --with 'cublas, cuDNN,' --mirror nju "
        "--cache /x --yes --verify=ext"
    )
    assert magic._options(parse(CudaMagics.cuda_install, line)) == Options(
        method="apt",
        parts=("cublas", "cudnn"),
        torch=True,
        system=True,
        mirror="nju",
        cache="/x",
        yes=True,
        verify="ext",
    )
    assert magic._options(parse(CudaMagics.cuda_install, "12.4")) == Options()
    assert magic._options(parse(CudaMagics.cuda_install, "--offline")).offline


def test_each_method_can_be_asked_for() -> None:
    """All but what is here already, which is taken anyway."""
    assert set(magic._METHODS) == {"auto", *METHODS} - {"reuse"}


def completions(text: str) -> list[str]:
    """Return what Tab offers at the end of a text."""
    lazy = LazyMagic(SHELL, "cuda_install", "colabmagic.magics.cuda:CudaMagics")  # type: ignore[arg-type]
    return Completion(InteractiveShell(), {"cuda_install": lazy}).candidates(text)[1]


def test_tab() -> None:
    """Versions, options, methods and mirrors."""
    minors = [minor for minor in compat.minors() if minor.startswith("12.")]
    assert sorted(completions("%cuda_install 12.")) == sorted(minors)
    assert completions("%%cuda_install to") == ["torch"]
    assert completions("r = %cuda_install --un") == ["--uninstall"]
    assert completions("%cuda_install 13.0 --method w") == ["wheels"]
    assert completions("%cuda_install --mirror n") == ["nju"]
    assert "13.0" in completions("%cuda_install --use ")


def outcome(host: str, restart: tuple[str, ...]) -> Outcome:
    """Return an outcome on some host."""
    plan = make_plan("12.4", "torch", replace(load("colab_t4"), host=host))
    record = Record(
        before=(),
        changes=(Change(name="torch", before="1", after="2"),),
        restart=restart,
    )
    return Outcome(plan=plan, root=None, ladder=None, packages=record)


@pytest.mark.parametrize(
    ("host", "restart", "count"),
    [("colab", ("torch",), 1), ("colab", (), 0), ("jupyter", ("torch",), 0)],
)
def test_colabs_own_button(
    monkeypatch: pytest.MonkeyPatch, host: str, restart: tuple[str, ...], count: int
) -> None:
    """It is shown on Colab, where a restart is needed; elsewhere words say so."""
    shown: list[Any] = []
    monkeypatch.setattr(magic, "display", lambda data, **_: shown.append(data))
    made = outcome(host, restart)
    magic._offer_restart(made)
    magic._offer_restart(
        make_plan("12.4", "torch", load("colab_t4"))
    )  # nothing is done
    assert len(shown) == count
    for data in shown:
        told = data["application/vnd.colab-display-data+json"]
        assert told["pip_warning"] == {"packages": ["torch"]}
        assert len(told["id"]) == 32
    assert ("restart the kernel" in made.text) is bool(restart)


def test_a_terminal_shows_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone on its line the value is ``Out``; JSON is one document; -q shows nothing."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # also of a second checkout
    alone, bound, plain, quiet, wrong, missing = terminal(
        [
            "%cuda_install --list",
            "r = %cuda_install --plan 12.7",
            "%cuda_install --plan 12.7 --json",
            "p = %cuda_install --plan 12.7 -q",
            "%cuda_install --plan 13,0",
            "%cuda_install --use 12.4",
        ],
        tmp_path,
    )[:6]
    assert alone.count("CUDA toolkits: ") == 1
    assert "Out[2]: CUDA toolkits: " in alone
    assert bound.count("CUDA 12.7: not possible here") == 1
    document, end = json.JSONDecoder().raw_decode(plain, plain.index("{"))
    assert document["can_run"] is False
    assert "CUDA" not in plain[end:]
    assert "CUDA" not in quiet
    assert "[E01]" in wrong
    assert "Traceback" not in missing
    assert "NotInstalledError: CUDA 12.4 is not installed" in missing
    assert "  try:  %cuda_install 12.4" in missing


def test_progress_of_a_download_of_unknown_size() -> None:
    """It is in bytes, too; few things are counted as they are."""
    progress = DownloadProgress()
    progress.start("download 5 files")
    progress.advance(30_000_000)
    assert progress._line(progress._step_began + 10) == (
        "download 5 files … 30.0 MB, 3.0 MB/s"
    )
    progress.start("pip install", 3)
    progress.advance()
    assert progress._line(progress._step_began + 10) == "pip install … 33%"
