"""Machines for the tests of packages: today's Colab, changed."""

from __future__ import annotations

from typing import Any

from colabmagic.cuda.machine.facts import Gpu, MachineFacts

# Name → compute capability.
GPUS = {
    "K80": (3, 7),
    "P100": (6, 0),
    "V100": (7, 0),
    "T4": (7, 5),
    "A100": (8, 0),
    "RTX 3090": (8, 6),
    "L4": (8, 9),
    "H100": (9, 0),
    "B200": (10, 0),
    "RTX 5090": (12, 0),
}


def machine(python: str, gpu: str | None, **changes: Any) -> MachineFacts:  # noqa: ANN401
    """Return a machine of this Python and GPU, with some facts changed."""
    major, minor = map(int, python.split("."))
    gpus = (Gpu(name=gpu, capability=GPUS[gpu]),) if gpu is not None else ()
    facts: dict[str, Any] = {
        "os_id": "ubuntu",
        "os_version": "22.04",
        "os_name": "Ubuntu 22.04.5 LTS",
        "arch": "x86_64",
        "glibc": (2, 35),
        "python": (major, minor),
        "host": "colab",
        "is_root": True,
        "is_wsl": False,
        "container": "docker",
        "gpus": gpus,
        "driver": "580.82.07" if gpu else None,
        "driver_cuda": (13, 0) if gpu else None,
        "compilers": (),
        "toolkits": (),
        "torch": None,
        "tools": ("uv",),
    }
    return MachineFacts(**{**facts, **changes})
