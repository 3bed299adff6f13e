"""Builds of PyTorch, and the nearest of them."""

from __future__ import annotations

import pytest

from colabmagic.cuda.packages.family import all_builds, find_build, nearest_torch


@pytest.mark.parametrize(
    ("cuda", "python", "capability", "near", "versions"),
    [
        ("11.1", "cp313", (7, 5), "1.10.1", ["2.5.1+cu118", "2.5.1+cu121"]),
        ("13.0", "cp313", (7, 5), None, ["2.14.1+cu130", "2.15.0+cu132"]),
        ("13.0", "cp313", (6, 0), None, ["2.13.0+cu126", "2.6.0+cu124"]),
        (None, "cp313", None, None, ["2.15.0+cu132", "2.14.1+cu130"]),
        ("11.8", "cp311", (3, 7), None, ["2.0.1+cu118", "2.0.1+cu117"]),
        ("12.4", "cp399", (7, 5), None, []),
    ],
)
def test_nearest(
    cuda: str | None,
    python: str,
    capability: tuple[int, int] | None,
    near: str | None,
    versions: list[str],
) -> None:
    """The same major version first, then the nearest release, one for each CUDA."""
    found = nearest_torch(cuda, python, capability, near=near)
    assert [each.version for each in found][:2] == versions
    assert len({each.build for each in found}) == len(found)


def test_what_is_installed_is_found() -> None:
    """With a label and without; what the table does not know is None."""
    labelled = find_build("2.11.0+cu128", "12.8")
    assert labelled is not None
    assert labelled.version == "2.11.0+cu128"
    plain = find_build("2.14.0", "13.0")
    assert plain is not None
    assert plain.build == "cu130"
    assert find_build("2.99.0", "12.8") is None
    assert find_build("2.11.0+cpu", None) is None


def test_every_build_can_be_pinned() -> None:
    """Each has a pin that pip understands, and a CUDA."""
    from packaging.requirements import Requirement

    for build in all_builds():
        pin = build.pin("torch")
        assert pin is not None
        assert Requirement(pin).specifier
        assert float(build.cuda) >= 8
