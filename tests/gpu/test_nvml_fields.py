"""Single questions to NVML."""

from __future__ import annotations

from types import SimpleNamespace

from colabmagic.gpu.facts import DeviceFacts, Unknown
from colabmagic.gpu.sources import nvml_fields


def test_fields_are_those_of_a_device() -> None:
    """Every field that is asked exists in the facts, and all are asked."""
    device = DeviceFacts(**nvml_fields.blank(0, Unknown("x")))
    assert isinstance(device.power_limit_w, Unknown)


def test_cuda_version_is_split() -> None:
    """NVML's number is 1000 times major plus 10 times minor."""
    assert nvml_fields.split_cuda(12040) == (12, 4)
    assert nvml_fields.split_cuda(13000) == (13, 0)
    assert isinstance(nvml_fields.split_cuda(0), Unknown)


def test_impossible_value_is_unknown_and_noted() -> None:
    """An impossible temperature is not shown, but kept as evidence."""
    nvml = SimpleNamespace(nvmlDeviceGetTemperature=lambda *_: 2**32 - 1)
    field = next(one for one in nvml_fields.FIELDS if one.names == ("temperature_c",))
    device = nvml_fields.blank(0, Unknown("x"))
    nvml_fields.read_field(nvml, 0, field, device)
    assert isinstance(device["temperature_c"], Unknown)
    assert device["insane"] == ("temperature_c = 4294967295",)


def test_milliwatts_become_watts() -> None:
    """Units are those in the field's name."""
    nvml = SimpleNamespace(nvmlDeviceGetPowerUsage=lambda _: 10230)
    field = next(one for one in nvml_fields.FIELDS if one.names == ("power_w",))
    device = nvml_fields.blank(0, Unknown("x"))
    nvml_fields.read_field(nvml, 0, field, device)
    assert device["power_w"] == 10.23
