"""What keeps a notebook alive, place by place, and what nothing can prevent.

The sources are in ``docs/keepalive.md``, each with its date. Nothing here says that a
beat keeps Colab: nobody has seen that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.host.facts import HostKind
from colabmagic.report.model import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from colabmagic.host.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place, and its advice.

    Attributes
    ----------
    code
        Stable name, as in the docs.
    name
        For people.
    beats
        Whether beats make sense there.
    short
        What goes behind the status line; empty where there is nothing to add.
    advice
        What keeps it, what cannot be prevented, what to do instead.
    """

    code: str
    name: str
    beats: bool
    short: str
    advice: tuple[str, ...]


PLACES: Final[dict[str, Place]] = {
    place.code: place
    for place in (
        Place(
            code="colab-web",
            name="Colab's page",
            beats=True,
            short="Colab may end the machine all the same: %keepalive status",
            advice=(
                (
                    "What keeps it: a running cell, in a tab that stays open. Whether the beat "
                    "moves Colab's idle timer (about 90 minutes) nobody outside Google knows."
                ),
                (
                    "What nothing prevents: the end after 12 hours at most (24 with Pro+), a "
                    "question whether you are there, a captcha, usage limits."
                ),
                (
                    "What helps: run long work in a cell, not in a thread or a terminal; save "
                    "checkpoints to Drive and let keepalive.on_expiry(save) write the last one."
                ),
                "Nothing here clicks in the page. Who wants that all the same, unsupported:",
                Code("%keepalive snippet"),
            ),
        ),
        Place(
            code="colab-client",
            name="Colab from VS Code or the colab command",
            beats=True,
            short="Google's own client keeps the machine: %keepalive status",
            advice=(
                (
                    "What keeps it: Google's own client, as long as it runs. The colab command "
                    "asks each 60 s, for 24 hours at most; VS Code each 5 minutes, while a "
                    "kernel is busy or was used within the last hour."
                ),
                "The beat shows VS Code that the kernel is in use.",
                (
                    "What nothing prevents: the end after 12 hours at most (24 with Pro+), and "
                    "a computer that sleeps, for then nobody asks."
                ),
                "For runs that nobody watches, on your own computer:",
                Code("pip install google-colab-cli"),
            ),
        ),
        Place(
            code="colab-enterprise",
            name="Colab Enterprise",
            beats=True,
            short="the idle shutdown is a setting of the runtime: %keepalive status",
            advice=(
                (
                    "What keeps it: a running cell. The idle shutdown is a setting of the "
                    "runtime template: 180 minutes if nobody has changed it, 10 minutes to 24 "
                    "hours, or off."
                ),
                "What nothing prevents: a default runtime is deleted after 18 hours.",
                "For long runs use a runtime whose template has no idle shutdown.",
            ),
        ),
        Place(
            code="kaggle-interactive",
            name="Kaggle's editor",
            beats=True,
            short="for long runs use Save Version > Save & Run All: %keepalive status",
            advice=(
                (
                    "What keeps it: using the page. Whether the beat counts there is not known; "
                    "it does no harm."
                ),
                (
                    "What nothing prevents: the session's limit and the weekly GPU quota, which "
                    "the editor shows."
                ),
                (
                    "For long runs: Save Version > Save & Run All (Commit). That runs without a "
                    "tab, and keeps what is written to /kaggle/working."
                ),
            ),
        ),
        Place(
            code="kaggle-batch",
            name="Kaggle, Save & Run All",
            beats=False,
            short="nothing to do: this run needs no tab and nobody who looks",
            advice=(
                (
                    "What keeps it: Kaggle itself, until the notebook ends or its limit is "
                    "reached. There is nothing that a beat could add."
                ),
            ),
        ),
        Place(
            code="jupyterhub",
            name="JupyterHub",
            beats=True,
            short="",
            advice=(
                (
                    "What keeps it: the beat counts as activity of the kernel, so the culler of "
                    "idle servers lets it be."
                ),
                (
                    "What nothing prevents: an administrator's maximum age, and limits of the "
                    "machine. Ask who runs the hub."
                ),
            ),
        ),
        Place(
            code="jupyter",
            name="Jupyter",
            beats=True,
            short="",
            advice=(
                (
                    "What keeps it: the beat counts as activity, so a server that culls idle "
                    "kernels lets it be. Without such a setting (the default) nothing ends an "
                    "idle kernel at all."
                ),
                "What nothing prevents: a computer that sleeps, a server that is stopped.",
            ),
        ),
        Place(
            code="vscode",
            name="VS Code",
            beats=True,
            short="",
            advice=(
                (
                    "What keeps it: VS Code ends no idle kernel. On a remote Jupyter server the "
                    "beat counts as activity there."
                ),
                (
                    "What nothing prevents: the window that is closed, and a computer that "
                    "sleeps."
                ),
            ),
        ),
        Place(
            code="hosted",
            name="a hosted notebook",
            beats=True,
            short="the host's own idle rule may look elsewhere: %keepalive status",
            advice=(
                (
                    "What keeps it: the beat counts as activity for Jupyter. Whether this "
                    "host's own rule looks at that is not known."
                ),
                (
                    "What nothing prevents: the limits of your plan. Look into the host's "
                    "settings for its idle shutdown."
                ),
            ),
        ),
        Place(
            code="terminal",
            name="a terminal",
            beats=False,
            short="nothing to do: nobody ends an idle terminal's Python",
            advice=(
                (
                    "What ends it is the terminal: over ssh, run it inside tmux or screen, "
                    "which go on when the line breaks."
                ),
            ),
        ),
        Place(
            code="script",
            name="a script",
            beats=False,
            short="nothing to do: a script runs until it ends",
            advice=("Over ssh, begin its line with nohup, or run it inside tmux.",),
        ),
    )
}

_KINDS: Final = {
    HostKind.VSCODE: "vscode",
    HostKind.IPYTHON: "terminal",
    HostKind.PLAIN: "script",
    HostKind.LIGHTNING: "hosted",
    HostKind.STUDIO_LAB: "hosted",
    HostKind.SAGEMAKER: "hosted",
    HostKind.PAPERSPACE: "hosted",
}


def place_of(
    host: HostFacts,
    *,
    is_page: bool | None = None,
    env: Mapping[str, str] | None = None,
) -> Place:
    """Return the place where this runs.

    Parameters
    ----------
    host
        As `colabmagic.host.detect` tells it.
    is_page
        On Colab: whether its page has answered; None where it was not asked, which is
        taken for the page.
    env
        Environment variables; those of the process if left out.
    """
    env = os.environ if env is None else env
    if host.kind is HostKind.COLAB:
        if host.variant == "enterprise":
            return PLACES["colab-enterprise"]
        return PLACES["colab-client" if is_page is False else "colab-web"]
    if host.kind is HostKind.KAGGLE:
        batch = host.variant == "batch"
        return PLACES["kaggle-batch" if batch else "kaggle-interactive"]
    if host.kind in _KINDS:
        return PLACES[_KINDS[host.kind]]
    is_hub = any(name.startswith("JUPYTERHUB_") for name in env)
    return PLACES["jupyterhub" if is_hub else "jupyter"]
