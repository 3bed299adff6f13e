"""Which GPUs a toolkit makes code for, and which of them to try."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.cuda.verifying.scene import Scene
    from colabmagic.host.command import CommandOutcome

# Those that people have, the newest first.
_COMMON: Final = (120, 100, 90, 89, 86, 80, 75, 70, 61, 60, 52, 50, 37, 35, 30)
# Of one board only: their code runs on no other GPU.
_BOARDS: Final = frozenset({53, 62, 72, 87, 88, 101, 110})
_NAME: Final = re.compile(r"\bsm_(\d+)\b")


def known_targets(scene: Scene) -> tuple[int, ...]:
    """Return the capabilities that nvcc knows, as 75 for 7.5; empty: it does not say.

    Parameters
    ----------
    scene
        The toolkit.
    """
    ask: Callable[..., CommandOutcome] = scene.run
    for option in ("--list-gpu-code", "--help"):  # before 11 it only has the second
        told = ask([scene.nvcc, option], timeout_s=20.0, env=scene.environment())
        found = sorted({int(number) for number in _NAME.findall(told.stdout)})
        if told.ok and found:
            return tuple(found)
    return ()


def choose_target(known: tuple[int, ...], capability: int | None) -> int | None:
    """Return for which capability to compile; None: nothing of it runs on this GPU.

    Parameters
    ----------
    known
        What nvcc makes code for.
    capability
        Of the GPU; None: none is here, and the newest common one is taken.
    """
    if capability is None:
        common = [each for each in _COMMON if each in known]
        return max(common or known, default=None)
    if capability in known or not known:
        return capability
    fitting = [  # code runs on later GPUs of the same generation
        each
        for each in known
        if each // 10 == capability // 10 and each < capability and each not in _BOARDS
    ]
    return max(fitting, default=None)


def dotted(capability: int) -> str:
    """Return "7.5" of 75.

    Parameters
    ----------
    capability
        As NVIDIA's compilers write it.
    """
    return f"{capability // 10}.{capability % 10}"
