"""Real installations, killed at any moment: what was there before is there afterwards.

``python -m tests.cuda.kills --kills 30 [--seed N]`` prints a table. An installation runs in a
process of its own, from NVIDIA's double and a package index on loopback, and is killed
by SIGKILL: while it downloads, unpacks, puts together, verifies, or gives the name. On
an empty folder of ours, and on one with an older toolkit of the same name in use.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic import cuda
from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.machine.probe import probe_machine
from colabmagic.cuda.planning.plan import Options, Plan
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.store.layout import Home
from tests.cuda.kill_bench import (
    ARCHIVES,
    PHASES,
    WAYS,
    Bench,
    State,
    copy_home,
    index_folder,
)
from tests.fakes.nvidia.served import served_folder
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import old_compiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADS = (
    "kill", "way", "home", "aimed at", "hit", "after s", "state then", "left over",
    "second run s", "here MB", "missing MB", "fetched MB",
)  # fmt: skip


# --- what is killed ----------------------------------------------------------------------


class Told:
    """Tells another process what goes on."""

    def start(self, what: str, total: float | None = None) -> None:
        """Say it."""
        del total
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()
        self.last = what

    def advance(self, amount: float = 1) -> None:
        """Say nothing."""

    def finish(self, summary: str = "") -> None:
        """Say that the toolkit is proven: what comes next gives it its name."""
        if self.last.startswith("verifying"):
            self.start(f"proven: {summary}")


def plan_of(url: str, folder: Path, way: str) -> Plan:
    """Plan on this machine, with a g++ 7 and a link of the system of the folder's own."""
    facts = probe_machine(Home(folder / "home"))
    old = Compiler(path=str(old_compiler(folder / "gcc")), version=(7, 5, 0))
    compilers = facts.compilers if way == "wheels" else (*facts.compilers, old)
    facts = replace(facts, compilers=compilers, gpus=(), driver=None, torch=None)
    mirror = None if way == "wheels" else url
    options = Options(mirror=mirror, method=way, yes=True)
    plan = cuda.plan(WAYS[way], facts=facts, options=options)
    assert plan.chosen is not None, plan.problems
    steps = [each for each in plan.chosen.steps if not isinstance(each, Activate)]
    link = SystemLink(link=str(folder / "usr-local-cuda"))
    chosen = replace(plan.chosen, steps=(*steps, link, Activate()))
    return replace(plan, chosen=chosen)


def child(url: str, folder: str, way: str) -> None:
    """Install; the last line says how it went."""
    began = time.monotonic()
    outcome = cuda.install(plan_of(url, Path(folder), way), progress=Told())
    assert outcome.ladder is not None
    told = {
        "ok": outcome.ladder.ok,
        "root": str(outcome.root),
        "seconds": round(time.monotonic() - began, 1),
        "CUDA_HOME": os.environ["CUDA_HOME"],
    }
    sys.stdout.write(f"done {json.dumps(told)}\n")


# --- who kills, and looks ----------------------------------------------------------------


@dataclass
class Killed:
    """One kill, and what came of it."""

    way: str
    home: str
    aimed: str
    hit: str = ""
    after_s: float = 0.0
    state: str = ""
    left: str = ""
    second_s: float | None = None
    here: int = 0
    missing: int = 0
    fetched: int = 0
    problems: list[str] = field(default_factory=list)


def judge(bench: Bench, row: Killed, before: State, name: str) -> None:
    """Recover, and compare what is there with what was."""
    bench.recover()
    after = bench.state()
    row.here = bench.here()
    row.missing = sum(bench.sizes.values()) - row.here
    row.left = ", ".join((*after.left, *after.open)) or "nothing"
    if row.left != "nothing":
        row.problems.append(f"left over: {row.left}")
    if after.same(before):
        row.state = "as before"
    elif len(after.committed) == len(before.committed) + 1:
        row.state = "as after"  # the journal says that it was whole already
        if after.link != str(bench.home.toolkits / name):
            row.problems.append(f"committed, and the link is {after.link}")
    else:
        row.state = "neither"
        differ = _differ(after.files, before.files)
        row.problems.append(f"differs: {differ}, link {after.link}")


def go_on(bench: Bench, row: Killed, reference: State | None) -> State:
    """Install again, and compare with an installation that nobody disturbed."""
    bench.server.sent.clear()
    told = bench.install()
    row.second_s = told["seconds"]
    row.fetched = sum(
        size for path, size in bench.server.sent.items() if path.endswith(ARCHIVES)
    )
    state = bench.state()
    if not told["ok"] or told["CUDA_HOME"] != told["root"] != state.link:
        row.problems.append(f"a second run: {told}, link {state.link}")
    if row.fetched != row.missing:
        row.problems.append(f"{row.fetched:,} bytes came, {row.missing:,} were missing")
    if state.left or state.open:
        row.problems.append(f"a second run left {state.left} {state.open}")
    if reference is not None and (differ := _differ(_tree(state), _tree(reference))):
        row.problems.append(f"a second run's toolkit is not the undisturbed: {differ}")
    return state


def _differ(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return some of the paths that are not the same."""
    paths = sorted({*one, *other})
    return [each for each in paths if one.get(each) != other.get(each)][:5]


def _tree(state: State) -> dict[str, str]:
    """Return the files of a toolkit, without the two that tell when it was made."""
    return {
        path: what
        for path, what in state.files.items()
        if not path.endswith(("toolkit.json", "verified.json"))
    }


def moments(kills: int, seed: int) -> list[tuple[str, str, str, float]]:
    """Return the way, the home, the phase and the fraction of it for each kill."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    names = list(PHASES)
    found = []
    for number in range(kills):
        way = ("runfile", "wheels", "redist")[number % 3]
        phase = names[(number // 3) % len(names)]
        home = ("empty", "older")[(number // (3 * len(names))) % 2]
        found.append((way, home, phase, chance.random()))
    return sorted(found)


@contextlib.contextmanager
def served(way: str) -> Iterator[FileServer]:
    """Serve what one way needs, and no more, so that what is missing can be counted."""
    if way == "wheels":
        with FileServer(index_folder()) as server:
            yield server
        return
    with tempfile.TemporaryDirectory() as place:
        for path in served_folder().rglob("*"):
            if path.is_file() and (way == "runfile") == path.name.endswith("_linux"):
                target = Path(place) / path.relative_to(served_folder())
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)
        with FileServer(Path(place)) as server:
            yield server


def run_kills(folder: Path, kills: int, seed: int) -> list[Killed]:
    """Kill, look, and go on, so many times.

    Parameters
    ----------
    folder
        An empty one.
    kills
        How many.
    seed
        Of the moments.
    """
    rows: list[Killed] = []
    todo = moments(kills, seed)
    for way in sorted({each[0] for each in todo}):
        with served(way) as server:
            undisturbed = Bench(folder / way / "first", server, way)
            told = undisturbed.install()
            reference = undisturbed.state()
            name = Path(told["root"]).name
            (Path(told["root"]) / "older.txt").write_text("an older one")
            (Path(told["root"]) / "bin" / "ptxas").unlink()
            for number, (_, home, phase, fraction) in enumerate(
                each for each in todo if each[0] == way
            ):
                bench = Bench(folder / way / str(number), server, way)
                if home == "older":
                    copy_home(undisturbed.home.toolkits, bench.home.toolkits)
                    bench.link.symlink_to(bench.home.toolkits / name)
                    bench.home.cache.mkdir()
                    bench.keep()
                rows.append(Killed(way=way, home=home, aimed=phase))
                row = rows[-1]
                before = bench.state()
                row.hit, row.after_s = bench.kill(phase, fraction)
                judge(bench, row, before, name)
                go_on(bench, row, reference)
                shutil.rmtree(bench.folder)
        shutil.rmtree(folder / way)
    return rows


def as_text(rows: Sequence[Killed]) -> str:
    """Return the table in Markdown."""
    table = [_HEADS, tuple("---" for _ in _HEADS)]
    for number, row in enumerate(rows, 1):
        amounts = (f"{each / 1e6:.1f}" for each in (row.here, row.missing, row.fetched))
        table.append(
            (str(number), row.way, row.home, row.aimed, row.hit, f"{row.after_s:.2f}",
             row.state, row.left, f"{row.second_s}", *amounts)
        )  # fmt: skip
    lines = ["| " + " | ".join(each) + " |" for each in table]
    good = sum(not row.problems for row in rows)
    return "\n".join([*lines, f"{good} of {len(rows)} without a problem"])


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=3, metavar=("URL", "FOLDER", "WAY"))
    chosen = parser.parse_args(arguments)
    if chosen.child:
        child(*chosen.child)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = run_kills(Path(folder), chosen.kills, chosen.seed)
    sys.stdout.write(as_text(rows) + "\n")
    for number, row in enumerate(rows, 1):
        for problem in row.problems:
            sys.stdout.write(f"kill {number}: {problem}\n")
    return int(any(row.problems for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
