r"""NVIDIA's self-extracting installer, with its real options.

A makeself 2.1 archive: a shell script whose line count leads to a ``tar.gz``. Run, it
unpacks itself and starts ``cuda-installer``, which knows ``--silent --toolkit
--toolkitpath=… --override --no-man-page --extract=… --driver --samples --help`` and
writes a log as the real one does. Up to 10.0 the archive holds a second runfile with the
toolkit, 10.1 and 10.2 ``builds/cuda-toolkit``, 11.0 and later ``builds/<part>``; beside
it always lies a driver, which must never be run: it leaves a file ``driver-was-run``.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The head of a makeself archive, as its authors' format has it; the words are ours.
HEAD = r"""#!/bin/sh
# A double of NVIDIA's installer, in the format of Makeself 2.1
CRCsum="0000000000"
MD5="@MD5@"
label="CUDA @VERSION@ Installer (a double)"
script="@SCRIPT@"
filesizes="@SIZE@"
keep=n
noexec=n
target=
tar=x
while [ $# -gt 0 ]; do
    case "$1" in
    --keep) keep=y; shift ;;
    --noexec) noexec=y; shift ;;
    --target) keep=y; target="$2"; shift 2 ;;
    --check) shift; tar=t ;;
    --) shift; break ;;
    *) break ;;
    esac
done
folder="${target:-$(mktemp -d "${TMPDIR:-/tmp}/selfgz.XXXXXX")}"
mkdir -p "$folder"
offset=`head -n @LINES@ "$0" | wc -c | tr -d " "`
tail -c +$((offset + 1)) "$0" | gzip -cd | tar -${tar}f - -C "$folder" || exit 1
if [ "$noexec" = n ]; then
    (cd "$folder" && sh "$script" "$@")
    status=$?
fi
[ "$keep" = y ] || rm -rf "$folder"
exit ${status:-0}
"""

INSTALLER = r"""#!/bin/sh
# A double of NVIDIA's cuda-installer: it installs nothing but a toolkit.
toolkit=n driver=n samples=n silent=n override=n
path=/usr/local/cuda-@MINOR@
extract=
for word in "$@"; do
    case "$word" in
    --silent) silent=y ;;
    --toolkit) toolkit=y ;;
    --driver) driver=y ;;
    --samples) samples=y ;;
    --override) override=y ;;
    --no-man-page | --no-opengl-libs | --no-drm) ;;
    --toolkitpath=*) path="${word#*=}" ;;
    --installpath=* | --defaultroot=* | --samplespath=* | --tmpdir=*) ;;
    --extract=*) extract="${word#*=}" ;;
    --help)
        echo "Options:"
        echo "  --silent  --driver  --toolkit  --toolkitpath=<path>  --samples"
        echo "  --override  --no-man-page  --extract=<path>  --tmpdir=<path>  --help"
        exit 0 ;;
    *) echo "Unknown option: ${word%%=*}" >&2; exit 1 ;;
    esac
done
case "$extract$path" in /*) ;; *) echo "paths are absolute" >&2; exit 1 ;; esac
merge() {
    mkdir -p "$1"
    for part in @TREES@; do
        if [ "$part" = run_files ]; then
            sh run_files/cuda-linux*.run --noexec --target "$1" || exit 1
        else
            cp -a "$part/." "$1/" || exit 1
        fi
    done
}
if [ -n "$extract" ]; then
    mkdir -p "$extract" && cp -a @TREES@ NVIDIA-Linux-x86_64-455.32.00.run "$extract/"
    exit $?
fi
[ "$silent" = y ] || { echo "the double has no menus: --silent" >&2; exit 1; }
[ "$driver" = y ] && sh ./NVIDIA-Linux-x86_64-455.32.00.run
[ "$toolkit" = y ] && merge "$path"
exit 0
"""

DRIVER = b"#!/bin/sh\ntouch driver-was-run\n"


def make_runfile(
    path: Path, version: str, parts: Mapping[str, Path], *, level: int = 1
) -> Path:
    """Write a runfile of a toolkit; return its path.

    Parameters
    ----------
    path
        Of the file.
    version
        Decides the form inside, "9.2.148".
    parts
        Name of the part → its files.
    level
        Of gzip.
    """
    major, minor = (int(each) for each in version.split(".")[:2])
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        folder = Path(place)
        trees = []
        if (major, minor) <= (10, 0):
            inner = folder / f"cuda-linux.{version}-24330188.run"
            merged = _merged(folder / "merged", parts)
            (merged / "install-linux.pl").write_text("# a double\n", "utf-8")
            _write(inner, {".": merged}, version, "./install-linux.pl", {}, level)
            entries = {"run_files/" + inner.name: inner}
            trees = ["run_files"]
        elif major == 10:
            merged = _merged(folder / "merged", parts)
            targets = merged / "targets" / "x86_64-linux"
            targets.mkdir(parents=True)
            for name, link in (("include", "include"), ("lib", "lib64")):
                (merged / link).rename(targets / name)
                (merged / link).symlink_to(f"targets/x86_64-linux/{name}")
            entries = {"builds/cuda-toolkit": merged}
            trees = ["builds/cuda-toolkit"]
        else:
            entries = {f"builds/{part}": files for part, files in parts.items()}
            trees = list(entries)
        driver = "NVIDIA-Linux-x86_64-455.32.00.run"
        installer = INSTALLER.replace("@MINOR@", f"{major}.{minor}").replace(
            "@TREES@", " ".join(trees)
        )
        files = {"cuda-installer": installer.encode(), driver: DRIVER}
        if entries.keys() & {"builds/cuda-toolkit"} or major > 10:
            files[f"builds/{driver}"] = DRIVER
        _write(path, entries, version, "./cuda-installer", files, level)
    return path


def _merged(folder: Path, parts: Mapping[str, Path]) -> Path:
    """Put the parts into one tree, as old toolkits have it: ``lib64``, not ``lib``."""
    for files in parts.values():
        shutil.copytree(files, folder, dirs_exist_ok=True, symlinks=True)
    if (folder / "lib").is_dir():
        (folder / "lib").rename(folder / "lib64")
    return folder


def _write(  # noqa: PLR0913, PLR0917 (once)
    path: Path,
    entries: Mapping[str, Path],
    version: str,
    script: str,
    files: Mapping[str, bytes],
    level: int,
) -> None:
    """Write one makeself archive."""
    packed = path.with_suffix(".payload")
    with tarfile.open(packed, "w:gz", compresslevel=level) as tar:
        for name, source in entries.items():
            tar.add(source, arcname=f"./{name}")
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    with packed.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    head = (
        HEAD.replace("@MD5@", digest.hexdigest())
        .replace("@VERSION@", version)
        .replace("@SCRIPT@", script)
        .replace("@SIZE@", str(packed.stat().st_size))
    )
    head = head.replace("@LINES@", str(head.count("\n")))
    with path.open("wb") as out, packed.open("rb") as stream:
        out.write(head.encode())
        shutil.copyfileobj(stream, out)
    packed.unlink()
    path.chmod(0o755)
