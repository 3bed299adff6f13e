"""How a report about GPUs is laid out."""

from __future__ import annotations

from dataclasses import replace

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.view import NOT_USABLE, READY, summary, view
from tests.gpu.machines import change, load


def test_verdict_follows_the_device() -> None:
    """Only the CPU means that no GPU is usable."""
    facts = load("colab_t4")
    assert view(facts, "cuda:0", (), None).verdict == READY
    assert view(facts, "cpu", (), None).verdict == NOT_USABLE


def test_table_has_a_row_for_each_gpu() -> None:
    """Eight GPUs, eight rows; a machine without one has no table."""
    (table,) = view(load("own_h200x8"), "cuda:0", (), None).tables
    assert [row[0] for row in table.rows] == list("01234567")
    assert view(load("own_no_gpu"), "cpu", (), None).tables == ()


def test_lost_gpu_is_a_problem_in_words() -> None:
    """The state of a GPU does not rest on colour."""
    (table,) = view(load("one_lost"), "cuda:0", (), None).tables
    assert [row[-1] for row in table.rows] == ["OK", "PROBLEM: GPU is lost"]


def test_unknown_is_not_zero() -> None:
    """What is not known is a question mark."""
    facts = load("colab_t4")
    (device,) = facts.nvml.devices
    blank = replace(device, utilization_percent=Unknown("x"), power_w=Unknown("x"))
    facts = change(facts, nvml={"devices": (blank,)})
    (row,) = view(facts, "cuda:0", (), None).tables[0].rows
    assert (row[3], row[5]) == ("?", "?")


def test_memory_of_a_shared_gpu_is_not_promised() -> None:
    """In MIG mode the free memory of the whole card is not that of the slice."""
    words = summary(load("own_a100_mig"), "cuda:0")
    assert "4.7 GiB free in the first instance" in words
    assert "39" not in words


def test_cuda_alone_gives_a_table() -> None:
    """Without pynvml the CUDA driver's list is shown."""
    (table,) = view(load("no_pynvml"), "cuda:0", (), None).tables
    assert table.rows[0][:3] == ("0", "Tesla T4", "? of 15.0 GiB")
