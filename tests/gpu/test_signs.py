"""What the facts mean."""

from __future__ import annotations

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.rules import signs
from tests.gpu.machines import change, load


def test_bare_machine() -> None:
    """No node, no answer, no refusal: nothing of NVIDIA's is here."""
    assert signs.is_bare(load("colab_cpu"))
    assert not signs.is_bare(load("colab_t4"))
    assert not signs.is_bare(load("mismatch"))


def test_cuda_of_the_driver() -> None:
    """The CUDA driver's own word counts; NVML's stands in for it."""
    facts = load("colab_t4")
    assert signs.cuda_of_driver(facts) == (12, 4)
    other = change(facts, driver={"cuda_version": (12, 8)})
    assert signs.cuda_of_driver(other) == (12, 8)
    nvml_only = change(facts, driver={"cuda_version": Unknown("x")})
    assert signs.cuda_of_driver(nvml_only) == (12, 4)
    assert signs.cuda_of_driver(load("own_no_gpu")) is None


def test_capability_of_the_first_gpu() -> None:
    """CUDA's first GPU counts; an impossible value is none."""
    assert signs.first_capability(load("kaggle_p100")) == (6, 0)
    assert signs.first_capability(load("insane")) is None


def test_card_on_the_bus() -> None:
    """A card is seen; an unknown bus is no card."""
    assert signs.has_card(load("driver_missing"))
    assert not signs.has_card(load("own_no_gpu"))
