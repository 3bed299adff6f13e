"""The makers' figures and how they are looked up."""

from __future__ import annotations

import re

import pytest

from colabmagic.gpu.trials.datasheet import datasheets, find_datasheet


@pytest.mark.parametrize(
    ("name", "fp32", "fp16", "memory"),
    [
        ("Tesla T4", 8.1, 65, 300),
        ("NVIDIA T4", 8.1, 65, 300),  # as a later driver may call it
        ("A100-SXM4-40GB", 19.5, 312, 1555),  # as an older driver calls it
        ("NVIDIA A100-SXM4-80GB", 19.5, 312, 2039),
        ("NVIDIA A100 80GB PCIe", 19.5, 312, 1935),
        ("NVIDIA H100 80GB HBM3", 67, 989, 3350),  # dense, not 1,979
        ("NVIDIA H100 PCIe", 51, 756, 2000),
        ("NVIDIA H200", 67, 989, 4800),
        ("NVIDIA L4", 30.3, 121, 300),  # dense, not 242
        ("NVIDIA GeForce RTX 4090", 82.6, 165.2, 1008),  # sums in fp32, not 330.3
        ("Tesla V100-SXM2-16GB", 15.7, 125, 900),
        ("Tesla V100-PCIE-16GB", 14, 112, 900),
    ],
)
def test_known_names(name: str, fp32: float, fp16: float, memory: float) -> None:
    """The very card is found, with dense rates and sums in fp32."""
    sheet = find_datasheet(name)
    assert sheet is not None
    assert (sheet.peak("fp32"), sheet.peak("fp16"), sheet.peak("memory")) == (
        fp32,
        fp16,
        memory,
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "T40",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA A100",
        "NVIDIA H100",
        "GRID T4-16Q",
        "NVIDIA GeForce RTX 3080",  # two cards, 10 and 12 GB, share this name
    ],
)
def test_other_cards_are_unknown(name: str) -> None:
    """A name that is only alike has no figures: they would be those of another card."""
    assert find_datasheet(name) is None


def test_rows_are_whole() -> None:
    """Each row has one name, the maker's document with its address, and a figure."""
    names = [row.name for row in datasheets()]
    assert len(names) == len(set(names))
    for row in datasheets():
        assert re.fullmatch(r"(NVIDIA|AMD) .+, https://\S+", row.source), row.name
        assert row.title.startswith(("NVIDIA", "AMD"))
        assert "http" not in row.title
        assert row.basis == "quoted"
        assert find_datasheet(row.name) is row


def test_rates_are_in_order() -> None:
    """No unit is mixed up: half precision is not slower, tf32 lies between."""
    keys = ("fp32", "tf32", "fp16", "bf16", "memory")
    assert any(row.tf32 for row in datasheets())
    for row in datasheets():
        rates = [rate for rate in map(row.peak, keys[:3]) if rate is not None]
        assert rates == sorted(rates), row.name
        assert row.bf16 in {None, row.fp16}, row.name
        # GB/s of memory are a hundred times what TFLOP/s are: none of a T4's kind.
        assert row.memory is None or 300 <= row.memory <= 8000, row.name
        assert all(rate is None or rate > 0 for rate in map(row.peak, keys))


def test_no_figure_of_old_half_precision() -> None:
    """P100's fp16 rate has sums in fp16, which PyTorch does not use."""
    sheet = find_datasheet("Tesla P100-PCIE-16GB")
    assert sheet is not None
    assert sheet.peak("fp16") is None
    assert "fp32" in str(sheet.note)


def test_unknown_rate() -> None:
    """What a datasheet knows nothing about has no peak."""
    sheet = find_datasheet("Tesla T4")
    assert sheet is not None
    assert sheet.peak("h2d_pinned") is None
