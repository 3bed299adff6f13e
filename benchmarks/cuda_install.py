"""What it takes to have an nvcc that is proven: ours, beside apt and the metapackage.

Measured: ours, from nothing and again, in processes of their own, with the package index
that pip is configured to use. Simulated: what Debian's packages (``apt-get install
--print-uris`` in an apt state of its own, with this machine's packages as installed) and
``pip install 'cuda-toolkit[all]'`` (its requirements, by their sizes on the index) would
fetch; neither is installed, and their time is not known.
"""

from __future__ import annotations

import argparse
import email
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from _measure import table
from packaging.requirements import Requirement

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.fetching.pip_resolver import resolve
from colabmagic.cuda.machine.probe import probe_machine
from colabmagic.cuda.planning.make import make_plan
from colabmagic.host.command import run
from colabmagic.report.size import in_words

VERSION = "13.0"
ROUNDS = 21
PLAN_BUDGET_MS, REUSE_BUDGET_S, WORK_BUDGET_S, FETCH_BUDGET = 50, 1.0, 15.0, 130e6
ROOT = Path(__file__).resolve().parents[1]

CHILD = """
import json, sys, time
began = time.monotonic()
began_cpu = time.process_time()
from colabmagic import cuda
from colabmagic.cuda.planning.plan import Options
plan = cuda.plan(sys.argv[1], options=Options(method=sys.argv[2], cache=sys.argv[3]))
outcome = cuda.install(plan)
assert outcome.ladder.broken is None and outcome.root.joinpath("bin/nvcc").exists()
print(json.dumps([time.monotonic() - began, outcome.fetched_bytes,
                  time.process_time() - began_cpu, outcome.proven_at is not None]))
"""


def install(home: Path, cache: Path, method: str) -> tuple[float, int, float, bool]:
    """Install in a process of its own; return seconds, bytes, CPU seconds, reuse."""
    env = {**os.environ, "COLABMAGIC_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, VERSION, method, str(cache)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if done.returncode:
        sys.exit(f"an installation failed:\n{done.stderr}")
    seconds, fetched, cpu, is_reuse = json.loads(done.stdout)
    return seconds, fetched, cpu, is_reuse


def ours() -> list[tuple[str, ...]]:
    """Return the rows that are measured, and check the budgets."""
    with tempfile.TemporaryDirectory(prefix="bench-cuda-") as name:
        folder = Path(name)
        cache = folder / "cache"
        cold = install(folder / "a", cache, "wheels")
        size = Cache(cache).size()  # what came, also from an index that is a folder
        warm = install(folder / "b", cache, "wheels")
        again = min(
            (install(folder / "b", cache, "auto") for _ in range(5)),
            key=lambda each: each[0],
        )
    if not again[3]:
        sys.exit("what was here was tried anew")
    checks = (
        (size <= FETCH_BUDGET, f"{in_words(size)} fetched"),
        (warm[1] == 0, "the cache was not used"),
        (warm[0] <= WORK_BUDGET_S, f"{warm[0]:.1f} s beyond the download"),
        (again[0] < REUSE_BUDGET_S, f"reuse took {again[0]:.2f} s"),
    )
    for is_met, told in checks:
        print("" if is_met else f"over budget: {told}", end="" if is_met else "\n")
    return [
        ("**%cuda_install 13.0**", in_words(size), f"{cold[0]:.1f} s", "measured"),
        ("the same from the cache", "0", f"{warm[0]:.1f} s", "measured"),
        (
            "the same, in a new kernel",
            "0",
            f"{again[0]:.2f} s ({again[2]:.2f} of CPU)",
            "measured",
        ),
    ]


def metapackage() -> tuple[str, ...]:
    """Return what the whole metapackage would fetch."""
    import requests

    pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
    with tempfile.TemporaryDirectory(prefix="bench-cuda-") as folder:
        subprocess.run(
            (*pip, "-d", folder, f"cuda-toolkit=={VERSION}.*"),
            check=True,
            timeout=300,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
            metadata = email.message_from_bytes(archive.read(name))
    wanted = [
        f"{requirement.name}{requirement.specifier}"
        for requirement in map(Requirement, metadata.get_all("Requires-Dist") or [])
        if requirement.marker is None or requirement.marker.evaluate({"extra": "all"})
    ]
    found = resolve(sorted(set(wanted)), run=run)
    with requests.Session() as session:
        sizes = [_size(session, each.url) for each in found]
    label = f"`pip install 'cuda-toolkit[all]=={VERSION}.*'`, {len(sizes)} wheels"
    return (label, in_words(sum(sizes)), "", "simulated")


def _size(session: Any, url: str) -> int:  # noqa: ANN401 (requests)
    """Return the size of a wheel on the index, which may be a folder."""
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path)).stat().st_size
    head = session.head(url, timeout=30, allow_redirects=True)
    return int(head.headers["Content-Length"])


def debian() -> tuple[str, ...] | None:
    """Return what Debian's package would fetch; None: this is no Debian."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian":
        return None
    suite = release["VERSION_CODENAME"]
    sources = [line.split() for line in probe_machine().apt_sources]
    mirror = next((url for url, name, *_ in sources if name == suite), None)
    if mirror is None:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-apt-") as name:
        folder = Path(name)
        for each in ("lists/partial", "archives/partial", "sources.d"):
            (folder / each).mkdir(parents=True)
        (folder / "sources").write_text(
            f"deb {mirror} {suite} main contrib non-free non-free-firmware\n"
        )
        options = {
            "Dir::State::lists": folder / "lists",
            "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "Dir::Etc::sourcelist": folder / "sources",
            "Dir::Etc::sourceparts": folder / "sources.d",
            "APT::Sandbox::User": "root",
        }
        argv = [
            "apt-get",
            "-qq",
            *(f"-o{key}={value}" for key, value in options.items()),
        ]
        ask = ("install", "--no-install-recommends", "--print-uris")
        subprocess.run([*argv, "update"], check=True, timeout=300)
        asked = subprocess.run(
            (*argv, *ask, "nvidia-cuda-toolkit"),
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    sizes = [
        int(size)
        for size in re.findall(r"^'\S+' \S+ (\d+) ", asked.stdout, re.MULTILINE)
    ]
    label = f"`apt-get install nvidia-cuda-toolkit` of Debian {release['VERSION_ID']}"
    return (f"{label}, {len(sizes)} packages", in_words(sum(sizes)), "", "simulated")


def plans(rounds: int) -> list[tuple[str, ...]]:
    """Return what a plan takes, with and without looking at the machine."""
    facts = probe_machine()
    rows = []
    for name, act in (
        ("a plan, from facts", lambda: make_plan("11.1", "torch", facts)),
        ("looking at this machine", probe_machine),
    ):
        act()
        taken = []
        for _ in range(rounds):
            began, wall = time.thread_time(), time.perf_counter()
            act()
            taken.append(
                ((time.thread_time() - began) * 1e3, (time.perf_counter() - wall) * 1e3)
            )
        cpu, real = (statistics.median(each) for each in zip(*taken, strict=True))
        rows.append((name, f"{cpu:.1f}", f"{real:.1f}"))
        if cpu > PLAN_BUDGET_MS:
            print(f"over budget: {name} took {cpu:.1f} ms")
    return rows


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    heads = ("to a proven nvcc", "fetched", "time", "")
    rows = [*ours(), metapackage(), *filter(None, [debian()])]
    table(f"CUDA {VERSION}, no root, compiled and linked as proof", heads, rows)
    heads = ("", "CPU ms (median)", "ms (median)")
    table(f"Plans, {rounds} rounds", heads, plans(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
