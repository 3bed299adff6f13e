"""How old Colab's machine is, and how long it may live.

No mount of Colab's ends after 12 hours, as tutorials say: the machine does, with all that
is on its disk. The kernel tells its age; the limits are Google's, and not promised.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_S: Final = 3600.0
FREE_S: Final = 12 * HOUR_S  # "at most", says Google's FAQ
PAID_S: Final = 24 * HOUR_S  # Pro+
_LIMITS: Final = (FREE_S, PAID_S)
WARN_S: Final = 15 * 60.0


@dataclass(frozen=True, slots=True)
class VmClock:
    """Tells the age of the machine, and about how long it has left.

    Parameters
    ----------
    env
        Environment variables.
    sysroot
        Where ``/proc`` and ``/var`` are.
    """

    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    sysroot: Path = Path("/")

    @property
    def on_colab(self) -> bool:
        """Whether this is a machine of Colab's whose limits are known."""
        return (
            bool(self.env.get("COLAB_RELEASE_TAG"))
            and self.env.get("VERTEX_PRODUCT") != "COLAB_ENTERPRISE"
            and (self.sysroot / "var/colab/hostname").exists()
        )

    def age_s(self) -> float | Unknown:
        """Return how long the machine has been up, in seconds."""
        try:
            text = (self.sysroot / "proc/uptime").read_text("ascii")
            return float(text.split()[0])
        except (OSError, ValueError, IndexError):
            return Unknown("/proc/uptime cannot be read")

    def limit_s(self) -> float | Unknown:
        """Return how old it may become: a free machine's limit, or the next one if it is older."""
        if not self.on_colab:
            return Unknown("this is no machine of Colab's: no limit is known")
        age = self.age_s()
        if isinstance(age, Unknown):
            return age
        known = next((limit for limit in _LIMITS if age < limit), None)
        return known or Unknown("it is older than any limit that Google has told")

    def left_s(self) -> float | Unknown:
        """Return about how long it has left, in seconds."""
        age, limit = self.age_s(), self.limit_s()
        if isinstance(age, Unknown):
            return age
        return limit if isinstance(limit, Unknown) else max(0.0, limit - age)

    def describe(self) -> str | None:
        """Say it in a sentence; None off Colab, where nothing is known."""
        age, left = self.age_s(), self.left_s()
        if not self.on_colab or isinstance(age, Unknown):
            return None
        if isinstance(left, Unknown):
            return f"This machine is {duration(age)} old; {left.reason}."
        limit = "free one" if age + left <= FREE_S else "paid one"
        return (
            f"This machine is {duration(age)} old; Colab ends a {limit} after about "
            f"{duration(age + left)} at the latest, so in about {duration(left)}, and sooner "
            "when idle. A new machine has no Drive until you allow it again."
        )

    def warning(self) -> str | None:
        """Return what to say shortly before the end; None as long as there is time."""
        left = self.left_s()
        if isinstance(left, Unknown) or left > WARN_S:
            return None
        return (
            f"{self.describe()} Type %mount_drive --sync now: it looks whether what was "
            "written is on Google's servers. Files outside of Drive will be lost."
        )


def duration(seconds: float) -> str:
    """Return a time as ``3 h 12 min``.

    Parameters
    ----------
    seconds
        How long.
    """
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
