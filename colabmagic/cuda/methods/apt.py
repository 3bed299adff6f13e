"""Install parts from NVIDIA's repository: with root, for the whole system.

Never a metapackage that brings a driver: in a notebook the driver is the host's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.parts import chosen_parts
from colabmagic.cuda.methods.recipe import (
    MB,
    capability_of,
    compiler_steps,
    make,
    refuse,
)
from colabmagic.cuda.planning.limits import ARCHES
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.steps.verify import Verify

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, HostCompiler, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

METHOD: Final = "apt"
_KEYRING: Final = "/usr/share/keyrings/cuda-archive-keyring.gpg"
_QUIET: Final = (("DEBIAN_FRONTEND", "noninteractive"),)
_DOWNLOAD: Final = 130 * MB
_DISK: Final = 450 * MB
_FORBIDDEN: Final = re.compile(
    r"cuda(-\d+-\d+)?|cuda-drivers.*|cuda-runtime.*|cuda-demo.*|nvidia-.*|libnvidia-.*"
)


def candidate(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate:
    """Return whether NVIDIA's repository gives this toolkit.

    Parameters
    ----------
    release, facts, options, compiler
        Of the plan.
    """
    refused = _refused(release, facts, options, compiler)
    if refused is not None:
        return refused
    not_heeded = _not_heeded(options)
    if not_heeded:
        return refuse(METHOD, not_heeded, "E09")
    packages = packages_of(release, options)
    version = release.minor.replace(".", "-")
    root = f"/usr/local/cuda-{release.minor}"
    is_new = all(each.root != root for each in facts.toolkits)
    install = ("apt-get", "install", "-y", "--no-install-recommends", *packages)
    steps: tuple[Step, ...] = (
        Command(
            argv=("apt-get", "update"),
            what="read NVIDIA's list of packages",
            needs_root=True,
            env=_QUIET,
        ),
        Command(
            argv=install,
            what=f"install CUDA {release.minor}",
            needs_root=True,
            env=_QUIET,
            # What was there before must not go with it.
            undo_argv=("apt-get", "remove", "-y", *packages) if is_new else (),
            changes=(f"packages of the system: {', '.join(packages)}",),
        ),
        *compiler_steps(compiler, facts),
        Verify(
            build=release.minor,
            capability=capability_of(release, facts),
            ext=options.verify == "ext",
            root=root,
        ),
        Activate(root=root),
        SystemLink(root=root),
    )
    return make(
        METHOD,
        f"NVIDIA's repository has {packages[0]} (cuda-toolkit-{version} in parts)",
        steps,
        release=release,
        facts=facts,
        compiler=compiler,
        download=_DOWNLOAD + sum(p.megabytes for p in chosen_parts(options.parts)) * MB,
        disk=_DISK,
        seconds=None,
        bases=(release.basis("apt"), release.basis(_group(facts)) or "memory"),
    )


def packages_of(release: Release, options: Options) -> tuple[str, ...]:
    """Return the packages: the compiler and what ``--with`` names, never a driver.

    Parameters
    ----------
    release
        The toolkit.
    options
        Of the plan.
    """
    version = release.minor.replace(".", "-")
    parts = [each.apt for each in chosen_parts(options.parts)]
    names = (*release.apt_minimal, *(f"{each}-{version}" for each in parts if each))
    return tuple(
        name
        for name in dict.fromkeys(names)
        if name not in release.apt_never and not _FORBIDDEN.fullmatch(name)
    )


def repository(facts: MachineFacts) -> str:
    """Return how NVIDIA calls the repository for this system: "ubuntu2204"."""
    version = facts.os_version
    if facts.os_id == "debian":
        version = version.partition(".")[0]
    return facts.os_id + version.replace(".", "")


def _group(facts: MachineFacts) -> str:
    """Return the group of the table that tells which repositories there are."""
    return "debian_repos" if facts.os_id == "debian" else "ubuntu_repos"


def _not_heeded(options: Options) -> str:
    """Return which option apt would not heed; nothing: none."""
    if options.offline:
        return "apt fetches packages, and --offline was given"
    if "://" in (options.mirror or ""):
        return "apt asks the servers that it is set up for, not --mirror"
    return ""


def _refused(
    release: Release, facts: MachineFacts, options: Options, compiler: HostCompiler
) -> Candidate | None:
    """Return why not, if so."""
    name = repository(facts)
    if name not in (*release.ubuntu_repos, *release.debian_repos):
        known = ", ".join((*release.ubuntu_repos, *release.debian_repos)) or "none"
        return refuse(
            METHOD,
            f"NVIDIA has no repository with CUDA {release.minor} for {facts.os_name}",
            "E09",
            seen=f"known: {known}",
        )
    if not options.system:
        return refuse(
            METHOD,
            "it changes the whole system, so it is taken with --system only",
            "E13",
            fix=("add --system",),
        )
    if not facts.is_root:
        return refuse(
            METHOD,
            "packages of the system need root",
            "E13",
            fix=("leave --system out: the toolkit then goes into your own folder",),
        )
    if _KEYRING not in facts.keyrings:
        url = (
            "https://developer.download.nvidia.com/compute/cuda/repos/"
            f"{name}/{ARCHES[facts.arch]}/cuda-keyring_1.1-1_all.deb"
        )
        return refuse(
            METHOD,
            "NVIDIA's repository is not set up on this machine",
            "E13",
            seen=f"no {_KEYRING}",
            fix=(f"!curl -fLO {url} && dpkg -i cuda-keyring_1.1-1_all.deb",),
        )
    if compiler.here is None:
        return refuse(
            METHOD, "no g++ here suits it, and none is brought for the system", "E04"
        )
    return None
