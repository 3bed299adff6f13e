"""What GPU there is, and whether PyTorch can use it."""

from __future__ import annotations

from colabmagic.gpu.check import GpuReport, check

__all__ = ["GpuReport", "check"]
