"""Tests for `colabmagic.train.devices`."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from colabmagic.errors import BadDeviceError, DeviceUnavailableError
from colabmagic.train import devices
from colabmagic.train.devices import Resolved, resolve


@pytest.fixture(autouse=True)
def _asks_anew() -> None:
    """Let each test ask for the reason; a kernel asks once."""
    devices._reason.cache_clear()


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every accelerator away."""
    monkeypatch.setattr(devices, "accelerator", lambda: None)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("", "fake:0"), ("auto", "fake:0"), ("best", "fake:0"), ("fake", "fake:0"),
        ("fake:1", "fake:1"), ("FAKE:1", "fake:1"), ("cpu", "cpu"), ("cpu:0", "cpu"),
        ("meta", "meta"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("fake")
def test_devices_that_are_there(text: str, device: str) -> None:
    """``auto`` is the best one; a device without its number is the current one."""
    assert resolve(text) == Resolved(device=torch.device(device))


def test_the_current_device_is_meant(fake: ModuleType) -> None:
    """After ``torch.cuda.set_device(1)``, ``cuda`` means ``cuda:1``."""
    fake.set_device(1)
    assert str(resolve("fake").device) == "fake:1"
    assert str(resolve("auto").device) == "fake:1"


@pytest.mark.usefixtures("fake")
def test_the_list_of_devices() -> None:
    """Best last; it stands in every error about a device."""
    assert devices.available_devices() == ("auto", "cpu", "fake:0", "fake:1")


@pytest.mark.parametrize(
    "text", ["fake:2", "cpu:1", "foo", "foo:1", "cuda:x", "fake:0,1"]
)
@pytest.mark.usefixtures("fake")
def test_devices_that_do_not_exist(text: str) -> None:
    """One error, which lists what does; ``--strict`` or not."""
    for strict in (True, False):
        with pytest.raises(BadDeviceError) as caught:
            resolve(text, strict=strict)
        assert caught.value.seen == "devices here: auto, cpu, fake:0, fake:1"


@pytest.mark.parametrize("text", ["cuda", "cuda:1", "mps", "gpu"])
@pytest.mark.usefixtures("fake")
def test_another_accelerator_than_this_machines(text: str) -> None:
    """It runs on the CPU and names the one that is here; strictly, it is an error."""
    found = resolve(text)
    assert found.device.type == "cpu"
    assert found.fallback is not None
    assert "This machine's accelerator is fake" in found.fallback
    assert "write fake as the device" in found.fallback
    with pytest.raises(DeviceUnavailableError) as caught:
        resolve(text, strict=True)
    assert caught.value.hint == "%%train_on fake"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("text", ["auto", "cuda", "gpu:1"])
def test_without_a_gpu_the_reason_is_gpu_checks(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The CPU, and the sentence of ``%gpu_check``; strictly, an error with it."""
    from colabmagic import gpu

    monkeypatch.setattr(gpu, "check", lambda: SimpleNamespace(reason="no driver here"))
    assert resolve(text) == Resolved(
        device=torch.device("cpu"), fallback="no driver here"
    )
    with pytest.raises(DeviceUnavailableError) as caught:
        resolve(text, strict=True)
    assert caught.value.what.split(" cannot be used")[0] in {"a GPU", "cuda"}
    assert caught.value.seen == "no driver here"
    assert caught.value.hint == "%gpu_check"
    devices._reason.cache_clear()
    monkeypatch.setattr(gpu, "check", lambda: SimpleNamespace(reason=None))
    assert resolve(text).fallback == "PyTorch sees no GPU"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("text", ["mps", "xpu"])
def test_other_kinds_are_not_gpu_checks_business(text: str) -> None:
    """Their absence is said without NVIDIA's tools."""
    assert resolve(text).fallback == f"This PyTorch sees no {text} device here."


@pytest.mark.usefixtures("no_gpu")
def test_the_list_without_a_gpu() -> None:
    """The CPU is always there."""
    assert devices.available_devices() == ("auto", "cpu")
    with pytest.raises(BadDeviceError):
        resolve("foo")


def test_a_device_that_does_not_work(fake: ModuleType) -> None:
    """It is tried once: a lost one is reported in its own words, on the CPU."""
    fake.set_lost(1, lost=True)
    found = resolve("fake:1")
    assert found.device.type == "cpu"
    assert found.fallback is not None
    assert found.fallback.startswith("fake:1 does not work: ")
    assert "\n" not in found.fallback
    with pytest.raises(DeviceUnavailableError):
        resolve("fake:1", strict=True)


def test_a_full_device_is_there(fake: ModuleType) -> None:
    """Moving will tell whether it is too full."""
    fake.set_limit(1, 0)
    assert resolve("fake:1") == Resolved(device=torch.device("fake:1"))


def test_an_error_without_text(
    monkeypatch: pytest.MonkeyPatch, fake: ModuleType
) -> None:
    """A driver may raise anything; its type is the reason then."""
    assert fake.is_available()

    def refuse(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", refuse)
        assert resolve("fake:1").fallback == "fake:1 does not work: ZeroDivisionError"


def test_apples_device_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one, and it is written without a number."""
    monkeypatch.setattr(devices, "accelerator", lambda: "mps")
    monkeypatch.setattr(devices, "_trouble", lambda _: None)
    assert devices.available_devices() == ("auto", "cpu", "mps")
    assert str(resolve("auto").device) == "mps:0"
    with pytest.raises(BadDeviceError):
        resolve("mps:1")


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({"cuda"}, "cuda"), ({"xpu"}, "xpu"), ({"cuda", "xpu"}, "cuda"),
        ({"mps"}, "mps"), (set(), None),
    ],
    ids=["cuda", "xpu", "both", "mps", "none"],
)  # fmt: skip
def test_before_torch_had_accelerators(
    monkeypatch: pytest.MonkeyPatch, present: set[str], expected: str | None
) -> None:
    """Older versions are asked kind by kind."""
    monkeypatch.delattr(torch, "accelerator")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in present)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: "xpu" in present)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in present)
    assert devices.accelerator() == expected


def test_torchs_accelerator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there but not available does not count."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert devices.accelerator() is None
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    assert devices.accelerator() is None
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda: torch.device("cuda")
    )
    assert devices.accelerator() == "cuda"


def test_how_many_there_are(fake: ModuleType) -> None:
    """A back end that does not tell has one."""
    assert fake.is_available()
    assert devices.count("fake") == 2
    assert devices.count("mps") == 1
    assert devices.count("unheard_of") == 1
