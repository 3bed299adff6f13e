"""What to type where a PyTorch cannot be had: the nearest that works first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.packages.family import (
    Build,
    all_builds,
    best,
    nearest_torch,
)
from colabmagic.cuda.packages.sources import source_of
from colabmagic.data import compat
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.machine.facts import MachineFacts

_MOST = 2  # other builds that are offered


def capabilities(facts: MachineFacts) -> tuple[tuple[int, int], ...]:
    """Return the GPUs' compute capabilities, as far as they are known."""
    return tuple(
        gpu.capability for gpu in facts.gpus if not isinstance(gpu.capability, Unknown)
    )


def cell(build: Build, names: Sequence[str]) -> str:
    """Return the cell that installs a build with its CUDA."""
    pins = [
        f"{name}=={version}" for name in names if (version := build.version_of(name))
    ]
    return "\n".join([f"%%cuda_install {build.cuda}", *pins])


def other_builds(
    wanted: Build | None, cuda: str, names: Sequence[str], facts: MachineFacts
) -> list[str]:
    """Return cells with the nearest builds that this kernel and this GPU run."""
    known = capabilities(facts)
    found = nearest_torch(
        cuda,
        facts.python_tag,
        min(known, default=None),
        near=wanted.release.version if wanted else None,
    )
    useful = [
        each
        for each in found
        if each.runs_on(known)
        and all(each.version_of(name) for name in names)
        and _driver_runs(each, facts)
    ]
    return [cell(each, names) for each in useful[:_MOST]]


def _driver_runs(build: Build, facts: MachineFacts) -> bool:
    """Tell whether the driver is new enough for a build's CUDA."""
    driver = facts.driver
    if (
        driver is None
        or isinstance(driver, Unknown)
        or build.cuda not in compat.minors()
    ):
        return True
    oldest = compat.newest_of(build.cuda).driver_min
    return compat.numbers(driver) >= compat.numbers(oldest)


def side_environment(
    build: Build, names: Sequence[str], facts: MachineFacts
) -> list[str]:
    """Return the commands that make an environment with an older Python for a build.

    The kernel cannot go there; scripts can.
    """
    tags = [tag for tag in build.release.pythons if tag.startswith("cp3")]
    if not tags or not build.runs_on(capabilities(facts)):
        return []
    python = f"3.{tags[-1].removeprefix('cp3')}"
    folder = f"~/torch-{build.release.version}"
    pins = " ".join(f"'{pin}'" for name in names if (pin := build.pin(name)))
    source = source_of(build, None)
    if build.is_plain:
        where = ""
    elif source.is_flat:
        where = f" -f {source.url}"
    else:
        where = f" --torch-backend {build.build}"
        pins = pins.replace(f"+{build.build}", "")
    first = [] if "uv" in facts.tools else ["%pip install uv"]
    return [
        *first,
        f"!uv venv --python {python} {folder}",
        f"!uv pip install --python {folder}{where} {pins}",
        f"!{folder}/bin/python YOUR_SCRIPT.py",
    ]


def any_environment(cuda: str, names: Sequence[str], facts: MachineFacts) -> list[str]:
    """Return an environment for the nearest build that driver and GPU run at all."""
    known = capabilities(facts)
    useful = [
        each
        for each in all_builds()
        if each.release.pythons
        and each.runs_on(known)
        and _driver_runs(each, facts)
        and all(each.version_of(name) for name in names)
    ]
    nearest = best(useful, cuda)
    return side_environment(nearest, names, facts) if nearest is not None else []


def older_runtime(build: Build, facts: MachineFacts) -> list[str]:
    """Return Colab's older runtime whose Python runs a build, as a click."""
    if facts.host != "colab" or not build.runs_on(capabilities(facts)):
        return []
    for each in reversed(compat.colab_runtimes()):
        if each.python in build.release.pythons and each.python != facts.python_tag:
            python = f"3.{each.python.removeprefix('cp3')}"
            return [
                (
                    f"Runtime > Change runtime type > Runtime version: {each.name} "
                    f"(Python {python}), then this cell again"
                )
            ]
    return []
