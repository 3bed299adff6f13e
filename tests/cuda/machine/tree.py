"""Build parts of a file system, and answer for programs that are not run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.host.command import CommandOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def program(path: Path, content: bytes = b"#!/bin/sh\n") -> Path:
    """Write a program that may be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def nvcc(build: str) -> bytes:
    """Return bytes as nvcc has them in its data."""
    minor = ".".join(build.split(".")[:2])
    banner = (
        f"Cuda compilation tools, release {minor}, V{build}\n"
        f"Build cuda_{minor}.r{minor}/compiler.1_0"
    )
    return b"\x7fELF" + bytes(5000) + banner.encode() + bytes(300)


def toolkit(root: Path, build: str = "12.4.131") -> Path:
    """Write a whole toolkit."""
    program(root / "bin/nvcc", nvcc(build))
    for name in ("bin/cudafe++", "bin/ptxas", "nvvm/bin/cicc"):
        program(root / name)
    return root


@dataclass
class Programs:
    """Programs by name with what they print; others are not there."""

    answers: Mapping[str, str] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
    ) -> CommandOutcome:
        """Answer as `colabmagic.host.command.run` does."""
        del timeout_s, env
        self.asked.append(list(argv))
        words = [argv[0].rpartition("/")[2], *argv[1:]]
        for length in range(len(words), 0, -1):
            text = self.answers.get(" ".join(words[:length]))
            if text is not None:
                return _outcome(0, text)
        return _outcome(None, "")


def _outcome(returncode: int | None, text: str) -> CommandOutcome:
    """Return how a program ended."""
    return CommandOutcome(
        returncode=returncode,
        stdout=text,
        stderr="",
        timed_out=False,
        elapsed_s=0.0,
        error=None if returncode == 0 else "not found",
    )
