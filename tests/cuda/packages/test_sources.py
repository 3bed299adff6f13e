"""Where PyTorch's wheels are listed."""

from __future__ import annotations

import pytest

from colabmagic.cuda.packages.family import Build, all_builds
from colabmagic.cuda.packages.sources import mirror_problem, source_of


def build(version: str) -> Build:
    """Return a build by its version."""
    return next(each for each in all_builds() if each.version == version)


@pytest.mark.parametrize(
    ("version", "mirror", "page", "official"),
    [
        (
            "2.7.1+cu118",
            None,
            "https://download.pytorch.org/whl/cu118/torch/",
            None,
        ),
        (
            "1.10.1+cu111",
            None,
            "https://download.pytorch.org/whl/torch_stable.html",
            None,
        ),
        (
            "2.7.1+cu118",
            "nju",
            "https://mirrors.nju.edu.cn/pytorch/whl/cu118/torch/",
            "https://download.pytorch.org/whl/cu118/torch/",
        ),
        (
            "2.7.1+cu118",
            "aliyun",
            "https://mirrors.aliyun.com/pytorch-wheels/cu118/",
            "https://download.pytorch.org/whl/cu118/torch/",
        ),
        (
            "1.10.1+cu111",
            "https://me:pw@mirror.example/whl/",
            "https://me:pw@mirror.example/whl/cu111/torch/",
            "https://download.pytorch.org/whl/torch_stable.html",
        ),
    ],
)
def test_pages(
    version: str, mirror: str | None, page: str, official: str | None
) -> None:
    """A page for each package, or one for all; PyTorch's own beside a mirror's."""
    source = source_of(build(version), mirror)
    assert source.page("torch") == page
    assert source.official_page("torch") == official
    assert "pw" not in source.shown.replace("pytorch", "")


def test_known_mirrors_have_no_problem() -> None:
    """Nor has an address."""
    for mirror in (None, "nju", "aliyun", "https://host/whl"):
        assert mirror_problem(mirror) is None
