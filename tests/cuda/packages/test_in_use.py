"""Which of the packages that change this kernel has imported."""

from __future__ import annotations

import packaging.version
import pytest

from colabmagic.cuda.packages.in_use import used
from colabmagic.cuda.packages.record import Change


@pytest.mark.parametrize(
    ("change", "imported", "live", "is_used"),
    [
        (Change(name="packaging", before="1", after="2"), (), True, True),
        (Change(name="packaging", before="1", after="2"), (), False, False),
        (Change(name="packaging", before=None, after="2"), (), True, False),
        (Change(name="torch", before="1", after="2"), ("torch",), False, True),
        (Change(name="opencv-python", before="1", after="2"), (), False, False),
        (Change(name="no-such-thing", before="1", after="2"), (), True, False),
        (Change(name="a-b", before="1", after="2"), ("a_b",), False, True),
    ],
)
def test_used(
    change: Change, imported: tuple[str, ...], *, live: bool, is_used: bool
) -> None:
    """What was there and is imported; modules count where they are this kernel's."""
    assert packaging.version
    assert bool(used([change], imported, live=live)) == is_used


def test_the_module_may_have_another_name() -> None:
    """PyYAML is imported as yaml."""
    pytest.importorskip("yaml")
    change = Change(name="pyyaml", before="6.0", after="5.0")
    assert used([change], (), live=True) == (change,)
