"""Drive against its peers, on one loopback server: times, CPU, memory, and who is right.

The server is `tests.fakes.drive` in a process of its own; latencies and the limit of each
connection are pauses, so that figures compare clients with one another and predict
nothing of Google's. Five rounds, in turn, in less than six minutes; ``--full`` adds
larger files, ``--quick`` is a look.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
MIB = 2**20
LIMIT = 10e6  # bytes per second and connection
WAITS_S = 120
CONTESTANTS = (
    "ours", "googleapiclient", "gdrive_fsspec", "rclone 4", "rclone 8",
)  # fmt: skip
MOST_MIB_TWICE = 64  # larger files are loaded at one latency
ONE_OF_EACH = ("ours", "googleapiclient", "rclone 8")
RCLONE = """[fake]
type = drive
scope = drive
client_id = id
client_secret = secret
token = {{"access_token":"{token}","token_type":"Bearer","refresh_token":"r",\
"expiry":"2099-01-01T00:00:00Z"}}
"""
FAULTS = [
    {"kind": kind, "match": "upload_id", "times": 10**6, "probability": 0.05 / 3}
    for kind in ("status", "reset", "lost_reply")
]


@dataclass(eq=False)
class Bench:
    """The server, a folder, and who is here to be measured."""

    folder: Path
    server: subprocess.Popen[str]
    doors: dict[str, Any] = field(default_factory=dict)

    def order(self, **order: object) -> dict[str, Any]:
        """Tell the server something; return its answer."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def start(self, job: str, who: str, **options: object) -> subprocess.Popen[str]:
        """Start a job in a process of its own; it is ready when this returns."""
        told = json.dumps({**self.doors, "folder": str(self.folder), **options})
        child = subprocess.Popen(
            [sys.executable, str(HERE / "_drive_clients.py"), job, who, told],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=self.folder,
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        return child

    def kill(self, child: subprocess.Popen[str]) -> None:
        """Kill a job, with what it has started."""
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()

    def run(self, job: str, who: str, **options: object) -> dict[str, Any]:
        """Let somebody do a job; return what it took."""
        with self.start(job, who, **options) as child:
            assert child.stdout is not None
            answer = child.stdout.readline()
        if not answer:
            raise RuntimeError(f"{who} failed at {job}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def room(self, name: str) -> Path:
        """Return an empty folder."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path


@contextmanager
def serving() -> Iterator[Bench]:
    """Start the server, and end it."""
    with tempfile.TemporaryDirectory(prefix="drive-bench-") as name:
        folder = Path(name)
        command = [sys.executable, str(HERE / "_drive_server.py"), name]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            bench = Bench(folder, server)
            assert server.stdout is not None
            assert server.stdin is not None
            bench.doors = json.loads(server.stdout.readline())
            text = RCLONE.format(token=bench.doors["token"])
            (folder / "rclone.conf").write_text(text, "utf-8")
            try:
                yield bench
            finally:
                server.stdin.close()
                server.wait(WAITS_S)


def here() -> list[str]:
    """Return who can be measured; say who cannot."""
    found = list(CONTESTANTS)
    for name, missing in (
        ("gdrive_fsspec", importlib.util.find_spec("gdrive_fsspec") is None),
        ("rclone", shutil.which("rclone") is None),
    ):
        if missing:
            sys.stdout.write(f"{name} is not installed: its rows are left out\n")
            found = [each for each in found if not each.startswith(name)]
    return found


def median(runs: Sequence[dict[str, Any]], key: str = "seconds") -> float:
    """Return the median of one figure."""
    return statistics.median(each[key] for each in runs)


def rounds_of(
    bench: Bench, who: Sequence[str], rounds: int, **options: object
) -> dict[str, list[dict[str, Any]]]:
    """Let everybody download in each round, in turn; return all figures."""
    taken: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in range(rounds):
        turn = number % len(who)
        for each in [*who[turn:], *who[:turn]]:
            target = bench.room("down") / "file"
            run = bench.run("download", each, target=str(target), **options)
            taken[each].append({**run, "size": options["size"]})
            if target.stat().st_size != options["size"]:
                raise RuntimeError(f"{each} left another size")
    return taken


def downloads(bench: Bench, who: Sequence[str], sizes: dict[int, int]) -> None:
    """Print the table of downloads where a connection is the limit."""
    columns: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for mib, rounds in sizes.items():
        made = bench.order(file=f"big{mib}.bin", size=mib * MIB)
        for latency in (20, 100) if mib <= MOST_MIB_TWICE else (20,):
            bench.order(latency_s=latency / 1000, bytes_per_second=LIMIT)
            small = mib == min(sizes)
            some = [w for w in who if small or w in ONE_OF_EACH]
            columns[f"{mib} MiB, {latency} ms"] = rounds_of(
                bench, some, rounds, name=f"big{mib}.bin", size=mib * MIB, **made
            )
        bench.order(forget=f"big{mib}.bin")
    rows = []
    for each in who:
        runs = [column[each] for column in columns.values() if each in column]
        cells = [
            f"{median(column[each]):.2f} s" if each in column else ""
            for column in columns.values()
        ]
        times = [
            median(column["googleapiclient"]) / median(column[each])
            for column in columns.values()
            if each in column
        ]
        cpu = median(runs[-1], "cpu") * 2**30 / runs[-1][0]["size"]
        used = max(run["mib"] for column in runs for run in column)
        rows.append(
            (
                each, *cells, f"{min(times):.1f} to {max(times):.1f}",
                f"{cpu:.1f}", f"{used:.0f}",
            )
        )  # fmt: skip
    table(
        "Download, 10 MB/s for each connection",
        ("", *columns, "times googleapiclient", "CPU s per GiB", "memory, MiB"),
        rows,
    )


def unlimited(bench: Bench, rounds: int, mib: int) -> None:
    """Print which share of plain streaming is reached where no connection is slow."""
    plain_too = ("ours", "requests", "requests with MD5", "requests with SHA-256")
    made = bench.order(file="free.bin", size=mib * MIB)
    for limit in (200e6, None):
        bench.order(latency_s=0, bytes_per_second=limit)
        who = plain_too[:2] if limit else plain_too
        taken = rounds_of(bench, who, rounds, name="free.bin", size=mib * MIB, **made)
        plain = median(taken["requests"])
        named = f"{limit / 1e6:.0f} MB/s for each connection" if limit else "no limit"
        table(
            f"Download, {named}, {mib} MiB; ours is compared with the server's checksum",
            ("", "seconds", "MB/s", "share of plain", "CPU s per GiB", "memory, MiB"),
            [
                (
                    each,
                    f"{median(taken[each]):.2f}",
                    f"{mib * MIB / median(taken[each]) / 1e6:.0f}",
                    f"{plain / median(taken[each]):.0%}",
                    f"{median(taken[each], 'cpu') * 1024 / mib:.1f}",
                    f"{max(run['mib'] for run in taken[each]):.0f}",
                )
                for each in who
            ],
        )
    bench.order(forget="free.bin")


def small_files(bench: Bench, count: int, rounds: int) -> None:
    """Print what many small files take one by one, and packed."""
    ids = bench.order(small=count, size=20_000)["ids"]
    bench.order(latency_s=0.1, bytes_per_second=LIMIT)
    taken: dict[str, list[float]] = defaultdict(list)
    hits = []
    for _ in range(rounds):
        for name, who, threads, some in (
            ("googleapiclient, one by one", "googleapiclient", 1, 10),
            ("ours, one by one", "ours", 1, 10),
            ("ours, 8 at a time", "ours", 8, 120),
        ):
            run = bench.run(
                "small",
                who,
                ids=ids[:some],
                threads=threads,
                target=str(bench.room("small")),
            )
            taken[name].append(run["seconds"] / some * 1000)
        run = bench.run("stage", "ours", target=str(bench.room("small")))
        taken[f"**ours, packed** ({count} files)"].append(run["seconds"] / count * 1000)
        hits.append(run["hit"])
    packed = statistics.median(list(taken.values())[-1])
    table(
        f"{count} files of 20 kB, 100 ms, on the disk",
        ("", "ms per file", "packed is faster by"),
        [
            (
                name,
                f"{statistics.median(each):.2f}",
                f"{statistics.median(each) / packed:.0f}x",
            )
            for name, each in taken.items()
        ],
    )
    bench.order(latency_s=0.02)
    target = str(bench.folder / "small")
    again = [bench.run("stage", "ours", target=target) for _ in range(rounds)]
    table(
        "Stage what is here already: one request",
        ("", "20 ms", "100 ms"),
        [("ours", f"{median(again, 'hit'):.3f} s", f"{statistics.median(hits):.3f} s")],
    )
    bench.order(forget="f0")
    bench.order(forget="small.tar")


def faulty_uploads(bench: Bench, who: Sequence[str], count: int) -> None:
    """Print what becomes of uploads where one request in twenty breaks."""
    (bench.folder / "source.bin").write_bytes(os.urandom(8 * MIB))
    rows = []
    bench.order(latency_s=0.02, bytes_per_second=LIMIT)
    for each in who:
        prefix = f"up-{each}-"
        bench.order(faults=FAULTS, seed=7)
        run = bench.run("uploads", each, prefix=prefix, count=count)
        bench.order(faults=[], seed=0)
        sums = bench.order(sums=prefix)["sums"]
        names = {name for name, _ in sums}
        right = {name for name, md5 in sums if md5 == run["md5"]}
        bad = sum(md5 != run["md5"] for _, md5 in sums)
        rows.append(
            (
                each, f"{run['seconds'] / count:.2f}", f"{len(right)} of {count}",
                str(len(sums) - len(names)), str(bad), str(run["failed"]),
            )
        )  # fmt: skip
        bench.order(forget=prefix)
    table(
        f"Upload, {count} files of 8 MiB in chunks of 1 MiB, 5 % of the requests broken",
        ("", "seconds per file", "right", "duplicates", "wrong", "errors told"),
        rows,
    )


def lists(bench: Bench, who: Sequence[str], count: int, rounds: int) -> None:
    """Print how long a large folder takes to list."""
    bench.order(bulk=count)
    bench.order(latency_s=0.02, bytes_per_second=None)
    taken: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(rounds):
        for each in who:
            run = bench.run("list", each)
            if run["count"] != count:
                raise RuntimeError(f"{each} has listed {run['count']}")
            taken[each].append(run)
    table(
        f"List {count:,} files, 20 ms; 1000 on a page, but for rclone",
        ("", "seconds", "CPU s"),
        [(w, f"{median(r):.2f}", f"{median(r, 'cpu'):.2f}") for w, r in taken.items()],
    )


def resumed(bench: Bench, who: Sequence[str], mib: int) -> None:
    """Print how much is sent twice where a download is killed at half, and run again."""
    size = mib * MIB
    made = bench.order(file="half.bin", size=size)
    bench.order(latency_s=0.02, bytes_per_second=LIMIT)
    rows = []
    for each in who:
        target = bench.room("down") / "file"
        options = {"name": "half.bin", "target": str(target), **made}
        bench.order(count_anew=True)
        child = bench.start("download", each, **options)
        while bench.order()["sent"] < size / 2 and child.poll() is None:
            time.sleep(0.005)
        bench.kill(child)
        first = bench.order()["sent"]
        bench.run("download", each, **options)
        if target.stat().st_size != size:
            raise RuntimeError(f"{each} left another size")
        total = bench.order()["sent"]
        twice = max(0, total - size)
        rows.append(
            (
                each, f"{first / MIB:.1f}", f"{(total - first) / MIB:.1f}",
                f"{twice / MIB:.1f}", f"{twice / size:.1%}",
            )
        )  # fmt: skip
    table(
        f"Killed when half of {mib} MiB was sent, run again",
        ("", "sent, MiB", "sent then, MiB", "sent twice, MiB", "of the file"),
        rows,
    )
    bench.order(forget="half.bin")


def versions() -> str:
    """Return what was measured, and on what."""
    names = (
        "google-auth",
        "requests",
        "urllib3",
        "google-api-python-client",
        "gdrive-fsspec",
    )
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if shutil.which("rclone"):
        done = subprocess.run(
            [str(shutil.which("rclone")), "version"],
            capture_output=True,
            text=True,
            check=False,
        )
        found.append(done.stdout.partition("\n")[0])
    return ", ".join([*found, f"{os.cpu_count()} cores"])


def main() -> None:
    """Measure all, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--full", action="store_true", help="larger files too")
    parser.add_argument("--only", help="one of the parts, by its name")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    sizes = {16: rounds} if options.quick else {16: rounds, 64: rounds}
    if options.full:
        sizes |= {256: rounds, 1024: 1}
    who = here()
    peers = [each for each in who if each != "rclone 4"]
    uploaders = [each for each in peers if each != "gdrive_fsspec"]
    listers = ["ours", "googleapiclient", "googleapiclient, our fields"]
    listers += [
        w for w in peers if w == "gdrive_fsspec" or (options.full and w == "rclone 8")
    ]
    with serving() as bench:
        parts = {
            "downloads": lambda: downloads(bench, who, sizes),
            "unlimited": lambda: unlimited(bench, rounds, 64 if options.quick else 256),
            "small_files": lambda: small_files(
                bench, 500 if options.quick else 5000, rounds
            ),
            "uploads": lambda: faulty_uploads(
                bench, uploaders, 3 if options.quick else 8
            ),
            "lists": lambda: lists(
                bench, listers, 5000 if options.quick else 50_000, rounds
            ),
            "resumed": lambda: resumed(bench, peers, 16),
        }
        sys.stdout.write(f"\n# Drive\n\n{versions()}\n")
        for name, part in parts.items():
            if options.only in {None, name}:
                began = time.monotonic()
                part()
                sys.stdout.write(f"\n({name}: {time.monotonic() - began:.0f} s)\n")
        sys.stdout.write(
            f"\nviolations of Google's document: {bench.order()['violations']}\n"
        )


if __name__ == "__main__":
    main()
