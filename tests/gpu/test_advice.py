"""Words and commands that fit the place."""

from __future__ import annotations

import pytest

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.rules import advice
from tests.gpu.machines import change, load


def test_sizes_in_words() -> None:
    """Sizes are in GiB; an unknown size is no zero."""
    assert advice.gib(15 * 2**30) == "15.0 GiB"
    assert advice.gib(Unknown("x")) == "unknown"


@pytest.mark.parametrize(
    ("machine", "command", "restart"),
    [
        ("colab_t4", "%pip install x", "Then Runtime > Restart session."),
        ("kaggle_2xt4", "%pip install x", "Then Run > Restart & clear cell outputs."),
        ("own_no_gpu", "pip install x", "Then start Python again."),
    ],
)
def test_commands_fit_the_place(machine: str, command: str, restart: str) -> None:
    """A notebook has its own pip and its own menu."""
    facts = load(machine)
    assert advice.pip_install(facts, "x") == command
    assert advice.restart(facts) == restart


@pytest.mark.parametrize(
    ("machine", "wheel"),
    [
        ("colab_t4", "cu126"),  # driver 12.4
        ("own_b200", "cu130"),  # driver 13.0
        ("kaggle_p100", "cu126"),  # Pascal
        ("own_no_gpu", None),  # no driver
    ],
)
def test_wheel_fits_driver_and_gpu(machine: str, wheel: str | None) -> None:
    """The build that is offered runs on this driver and has kernels for this GPU."""
    found = advice.fitting_wheel(load(machine))
    assert (found and found.wheel) == wheel


def test_no_build_fits() -> None:
    """Where no build fits, no command is made up."""
    facts = change(
        load("colab_t4"),
        driver={"cuda_version": (10, 2)},
    )
    (step,) = advice.install_torch(facts)
    assert "update the driver" in step
