"""What ``%gpu_check`` leaves behind: modules, threads, CUDA, on eight fake GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _measure import table as print_table
from _peers import build, profiles, quiet_env

# What a notebook pays for dearly, or what somebody else may be about to replace.
HEAVY = ("torch", "numpy", "rich", "psutil", "requests", "importlib.metadata", "google")
STARTS_CUDA = ("cuInit",)
TAKES_MEMORY = ("cuCtxCreate", "cuDevicePrimaryCtxRetain", "cuMemAlloc")

IN_SHELL = """
import json, os, sys, threading
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1", silent=True)
before, threads = set(sys.modules), threading.active_count()
variables, folder = dict(os.environ), os.getcwd()
shell.run_line_magic("load_ext", "colabmagic")
loaded = set(sys.modules)
shell.run_line_magic("gpu_check", "--quiet")
after = set(sys.modules)
print(json.dumps({
    "pid": os.getpid(),
    "load": sorted(loaded - before),
    "check": sorted(after - loaded),
    "threads": threading.active_count() - threads,
    "kept": variables == dict(os.environ) and folder == os.getcwd(),
}))
"""
IMPORTED = """
import json, os, sys
before = set(sys.modules)
import {module}
print(json.dumps({{"pid": os.getpid(), "load": sorted(set(sys.modules) - before)}}))
"""
PEERS = ("gpustat", "nvitop", "torch")


def run(code: str, env: dict[str, str]) -> dict[str, Any] | None:
    """Run code in a fresh process and return what it tells; None where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return None
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def heavy(modules: list[str]) -> str:
    """Return which of the heavy modules are among some."""
    found = [name for name in HEAVY if name in modules]
    return ", ".join(f"`{name}`" for name in found) or "none"


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            libraries = build.build(folder / "drivers")
        except build.BuildError as error:
            print(f"Side effects of %gpu_check: not measured, {error}.")
            return
        config = profiles.write_profile("h200x8", folder / "gpu.cfg")
        trace = folder / "trace.txt"
        env = build.fake_gpu_env(libraries, config, trace, quiet_env())
        ours = run(IN_SHELL, env)
        calls = [
            line.split() for line in trace.read_text(encoding="utf-8").splitlines()
        ]
        others = {name: run(IMPORTED.format(module=name), env) for name in PEERS}
    if ours is None:
        sys.exit("%gpu_check failed in IPython")
    rows: list[tuple[str, ...]] = [
        ("`%load_ext colabmagic`", str(len(ours["load"])), heavy(ours["load"])),
        ("`%gpu_check` after it", str(len(ours["check"])), heavy(ours["check"])),
    ]
    rows += [
        (
            f"for comparison: `import {name}`",
            str(len(told["load"])),
            heavy(told["load"]),
        )
        for name, told in others.items()
        if told is not None
    ]
    print_table("Modules that come into a bare kernel", ("", "modules", "heavy"), rows)

    own = [function for pid, function in calls if int(pid) == ours["pid"]]
    everybody = [function for _, function in calls]

    def count(functions: list[str], wanted: tuple[str, ...]) -> str:
        return str(sum(function.startswith(wanted) for function in functions))

    print_table(
        "What `%gpu_check` does to eight GPUs and the kernel",
        ("", "count", "wanted"),
        [
            ("NVML calls in the kernel's process", count(own, ("nvml",)), "-"),
            ("CUDA calls in the kernel's process", count(own, ("cu",)), "0"),
            (
                "starts of CUDA, in a process that has ended",
                count(everybody, STARTS_CUDA),
                "1",
            ),
            (
                "contexts and memory taken on a GPU, any process",
                count(everybody, TAKES_MEMORY),
                "0",
            ),
            ("threads left", str(ours["threads"]), "0"),
            ("variables or folder changed", "no" if ours["kept"] else "YES", "no"),
        ],
    )


if __name__ == "__main__":
    main()
