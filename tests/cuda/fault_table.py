"""The table of faults of an installation: what happens, what is told, what is left.

``python -m tests.cuda.fault_table [WORDS]`` prints it, or the rows whose name has these
words. Every row is `colabmagic.cuda.install` in a process of its own, over an older
toolkit of the same name that is in use, once with the fault and once without.
"""

from __future__ import annotations

import concurrent.futures
import functools
import io
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic import cuda
from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.planning.plan import Candidate, Options, Plan
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.publish import Publish
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.switching import environment
from colabmagic.host.command import run as run_program
from tests.cuda import kill_bench
from tests.cuda.fault_bench import NAME, PASSWORD, Bench
from tests.cuda.fault_cases import Case, cases
from tests.cuda.planning.machines import load
from tests.cuda.store.scenario import Fill
from tests.drive.fault_cases import mount
from tests.fakes.nvidia.archive import missing_tools
from tests.fakes.nvidia.server import FileServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.steps.base import Step
    from colabmagic.host.command import CommandOutcome

HEADS = (
    "injected", "way", "ends with", "code", "state before intact", "rerun completes",
    "secrets leaked",
)  # fmt: skip
_SHOWN = 2000


@dataclass(frozen=True)
class Row:
    """What came of a case."""

    name: str
    way: str
    ends: str
    code: str
    intact: str
    again: bool
    leaked: int
    text: str = ""
    problems: tuple[str, ...] = ()


class _Pressing:
    """Presses Ctrl-C once the progress says something."""

    def __init__(self, words: str) -> None:
        self.words, self.is_due = words, False

    def start(self, what: str, total: float | None = None) -> None:
        """Look at what begins."""
        del total
        self.is_due = bool(self.words) and what.startswith(self.words)

    def advance(self, amount: float = 1) -> None:
        """Press where something has come."""
        del amount
        if self.is_due:
            self.is_due = False
            os.kill(os.getpid(), signal.SIGINT)

    def finish(self, summary: str = "") -> None:
        """Do nothing."""


# --- what is done ----------------------------------------------------------------------


def plan_of(bench: Bench, making: Sequence[Step]) -> Plan:
    """Return a plan with these steps, and with what always comes after them."""
    facts = replace(load("debian12_cpu"), toolkits=())
    options = Options(yes=True, offline=bench.offline)
    made = cuda.plan("11.1", facts=facts, options=options)
    link = SystemLink(link=str(bench.folder / "usr-local-cuda"))
    publish = Publish(name=NAME, build="11.1.105", method=bench.way)
    steps = [*making, publish, link, Activate()]
    if bench.interrupt_after is not None:
        press = Command(argv=("kill", "-INT", str(os.getpid())), what="press Ctrl-C")
        steps.insert(bench.interrupt_after, press)
    chosen = Candidate(method=bench.way, why="a test", steps=tuple(steps))
    return replace(
        made,
        candidates=(chosen,),
        chosen=chosen,
        problems=(),
        warnings=(),
        packages=None,
    )


def _set(variables: dict[str, str | None]) -> None:
    """Set variables of this process, which has no other work."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    tempfile.tempdir = None


def _run_for(
    longest_s: float,
    argv: list[str],
    **options: Any,  # noqa: ANN401 (of `run`)
) -> CommandOutcome:
    """Run a program, with less patience."""
    options["timeout_s"] = min(options.get("timeout_s", longest_s), longest_s)
    return run_program(argv, **options)


def _install(bench: Bench, making: Sequence[Step]) -> BaseException | None:
    """Install; return what it ends with."""
    usual = {
        "COLABMAGIC_HOME": str(bench.home.root),
        "PIP_INDEX_URL": f"{bench.server.url}/simple",
        "TMPDIR": str(bench.folder / "tmp"),
    }
    _set({**usual, **bench.environment})
    try:
        outcome = cuda.install(
            plan_of(bench, making),
            progress=_Pressing(bench.interrupt_at),
            run=functools.partial(_run_for, bench.longest_s),
        )
        (bench.folder / "outcome.json").write_text(outcome.to_json() + outcome.text)
    except BaseException as error:  # noqa: BLE001 (it is judged)
        return error
    finally:
        _set(usual)
    return None


def run_case(case: Case, folder: Path) -> Row | str:
    """Try a case; return what came of it, or why it cannot be tried here.

    Parameters
    ----------
    case
        What goes wrong.
    folder
        An empty one.
    """
    if case.requires == "apt" and missing_tools():
        return f"install apt-utils: {missing_tools()} missing"
    for name in ("served", "home", "tmp"):
        (folder / name).mkdir()
    if case.disk and not mount(folder / "home", case.disk):
        return "no file system can be mounted here"
    _set(
        {name: None for name in os.environ if name.startswith("PIP_")}
        | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0",
           "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TMPDIR": str(folder / "tmp")}
    )  # fmt: skip
    try:
        with FileServer(folder / "served") as server:
            bench = Bench(folder, server, case.way)
            return _tried(bench, case)
    finally:
        environment.deactivate()
        if case.disk:
            subprocess.run(["umount", "-l", str(folder / "home")], check=False)  # noqa: S607


def _state(bench: Bench) -> tuple[object, ...]:
    """Return all that a person has: files, link, changes, this process's environment."""
    link = bench.folder / "usr-local-cuda"
    changes = Journal(bench.home.journal).changes()
    return (
        dict(kill_bench.listing(bench.home.toolkits)),
        str(link.readlink()),
        [c.id for c in changes if c.state == "committed" and c.id != "a1"],
        [c.id for c in changes if c.state == "open"],
        sorted(p.name for p in bench.home.toolkits.glob(".[sr]*")),
        {k: os.environ.get(k) for k in ("CUDA_HOME", "PATH", "LD_LIBRARY_PATH")},
        sorted(p.name for p in bench.folder.glob(".*")),
    )


def _tried(bench: Bench, case: Case) -> Row:
    """Install an older one, then with the fault, then without it."""
    bench.lay_out()
    assert _install(bench, (Fill(text="an older one"),)) is None
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    case.prepare(bench)
    _set({"CUDA_HOME": str(bench.home.toolkits / NAME)})
    before = _state(bench)
    error = _install(bench, bench.making())
    after = _state(bench)
    told = _told(error)
    intact = "new" if error is None else _named(before, after)
    problems = list(_unexpected(case, error))
    case.mend(bench)
    bench.server.faults.clear()
    bench.server.go.set()
    bench.environment.clear()
    bench.offline, bench.interrupt_after, bench.interrupt_at = False, None, ""
    bench.requirement = Bench.requirement
    bench.server.login = ""
    again = _install(bench, bench.making())
    if again is not None:
        problems.append(f"a second run ends with {again!r}")
    nvcc = (bench.home.toolkits / NAME).rglob("bin/nvcc")
    is_new = again is None and b"release 11.1" in next(nvcc).read_bytes()
    logging.getLogger().removeHandler(handler)
    leaked = _leaks(bench, told + logged.getvalue() + _told(again))
    kind = type(error).__name__ if error is not None else "completes"
    return Row(
        name=case.name, way=case.way, ends=kind, code=getattr(error, "code", ""),
        intact=intact, again=is_new, leaked=leaked, text=_short(bench, error),
        problems=tuple(problems),
    )  # fmt: skip


def _named(before: tuple[object, ...], after: tuple[object, ...]) -> str:
    """Return "yes", or what is not as before."""
    names = ("files", "link", "committed", "open", "left", "environment", "beside")
    pairs = zip(names, before, after, strict=True)
    return ", ".join(n for n, one, other in pairs if one != other) or "yes"


def _unexpected(case: Case, error: BaseException | None) -> list[str]:
    """Return what is not as the case says."""
    found = []
    if not (error is None if case.ends is None else isinstance(error, case.ends)):
        found.append(f"ends with {error!r} instead of {case.ends}")
    if error is not None and case.words not in str(error):
        found.append(f"does not say {case.words!r}: {error}")
    if isinstance(error, CudaError):
        if type(error).__module__ != CudaError.__module__:
            found.append(f"an error of {type(error).__module__}")
        if not (error.hint and error.seen):
            found.append("says not what was seen, or what to do")
        if error.__cause__ is not None:
            found.append(f"has a cause: {error.__cause__!r}")
    return found


def _told(error: BaseException | None) -> str:
    """Return all that can be read of an error and of those behind it."""
    texts, todo = [], [error]
    while todo:
        one = todo.pop()
        if one is not None:
            texts += [str(one), repr(vars(one)), *traceback.format_exception(one)]
            todo += [one.__cause__, one.__context__]
    return "\n".join(texts)


def _short(bench: Bench, error: BaseException | None) -> str:
    """Return what a person reads, in one line, without what is of this run alone."""
    text = " ".join(str(error).split())[:_SHOWN] if error is not None else ""
    text = text.replace(bench.server.url, "SERVER").replace(str(bench.folder), "FOLDER")
    text = re.sub(r"\b[0-9a-f]{16}…", "…", text)
    return re.sub(r"(process |\.staging-|apt/)[0-9a-f]+", r"\1…", text)


def _leaks(bench: Bench, text: str) -> int:
    """Count the places that show the password: what was told, names, files of ours."""
    places = [text]
    for path in (*bench.home.root.rglob("*"), bench.folder / "outcome.json"):
        places.append(str(path))
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 2**20:
            places.append(path.read_bytes().decode(errors="replace"))
    return sum(PASSWORD in each for each in places)


# --- all of them -----------------------------------------------------------------------


def _numbered(number: int, folder: str) -> Row | str:
    """Try the case of a number, in a process of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Path(folder) / f"case{number}"
    place.mkdir()
    outer = dict(os.environ)
    try:
        return run_case(cases()[number], place)
    finally:
        os.environ.clear()
        os.environ.update(outer)
        shutil.rmtree(place, ignore_errors=True)


def run_all(
    folder: Path, *, words: str = "", slow: bool = True, names: Sequence[str] = ()
) -> tuple[list[Row], list[str]]:
    """Try the cases; return the rows, and what cannot be tried here.

    Parameters
    ----------
    folder
        An empty one.
    words
        Only cases whose name has them.
    slow
        Also those that take seconds.
    names
        Only these, where some are named.
    """
    chosen = [
        (number, case)
        for number, case in enumerate(cases())
        if words in case.name
        and (slow or not case.slow)
        and (not names or case.name in names)
    ]
    rows, skipped = [], []
    # Each waits most of the time: for a disk, for pip, for a server that is slow.
    with concurrent.futures.ProcessPoolExecutor(
        4, mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        tried = [pool.submit(_numbered, number, str(folder)) for number, _ in chosen]
        for (_, case), each in zip(chosen, tried, strict=True):
            try:
                result = each.result()
            except Exception as error:
                error.add_note(f"in the case {case.name}")
                raise
            if isinstance(result, str):
                skipped.append(f"{case.name}: {result}")
            else:
                rows.append(result)
    return rows, skipped


def wrong(row: Row) -> list[str]:
    """Return what must not be in a row."""
    found = list(row.problems)
    if row.intact not in {"yes", "new"}:
        found.append(f"not as before: {row.intact}")
    if not row.again:
        found.append("a second run does not complete")
    if row.leaked:
        found.append(f"{row.leaked} places show the password")
    return found


def as_text(rows: Sequence[Row], skipped: Sequence[str] = ()) -> str:
    """Return the table in Markdown."""
    table = [HEADS, tuple("---" for _ in HEADS)]
    table += [
        (row.name, row.way, row.ends, row.code, row.intact,
         "yes" if row.again else "no", str(row.leaked))
        for row in rows
    ]  # fmt: skip
    good = sum(not wrong(row) for row in rows)
    lines = ["| " + " | ".join(each) + " |" for each in table]
    lines += [f"skipped: {each}" for each in skipped]
    return "\n".join([*lines, f"{good} of {len(rows)} rows are as they must be"])


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 if anything is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        rows, skipped = run_all(Path(folder), words=" ".join(arguments))
    sys.stdout.write(as_text(rows, skipped) + "\n")
    for row in rows:
        if wrong(row) or arguments:
            sys.stdout.write(f"{row.name}: {json.dumps(wrong(row))}\n  {row.text}\n")
    return int(any(wrong(row) for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
