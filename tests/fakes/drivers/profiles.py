"""Machines, healthy and broken, as configurations of the fake drivers.

``write_profile("t4", path)`` writes one; ``PROFILES`` holds all by name. The
figures are typical ones. Only what a test states should be relied on.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Config = dict[str, Any]

MIB = 2**20
GIB = 2**30

# NVML return codes
NOT_SUPPORTED = 3
NO_PERMISSION = 4
DRIVER_NOT_LOADED = 9
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
UNKNOWN = 999

# Reasons for a lower clock, as bits
GPU_IDLE = 0x01
SW_POWER_CAP = 0x04
SW_THERMAL_SLOWDOWN = 0x20

OTHER_PID = 4242
HANG_MS = 60_000

# ---- cards (bytes, milliwatts, degrees Celsius, MHz) ------------------------

T4: Config = {
    "name": "Tesla T4",
    "cc": "7.5",
    "arch": 6,
    "brand": 1,
    "cores": 2560,
    "serial": "0320617088411",
    "mem.total": 15360 * MIB,
    "mem.reserved": 449 * MIB,
    "mem.used": (449 + 3) * MIB,
    "bar1": 256 * MIB,
    "bus_width": 256,
    "temp": 41,
    "temp.limit.0": 96,
    "temp.limit.1": 93,
    "power": 10230,
    "power.limit": 70000,
    "power.min": 60000,
    "power.max": 70000,
    "energy": 12345678,
    "util": 0,
    "util.mem": 0,
    "util.enc": 0,
    "util.dec": 0,
    "pstate": 8,
    "throttle": GPU_IDLE,
    "clock.0": 300,
    "clock.1": 300,
    "clock.2": 405,
    "clock.3": 540,
    "clock.max.0": 1590,
    "clock.max.1": 1590,
    "clock.max.2": 5001,
    "clock.max.3": 1470,
    "pcie.gen": 1,
    "pcie.gen.max": 3,
    "pcie.width": 8,
    "pcie.width.max": 16,
    "pcie.kb.0": 0,
    "pcie.kb.1": 0,
    "compute_mode": 0,
    "persistence": 0,
    "display": 0,
    "virt": 1,
    "ecc": 1,
}

K80: Config = {
    **T4,
    "name": "Tesla K80",
    "cc": "3.7",
    "arch": 2,
    "mem.total": 11441 * MIB,
}

P100: Config = {
    **T4,
    "name": "Tesla P100-PCIE-16GB",
    "cc": "6.0",
    "arch": 4,
    "cores": 3584,
    "mem.total": 16384 * MIB,
    "bus_width": 4096,
    "power.limit": 250000,
    "power.min": 125000,
    "power.max": 250000,
    "pcie.width": 16,
}

A100: Config = {
    **T4,
    "name": "NVIDIA A100-SXM4-40GB",
    "cc": "8.0",
    "arch": 7,
    "cores": 6912,
    "mem.total": 40960 * MIB,
    "mem.reserved": 614 * MIB,
    "mem.used": (614 + 4) * MIB,
    "bus_width": 5120,
    "power": 55000,
    "power.limit": 400000,
    "power.min": 100000,
    "power.max": 400000,
    "pstate": 0,
    "clock.max.0": 1410,
    "clock.max.1": 1410,
    "clock.max.2": 1215,
    "pcie.gen": 4,
    "pcie.gen.max": 4,
    "pcie.width": 16,
    "mig": 0,
    "nvlinks": 12,
    "nvlink.version": 3,
    "remap": "0,0,0,0",
}

H200: Config = {
    **A100,
    "name": "NVIDIA H200",
    "cc": "9.0",
    "arch": 9,
    "cores": 16896,
    "mem.total": 143771 * MIB,
    "bus_width": 6144,
    "power.limit": 700000,
    "power.min": 200000,
    "power.max": 700000,
    "clock.max.0": 1980,
    "clock.max.1": 1980,
    "clock.max.2": 3201,
    "pcie.gen": 5,
    "pcie.gen.max": 5,
    "nvlinks": 18,
    "nvlink.version": 4,
}

B200: Config = {
    **H200,
    "name": "NVIDIA B200",
    "cc": "10.0",
    "arch": 10,
    "mem.total": 183359 * MIB,
    "power.limit": 1000000,
    "power.max": 1000000,
}


# ---- machines ---------------------------------------------------------------


def system(driver: str = "550.54.15", cuda: int = 12040) -> Config:
    """Return the driver's part; `cuda` is 1000 * major + 10 * minor."""
    return {"driver": driver, "nvml": f"{cuda // 1000}.{driver}", "cuda": cuda}


def machine(*cards: Config, on: Config | None = None, **extra: Any) -> Config:  # noqa: ANN401
    """Return a machine with these cards; `extra` keys go in as they are.

    A key with a dot or a star is passed as ``**{"init.ret": 9}``.
    """
    config: Config = {**(on or system()), "count": len(cards)}
    for index, card in enumerate(cards):
        place = {
            "uuid": f"GPU-{index:08x}-1111-2222-3333-444444444444",
            "minor": index,
            "pci": f"00000000:{4 + index:02X}:00.0",
        }
        config |= {f"d{index}.{key}": value for key, value in {**place, **card}.items()}
    return config | extra


def _a100_in_slices() -> Config:
    """Return an A100 cut into three 1g.5gb instances."""
    config = machine({**A100, "mig": 1})
    for instance in range(3):
        values = {
            "uuid": f"MIG-{instance:08x}-aaaa-bbbb-cccc-dddddddddddd",
            "name": "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
            "mem.total": 4864 * MIB,
            "mem.used": 12 * MIB,
            "mem.reserved": 0,
            "attr": "14,1,1,4864",
            "gi": 7 + instance,
            "ci": 0,
        }
        config |= {f"d0.mig{instance}.{key}": value for key, value in values.items()}
    config["d0.nvmlDeviceGetUtilizationRates.ret"] = NOT_SUPPORTED  # as under real MIG
    return config


_BUSY_T4: Config = {
    **T4,
    "util": 97,
    "mem.used": 14000 * MIB,
    "power": 69800,
    "temp": 88,
    "throttle": SW_POWER_CAP | SW_THERMAL_SLOWDOWN,
    "pstate": 0,
    "clock.0": 885,
    "clock.1": 885,
    "pcie.gen": 3,
    "procs": f"0:{12000 * MIB},{OTHER_PID}:-1",
}

_INSANE_T4: Config = {
    **T4,
    "name": "Bad <script>alert(1)</script> \u2603",
    "cc": "99.99",
    "mem.total": 0,
    "mem.used": 2**64 - 1,
    "util": 2**32 - 1,
    "temp": 2**32 - 1,
    "power": 2**32 - 1,
    "power.limit": 0,
    "clock.0": 0,
    "throttle": 2**63,
}

_FEW_FIELDS: Config = {
    "name": "NVIDIA Graphics Device",
    "uuid": "GPU-x",
    "mem.total": 8 * GIB,
    "mem.used": 0,
}

_KAGGLE = system("560.35.03", 12060)
_OTHER_NAME = {f"pid.{OTHER_PID}.name": "python3"}

PROFILES: dict[str, Config] = {
    # healthy
    "t4": machine(T4),
    "t4_busy": machine(_BUSY_T4, **_OTHER_NAME),
    "p100_kaggle": machine(P100, on=_KAGGLE),
    "2xt4_kaggle": machine(T4, T4, on=_KAGGLE),
    "a100": machine(A100),
    "a100_mig": _a100_in_slices(),
    "h200x8": machine(*[H200] * 8, on=system("570.124.06", 12080)),
    "b200": machine(B200, on=system("580.65.06", 13000)),
    # no GPU to be seen, each for another reason
    "none": machine(),
    "not_loaded": machine(**{"init.ret": DRIVER_NOT_LOADED}),
    "mismatch": machine(**{"init.ret": LIB_RM_VERSION_MISMATCH}),
    "noperm": machine(**{"init.ret": NO_PERMISSION}),
    "unknown": machine(**{"init.ret": UNKNOWN}),
    # a GPU that has failed
    "lost": machine(T4, T4, **{"d1.ret": GPU_IS_LOST}),
    "lost_handle": machine(T4, **{"d0.handle.ret": GPU_IS_LOST}),
    "reset_required": machine(T4, **{"d0.ret": RESET_REQUIRED}),
    "ecc_bad": machine({**A100, "ecc.1.1": 3, "ecc.1.0": 3, "remap": "0,1,1,0"}),
    # usable, with a catch
    "old_driver": machine(K80, on=system("450.51.05", 11000)),
    "exclusive": machine(
        {**T4, "compute_mode": 3, "procs": f"{OTHER_PID}:{200 * MIB}"}, **_OTHER_NAME
    ),
    "zombie": machine(
        {**T4, "mem.used": 15100 * MIB, "procs": f"{OTHER_PID}:{14600 * MIB}"},
        **{f"pid.{OTHER_PID}.name": "/usr/bin/python3"},
    ),
    # hard on the code that reads it
    "unsupported_fields": {**system(), "count": 1}
    | {f"d0.{key}": value for key, value in _FEW_FIELDS.items()},
    "insane": machine(_INSANE_T4),
    "slow": machine(T4, **{"*.delay_ms": 150}),
    "hung": machine(T4, **{"*.delay_ms": HANG_MS}),
    # NVML is well, the CUDA driver is not
    "cuda_hung": machine(T4, **{"cuInit.delay_ms": HANG_MS}),
    "cuda_stub": machine(T4, **{"cuInit.ret": 34}),
    "cuda_fabric": machine(H200, **{"cuInit.ret": 802}),
    "cuda_compat": machine(T4, **{"cuInit.ret": 804}),
    "cuda_unknown": machine(T4, **{"cuInit.ret": UNKNOWN}),
}


def write_config(config: Mapping[str, Any], path: Path) -> Path:
    """Write a configuration and return its path."""
    text = "".join(f"{key}={value}\n" for key, value in config.items())
    path.write_text(text, encoding="utf-8")
    return path


def write_profile(
    name: str, path: Path, changes: Mapping[str, Any] | None = None
) -> Path:
    """Write the profile `name` with `changes` on top and return its path."""
    if name not in PROFILES:
        msg = f"no profile {name!r}; there are: {', '.join(PROFILES)}"
        raise KeyError(msg)
    return write_config({**PROFILES[name], **(changes or {})}, path)


def main() -> None:
    """List the profiles, or write one into a file."""
    from pathlib import Path as FilePath

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name", nargs="?", choices=list(PROFILES))
    parser.add_argument("path", nargs="?", type=FilePath)
    arguments = parser.parse_args()
    if arguments.path is None:
        print(*PROFILES, sep="\n")  # noqa: T201
    else:
        write_profile(arguments.name, arguments.path)


if __name__ == "__main__":
    main()
