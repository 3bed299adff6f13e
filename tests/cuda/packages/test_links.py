"""Pages of wheels: read, picked from, compared, written."""

from __future__ import annotations

import pytest
from packaging.tags import Tag

from colabmagic.cuda.errors import ChecksumError
from colabmagic.cuda.packages.links import (
    Link,
    parse_page,
    pick,
    with_official_checksum,
    write_page,
)

HASH = "ab" * 32
PAGE = f"""<!DOCTYPE html><html><body>
<a href="torch-2.7.1%2Bcu118-cp313-cp313-manylinux_2_28_x86_64.whl#sha256={HASH}"
   data-dist-info-metadata="sha256=cd" data-requires-python="&gt;=3.9">torch</a>
<a href="/whl/torch-2.7.1%2Bcu118-cp312-cp312-manylinux_2_28_x86_64.whl">torch</a>
<a href="cu118/torch-2.7.1%2Bcu126-cp313-cp313-manylinux_2_28_x86_64.whl">torch</a>
<a href="https://elsewhere/torchaudio-0.7.2-cp313-cp313-linux_x86_64.whl">audio</a>
<a href="torchaudio-0.7.2%2Bcpu-cp313-cp313-linux_x86_64.whl">audio</a>
<a href="file:///etc/torch-2.7.1%2Bcu118-py3-none-any.whl">no</a>
<a href="torch-2.7.1.tar.gz">source</a><a>empty</a>
<a href="not-a-wheel.whl">odd</a>
"""
TAGS = [
    Tag("cp313", "cp313", "manylinux_2_28_x86_64"),
    Tag("cp313", "cp313", "linux_x86_64"),
]


def test_a_page_is_read() -> None:
    """Relative addresses, checksums and metadata; only wheels of the web."""
    links = parse_page(PAGE, "https://host/whl/cu118/torch/")
    assert links[0] == Link(
        url="https://host/whl/cu118/torch/"
        "torch-2.7.1%2Bcu118-cp313-cp313-manylinux_2_28_x86_64.whl",
        file="torch-2.7.1+cu118-cp313-cp313-manylinux_2_28_x86_64.whl",
        sha256=HASH,
        metadata="sha256=cd",
    )
    assert links[1].url.startswith("https://host/whl/torch-2.7.1")
    assert all(link.url.startswith("https://") for link in links)
    assert len(links) == 6


@pytest.mark.parametrize(
    ("pin", "file"),
    [
        (
            "torch==2.7.1+cu118",
            "torch-2.7.1+cu118-cp313-cp313-manylinux_2_28_x86_64.whl",
        ),
        (
            "torch==2.7.1+cu126",
            "torch-2.7.1+cu126-cp313-cp313-manylinux_2_28_x86_64.whl",
        ),
        ("torchaudio===0.7.2", "torchaudio-0.7.2-cp313-cp313-linux_x86_64.whl"),
        ("torch==2.7.1+cu128", None),
        ("torchvision==0.22.1+cu118", None),
    ],
)
def test_the_wheel_that_is_picked(pin: str, file: str | None) -> None:
    """Version, label and this Python decide."""
    found = pick(parse_page(PAGE, "https://host/whl/cu118/"), pin, TAGS)
    assert (found and found.file) == file


def test_the_official_checksum_counts() -> None:
    """A mirror without checksum gets PyTorch's, one with another is refused."""
    mine = Link(url="https://mirror/x.whl", file="x.whl")
    official = Link(url="https://host/x.whl", file="x.whl", sha256=HASH)
    assert with_official_checksum(mine, official) == Link(
        url="https://mirror/x.whl", file="x.whl", sha256=HASH
    )
    assert with_official_checksum(mine, None) == mine
    other = Link(url="https://mirror/x.whl", file="x.whl", sha256="00" * 32)
    with pytest.raises(ChecksumError) as caught:
        with_official_checksum(other, official)
    assert caught.value.what == "the mirror has another x.whl than PyTorch"


def test_a_written_page_reads_the_same() -> None:
    """Quotes and angle brackets do not leave their attribute."""
    odd = Link(url='https://h/a"><b>.whl', file="a.whl", sha256=HASH, metadata='"x')
    text = write_page([odd])
    assert "<b>" not in text
    (again,) = parse_page(text, "file:///nowhere")
    assert (again.sha256, again.metadata) == (HASH, '"x')
