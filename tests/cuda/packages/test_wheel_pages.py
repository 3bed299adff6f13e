"""PyTorch's wheels are looked up on its pages, by a real session on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from colabmagic.cuda.errors import (
    ChecksumError,
    NoTorchWheelError,
    SourceUnreachableError,
)
from colabmagic.cuda.packages.sources import Source
from colabmagic.cuda.packages.wheel_pages import find_links
from tests.cuda.steps.working import make_work
from tests.fakes.wheel_index import WheelIndex, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work

TORCH = make_wheel("torch", "2.7.1+cu118")
VISION = make_wheel("torchvision", "0.22.1+cu118")
PIN, VISION_PIN = "torch==2.7.1+cu118", "torchvision==0.22.1+cu118"
SECRET = "s3cr3t"  # noqa: S105 (of this test)


@pytest.fixture
def index() -> Iterator[WheelIndex]:
    """Serve PyTorch's index, a mirror of it, and a page of links."""
    with WheelIndex() as served:
        for folder in ("whl/cu118", "mirror/cu118"):
            served.add(folder, TORCH, VISION, make_wheel("torch", "2.6.0+cu118"))
        served.add_flat("flat", TORCH, VISION)
        yield served


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Give what steps share."""
    return make_work(tmp_path)


def mirrored(index: WheelIndex, official: str = "whl/cu118") -> Source:
    """Return a mirror, with where PyTorch's own pages are."""
    return Source(
        url=f"{index.url}/mirror/cu118",
        is_flat=False,
        official=f"{index.url}/{official}",
    )


def test_one_page_for_each_package(index: WheelIndex, work: Work) -> None:
    """In the order of the pins, with the checksums of the pages; no wheel is fetched."""
    source = Source(url=f"{index.url}/whl/cu118/", is_flat=False)
    found = find_links(work, source, [VISION_PIN, PIN])
    assert [each.file for each in found] == [VISION.file, TORCH.file]
    assert [each.sha256 for each in found] == [VISION.sha256, TORCH.sha256]
    assert index.requests == ["/whl/cu118/torchvision/", "/whl/cu118/torch/"]


def test_one_page_for_all(index: WheelIndex, work: Work) -> None:
    """Of another package with the same beginning nothing is taken."""
    source = Source(url=f"{index.url}/flat", is_flat=True)
    (found,) = find_links(work, source, [PIN])
    assert found.file == TORCH.file
    assert index.requests == ["/flat/"]


def test_nothing_wanted_is_nothing_asked(index: WheelIndex, work: Work) -> None:
    """All may be installed already."""
    source = Source(url=f"{index.url}/whl/cu118", is_flat=False)
    assert find_links(work, source, []) == ()
    assert index.requests == []


@pytest.mark.parametrize("pin", ["torch==2.7.1+cu121", "torchaudio==2.7.1+cu118"])
def test_a_wheel_that_is_not_there(index: WheelIndex, work: Work, pin: str) -> None:
    """No page, or no such version on it; where to look is told without the login."""
    url = f"{index.url}/whl/cu118".replace("http://", f"http://me:{SECRET}@")
    with pytest.raises(NoTorchWheelError) as caught:
        find_links(work, Source(url=url, is_flat=False), [pin])
    assert caught.value.what == f"there is no wheel of {pin} for this Python"
    assert SECRET not in str(caught.value)
    assert "/whl/cu118/" in str(caught.value.seen)


def test_a_wheel_of_another_python_is_none(index: WheelIndex, work: Work) -> None:
    """Version and label are right, its tag is not."""
    index.add("old", make_wheel("torch", "2.7.1+cu118", tag="cp27-none-any"))
    with pytest.raises(NoTorchWheelError, match="for this Python"):
        find_links(work, Source(url=f"{index.url}/old", is_flat=False), [PIN])


def test_a_mirror_gets_the_checksum_of_pytorch(index: WheelIndex, work: Work) -> None:
    """The file comes from the mirror; what it tells itself does not count."""
    index.fault(TORCH, "mirror/cu118", "no_hash")
    (found,) = find_links(work, mirrored(index), [PIN])
    assert found.url.startswith(f"{index.url}/mirror/cu118/torch/")
    assert found.sha256 == TORCH.sha256


def test_a_mirror_with_another_file_is_refused(index: WheelIndex, work: Work) -> None:
    """Before anything is fetched."""
    index.fault(TORCH, "mirror/cu118", "wrong_hash")
    with pytest.raises(ChecksumError, match=r"another torch-2\.7\.1"):
        find_links(work, mirrored(index), [PIN])
    assert not [path for path in index.requests if path.endswith(".whl")]


def test_where_pytorch_does_not_have_the_page_the_mirror_vouches(
    index: WheelIndex, work: Work
) -> None:
    """As where it does not answer: a mirror is for those that do not reach it."""
    (found,) = find_links(work, mirrored(index, "nowhere"), [PIN])
    assert found.sha256 == TORCH.sha256


def test_offline_nothing_is_asked(index: WheelIndex, tmp_path: Path) -> None:
    """What would have to be fetched is named."""
    with pytest.raises(SourceUnreachableError) as caught:
        find_links(make_work(tmp_path, offline=True), mirrored(index), [PIN])
    assert caught.value.seen == PIN
    assert index.requests == []


def test_a_server_that_is_gone(index: WheelIndex, work: Work) -> None:
    """One clear error, with what else can be tried."""
    source = Source(url=f"{index.url}/whl/cu118", is_flat=False)
    index.stop()
    with pytest.raises(SourceUnreachableError, match="does not answer") as caught:
        find_links(work, source, [PIN])
    assert "--mirror" in caught.value.hint


def test_the_session_of_the_service_is_used_and_stays_open(
    index: WheelIndex, tmp_path: Path
) -> None:
    """It may have a proxy, or certificates, of its own."""
    with requests.Session() as session:
        session.headers["User-Agent"] = "ours"
        work = make_work(tmp_path, session=session)
        for _ in range(2):
            (found,) = find_links(work, mirrored(index), [PIN])
        assert found.file == TORCH.file
        assert session.get(f"{index.url}/flat/", timeout=10).ok
