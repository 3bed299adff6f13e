"""A toolkit goes from one machine to the next as one archive: NVIDIA's double, no GPU.

The compiler of the double compiles nothing, so the plans are without their proof; with it
they are run by ``make test-cuda``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic import cuda
from colabmagic.cuda.carrying import instead
from colabmagic.cuda.errors import ChecksumError, CudaError, SourceUnreachableError
from colabmagic.cuda.keeping.label import FOLDER
from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
from colabmagic.cuda.machine.kept import find_kept
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Candidate, Options, Plan
from colabmagic.cuda.rooting.manifest import differences, read_manifest
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.store.inventory import read_card
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.switching import environment
from colabmagic.host.command import run
from tests.cuda.fault_bench import trees
from tests.cuda.keeping.trees import harmful, listing
from tests.cuda.planning.machines import load
from tests.cuda.unpacking.hostile import plain
from tests.fakes.nvidia.redist import make_redist
from tests.fakes.nvidia.server import FileServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.cuda.machine.facts import Kept
    from colabmagic.cuda.steps.base import Step

FACTS = replace(load("debian12_cpu"), toolkits=())
NAME = "12.4.1"


class Machines:
    """One machine after the other, which share a folder and NVIDIA's double."""

    def __init__(
        self, folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder, self.server, self._patch = folder, server, monkeypatch
        self.cache = folder / "drive"
        self._count = 0
        self.next()

    def next(self) -> None:
        """Begin with an empty disk; only the folder on Drive is the same."""
        environment.deactivate()
        shutil.rmtree(
            self.cache / "sha256", ignore_errors=True
        )  # the archive is enough
        self._count += 1
        self.home = Home(self.folder / f"home{self._count}")
        self._patch.setenv("COLABMAGIC_HOME", str(self.home.root))

    @property
    def root(self) -> Path:
        """Return the toolkit's folder."""
        return self.home.toolkits / NAME

    def kept(self) -> list[Kept]:
        """Return what lies in the folder."""
        found = find_kept(self.cache, run)
        assert isinstance(found, tuple)
        return list(found)

    def facts(self, **changes: object) -> MachineFacts:
        """Return the machine, with what is kept."""
        return replace(FACTS, kept=tuple(self.kept()), **changes)  # type: ignore[arg-type]

    def plan(self, facts: MachineFacts | None = None, **options: object) -> Plan:
        """Return the plan, without the proof."""
        options = {"cache": str(self.cache), "mirror": self.server.url, **options}
        made = make_plan("12.4", "", facts or self.facts(), Options(**options))  # type: ignore[arg-type]
        assert made.chosen is not None, made.problems
        chosen = made.candidates.index(made.chosen)
        candidates = tuple(map(_unproven, made.candidates))
        return replace(made, candidates=candidates, chosen=candidates[chosen])

    def archives(self) -> list[str]:
        """Return the names in the folder of archives."""
        return sorted(each.name for each in (self.cache / FOLDER).glob("*"))


def _unproven(candidate: Candidate) -> Candidate:
    """Return a way whose compiler need not compile."""
    steps = tuple(each for each in candidate.steps if each.kind != "verify")
    return replace(candidate, steps=steps)


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Return the first machine."""
    parts = trees(tmp_path / "trees", "12.4.131")
    (tmp_path / "served").mkdir()
    make_redist(tmp_path / "served", NAME, parts, build="12.4.131")
    with FileServer(tmp_path / "served") as server:
        yield Machines(tmp_path, server, monkeypatch)
    environment.deactivate()


def method(plan: Plan) -> str:
    """Return the way of a plan."""
    assert plan.chosen is not None
    return plan.chosen.method


def test_the_next_machine_takes_one_file(machines: Machines) -> None:
    """It is the same toolkit, without any server; the plan has said so, line by line."""
    first = machines.plan()
    outcome = cuda.install(first)
    assert method(outcome.plan) == "redist"
    (note,) = outcome.notes
    assert note.startswith(
        f"It is kept as one archive: {machines.cache}/{FOLDER}/{NAME}-"
    )
    assert note.rstrip(")s.").split("(")[1] in outcome.text.replace("\n          ", " ")
    assert outcome.to_dict()["notes"] == [note]
    before, variables = listing(machines.root), outcome.variables
    machines.next()
    plan = machines.plan(offline=True)
    assert method(plan) == "archive"
    outcome = cuda.install(plan)
    after = listing(machines.root)
    for each in (before, after):
        del each["toolkit.json"]
    assert after == before
    manifest = read_manifest(machines.root)
    assert manifest is not None
    assert differences(machines.root, manifest, hashes=True) == []
    assert (outcome.notes, outcome.fetched_bytes) == ((), 0)
    assert set(outcome.variables) == set(variables)
    assert os.environ["CUDA_HOME"] == str(machines.root)
    card = read_card(machines.root)
    assert card is not None
    assert (card.method, card.build) == ("redist", "12.4")
    assert str(machines.home.root) not in (machines.root / "toolkit.json").read_text()
    again = machines.plan(
        machines.facts(
            toolkits=(
                Toolkit(root=str(machines.root), build="12.4.131", origin="ours"),
            )
        )
    )
    assert (method(again), again.afterwards) == ("reuse", ())


def flip(made: Kept) -> None:
    """Change a byte, as a disk may."""
    path = Path(made.path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def pipe(made: Kept) -> None:
    """Put a pipe in its place, to which nobody ever writes."""
    Path(made.path).unlink()
    os.mkfifo(made.path)


FAULTS: dict[str, tuple[Callable[[Kept], object], str]] = {
    "a byte is another": (flip, ""),
    "it is a pipe": (pipe, "was not used: it is no ordinary file any more."),
    "it is gone": (lambda made: Path(made.path).unlink(), "No such file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_that_is_spoilt_after_the_plan(machines: Machines, name: str) -> None:
    """It is told in a line, the toolkit comes as before, and a good one takes its place.

    Where nothing else can be had, all is as it was.
    """
    cuda.install(machines.plan())
    machines.next()
    plan, alone = machines.plan(), machines.plan(offline=True)
    (made,) = machines.kept()
    spoil, words = FAULTS[name]
    spoil(made)
    with pytest.raises(SourceUnreachableError) as caught:
        cuda.install(alone)
    assert "was not used" in str(caught.value.seen)
    assert not machines.root.exists()
    assert "CUDA_HOME" not in os.environ
    outcome = cuda.install(plan)
    assert method(outcome.plan) == "redist"
    kept, told = outcome.notes[::-1]
    assert told.startswith(f"The archive {Path(made.path).name} was not used: ")
    assert words in told
    assert "\n" not in told
    assert kept.startswith("It is kept as one archive")
    assert [each.problem for each in machines.kept()] == [""]
    assert (machines.root / "bin/nvcc").exists()
    assert not list(machines.home.toolkits.glob(".staging-*"))
    machines.next()
    assert method(cuda.install(machines.plan()).plan) == "archive"


def test_one_that_is_made_to_harm(machines: Machines) -> None:
    """Its label agrees with it: it is refused, told, and replaced."""
    cuda.install(machines.plan())
    (made,) = machines.kept()
    machines.next()
    harmful(made, [plain("bin/../../../evil")])
    plan = machines.plan()
    assert method(plan) == "archive"
    outcome = cuda.install(plan)
    assert method(outcome.plan) == "redist"
    assert any("wants to write where it may not" in each for each in outcome.notes)
    assert not list(machines.folder.rglob("evil"))


def test_who_names_the_archive_gets_no_other(machines: Machines) -> None:
    """The error says what to delete; nothing has changed."""
    cuda.install(machines.plan())
    (made,) = machines.kept()
    machines.next()
    plan = machines.plan(method="archive")
    flip(made)
    with pytest.raises(ChecksumError) as caught:
        cuda.install(plan)
    assert caught.value.hint == f"!rm {made.path}"
    assert instead(plan) is None
    assert not machines.root.exists()


def with_step(plan: Plan, step: Step, before: str) -> Plan:
    """Return a plan with one step more in its chosen way."""
    assert plan.chosen is not None
    steps = list(plan.chosen.steps)
    kinds = [each.kind for each in steps]
    steps.insert(kinds.index(before) if before in kinds else len(kinds), step)
    chosen = replace(plan.chosen, steps=tuple(steps))
    candidates = tuple(
        chosen if each is plan.chosen else each for each in plan.candidates
    )
    return replace(plan, chosen=chosen, candidates=candidates)


def test_one_that_does_not_pass_the_proof(machines: Machines) -> None:
    """Neither is it used; what fails later is not its fault, and is told as it is."""
    cuda.install(machines.plan())
    machines.next()
    fails = Command(argv=("false",), what="the proof")
    outcome = cuda.install(with_step(machines.plan(), fails, "publish"))
    assert method(outcome.plan) == "redist"
    assert "the proof did not work" in outcome.notes[0]
    machines.next()
    with pytest.raises(CudaError, match="the proof did not work"):
        cuda.install(with_step(machines.plan(), fails, "at the end"))
    states = [each.state for each in Journal(machines.home.journal).changes()]
    assert states == ["undone"]
    assert not machines.root.exists()


class Pressing:
    """Presses Ctrl-C in the middle of the archive."""

    def __init__(self, words: str) -> None:
        self.words, self.is_due = words, False

    def start(self, what: str, total: float | None = None) -> None:
        """Look at what begins."""
        del total
        self.is_due = what == self.words

    def advance(self, amount: float = 1) -> None:
        """Press."""
        del amount
        if self.is_due:
            self.is_due = False
            signal.raise_signal(signal.SIGINT)

    def finish(self, summary: str = "") -> None:
        """Do nothing."""


def test_ctrl_c_leaves_the_toolkit(machines: Machines) -> None:
    """It is installed and in use; the same cell again keeps it, and fetches nothing."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            cuda.install(machines.plan(), progress=Pressing("keep it as one archive"))
    finally:
        signal.signal(signal.SIGINT, outer)
    assert "CUDA 12.4.1 is installed and in use" in str(caught.value)
    assert os.environ["CUDA_HOME"] == str(machines.root)
    assert (machines.root / "bin/nvcc").exists()
    assert machines.archives() == []
    states = [each.state for each in Journal(machines.home.journal).changes()]
    assert states == ["committed"]
    ours = Toolkit(root=str(machines.root), build="12.4.131", origin="ours")
    again = cuda.install(machines.plan(machines.facts(toolkits=(ours,))))
    assert again.is_reused
    assert len(machines.archives()) == 2


def test_ctrl_c_while_it_is_unpacked(machines: Machines) -> None:
    """All is as it was; the archive is whole, and another run takes it."""
    cuda.install(machines.plan())
    machines.next()
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            cuda.install(machines.plan(), progress=Pressing("unpack the archive"))
    finally:
        signal.signal(signal.SIGINT, outer)
    assert not list(machines.home.toolkits.glob("[!jl]*"))
    assert method(cuda.install(machines.plan()).plan) == "archive"


def test_kills_leave_all_or_nothing(machines: Machines) -> None:
    """At lines of all of it: no toolkit or a whole one, and the archive as it was."""
    cuda.install(machines.plan())
    whole = listing(machines.root)
    del whole["toolkit.json"]
    machines.next()
    plan, archives = machines.plan(), machines.archives()
    killed = []
    for line in (150, 900, 1600, 2100, 10**9):  # of some 2,600
        killed.append(killed_at(line, plan))
        found = listing(machines.root)
        found.pop("toolkit.json", None)
        assert found in ({}, whole), f"killed at line {line}"
        assert machines.archives() == archives
    assert killed == [True, True, True, True, False]
    assert found == whole
    cuda.install(plan)
    assert not list(machines.home.toolkits.glob(".staging-*"))


def killed_at(line: int, plan: Plan) -> bool:
    """Carry a plan out in a child that is killed at such a line of ours."""
    child = os.fork()
    if child == 0:
        left = [line]

        def trace(frame: Any, event: str, argument: Any) -> Any:  # noqa: ANN401, ARG001
            if "/colabmagic/cuda/" not in frame.f_code.co_filename:
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            cuda.install(plan)
        finally:
            sys.settrace(None)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_folder_that_takes_nothing(machines: Machines) -> None:
    """A note says so; the toolkit is there all the same."""
    machines.cache.mkdir()
    (machines.cache / FOLDER).write_text("a file in its place")
    outcome = cuda.install(machines.plan())
    (note,) = outcome.notes
    folder = machines.cache / FOLDER
    assert note == f"It is not kept as an archive: {folder}: File exists."
    assert (machines.root / "bin/nvcc").exists()


def test_one_that_links_to_pytorchs_libraries(machines: Machines) -> None:
    """It would be broken elsewhere: a note says why it is not kept."""
    library = machines.folder / "site-packages/libcublas.so"
    library.parent.mkdir()
    library.write_text("x")
    link = Command(
        argv=(
            "sh",
            "-c",
            f"ln -s '{library}' '{machines.home.toolkits}'/.staging-*/lib64/",
        ),
        what="link to a library",
    )
    outcome = cuda.install(with_step(machines.plan(), link, "publish"))
    (note,) = outcome.notes
    assert note == (
        f"It is not kept as an archive: lib64/libcublas.so is a link to {library}, which "
        "another machine need not have."
    )
    assert machines.archives() == []
