"""Where the code runs, by made-up environments and root folders."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from colabmagic.host import HostKind, detect
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = SimpleNamespace(kernel=object())
TERMINAL = SimpleNamespace()
COLAB_CPU = {
    "COLAB_RELEASE_TAG": "release-colab_20250902-060050_RC00",
    "COLAB_BACKEND_VERSION": "next",
    "COLAB_GPU": "",
    "COLAB_TPU_1VM": "",
    "TBE_CREDS_ADDR": "172.28.0.1:8008",
    "CUDA_VERSION": "12.5.1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "PYTHONPATH": "/env/python",
}
HOSTNAME = "var/colab/hostname"
KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "KAGGLE_DATA_PROXY_URL": "https://x"}
JUPYTER = {"JPY_SESSION_NAME": "/home/me/a.ipynb"}


@pytest.mark.parametrize(
    ("env", "paths", "shell", "kind", "variant"),
    [
        (COLAB_CPU, [HOSTNAME], KERNEL, "colab", "hosted"),
        (
            COLAB_CPU | {"VERTEX_PRODUCT": "COLAB_ENTERPRISE"},
            [HOSTNAME],
            KERNEL,
            "colab",
            "enterprise",
        ),
        (KAGGLE, [], KERNEL, "kaggle", "interactive"),
        (KAGGLE | {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, [], KERNEL, "kaggle", "batch"),
        ({"LIGHTNING_CLOUD_SPACE_ID": "x"}, [], KERNEL, "lightning", None),
        ({}, ["home/studio-lab-user/x"], KERNEL, "studio-lab", None),
        ({"SAGEMAKER_DOMAIN_ID": "x"}, [], KERNEL, "sagemaker", None),
        ({"PAPERSPACE_FQDN": "x"}, [], KERNEL, "paperspace", None),
        ({"VSCODE_PID": "1"}, [], KERNEL, "vscode", None),
        ({"VSCODE_CWD": "/home/me"}, [], KERNEL, "vscode", None),
        (JUPYTER, [], KERNEL, "jupyter", None),
        ({}, [], KERNEL, "jupyter", None),
        ({}, [], TERMINAL, "ipython", None),
        ({"VSCODE_PID": "1"}, [], TERMINAL, "ipython", None),
        ({}, [], None, "plain", None),
    ],
)
def test_place(  # noqa: PLR0913, PLR0917 (a row of a table)
    env: dict[str, str],
    paths: list[str],
    shell: object,
    kind: str,
    variant: str | None,
    tmp_path: Path,
) -> None:
    """Each place is recognised by its own signs."""
    for path in paths:
        (tmp_path / path).mkdir(parents=True)
    facts = detect(env, tmp_path, {}, shell)
    assert (facts.kind, facts.variant) == (HostKind(kind), variant)


@pytest.mark.parametrize(
    ("env", "paths"),
    [
        (COLAB_CPU, []),  # the variables alone can be copied into any container
        ({}, [HOSTNAME]),
        ({"COLAB_GPU": "1"}, [HOSTNAME]),  # true on CPU runtimes, too
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, []),
        ({"KAGGLE_KERNEL_RUN_TYPE": "", "KAGGLE_URL_BASE": "x"}, []),
    ],
)
def test_near_miss(env: dict[str, str], paths: list[str], tmp_path: Path) -> None:
    """One sign of two is not enough."""
    for path in paths:
        (tmp_path / path).mkdir(parents=True)
    assert detect(env, tmp_path, {}, KERNEL).kind is HostKind.JUPYTER


def test_google_colab_module_proves_nothing(tmp_path: Path) -> None:
    """Kaggle has that module, too."""
    modules = {"google.colab": object(), "google": object()}
    assert detect({}, tmp_path, modules, KERNEL).kind is HostKind.JUPYTER


def test_front_end_of_colab_is_not_guessed(tmp_path: Path) -> None:
    """Page, VS Code and CLI look alike from the kernel, and that is what is said."""
    (tmp_path / HOSTNAME).mkdir(parents=True)
    assert isinstance(detect(COLAB_CPU, tmp_path, {}, KERNEL).front_end, Unknown)
    batch = KAGGLE | {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    assert detect(batch, tmp_path, {}, KERNEL).front_end == "none"


def test_evidence_holds_names_only(tmp_path: Path) -> None:
    """Values of variables can be private."""
    facts = detect({"PAPERSPACE_API_KEY": "secret"}, tmp_path, {}, KERNEL)
    assert facts.evidence == ("PAPERSPACE_API_KEY",)
    assert "secret" not in repr(facts)


def test_shell_is_found_in_the_modules(tmp_path: Path) -> None:
    """A running shell is found through the imported IPython; a broken one is none."""
    running = SimpleNamespace(get_ipython=lambda: KERNEL)
    assert detect({}, tmp_path, {"IPython": running}).kind is HostKind.JUPYTER
    broken = SimpleNamespace(get_ipython=lambda: 1 / 0)
    assert detect({}, tmp_path, {"IPython": broken}).kind is HostKind.PLAIN


def test_this_machine() -> None:
    """The real machine gives facts; the defaults are the process's own."""
    facts = detect()
    assert facts.system.python == ".".join(map(str, sys.version_info[:3]))
    same = detect(os.environ, "/", sys.modules)
    assert (facts.kind, facts.evidence) == (same.kind, same.evidence)
