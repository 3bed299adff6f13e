"""The order of the rules, and captured machines with what must be found on them."""

from __future__ import annotations

import json

import pytest

from colabmagic.gpu import rules
from colabmagic.gpu.facts import Accelerator, GpuFacts, SourceState
from colabmagic.report.model import Severity
from tests.gpu.machines import change, load
from tests.gpu.scenarios import MACHINES, MINOR, SCENARIOS


def code_of(rule: str) -> str:
    """Return the code that a rule of this name gives."""
    return rule.replace("_", "-").removesuffix("-without-instances")


def codes_of_rules() -> list[str]:
    """Return the codes of all rules."""
    return [code_of(rule.__name__) for group in rules.GROUPS for rule in group]


NAMES = sorted(path.stem for path in MACHINES.glob("*.json"))


def test_every_scenario_is_captured() -> None:
    """The folder of machines and the scenarios are the same set."""
    assert sorted(SCENARIOS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_machine(name: str) -> None:
    """Each captured machine gets its findings, the cause first, and its device."""
    facts = load(name)
    found = (finding.code for finding in rules.judge(facts))
    codes = tuple(code for code in found if code != MINOR)
    assert codes == SCENARIOS[name].codes
    assert rules.usable_device(facts) == SCENARIOS[name].device


@pytest.mark.parametrize("name", NAMES)
def test_findings_are_complete(name: str) -> None:
    """Each finding shows evidence; what is an error says what to do."""
    findings = rules.judge(load(name))
    for finding in findings:
        assert finding.evidence
        assert finding.fix or finding.severity is not Severity.ERROR
    is_error = any(finding.severity is Severity.ERROR for finding in findings)
    assert is_error == (SCENARIOS[name].device == "cpu")


def test_every_rule_has_a_machine() -> None:
    """Each rule speaks on a captured machine, or is tested beside its module."""
    seen = {code for scenario in SCENARIOS.values() for code in scenario.codes}
    all_codes = set(codes_of_rules())
    elsewhere = {
        MINOR,
        "forked",
        "mps",
        "wsl",
        "torch-unreadable",
        "torch-accelerator",
        "driver-slow",
        "driver-unproven",
        "probe-failed",
    }
    assert all_codes == seen | elsewhere


@pytest.mark.parametrize("name", NAMES)
def test_code_is_the_name_of_the_rule(name: str) -> None:
    """A finding's code is the name of the rule that made it."""
    facts = load(name)
    for group in rules.GROUPS:
        for rule in group:
            finding = rule(facts)
            if finding is not None:
                assert finding.code == code_of(rule.__name__)


def test_reinstall_is_never_advised_on_a_cpu_runtime() -> None:
    """On Colab without a GPU the build of PyTorch is not the trouble."""
    findings = rules.judge(load("colab_cpu"))
    assert "pip install" not in json.dumps([finding.fix for finding in findings])


@pytest.mark.parametrize("name", NAMES)
def test_no_advice_names_a_magic_that_does_not_exist(name: str) -> None:
    """Every line magic in an advice is one that works today."""
    for finding in rules.judge(load(name)):
        for step in finding.fix:
            assert "%cuda_install" not in step
            assert not step.startswith("%") or step.startswith(("%pip ", "%gpu_check"))


def test_another_accelerator_makes_errors_notes() -> None:
    """With a registered back end PyTorch has a device, so nothing prevents it."""
    facts = change(
        load("own_no_gpu"), torch={"accelerator": Accelerator(kind="fake", count=2)}
    )
    assert rules.usable_device(facts) == "fake:0"
    findings = rules.judge(facts)
    assert {finding.severity for finding in findings} == {Severity.INFO}
    assert {"torch-accelerator", "no-gpu"} == {finding.code for finding in findings}


def test_unexplained() -> None:
    """Where no rule fits, the evidence is shown and the user is not left alone."""
    facts = change(
        load("colab_t4"),
        nvml={"devices": ()},
        driver={"state": SourceState.FAILED, "devices": ()},
        platform={"nvidia_nodes": ("/dev/nvidia0",)},
    )
    facts = change(facts, nvml={"state": SourceState.FAILED, "reason": "odd"})
    (finding,) = rules.judge(facts)
    assert finding.code == "unexplained"
    assert "NVML: odd" in finding.evidence


def test_unproven_driver_rests_on_nvml() -> None:
    """A child that could not be started does not turn a good machine into a bad."""
    facts = change(
        load("colab_t4"),
        driver={
            "state": SourceState.FAILED,
            "reason": "no child",
            "code": None,
            "devices": (),
        },
    )
    assert rules.usable_device(facts) == "cuda:0"
    codes = {finding.code for finding in rules.judge(facts)}
    assert codes - {MINOR} == {"driver-unproven"}
    hidden = change(facts, platform={"cuda_visible_devices": "-1"})
    assert rules.usable_device(hidden) == "cpu"


def test_cuda_that_shows_no_gpu_is_not_usable() -> None:
    """A CUDA driver that starts but lists nothing leaves the CPU."""
    facts = change(load("colab_t4"), driver={"devices": ()})
    assert rules.usable_device(facts) == "cpu"
    assert any(one.severity is Severity.ERROR for one in rules.judge(facts))


def test_facts_survive_json() -> None:
    """A captured machine is read back as the very same facts."""
    from colabmagic.report.plain import from_plain, to_plain

    facts = load("insane")
    text = json.dumps(to_plain(facts))
    assert from_plain(GpuFacts, json.loads(text)) == facts
