"""Which GPU to compile for, of those that a toolkit knows."""

from __future__ import annotations

import pytest

from colabmagic.cuda.verifying.targets import choose_target, dotted

CUDA_11_1 = (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86)
CUDA_13_0 = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)


@pytest.mark.parametrize(
    ("known", "capability", "target"),
    [
        (CUDA_11_1, None, 86),  # no GPU: the newest that people have
        (CUDA_13_0, None, 120),
        (CUDA_13_0, 75, 75),
        (CUDA_11_1, 89, 86),  # an L4 runs the code of an A10
        (CUDA_13_0, 60, None),
        (CUDA_11_1, 90, None),
        ((70, 72), 75, 70),
        ((72,), 75, None),  # of one board only
        ((), 75, 75),  # it does not say: try
        ((), None, None),
    ],
)
def test_the_target(
    known: tuple[int, ...], capability: int | None, target: int | None
) -> None:
    """It is the GPU itself, else one of its generation whose code it runs."""
    assert choose_target(known, capability) == target


def test_dotted() -> None:
    """NVIDIA's numbers are written as people write them."""
    assert (dotted(75), dotted(120)) == ("7.5", "12.0")
