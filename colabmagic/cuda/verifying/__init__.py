"""Prove that a toolkit works: `verify_toolkit` climbs the ladder."""

from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.cuda.verifying.verify import verify_toolkit

__all__ = ["Ladder", "Rung", "verify_toolkit"]
