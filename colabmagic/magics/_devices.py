"""The devices that Tab offers."""

from __future__ import annotations

import sys
from typing import Any

from colabmagic.train.options import WELL_KNOWN_DEVICES


def device_names() -> list[str]:
    """Return the device texts to offer; torch is asked only if it is loaded already."""
    names = list(WELL_KNOWN_DEVICES)
    torch = sys.modules.get("torch")
    accelerator: Any = getattr(torch, "accelerator", None)
    try:
        count = accelerator.device_count() if accelerator is not None else 0
        kind = accelerator.current_accelerator().type if count else "cuda"
    except Exception:  # noqa: BLE001 (a driver may fail in any way; Tab must not)
        count, kind = 0, "cuda"
    if kind not in names:
        names.append(kind)
    return names + [f"{kind}:{number}" for number in range(max(count, 1))]
