"""Tests for `colabmagic.train.options`."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.errors import BadDeviceError
from colabmagic.train.options import DeviceSpec, TrainOptions, bad_device

KNOWN = ("auto", "cpu", "cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("text", "kind", "index"),
    [
        ("", "auto", None),
        ("auto", "auto", None),
        ("best", "auto", None),
        ("cpu", "cpu", None),
        ("cuda", "cuda", None),
        ("gpu", "cuda", None),
        ("GPU:1", "cuda", 1),
        (" CUDA:1 ", "cuda", 1),
        ("'cuda:0'", "cuda", 0),
        ('"mps"', "mps", None),
        ("cuda:0012", "cuda", 12),
        ("my_backend:3", "my_backend", 3),
    ],
)
def test_reads_a_device(text: str, kind: str, index: int | None) -> None:
    """Case, spaces and quotes do not matter; "gpu" and "best" are understood."""
    assert DeviceSpec.parse(text) == DeviceSpec(kind=kind, index=index)


@pytest.mark.parametrize(
    "text",
    ["cuda:", ":0", "cuda:-1", "cuda:1.5", "cuda:99999", "auto:0", "best:1", "cu da",
     "cuda:0:1", "0", "cuda:٣", "--keep", "cuda\n:1"],
)  # fmt: skip
def test_refuses_what_is_no_device(text: str) -> None:
    """Anything else is an error that lists the devices which exist."""
    with pytest.raises(BadDeviceError) as caught:
        DeviceSpec.parse(text, KNOWN)
    assert caught.value.seen == "devices here: auto, cpu, cuda:0, cuda:1"
    assert len(caught.value.render()) == 3


@pytest.mark.parametrize("text", ["tpu", "TPU:0", "xla"])
def test_a_tpu_is_not_taken_for_another_kind(text: str) -> None:
    """It is said to be unsupported, not to be a misspelt "xpu"."""
    error = bad_device(text, KNOWN)
    assert "TPU" in str(error)
    assert "xpu" not in str(error)
    assert error.hint.startswith("%%train_on auto")


@pytest.mark.parametrize("text", ["cuda:0,1", "cuda:*", "2 gpus", "1 gpu", "@cluster"])
def test_says_that_several_devices_are_too_many(text: str) -> None:
    """A text that names several devices is told so, not "no device"."""
    with pytest.raises(BadDeviceError, match="one device at a time") as caught:
        DeviceSpec.parse(text, KNOWN)
    assert caught.value.hint == "%%train_on cuda:1"


@pytest.mark.parametrize(
    ("text", "known", "hint"),
    [
        ("cuad", KNOWN, "%%train_on cuda"),
        ("cuda;1", KNOWN, "%%train_on cuda:1"),
        ("atuo", KNOWN, "%%train_on auto"),
        ("device=cuda", KNOWN, "%%train_on cuda"),
        ("device='cpu'", KNOWN, "%%train_on cpu"),
        (
            "mpss",
            KNOWN,
            "%%train_on auto  # did you mean 'mps'? It is not on this machine",
        ),
        ("???", KNOWN, "%%train_on cuda:1"),
        ("???", ("auto", "cpu"), "%%train_on cpu"),
        (
            "cuad",
            ("auto", "cpu"),
            "%%train_on auto  # did you mean 'cuda'? It is not on this machine",
        ),
    ],
)
def test_hints_at_the_nearest_device(
    text: str, known: tuple[str, ...], hint: str
) -> None:
    """The hint can be typed as it is: it names nothing that this machine lacks."""
    assert bad_device(text, known).hint == hint


def test_cuts_a_long_text() -> None:
    """A pasted page does not fill the screen."""
    error = bad_device("x" * 500, KNOWN)
    assert len(error.what) < 80
    assert "..." in error.what


def test_an_empty_list_of_devices_is_survived() -> None:
    """Where nothing is known, the hint is ``auto``."""
    assert bad_device("???", ()).hint == "%%train_on auto"


@given(st.text(max_size=60))
def test_any_text_is_a_device_or_the_documented_error(text: str) -> None:
    """No text makes the parser fail in another way, and what it reads it writes."""
    try:
        spec = DeviceSpec.parse(text, KNOWN)
    except BadDeviceError as error:
        assert len(error.render()) == 3  # noqa: PT017 (either way is right)
    else:
        assert DeviceSpec.parse(str(spec)) == spec


def test_options_are_plain_values() -> None:
    """By default things go home, a missing device is no error, and lines are shown."""
    options = TrainOptions()
    assert dataclasses.asdict(options) == {
        "keep": False, "strict": False, "rng": "auto", "quiet": False, "cache": False,
        "amp": None, "tf32": False, "channels_last": False, "compile": False,
        "nan_guard": None,
        "compare": None, "steps": 20, "auto_batch": False,
    }  # fmt: skip
    assert options.accelerating == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.keep = True  # type: ignore[misc]


def test_what_is_for_an_accelerator_is_named_as_it_is_typed() -> None:
    """So that a refusal can show it."""
    options = TrainOptions(cache=True, amp="fp16", channels_last=True, quiet=True)
    assert options.accelerating == ("--cache", "--amp fp16", "--channels-last")
