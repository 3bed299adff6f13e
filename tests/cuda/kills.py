"""Real installations, killed at any moment: what was there before is there afterwards.

``python -m tests.cuda.kills --kills 30 [--seed N]`` prints a table. An installation runs in a
process of its own, from NVIDIA's double and a package index on loopback, and is killed
by SIGKILL: while it downloads, unpacks, puts together, verifies, or gives the name. On
an empty folder of ours, and on one with an older toolkit of the same name in use.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic import cuda
from colabmagic.cuda.fetching.cache import Cache, hash_of
from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.machine.probe import probe_machine
from colabmagic.cuda.planning.plan import Options, Plan
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.store.apply import REMOVED, STAGING, Store
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT
from tests.fakes.nvidia.served import served_folder
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import made_once, old_compiler, store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
WAYS = {"redist": "11.1", "runfile": "9.2", "wheels": "13.0"}
WHEELS = ("nvidia-cuda-nvcc", "nvidia-cuda-runtime", "nvidia-cuda-crt", "nvidia-nvvm",
          "nvidia-cuda-cccl")  # fmt: skip
_INDEX = "index-13.0-a"
_LIMIT_S = 240.0
_ARCHIVES = (".tar.xz", ".whl", "_linux")
# What the progress of an installation begins with → what goes on, and for how long.
PHASES = {
    "download": 0.6,
    "unpack": 3.0,
    "assemble": 0.5,
    "verify": 2.0,
    "publish": 0.04,
}
_BEGIN = (
    ("unpack", "unpack"),
    ("putting", "assemble"),
    ("verifying", "verify"),
    ("proven", "publish"),
)
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


def index_folder() -> Path:
    """Return a folder with a package index of CUDA 13.0's wheels.

    Raises
    ------
    OSError
        The package index does not answer.
    """
    with made_once(_INDEX) as (folder, is_new):
        if is_new:
            asked = [f"{name}=={WAYS['wheels']}.*" for name in WHEELS]
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                 "--only-binary", ":all:", "-d", str(folder / "files"), *asked],
                capture_output=True, text=True, check=False, timeout=_LIMIT_S,
            )  # fmt: skip
            if done.returncode:
                raise OSError(done.stderr.strip().splitlines()[-1])
            for wheel in (folder / "files").iterdir():
                name = wheel.name.split("-")[0].replace("_", "-")
                page = folder / "simple" / name / "index.html"
                page.parent.mkdir(parents=True)
                page.write_text(
                    f'<a href="/files/{wheel.name}#sha256={hash_of(wheel)}">'
                    f"{wheel.name}</a>",
                    "utf-8",
                )
    return store() / _INDEX


@dataclass(kw_only=True)
class State:
    """What a person has, all of it."""

    files: dict[str, str]
    link: str | None
    committed: tuple[str, ...]
    open: tuple[str, ...]
    left: tuple[str, ...]

    def same(self, other: State) -> bool:
        """Tell whether nothing differs."""
        return (self.files, self.link, self.committed) == (
            other.files,
            other.link,
            other.committed,
        )


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


class Bench:
    """A folder of ours, a server, and what is done to it."""

    def __init__(self, folder: Path, server: FileServer, way: str) -> None:
        self.folder, self.server, self.way = folder, server, way
        self.home = Home(folder / "home")
        self.link = folder / "usr-local-cuda"
        self.sizes = {
            path.name: path.stat().st_size
            for path in server.root.rglob("*")
            if path.is_file() and path.name.endswith(_ARCHIVES)
        }
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    # -- state --

    def state(self) -> State:
        """Hash all of it, but for the lock, the journal and the proofs."""
        files = dict(_listing(self.home.toolkits))
        changes = Journal(self.home.journal).changes()
        return State(
            files=files,
            link=str(self.link.readlink()) if self.link.is_symlink() else None,
            committed=tuple(c.id for c in changes if c.state == "committed"),
            open=tuple(c.id for c in changes if c.state == "open"),
            left=tuple(
                each.name
                for each in (*self.home.toolkits.glob(".*"), *self.folder.glob(".*"))
                if each.name.startswith((STAGING, REMOVED, ".usr-local"))
            ),
        )

    def here(self) -> int:
        """Count the archives' bytes that are here, whole or in part; check the whole."""
        cache = Cache(self.home.cache)
        finished = list((cache.root / "sha256").glob("??/*"))
        for path in finished:
            assert hash_of(path) == path.name, (
                f"{path} has a final name and other bytes"
            )
        parts = list(cache.partial.glob("*.part"))
        sizes = [path.stat().st_size for path in (*finished, *parts)]
        return sum(size for size in sizes if size > 2**16)  # no list of archives

    def recover(self) -> None:
        """Do what the next kernel does first."""
        home = self.home

        def make_work(staging: Path) -> Work:
            return Work(
                home=home, staging=staging, cache=Cache(home.cache), run=run,
                progress=SILENT,
            )  # fmt: skip

        Store(home, make_work).recover()

    # -- children --

    def install(self) -> dict[str, Any]:
        """Install undisturbed; return what the child tells."""
        *_, told = self._run(None, 0.0)
        return told

    def kill(self, phase: str, fraction: float) -> tuple[str, float]:
        """Kill in a phase; return where it struck, and when."""
        delay = fraction * PHASES[phase]
        for _ in range(6):
            hit, at, told = self._run(phase, delay)
            if not told:
                return hit, at
            delay /= 3  # it was quicker: as if it had not been
            self.reset()
        message = f"never killed in {phase}"
        raise AssertionError(message)

    def reset(self) -> None:
        """Put everything back as `keep` found it."""
        shutil.rmtree(self.home.root)
        self.link.unlink(missing_ok=True)
        kept = self.folder / "kept"
        if kept.is_dir():
            _copy(kept / "home", self.home.root)
            shutil.copy2(kept / "link", self.link, follow_symlinks=False)
        else:
            self.home.root.mkdir()

    def keep(self) -> None:
        """Keep the state for `reset`, without what was fetched."""
        shutil.rmtree(self.home.cache)
        _copy(self.home.root, self.folder / "kept" / "home")
        shutil.copy2(self.link, self.folder / "kept" / "link", follow_symlinks=False)

    def _run(
        self, phase: str | None, delay: float
    ) -> tuple[str, float, dict[str, Any]]:
        """Run a child, and kill it so long after a phase began."""
        url = self.server.url
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        env |= {
            "COLABMAGIC_HOME": str(self.home.root),
            "TMPDIR": str(self.folder / "tmp"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{url}/simple",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        errors = (self.folder / "stderr").open("w+b")
        argv = [sys.executable, "-m", "tests.cuda.kills", "--child", url,
                str(self.folder), self.way]  # fmt: skip
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=env, text=True
        )
        with process, errors:
            lines: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=_read, args=(process.stdout, lines))
            reader.start()
            began = time.monotonic()
            hit, told = _follow(process, lines, phase, delay)
            at = time.monotonic() - began
            process.kill()
            process.wait(_LIMIT_S)
            reader.join()
            while not lines.empty():  # it was said before the kill
                hit, told = _understood(lines.get(), hit, told)
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()
            assert not (phase is None and not told), words[-2000:]
            return hit, at, told


def _follow(
    process: subprocess.Popen[str],
    lines: queue.Queue[str],
    phase: str | None,
    delay: float,
) -> tuple[str, dict[str, Any]]:
    """Read what a child says until it is to be killed, or ends."""
    hit, told = "begin", {}
    end = time.monotonic() + _LIMIT_S
    while time.monotonic() < end:
        try:
            line = lines.get(timeout=max(0.0, min(0.05, end - time.monotonic())))
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        before = hit
        hit, told = _understood(line, hit, told)
        if told:
            break
        if hit == phase and before != phase:
            end = time.monotonic() + delay
    return hit, told


def _understood(
    line: str, hit: str, told: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the phase that a line begins, or what its last line tells."""
    if line.startswith("done "):
        found: dict[str, Any] = json.loads(line.removeprefix("done "))
        return hit, found
    for beginning, phase in _BEGIN:
        if line.startswith(beginning):
            return phase, told
    return ("download" if hit == "begin" else hit), told


def _read(stream: Any, lines: queue.Queue[str]) -> None:  # noqa: ANN401 (a text stream)
    """Hand lines on."""
    for line in stream:
        lines.put(line)


def _listing(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield path → mode and hash of all that lies in a folder of toolkits."""
    for place, folders, names in os.walk(folder):
        if place == str(folder):
            folders[:] = [each for each in folders if not each.startswith(".")]
            names = []  # noqa: PLW2901 (the journal and the lock)
        for name in (*folders, *names):
            path = Path(place, name)
            status = path.lstat()
            if path.is_symlink():
                what = f"-> {path.readlink()}"
            elif path.is_dir():
                what = "folder"
            else:
                with path.open("rb") as stream:
                    what = hashlib.file_digest(stream, "sha256").hexdigest()
            yield str(path.relative_to(folder)), f"{status.st_mode:o} {what}"


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; what a toolkit has is linked: nobody may write into it."""

    def copied(old: str, new: str) -> None:
        if Path(old).name in {"journal.jsonl", "lock"} or Path(old).is_symlink():
            shutil.copy2(old, new, follow_symlinks=False)
        else:
            os.link(old, new)

    shutil.copytree(source, target, copy_function=copied, symlinks=True)


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
        size for path, size in bench.server.sent.items() if path.endswith(_ARCHIVES)
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
        home = ("empty", "older")[(number // 3 + number) % 2]
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
                    _copy(undisturbed.home.toolkits, bench.home.toolkits)
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
