"""What a GPU check costs: CPU time and wall time, beside the peers, on the fake drivers.

CPU time is user and system time of the process and of all that it starts. We are given a
PyTorch that says that it is for CUDA, with the library of the installed one to search.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from _measure import table as print_table
from _peers import (
    OURS,
    PEERS,
    Tool,
    argv,
    build,
    is_there,
    profiles,
    quiet_env,
    scenarios,
)

from colabmagic.gpu.sources import elf

HERE = Path(sys.executable)
ROUNDS = 15
SLOW_ROUNDS = 5  # of what takes seconds
COLD_BUDGET_MS, WARM_BUDGET_MS = 120, 15
MACHINES = {"1 GPU (T4)": "t4", "8 GPUs (H200)": "h200x8"}
COLLECT_ENV = "collect_env"
CONTESTANTS = (
    OURS,
    *(peer for peer in PEERS if peer.name in {"gpustat", "nvitop -1", COLLECT_ENV}),
    Tool("gpustat --json", ("gpustat", "--json")),
    Tool("`python -c pass`", ("python", "-c", "pass")),
)

# Several calls in one process; with and without the processes that they start.
WARM = """
import json, resource, sys, time
def figures():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.thread_time(), time.process_time(), time.perf_counter(),
            children.ru_utime + children.ru_stime)
def once():
    before = figures()
    report = check()
    report.text, report.html
    return [(b - a) * 1e3 for a, b in zip(before, figures())]
from colabmagic.gpu import check
once()
print(json.dumps([once() for _ in range(int(sys.argv[1]))]))
"""
# The first call as a user makes it, in a shell that has run a cell before.
FIRST = """
import json, resource, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1", silent=True)
shell.run_line_magic("load_ext", "colabmagic")
def figures():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.thread_time(), time.process_time(), time.perf_counter(),
            children.ru_utime + children.ru_stime)
before = figures()
shell.run_line_magic("gpu_check", "--quiet")
print(json.dumps([[(b - a) * 1e3 for a, b in zip(before, figures())]]))
"""


@dataclass
class Taken:
    """Milliseconds of each round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        """Return minimum and median of both."""
        return tuple(
            f"{figure(values):.0f}"
            for values in (self.cpu, self.wall)
            for figure in (min, statistics.median)
        )


def cuda_torch(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Return variables with which a PyTorch for CUDA is found, as large as a real one."""
    site = scenarios.write_torch(folder / "site", *scenarios.CU128)
    spec = importlib.util.find_spec("torch")
    if spec and spec.origin:
        made = site / "torch/lib/libtorch_python.so"
        real = Path(spec.origin).parent / "lib" / made.name
        if real.exists():
            library = bytearray(real.read_bytes())
            # Where a real build has its list: among the constants, here in their middle.
            first, last = elf.constants(bytes(library)) or (len(library), len(library))
            archs = b"\0" + scenarios.CU128[2].encode() + b"\0"
            place = (first + last) // 2
            library[place : place + len(archs)] = archs
            made.write_bytes(library)
    return env | {"PYTHONPATH": str(site)}


def cold(tool: Tool, env: dict[str, str], folder: Path) -> tuple[float, float]:
    """Run a tool once; return milliseconds of CPU and wall time."""
    started = time.perf_counter()
    process = subprocess.Popen(
        argv(tool, HERE),
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return (used.ru_utime + used.ru_stime) * 1e3, wall * 1e3


def compare(
    env: dict[str, str], ours: dict[str, str], folder: Path, rounds: int
) -> dict[str, Taken]:
    """Let all tools run in turn, ours in its own; the first round is not counted."""
    tools = [tool for tool in CONTESTANTS if is_there(tool, HERE)]
    taken = {tool.name: Taken() for tool in tools}
    for number in range(rounds + 1):
        turn = number % len(tools)
        for tool in tools[turn:] + tools[:turn]:
            if tool.imports_torch and number > SLOW_ROUNDS:
                continue
            cpu, wall = cold(tool, ours if tool is OURS else env, folder)
            if number:
                taken[tool.name].cpu.append(cpu)
                taken[tool.name].wall.append(wall)
    return taken


def cold_table(title: str, taken: dict[str, Taken]) -> None:
    """Print tool by figure, ours with its budget."""
    ours = min(taken[OURS.name].cpu)
    rows = []
    for name, each in taken.items():
        least = min(each.cpu)
        verdict = f"{least / ours:.1f} times ours"
        if name == OURS.name:
            held = "held" if least <= COLD_BUDGET_MS else "MISSED"
            verdict = f"budget {COLD_BUDGET_MS}: {held}"
        elif name == CONTESTANTS[-1].name:
            verdict = "what Python itself takes"
        rows.append((name, *each.cells(), verdict))
    heads = ("", "CPU ms (min)", "median", "wall ms (min)", "median", "")
    print_table(title, heads, rows)


def in_process(code: str, env: dict[str, str], *arguments: str) -> list[list[float]]:
    """Run code in a fresh process and return its figures."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def calls_table(envs: dict[str, dict[str, str]], rounds: int) -> None:
    """Print what calls in a running process cost."""
    rows: list[tuple[str, ...]] = []
    for machine, env in envs.items():
        warm = in_process(WARM, env, str(rounds))
        first = [figures for _ in range(rounds) for figures in in_process(FIRST, env)]
        for name, runs, budget in (
            (f"first `%gpu_check` in IPython, {machine}", first, COLD_BUDGET_MS),
            (f"second call, {machine}", warm, WARM_BUDGET_MS),
        ):
            thread, process, wall, children = zip(*runs, strict=True)
            with_children = [a + b for a, b in zip(process, children, strict=True)]
            least = min(process)
            held = "held" if least <= budget else "MISSED"
            rows.append(
                (
                    name,
                    f"{min(thread):.1f}",
                    f"{least:.1f}",
                    f"{statistics.median(process):.1f}",
                    f"{min(with_children):.1f}",
                    f"{min(wall):.1f}",
                    f"budget {budget}: {held}",
                )
            )
    heads = (
        "",
        "thread's CPU ms (min)",
        "process's (min)",
        "median",
        "with its children (min)",
        "wall ms (min)",
        "",
    )
    print_table(f"Calls in a running process, {rounds} rounds", heads, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            libraries = build.build(folder / "drivers")
        except build.BuildError as error:
            print(f"Latency of %gpu_check: not measured, {error}.")
            return
        envs = {}
        for machine, profile in MACHINES.items():
            config = profiles.write_profile(profile, folder / f"{profile}.cfg")
            envs[machine] = build.fake_gpu_env(libraries, config, base=quiet_env())
        ours = cuda_torch(folder, {})
        for machine, env in envs.items():
            title = f"A whole process, {machine}, {rounds} interleaved rounds"
            cold_table(title, compare(env, env | ours, folder, rounds))
        calls_table({machine: env | ours for machine, env in envs.items()}, rounds)


if __name__ == "__main__":
    main()
