"""GPUs and TPUs that are not NVIDIA's, read from the kernel's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.gpu.facts import CardFacts, Unknown
from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from pathlib import Path

_MAKERS: Final = {"0x1002": "AMD", "0x8086": "Intel"}
_GOOGLE: Final = "0x1ae0"
# As JAX's hardware_utils knows them.
_TPU_CHIPS: Final = {
    "0x0027": "v2 or v3",
    "0x005e": "v4",
    "0x0062": "v5p",
    "0x0063": "v5e",
    "0x006f": "v6e",
    "0x0076": "v7x",
}
_MILLI: Final = 1000
_NOT_TOLD: Final = Unknown("the kernel does not tell")


def probe_cards(sysroot: Path) -> tuple[CardFacts, ...]:
    """Return the GPUs of AMD and Intel; none where the files show none.

    Parameters
    ----------
    sysroot
        The root of the file system.
    """
    found = []
    for card in _folders(sysroot / "sys/class/drm"):
        if not card.name.removeprefix("card").isdigit():
            continue  # an outlet, such as card0-HDMI-A-1
        device = card / "device"
        maker = _MAKERS.get(read_text(device / "vendor") or "")
        if maker is not None:
            found.append(_card(maker, device))
    return tuple(found)


def tpu_chip(sysroot: Path) -> str | None:
    """Return the kind and number of Google's chips on the PCI bus, as ``v5e, 4 chips``.

    Parameters
    ----------
    sysroot
        The root of the file system.
    """
    kinds = [
        _TPU_CHIPS[model]
        for device in _folders(sysroot / "sys/bus/pci/devices")
        if read_text(device / "vendor") == _GOOGLE
        and (model := read_text(device / "device") or "") in _TPU_CHIPS
    ]
    if not kinds:
        return None
    return f"{kinds[0]}, {len(kinds)} chip{'' if len(kinds) == 1 else 's'}"


def _folders(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _card(maker: str, device: Path) -> CardFacts:
    """Return what the kernel tells of one card."""
    driver = device / "driver"
    try:
        module: str | Unknown = driver.resolve(strict=True).name
    except OSError:
        module = _NOT_TOLD
    heat = [
        _number(sensor / "temp1_input", 1 / _MILLI)
        for sensor in _folders(device / "hwmon")
    ]
    return CardFacts(
        maker=maker,
        name=read_text(device / "product_name") or _NOT_TOLD,
        driver=module,
        memory_total_bytes=_number(device / "mem_info_vram_total"),
        memory_used_bytes=_number(device / "mem_info_vram_used"),
        utilization_percent=_number(device / "gpu_busy_percent"),
        temperature_c=heat[0] if heat else _NOT_TOLD,
    )


def _number(path: Path, factor: float = 1) -> int | Unknown:
    """Return the number in a file."""
    text = read_text(path)
    if text is None or not text.isascii() or not text.isdigit():
        return _NOT_TOLD
    return round(int(text) * factor)
