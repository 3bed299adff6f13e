"""NVIDIA's apt repository: flat, signed, made by ``apt-ftparchive``.

With parts (``cuda-nvcc-11-1``, …), and with what must never be installed: ``cuda`` and
``cuda-11-1`` depend on ``cuda-drivers``, as NVIDIA's do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

REPO = "compute/cuda/repos/debian12/x86_64"
_NEEDS = ("apt-ftparchive", "dpkg-deb", "gpg", "apt-get")


def missing_tools() -> list[str]:
    """Return the programs that are not here."""
    return [name for name in _NEEDS if shutil.which(name) is None]


@dataclass(frozen=True)
class Archive:
    """A repository in a served folder.

    Attributes
    ----------
    folder
        Of its files.
    keyring
        The public key, for ``signed-by``.
    gnupg
        GnuPG's folder with the secret key.
    """

    folder: Path
    keyring: Path
    gnupg: Path

    def sign(self) -> None:
        """Write its lists anew, and sign them."""
        packages = _run(["apt-ftparchive", "packages", "."], self.folder)
        (self.folder / "Packages").write_bytes(packages)
        for name in ("InRelease", "Release", "Release.gpg"):
            (self.folder / name).unlink(missing_ok=True)
        options = ["-o", "APT::FTPArchive::Release::Origin=NVIDIA"]
        release = _run(["apt-ftparchive", *options, "release", "."], self.folder)
        (self.folder / "Release").write_bytes(release)
        gpg = ["gpg", "--batch", "--homedir", str(self.gnupg), "--yes"]
        _run([*gpg, "--clearsign", "-o", "InRelease", "Release"], self.folder)
        kill = ["gpgconf", "--homedir", str(self.gnupg), "--kill", "gpg-agent"]
        _run(kill, self.folder)


def make_archive(root: Path, secret: Path, parts: Mapping[str, Path]) -> Archive:
    """Write a repository of CUDA 11.1 below a served folder.

    Parameters
    ----------
    root
        The folder that a server serves.
    secret
        A folder for the throw-away key.
    parts
        Part of a toolkit → its files, as `trees` has them.
    """
    folder = root / REPO
    folder.mkdir(parents=True)
    names = {
        "cuda_nvcc": ("cuda-nvcc-11-1", ("build-essential",)),
        "cuda_cudart": ("cuda-cudart-dev-11-1", ("cuda-cudart-11-1",)),
        "cuda_cccl": ("cuda-thrust-11-1", ()),
    }
    for part, files in parts.items():
        name, depends = names[part]
        make_deb(folder, name, "11.1.105-1", {"usr/local/cuda-11.1": files}, depends)
    make_deb(folder, "build-essential", "12.9", {}, ())
    make_deb(folder, "cuda-cudart-11-1", "11.1.74-1", {}, ())
    make_deb(folder, "cuda-11-1", "11.1.1-1", {}, ("cuda-drivers (>= 455.32.00)",))
    make_deb(folder, "cuda", "11.1.1-1", {}, ("cuda-11-1", "cuda-drivers"))
    make_deb(folder, "cuda-drivers", "455.32.00-1", {}, ())
    secret.mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(secret)]
    identity = "A double <double@example.invalid>"
    _run([*gpg, "--passphrase", "", "--quick-gen-key", identity, "ed25519"], root)
    keyring = secret / "double.gpg"
    _run([*gpg, "--export", "-o", str(keyring)], root)
    archive = Archive(folder, keyring, secret)
    archive.sign()
    return archive


def make_deb(  # noqa: PLR0913 (by keyword)
    folder: Path,
    name: str,
    version: str,
    trees: Mapping[str, Path],
    depends: Sequence[str] = (),
    *,
    packing: str = "xz",
) -> Path:
    """Write a package by ``dpkg-deb``; return its path."""
    stage = folder / f".stage-{name}"
    (stage / "DEBIAN").mkdir(parents=True)
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: cudatools <cudatools@example.invalid>\nDescription: a double\n"
    )
    if depends:
        control += f"Depends: {', '.join(depends)}\n"
    (stage / "DEBIAN" / "control").write_text(control, "utf-8")
    if name == "cuda-drivers":
        script = stage / "DEBIAN" / "postinst"
        script.write_text(
            "#!/bin/sh\necho a driver was installed >&2\nexit 1\n", "utf-8"
        )
        script.chmod(0o755)
    for target, source in trees.items():
        shutil.copytree(
            source,
            stage / target,
            symlinks=True,
            ignore=shutil.ignore_patterns("LICENSE"),  # in all parts: dpkg would refuse
        )
    deb = folder / f"{name}_{version}_amd64.deb"
    options = ["--root-owner-group", f"-Z{packing}", "-z1"]
    _run(["dpkg-deb", *options, "--build", str(stage), str(deb)], folder)
    shutil.rmtree(stage)
    return deb


def scratch_root(folder: Path, server: str, archive: Archive) -> list[str]:
    """Make an empty machine in a folder; return the options with which apt uses it.

    Parameters
    ----------
    folder
        It is made; packages are installed below ``root`` in it.
    server
        Address of the server, without a slash at the end.
    archive
        What it serves.
    """
    root = folder / "root"
    for name in (
        "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/apt.conf.d",
        "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial", "var/log/apt", "none",
    ):  # fmt: skip
        (root / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    source = f"deb [arch=amd64 signed-by={archive.keyring}] {server}/{REPO} ./\n"
    (root / "etc/apt/sources.list").write_text(source, "utf-8")
    return [
        "-o", f"Dir={root}", "-o", f"Dir::State::status={root}/var/lib/dpkg/status",
        "-o", f"Dir::Etc={root}/etc/apt", "-o", f"Dir::Etc::sourceparts={root}/none",
        "-o", f"Dir::Etc::sourcelist={root}/etc/apt/sources.list",
        "-o", "Dir::Bin::dpkg=/usr/bin/dpkg",
        "-o", f"DPkg::Options::=--root={root}",
        "-o", "DPkg::Options::=--force-not-root,script-chrootless,bad-path",
        "-o", f"DPkg::Options::=--log={root}/var/log/dpkg.log",
        "-o", "DPkg::Run-Directory=/", "-o", "APT::Sandbox::User=root",
        "-o", "APT::Architecture=amd64", "-o", "Acquire::Languages=none",
        "-o", "Debug::NoLocking=1", "-o", "Dpkg::Use-Pty=0",
    ]  # fmt: skip


def _run(argv: Sequence[str], folder: Path) -> bytes:
    """Run a program; return what it writes."""
    done = subprocess.run(
        list(argv),
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
