"""What ``%gpu_check`` and its peers say of broken and healthy machines, in points.

Each tool runs as its own process on each machine of gpu_diagnosis.toml, with the same
drivers, folders and variables. A point is earned where a fixed pattern is met.

What PyTorch says of a driver in disorder needs a build for CUDA. Where none is installed,
the words that one said before under the same drivers are judged
(gpu_diagnosis_torch.json; ``--cuda-python`` asks again and writes that file). On healthy
machines, and where only the first kernel would fail, nobody can know without a GPU what
the tools that import PyTorch would say: "n/a", not counted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from _expectations import CRITERIA, FAULT, Machine, Said, Table, load, points
from _measure import table as print_table
from _peers import (
    OURS,
    PEERS,
    Room,
    Tool,
    ask,
    build,
    can_have_rooms,
    cuda_of_torch,
    is_there,
    set_up,
)

HERE = Path(sys.executable)
RECORDED = Path(__file__).with_name("gpu_diagnosis_torch.json")
AT_ONCE = 2
PLAIN = "own_no_gpu"  # where no tool has anything to wait for
# Of a recorded text, what is about GPUs and not about the machine it was recorded on.
ABOUT_GPUS = re.compile(
    r"torch|cuda|gpu|nvidia|driver|error|traceback|hip|rocm", re.IGNORECASE
)
FOREIGN_WORDS = re.compile(r"(?<![:/\w])/\S+/|^\[(pip|conda).*|^<frozen.*")

HTML_OF_REPORT = Tool(
    "HTML", ("python", "-c", "import colabmagic.gpu as g; print(g.check().html)")
)
MARKUP_OF_DRIVER = "<script"


class Arena:
    """Runs tools on machines and keeps what they say."""

    def __init__(
        self, table: Table, folder: Path, libraries: Path, cuda_python: Path | None
    ) -> None:
        self.table = table
        self.folder = folder
        self.libraries = libraries
        self.cuda_python = cuda_python
        own = cuda_of_torch(HERE)
        self.cpu_torch_here = own is not None and own[1] is None
        self.recorded: dict[str, dict[str, dict[str, object]]] = {}
        if RECORDED.exists():
            self.recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["said"]
        self.start_s: dict[str, float] = {}

    def python_for(self, tool: Tool, machine: Machine) -> Path | None:
        """Return the interpreter that runs a tool on a machine; None: it cannot be run."""
        if not tool.imports_torch:
            return HERE
        if machine.kind != FAULT or machine.needs_gpu:
            return None
        if self.table.torch[machine.torch] == "installed":
            return HERE if self.cpu_torch_here else None
        return self.cuda_python

    def said(self, tool: Tool, machine: Machine) -> Said | None:
        """Return what a tool says of a machine; None where that cannot be had."""
        python = self.python_for(tool, machine)
        if python is None or not is_there(tool, python):
            found = self.recorded.get(machine.name, {}).get(tool.name)
            return Said(**found) if found and tool.imports_torch else None  # type: ignore[arg-type]
        limit_s = self.start_s[tool.name] + self.table.general.limit_s
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            room = self.room(tool, machine, Path(folder))
            said = ask(tool, room, python, limit_s)
            if not said.in_time:  # who hangs does so twice; other work here may pass
                said = ask(tool, room, python, limit_s + self.start_s[tool.name])
            if tool is OURS and "<script" in said.text:
                html = ask(HTML_OF_REPORT, room, python, None).text
                if MARKUP_OF_DRIVER in html or not html.strip():
                    said = Said(f"{said.text}\nHTML: \0", said.status, said.in_time)
        return said

    def measure_start(self, tools: list[Tool]) -> None:
        """Time each tool where it has nothing to wait for: importing is no hanging."""
        machine = self.table.machines[PLAIN]

        def once(tool: Tool, python: Path) -> float:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                room = self.room(tool, machine, Path(folder))
                started = time.monotonic()
                ask(tool, room, python, None)
                return time.monotonic() - started

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for tool in tools:
                pythons = {self.python_for(tool, machine)}
                if tool.imports_torch:
                    pythons.add(self.cuda_python)
                here = [one for one in pythons if one and is_there(tool, one)]
                runs = [pool.submit(once, tool, one) for one in here * AT_ONCE]
                self.start_s[tool.name] = max((run.result() for run in runs), default=0)

    def room(self, tool: Tool, machine: Machine, folder: Path) -> Room:
        """Set a machine up for a tool."""
        return set_up(
            machine,
            self.table,
            self.libraries,
            folder,
            real_torch=tool.imports_torch,
        )

    def ask_all(
        self, tools: list[Tool], machines: list[Machine]
    ) -> dict[str, dict[str, Said]]:
        """Return by machine and tool what was said."""
        said: dict[str, dict[str, Said]] = {machine.name: {} for machine in machines}
        started = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = {
                pool.submit(self.said, tool, machine): (tool, machine)
                for machine in machines
                for tool in tools
            }
            for number, job in enumerate(as_completed(jobs), 1):
                tool, machine = jobs[job]
                words = job.result()
                if words is not None:
                    said[machine.name][tool.name] = words
                if number % 20 == 0 or number == len(jobs):
                    taken = time.monotonic() - started
                    progress = f"{number} of {len(jobs)} answers, {taken:.0f} s"
                    print(progress, file=sys.stderr, flush=True)
        return said


def record(
    said: dict[str, dict[str, Said]],
    torch: str,
    tools: list[Tool],
    before: dict[str, dict[str, dict[str, object]]],
) -> None:
    """Keep what tools that import PyTorch said, without the words about this machine."""
    names = {tool.name for tool in tools if tool.imports_torch}
    kept: dict[str, dict[str, dict[str, object]]] = before
    for machine, answers in said.items():
        for tool, words in answers.items():
            if tool in names:
                lines = [
                    FOREIGN_WORDS.sub("", line).strip()
                    for line in words.text.splitlines()
                    if ABOUT_GPUS.search(line)
                ]
                text = "\n".join(filter(None, lines))
                short = Said(text, words.status, words.in_time)
                kept.setdefault(machine, {})[tool] = asdict(short)
    document = {"torch": torch, "said": kept}
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    RECORDED.write_text(text, encoding="utf-8")


def score(
    table: Table, said: dict[str, dict[str, Said]], tools: list[Tool]
) -> dict[str, dict[str, dict[str, bool]]]:
    """Return by tool and machine which points are earned."""
    return {
        tool.name: {
            name: points(table.machines[name], table.general, answers[tool.name])
            for name, answers in said.items()
            if tool.name in answers
        }
        for tool in tools
    }


def print_scores(earned: dict[str, dict[str, dict[str, bool]]], machines: int) -> None:
    """Print tool by criterion."""
    rows = []
    for tool, by_machine in earned.items():
        cells = []
        for criterion in CRITERIA:
            got = [one[criterion] for one in by_machine.values() if criterion in one]
            cells.append(f"{sum(got)}/{len(got)}" if got else "n/a")
        all_points = [value for one in by_machine.values() for value in one.values()]
        share = 100 * sum(all_points) / len(all_points) if all_points else 0.0
        rows.append((tool, str(len(by_machine)), *cells, f"{share:.0f} %"))
    print_table(
        f"What is said of {machines} machines: points of those that can be had",
        ("", "machines", *CRITERIA, "total"),
        rows,
    )


def print_machines(
    machines: list[Machine], earned: dict[str, dict[str, dict[str, bool]]]
) -> None:
    """Print machine by tool."""
    rows = []
    for machine in machines:
        cells = []
        for by_machine in earned.values():
            one = by_machine.get(machine.name)
            cells.append(f"{sum(one.values())}/{len(one)}" if one else "n/a")
        rows.append((machine.name.replace("_", " "), machine.kind, *cells))
    print_table("Machine by machine", ("machine", "kind", *earned), rows)


def print_misses(earned: dict[str, dict[str, dict[str, bool]]]) -> None:
    """Print the points that we do not get."""
    missed: list[tuple[str, ...]] = [
        (
            name.replace("_", " "),
            ", ".join(each for each, got in one.items() if not got),
        )
        for name, one in earned.get(OURS.name, {}).items()
        if not all(one.values())
    ]
    if missed:
        print_table("What %gpu_check misses", ("machine", "criteria"), missed)
    else:
        print("\n%gpu_check misses no point.")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="MACHINE", help="some machines")
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--show", action="store_true", help="print what each tool says")
    parser.add_argument(
        "--cuda-python",
        type=Path,
        metavar="PYTHON",
        help="an interpreter with a PyTorch for CUDA: ask it, and keep what it says",
    )
    arguments = parser.parse_args()
    table = load()
    machines = [table.machines[name] for name in arguments.only or table.machines]
    tools = [OURS] if arguments.ours else [OURS, *PEERS]
    if not can_have_rooms():
        print(
            "Diagnosis: not measured, needs Linux and `unshare` with mount namespaces."
        )
        return
    own = cuda_of_torch(HERE)
    cuda_python = arguments.cuda_python or (HERE if own and own[1] else None)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            libraries = build.build(Path(temporary) / "drivers")
        except build.BuildError as error:
            print(f"Diagnosis: not measured, {error}.")
            return
        arena = Arena(table, Path(temporary), libraries, cuda_python)
        arena.measure_start(tools)
        said = arena.ask_all(tools, machines)
    if arguments.cuda_python:
        build_of_torch = cuda_of_torch(arguments.cuda_python)
        record(
            said,
            " for CUDA ".join(map(str, build_of_torch or ())),
            tools,
            arena.recorded,
        )
    earned = score(table, said, tools)
    if arguments.show:
        for name, answers in said.items():
            for tool, words in answers.items():
                lost = [each for each, got in earned[tool][name].items() if not got]
                print(f"\n==== {name}, {tool}: exit {words.status}, missed {lost}")
                print(words.text)
    print_scores(earned, len(machines))
    print_misses(earned)
    if not arguments.ours:
        print_machines(machines, earned)


if __name__ == "__main__":
    main()
