"""Compare colabmagic/data/compat.json with what NVIDIA's current wheels say.

    .venv/bin/python .ci/measure_cuda.py 13.0 13.4      # some minor versions
    .venv/bin/python .ci/measure_cuda.py --all          # each that has wheels
    .venv/bin/python .ci/measure_cuda.py --versions     # new versions alone

For each minor version the newest wheels of the compiler are fetched by pip into a
temporary folder. Read are the limits in ``crt/host_config.h`` and the GPUs that nvcc, or
where there is none ptxas, lists. Differences are printed, with the line for the table;
the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colabmagic.data import compat  # noqa: E402 (the path comes first)
from colabmagic.host.command import run  # noqa: E402

_FETCH_S = 900.0
_LOOK_S = 60.0
_FIRST_WITH_CRT_APART = 13  # host_config.h has a wheel of its own since then


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the wheels of one minor version say."""

    build: str
    gcc_max: int
    clang_below: tuple[int, ...]
    sm: tuple[str, ...]
    sm_source: str

    def row(self, minor: str) -> dict[str, object]:
        """Return the row for ``nvcc_builds``."""
        return {
            "clang_below": list(self.clang_below),
            "gcc_max": self.gcc_max,
            "host_compiler_basis": "measured",
            "host_compiler_source": "crt/host_config.h of this build",
            "minor": minor,
            "sm": list(self.sm),
            "sm_basis": "measured",
            "sm_source": self.sm_source,
        }


class NotMeasuredError(Exception):
    """The wheels cannot be fetched or read."""


def fetch(package: str, minor: str, folder: Path) -> Path:
    """Return the newest wheel of a package for a minor version."""
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "-q"]
    target = folder / package
    wanted = f"{package}=={minor}.*"
    outcome = run(
        [*argv, "--only-binary=:all:", "-d", str(target), wanted], timeout_s=_FETCH_S
    )
    if not outcome.ok:
        raise NotMeasuredError(outcome.stderr.strip().splitlines()[-1:] or wanted)
    (wheel,) = target.glob("*.whl")
    return wheel


def read_limits(header: str) -> tuple[int, tuple[int, ...]]:
    """Return gcc's newest major version, and clang's first that is refused."""
    gcc = re.search(r"__GNUC__\s*>\s*(\d+)", header)
    clang = re.findall(r"__clang_major__\s*>=\s*(\d+)", header)
    if gcc is None or not clang:
        raise NotMeasuredError("crt/host_config.h has no limits that are understood")
    return int(gcc[1]), tuple(sorted({int(each) for each in clang}))


def read_gpus(text: str) -> tuple[str, ...]:
    """Return the GPUs in an answer in order, sm_90, sm_90a, sm_100 and so on."""
    found = set(re.findall(r"\bsm_\d+[af]?\b", text))
    return tuple(sorted(found, key=lambda each: (int(re.sub(r"\D", "", each)), each)))


def _unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel, its programs executable."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, folder))
            if path.parent.name == "bin" and path.is_file():
                path.chmod(0o755)


def _gpus(folder: Path) -> tuple[tuple[str, ...], str]:
    """Ask the compiler for its GPUs; where there is none, ptxas."""
    for name, option in (("nvcc", "--list-gpu-code"), ("ptxas", "--help")):
        for program in folder.rglob(f"bin/{name}"):
            outcome = run([str(program), option], timeout_s=_LOOK_S)
            if outcome.ok:
                return read_gpus(outcome.stdout), f"{name} {option}"
    raise NotMeasuredError("neither nvcc nor ptxas answers")


def measure(minor: str) -> Measured:
    """Return what the newest wheels of a minor version say."""
    release = compat.newest_of(minor)
    if release.nvcc_package is None:
        raise NotMeasuredError("it has no wheels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = fetch(release.nvcc_package, minor, folder)
        _unpack(wheel, folder / "root")
        if release.major >= _FIRST_WITH_CRT_APART:
            _unpack(fetch("nvidia-cuda-crt", minor, folder), folder / "root")
        headers = list((folder / "root").rglob("crt/host_config.h"))
        if not headers:
            raise NotMeasuredError("there is no crt/host_config.h")
        gcc_max, clang = read_limits(headers[0].read_text("utf-8", "replace"))
        sm, source = _gpus(folder / "root")
        return Measured(
            build=wheel.name.split("-")[1],
            gcc_max=gcc_max,
            clang_below=clang,
            sm=sm,
            sm_source=source,
        )


def differences(minor: str, measured: Measured) -> list[str]:
    """Return what the table says otherwise, one sentence each."""
    release = compat.newest_of(minor)
    plain = tuple(
        int(each.removeprefix("sm_")) for each in measured.sm if each[-1].isdigit()
    )
    pairs = [
        ("gcc_max", release.gcc_max, measured.gcc_max),
        ("clang_max", release.clang_max, max(measured.clang_below) - 1),
        ("sm", release.sm or "(no list)", plain),
    ]
    found = [
        f"{name}: table {table}, measured {seen}"
        for name, table, seen in pairs
        if table != seen
    ]
    if measured.build not in release.nvcc_wheels:
        newest = release.nvcc_wheels[-1] if release.nvcc_wheels else "none"
        found.append(f"nvcc_wheels: {measured.build} is new, table ends with {newest}")
    return found


def new_versions() -> list[str]:
    """Return versions of the compiler's wheel that the table does not have."""
    known = {wheel for each in compat.releases() for wheel in each.nvcc_wheels}
    found = []
    packages = {each.nvcc_package for each in compat.releases()} - {None}
    for package in sorted(filter(None, packages)):
        argv = [sys.executable, "-m", "pip", "index", "versions", package]
        outcome = run(argv, timeout_s=_FETCH_S)
        listed = re.search(r"Available versions: (.*)", outcome.stdout)
        if not outcome.ok or listed is None:
            found.append(f"{package}: pip does not tell its versions")
            continue
        found += [
            f"{package} {version} is not in the table"
            for version in listed[1].split(", ")
            if re.match(r"\d+\.\d+\.\d+", version) and version not in known
        ]
    return found


def main(argv: list[str] | None = None) -> int:
    """Measure, compare and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("minors", nargs="*", metavar="MINOR")
    parser.add_argument("--all", action="store_true", help="each that has wheels")
    parser.add_argument("--versions", action="store_true", help="new versions alone")
    given = parser.parse_args(argv)
    minors = list(given.minors)
    if given.all:
        minors = [
            each for each in compat.minors() if compat.newest_of(each).nvcc_wheels
        ]
    bad = 0
    if given.versions or not minors:
        news = new_versions()
        print("\n".join(news) or "no version of the compiler's wheels is new")
        bad += len(news)
    for minor in minors:
        try:
            measured = measure(minor)
        except (NotMeasuredError, KeyError) as error:
            print(f"{minor}: not measured: {error}")
            bad += 1
            continue
        found = differences(minor, measured)
        print(f"{minor} ({measured.build}): {'; '.join(found) or 'as in the table'}")
        if found:
            bad += 1
            print(f"  {json.dumps(measured.build)}: {json.dumps(measured.row(minor))}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
