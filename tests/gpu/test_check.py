"""The report of ``check``, whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from colabmagic.gpu import check
from colabmagic.gpu.check import MIME_TYPE
from colabmagic.gpu.facts import Accelerator, GpuFacts, Unknown
from colabmagic.gpu.rules import ASIDE
from colabmagic.report.plain import from_plain
from colabmagic.report.text import WIDTH
from tests.gpu import schema
from tests.gpu.anything import values_of
from tests.gpu.machines import change, change_system, load
from tests.gpu.scenarios import MINOR, SCENARIOS

COLAB_CPU = """\
GPU check: NOT USABLE BY PYTORCH
  Why     This Colab runtime has no GPU. [colab-cpu-runtime]
  Seen    Colab (COLAB_RELEASE_TAG, /var/colab/hostname)
          no /dev/nvidia* device
          torch 2.11.0+cpu, built without CUDA
  Fix     Runtime > Change runtime type > T4 GPU, then run all cells again
          (variables are lost).
  Note    If Colab says "Cannot connect to GPU backend", your quota is used up.
          [colab-quota]
  Seen    a quota cannot be seen from inside the runtime
  Fix     Wait (people report a day or more), use Kaggle, or pay as you go.
Driver none   PyTorch 2.11.0+cpu (not imported)   Python 3.13.15
on Colab, Ubuntu 22.04.5 LTS"""

COLAB_T4 = """\
GPU check: READY  Tesla T4, 14.6 GiB free, use device='cuda'
GPU  Name      Free memory       Use  Temp   Power       Compute  Driver
0    Tesla T4  14.6 of 15.0 GiB  0%   41 °C  10 of 70 W  7.5      OK
Driver 550.54.15 (CUDA 12.4)   PyTorch 2.11.0+cu128 (not imported)
Python 3.13.15   on Colab, Ubuntu 22.04.5 LTS"""


@pytest.mark.parametrize(
    ("name", "text"), [("colab_cpu", COLAB_CPU), ("colab_t4", COLAB_T4)]
)
def test_text(name: str, text: str) -> None:
    """The whole text of the two reports that most people will see."""
    facts = change_system(load(name), python="3.13.15")
    assert check(facts).text == text


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_machine_renders(name: str) -> None:
    """Text fits in 80 columns; HTML is complete and needs nothing from outside."""
    report = check(load(name))
    assert max(map(len, report.text.splitlines())) <= WIDTH
    whole = check(load(name), show_all=True)
    for finding in report.findings:
        shown = whole if finding.code in ASIDE else report
        assert f"[{finding.code}]" in " ".join(shown.text.split())
        assert f"[{finding.code}]" in shown.html
    assert not re.search(r"<(script|style|svg|img|link|iframe)|url\(", report.html)


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_fields_fit_and_are_escaped(name: str) -> None:
    """``--all`` keeps to 80 columns too, and no driver's word becomes markup."""
    report = check(load(name), show_all=True)
    assert max(map(len, report.text.splitlines())) <= WIDTH
    assert not re.search(r"<(script|style|svg|img|link|iframe)|url\(", report.html)
    if any(one.error is None for one in report.facts.nvml.devices):
        assert "All fields of GPU 0" in report.html


def test_json_keeps_to_the_shipped_schema() -> None:
    """The schema in the package is the one of the facts, and machines keep to it."""
    shipped = json.loads(schema.FILE.read_text(encoding="utf-8"))
    assert shipped == schema.schema(), "run `python -m tests.gpu.schema`"
    validator = jsonschema.Draft202012Validator(shipped)
    for name in SCENARIOS:
        validator.validate(json.loads(check(load(name)).to_json()))


def test_serial_numbers_are_hidden_unless_asked_for() -> None:
    """Neither text, HTML, JSON nor the object holds what identifies a card."""
    facts = load("own_a100_mig")
    (device,) = facts.nvml.devices
    device = replace(device, uuid="GPU-secret", serial="secret-1")
    assert not isinstance(device.mig_devices, Unknown)
    parts = tuple(replace(part, uuid="MIG-secret") for part in device.mig_devices)
    facts = change(facts, nvml={"devices": (replace(device, mig_devices=parts),)})
    hidden = check(facts, show_all=True)
    for text in (hidden.text, hidden.html, hidden.to_json(), repr(hidden.facts)):
        assert "secret" not in text
    shown = check(facts, ids=True, show_all=True)
    assert "GPU-secret" in shown.text
    assert "secret-1" in shown.html
    assert "MIG-secret" in shown.to_json()


def test_driver_strings_are_escaped() -> None:
    """What the driver calls a GPU never becomes markup."""
    html = check(load("insane")).html
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_bundle_has_no_plain_json() -> None:
    """Front ends could prefer application/json to HTML."""
    bundle = check(load("colab_t4"))._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME_TYPE}
    assert MIME_TYPE == "application/vnd.colabmagic.gpu+json"


@pytest.mark.parametrize("name", SCENARIOS)
def test_dict_is_plain_and_consistent(name: str) -> None:
    """The dict holds what JSON can, and agrees with the object."""
    report = check(load(name))
    data = json.loads(report.to_json())
    assert data == report.to_dict()
    assert data["schema"] == 1
    assert (data["ok"], data["device"]) == (report.ok, report.device)
    codes = [one["code"] for one in data["findings"] if one["code"] != MINOR]
    assert codes == list(SCENARIOS[name].codes)
    keys = {"code", "severity", "title", "evidence", "fix"}
    assert all(one.keys() == keys for one in data["findings"])


def test_reason_is_one_line_with_what_to_type() -> None:
    """The fallback line of a training cell can use it as it is."""
    reason = check(load("colab_cpu")).reason
    assert reason == (
        "This Colab runtime has no GPU. Runtime > Change runtime type > T4 GPU,"
        " then run all cells again (variables are lost)."
    )
    assert check(load("colab_t4")).reason == ""


@pytest.mark.parametrize("name", SCENARIOS)
def test_reason_exists_where_cuda_does_not(name: str) -> None:
    """There is a reason exactly where CUDA cannot be used."""
    report = check(load(name))
    assert bool(report.reason) == (not report.device.startswith("cuda"))
    assert "\n" not in report.reason


def test_mac() -> None:
    """An Apple GPU is ready under its own name, and says why there is no CUDA."""
    report = check(change_system(load("own_no_gpu"), os="Darwin", machine="arm64"))
    assert (report.ok, report.device) == (True, "mps")
    assert "no CUDA on macOS" in report.reason
    assert report.headline == "GPU check: READY  Apple GPU, use device='mps'"


def test_registered_back_end() -> None:
    """A back end that the imported PyTorch knows is usable; CUDA's absence is told."""
    facts = change(
        load("own_no_gpu"), torch={"accelerator": Accelerator(kind="fake", count=2)}
    )
    report = check(facts)
    assert (report.ok, report.device) == (True, "fake:0")
    assert "no GPU" in report.reason


def test_parts_are_at_hand() -> None:
    """A notebook asks the object, not the tree of facts."""
    report = check(load("kaggle_2xt4"))
    assert [gpu.name for gpu in report.gpus] == ["Tesla T4", "Tesla T4"]
    assert report.torch.cuda == (12, 8)


def test_short_repr() -> None:
    """A debugger or a list shows the answer, not the facts."""
    assert repr(check(load("colab_t4"))) == (
        "<GpuReport: Tesla T4, 14.6 GiB free, use device='cuda'>"
    )


THIS_MACHINE = """
import sys, threading
from colabmagic.gpu import check
report = check()
assert report.headline and report.elapsed_s < 5, report
for name in ("torch", "numpy", "IPython", "requests", "google"):
    assert name not in sys.modules, name
assert not [one for one in threading.enumerate() if "colabmagic" in one.name]
"""


def test_this_machine_without_importing_torch() -> None:
    """Whatever this machine is, the check ends, and imports nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-c", THIS_MACHINE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@settings(
    max_examples=150,
    deadline=None,  # a busy machine is no failure
    derandomize=True,  # the same examples in each run
    phases=(Phase.explicit, Phase.generate),  # to shrink 80 fields takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(values_of(GpuFacts))
def test_any_facts_give_a_report(facts: GpuFacts) -> None:
    """Whatever the sources say, there is a report, and it can be read back."""
    report = check(facts, ids=True)
    assert max(map(len, report.text.splitlines())) <= WIDTH
    assert report.html
    assert replace(report, show_all=True).text
    assert replace(report, show_all=True).html
    data = json.loads(report.to_json())
    assert from_plain(GpuFacts, data["facts"]) == facts
    errors = [one for one in report.findings if one.severity.value == "error"]
    assert bool(errors) != report.ok
