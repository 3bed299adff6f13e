"""Where the code runs, and running other programs there."""

from __future__ import annotations

from colabmagic.host.detect import detect
from colabmagic.host.facts import HostFacts, HostKind, SystemFacts

__all__ = ["HostFacts", "HostKind", "SystemFacts", "detect"]
