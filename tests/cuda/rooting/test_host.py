"""A g++ that was unpacked works from its folder, wherever that is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from colabmagic.cuda.errors import NoHostCompilerError
from colabmagic.cuda.rooting.host import (
    TRIPLETS,
    base_packages,
    compiler_packages,
    finish_compiler,
    lacks_programs,
    split_packages,
)
from tests.cuda.rooting.trees import fill, links

AMD64 = TRIPLETS["amd64"]
TELLS = '#!/bin/sh\necho "$0 $* own=$LD_LIBRARY_PATH"\n'
UNPACKED = {
    "usr/bin/x86_64-linux-gnu-g++-11": TELLS,
    "usr/bin/x86_64-linux-gnu-gcc-11": TELLS,
    "usr/bin/g++-11": "->x86_64-linux-gnu-g++-11",
    "usr/lib/gcc/x86_64-linux-gnu/11/cc1plus": "x",
    "usr/lib/gcc/x86_64-linux-gnu/11/libstdc++.so": "->../../../x86_64-linux-gnu/libstdc++.so.6",
    "usr/lib/gcc/x86_64-linux-gnu/11/libnone.so": "->../../../x86_64-linux-gnu/libnone.so.6",
}


def unpacked(folder: Path, more: dict[str, str] | None = None) -> Path:
    """Write what the packages of g++ 11 hold."""
    fill(folder, {**UNPACKED, **(more or {})})
    for path in (folder / "usr" / "bin").iterdir():
        path.chmod(0o755)
    return folder


def test_packages() -> None:
    """Their names, and those under which newer distributions keep the programs."""
    assert compiler_packages(11) == (
        "g++-11", "gcc-11", "cpp-11", "libgcc-11-dev", "libstdc++-11-dev",
    )  # fmt: skip
    assert split_packages(13, AMD64)[0] == "g++-13-x86-64-linux-gnu"
    assert "binutils-aarch64-linux-gnu" in base_packages(TRIPLETS["arm64"])


def test_the_launcher(tmp_path: Path) -> None:
    """It starts the compiler beside it, also after a move and through a link."""
    made = finish_compiler(unpacked(tmp_path / "host"), 11, AMD64)
    assert made == tmp_path / "host" / "bin" / "g++-11"
    moved = tmp_path / "a new place"
    (tmp_path / "host").rename(moved)
    told = subprocess.check_output(
        [moved / "bin" / "g++-11", "-c", "a b.cpp"],
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert told == (
        f"{moved}/bin/../usr/bin/x86_64-linux-gnu-g++-11 -c a b.cpp own={moved}/bin/../own\n"
    )


def test_open_links_lead_to_the_machine_or_go(tmp_path: Path) -> None:
    """Programs that are linked run with this machine's libraries."""
    folder = unpacked(tmp_path)
    finish_compiler(folder, 11, AMD64)
    system = Path("/usr/lib/x86_64-linux-gnu/libstdc++.so.6")
    found = links(folder)
    place = "usr/lib/gcc/x86_64-linux-gnu/11/lib"
    assert found.get(f"{place}stdc++.so") == (str(system) if system.exists() else None)
    assert f"{place}none.so" not in found


def test_a_whole_one(tmp_path: Path) -> None:
    """With its own C library it looks nowhere else; what it loads itself lies apart."""
    libraries = "usr/lib/x86_64-linux-gnu"
    folder = unpacked(tmp_path, {
        "usr/include/stdio.h": "",
        f"{libraries}/libstdc++.so.6": "own",
        f"{libraries}/libisl.so.23": "own",
    })  # fmt: skip
    text = finish_compiler(folder, 11, AMD64).read_text("utf-8")
    assert '--sysroot="$here/.." -B"$here/../usr/bin"' in text
    assert (folder / "own" / "libisl.so.23").is_file()
    assert (folder / libraries / "libstdc++.so.6").is_file()
    assert "11/libstdc++.so" in "".join(links(folder))


def test_names_only(tmp_path: Path) -> None:
    """Packages that hold names alone are seen, and are an error in the end."""
    fill(tmp_path, {"usr/bin/g++-13": "->x86_64-linux-gnu-g++-13"})
    assert lacks_programs(tmp_path)
    with pytest.raises(NoHostCompilerError) as caught:
        finish_compiler(tmp_path, 13, AMD64)
    assert caught.value.render() == [
        "NoHostCompilerError: The packages of g++ 13 hold no compiler.",
        "  seen: no usr/bin/x86_64-linux-gnu-g++-13 with a cc1plus",
        "  try:  !apt-get install -y g++-13",
        "        (then run the cell again)",
    ]
    fill(tmp_path, {"usr/libexec/gcc/x86_64-linux-gnu/13/cc1plus": "x"})
    assert not lacks_programs(tmp_path)
