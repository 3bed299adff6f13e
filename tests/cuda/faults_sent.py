"""What a server does wrong, and what it sends that nobody should take."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

from tests.cuda.fault_bench import MEGABYTE, NAME, NVCC, RUN, WHEEL, Bench, trees
from tests.cuda.unpacking import hostile
from tests.fakes.nvidia.redist import spoil, sums
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.wheels import make_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def http(
    kind: str,
    match: str = NVCC,
    **options: Any,  # noqa: ANN401 (see `FileServer.fail`)
) -> Callable[[Bench], object]:
    """Let the server do something."""
    return lambda bench: bench.server.fail(kind, match, **options)


def both(*parts: Callable[[Bench], object]) -> Callable[[Bench], object]:
    """Do one after the other."""

    def all_of(bench: Bench) -> None:
        for part in parts:
            part(bench)

    return all_of


def listed(text: str) -> Callable[[Bench], object]:
    """Let the list be something else."""

    def prepare(bench: Bench) -> None:
        bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
        bench.manifest.write_text(text, "utf-8")

    return prepare


def row(**changes: object) -> Callable[[Bench], object]:
    """Let the list say something else of the compiler."""

    def prepare(bench: Bench) -> None:
        bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
        spoil(bench.manifest, "cuda_nvcc", **changes)

    return prepare


def lacks_nvcc(bench: Bench) -> None:
    """Let the list have no compiler."""
    text = json.loads(bench.manifest.read_text("utf-8"))
    bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
    del text["cuda_nvcc"]
    bench.manifest.write_text(json.dumps(text), "utf-8")


def right_list(bench: Bench) -> None:
    """Serve the right list again."""
    right = bench.manifest.with_suffix(".right")
    if right.exists():
        bench.manifest.unlink()
        right.rename(bench.manifest)


def changed_on_the_server(bench: Bench) -> None:
    """Stop in the middle, and let the server have another file then."""
    bench.server.fail("slow", RUN, bytes=4096, seconds=0.05)
    bench.interrupt_at = "download"


def another_runfile(bench: Bench) -> None:
    """Serve another installer under the same address."""
    parts = trees(bench.folder / "newer", "11.1.106")
    (parts["cuda_nvcc"] / "newer.bin").write_bytes(os.urandom(MEGABYTE))
    bench.runfile.unlink()
    make_runfile(bench.runfile, NAME, parts)


def large_runfile(bench: Bench) -> None:
    """Serve an installer that takes a while."""
    another_runfile(bench)
    changed_on_the_server(bench)


def archive_of(make: Callable[[Path], object]) -> Callable[[Bench], object]:
    """Serve another archive of the compiler, with a list that is right about it."""

    def prepare(bench: Bench) -> None:
        (old,) = bench.server.root.rglob(f"{NVCC}*.tar.xz")
        old.with_suffix(".kept").write_bytes(old.read_bytes())
        make(old)
        row(**sums(old))(bench)

    return prepare


def right_archive(bench: Bench) -> None:
    """Serve the right one again."""
    right_list(bench)
    for kept in bench.server.root.rglob("*.kept"):
        kept.rename(kept.with_suffix(".xz"))


def members(name: str) -> Callable[[Path], object]:
    """Write an archive with members that no honest server sends."""
    return lambda path: hostile.make_tar(path, hostile.REFUSED[name], "xz")


def bomb(path: Path) -> None:
    """Write an archive of a few kilobytes that unpacks to a gigabyte."""
    info = tarfile.TarInfo("top/bin/zeros")
    info.size = 2**30
    # Streams of xz in a row are one: packing the gigabyte would take the longest.
    zeros = lzma.compress(bytes(16 * MEGABYTE), preset=0)
    path.write_bytes(lzma.compress(info.tobuf(), preset=0) + 64 * zeros)


def cut(path: Path) -> None:
    """Write an archive that ends in its middle."""
    hostile.cut(path, 0.5)


def unknown_header(bench: Bench) -> None:
    """Serve an installer that says of itself nothing that we know."""
    right = bench.runfile.read_bytes()
    bench.runfile.with_suffix(".kept").write_bytes(right)
    bench.runfile.write_bytes(b"#!/bin/sh\n# another packer\nexit 0\n" + right[-900:])


def wrong_md5(bench: Bench) -> None:
    """Serve an installer of which a byte has changed."""
    bench.runfile.with_suffix(".kept").write_bytes(bench.runfile.read_bytes())
    hostile.corrupt(bench.runfile, lambda size: size - 200)


def right_runfile(bench: Bench) -> None:
    """Serve the right one again."""
    bench.runfile.with_suffix(".kept").replace(bench.runfile)


def unsigned(bench: Bench) -> None:
    """Serve lists that nobody signed."""
    assert bench.archive is not None
    (bench.archive.folder / "InRelease").unlink()


def signed_by_another(bench: Bench) -> None:
    """Trust another key."""
    other = bench.folder / "other.gpg"
    home = bench.folder / "other-gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    who = "Another <another@example.invalid>"
    for words in (["--passphrase", "", "--quick-gen-key", who, "ed25519"],
                  ["--export", "-o", str(other)]):  # fmt: skip
        subprocess.run([*gpg, *words], check=True, capture_output=True)
    kill = ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"]
    subprocess.run(kill, check=True, capture_output=True)
    bench.keyring = str(other)


def expired(bench: Bench) -> None:
    """Serve lists that were good until yesterday."""
    assert bench.archive is not None
    folder, gnupg = bench.archive.folder, bench.archive.gnupg
    # Whatever the apt of this machine thinks of old lists.
    settings = bench.folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::main "/dev/null"; Dir::Etc::parts "{bench.folder}/none";\n'
    )
    bench.environment["APT_CONFIG"] = str(settings)
    release = folder / "Release"
    release.write_text(
        "Valid-Until: Thu, 01 Jan 2015 00:00:00 UTC\n" + release.read_text("utf-8")
    )
    (folder / "InRelease").unlink()
    gpg = ["gpg", "--batch", "--homedir", str(gnupg), "--yes", "--clearsign"]
    subprocess.run(
        [*gpg, "-o", "InRelease", "Release"],
        check=True, cwd=folder, capture_output=True,
    )  # fmt: skip
    kill = ["gpgconf", "--homedir", str(gnupg), "--kill", "gpg-agent"]
    subprocess.run(kill, check=True, capture_output=True)


def signed_again(bench: Bench) -> None:
    """Sign the lists as they should be."""
    assert bench.archive is not None
    bench.archive.sign()
    bench.keyring = str(bench.archive.keyring)


def wrong_wheel(bench: Bench) -> None:
    """Let the index announce another hash."""
    page = bench.server.root / "simple" / WHEEL / "index.html"
    (wheel,) = bench.server.root.rglob("*.whl")
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page.write_text(page.read_text("utf-8").replace(right, "0" * 64))


def wrong_record(bench: Bench) -> None:
    """Let a file of the wheel be another than its own list says."""
    import zipfile

    (wheel,) = bench.server.root.rglob("*.whl")
    with zipfile.ZipFile(wheel) as old:
        content = [(info, old.read(info)) for info in old.infolist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for info, data in content:
            is_nvcc = info.filename.endswith("bin/nvcc")
            new.writestr(
                info, data.replace(b"A double", b"A traitor") if is_nvcc else data
            )
    wheel.write_bytes(out.getvalue())
    make_index(bench.server.root, "simple")


def right_wheel(bench: Bench) -> None:
    """Make wheel and index anew."""
    for path in bench.server.root.rglob("*.whl"):
        path.unlink()
    bench.lay_out()
