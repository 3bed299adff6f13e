"""Recognise where the code runs, by the rules of ``data/hosts.json``.

Nothing is imported for it: ``google.colab`` exists on Kaggle too, and a module in
``sys.modules`` only says that somebody imported it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.data.tables import HostRule, host_rules
from colabmagic.host.facts import HostFacts, HostKind
from colabmagic.host.system import detect_system
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

# A virtual machine of Colab looks alike for all its front ends. Only the page runs
# JavaScript, and asking for that waits, so it is left to those who need the answer.
_COLAB_FRONT_END = Unknown("Colab's page, VS Code and its CLI look alike from here")
_FRONT_ENDS = {
    HostKind.VSCODE: "VS Code",
    HostKind.IPYTHON: "terminal",
    HostKind.PLAIN: "none",
    HostKind.KAGGLE: "Kaggle's notebook editor",
}
_VARIANT_FRONT_ENDS = {"batch": "none", "enterprise": "Colab Enterprise's page"}


def detect(
    env: Mapping[str, str] | None = None,
    sysroot: str | Path = "/",
    modules: Mapping[str, object] | None = None,
    shell: object | None = None,
) -> HostFacts:
    """Find out where the code runs; never raises.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    sysroot
        Where the file system begins; tests give a folder of their own.
    modules
        Imported modules, to find the running shell; ``sys.modules`` where left out.
    shell
        IPython's shell, where the caller has it.
    """
    env = os.environ if env is None else env
    root = Path(sysroot)
    shell = shell or _running_shell(sys.modules if modules is None else modules)
    kernel = None if shell is None else getattr(shell, "kernel", None) is not None
    rule = next(
        rule
        for rule in host_rules()
        if _evidence(rule, env, root, kernel=kernel) is not None
    )
    kind = HostKind(rule.kind)
    return HostFacts(
        kind=kind,
        name=rule.name,
        variant=rule.variant,
        front_end=_front_end(kind, rule.variant),
        evidence=_evidence(rule, env, root, kernel=kernel) or (),
        system=detect_system(env, root),
    )


def _running_shell(modules: Mapping[str, object]) -> object | None:
    """Return IPython's shell if one runs, without importing IPython."""
    get_ipython = getattr(modules.get("IPython"), "get_ipython", None)
    try:
        return get_ipython() if callable(get_ipython) else None
    except Exception:  # noqa: BLE001 (a broken IPython must not break detection)
        return None


def _evidence(
    rule: HostRule, env: Mapping[str, str], root: Path, *, kernel: bool | None
) -> tuple[str, ...] | None:
    """Return what made a rule hold, or None where it does not.

    Names only: the values of such variables can hold addresses and ids.
    """
    if rule.kernel is not None and rule.kernel is not kernel:
        return None
    if any(env.get(name) != value for name, value in rule.env_equal.items()):
        return None
    if not all(env.get(name) for name in rule.env):
        return None
    prefixed = [
        name for name in env if rule.env_prefix and name.startswith(rule.env_prefix)
    ]
    if rule.env_prefix and not prefixed:
        return None
    if not all((root / path).exists() for path in rule.paths):
        return None
    return (
        *rule.env_equal,
        *rule.env,
        *sorted(prefixed)[:1],
        *(f"/{path}" for path in rule.paths),
    )


def _front_end(kind: HostKind, variant: str | None) -> str | Unknown:
    """Name what shows the notebook, as far as the kernel can know."""
    if variant in _VARIANT_FRONT_ENDS:
        return _VARIANT_FRONT_ENDS[variant]
    if kind is HostKind.COLAB:
        return _COLAB_FRONT_END
    return _FRONT_ENDS.get(kind, Unknown("the kernel cannot see it"))
