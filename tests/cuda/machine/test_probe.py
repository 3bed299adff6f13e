"""Tests for `colabmagic.cuda.machine.probe`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.machine.facts import facts_to_dict
from colabmagic.cuda.machine.probe import probe_machine
from colabmagic.cuda.store.layout import Home
from colabmagic.gpu.sources.nvml import NvmlSource
from tests.cuda.machine.tree import Programs, program, toolkit

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.host.command import CommandOutcome


def no_library() -> Any:  # noqa: ANN401 (a module)
    """Return a pynvml without a driver behind it."""

    class NvmlError(Exception):
        """With pynvml's code for a library that is missing."""

        value = 12

    def init() -> None:
        raise NvmlError("NVML Shared Library Not Found")

    return types.SimpleNamespace(nvmlInit=init)


def test_a_machine(tmp_path: Path) -> None:
    """All that is there is found, and nothing is run."""
    toolkit(tmp_path / "usr/local/cuda-12.8", "12.8.93")
    program(tmp_path / "usr/bin/x86_64-linux-gnu-g++-11")
    (tmp_path / "usr/bin/g++-11").symlink_to("x86_64-linux-gnu-g++-11")
    program(tmp_path / "usr/bin/dpkg-deb")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=ubuntu\nVERSION_ID="22.04"\n')
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux 5.15-microsoft-standard-WSL2")
    programs = Programs()
    env = {"LD_LIBRARY_PATH": "/usr/lib64-nvidia", "KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    facts = probe_machine(
        Home(tmp_path / "home"),
        programs.run,
        env=env,
        sysroot=tmp_path,
        nvml=NvmlSource(no_library),
        site_packages=[],
    )
    assert programs.asked == []
    assert (facts.os_id, facts.os_version) == ("ubuntu", "22.04")
    assert facts.is_wsl
    assert facts.arch == platform.machine()
    assert facts.python == sys.version_info[:2]
    assert [each.build for each in facts.toolkits] == ["12.8.93"]
    assert [each.major for each in facts.compilers] == [11]
    assert (facts.driver, facts.gpus) == (None, ())
    assert facts.library_path == "/usr/lib64-nvidia"
    assert "dpkg-deb" in facts.tools
    json.dumps(facts_to_dict(facts))


def test_our_folder_is_that_of_the_environment(tmp_path: Path) -> None:
    """COLABMAGIC_HOME leads to what we have installed."""
    toolkit(tmp_path / "cuda/13.0.3", "13.0.88")
    facts = probe_machine(
        env={"COLABMAGIC_HOME": str(tmp_path)},
        run=Programs().run,
        sysroot=tmp_path / "none",
        nvml=NvmlSource(no_library),
        site_packages=[],
    )
    assert [each.origin for each in facts.toolkits] == ["ours"]


def test_it_never_raises(tmp_path: Path) -> None:
    """Whatever breaks, the rest is told."""

    def broken(*_: object, **__: object) -> CommandOutcome:
        raise RuntimeError("broken on purpose")

    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    program(tmp_path / "bin/g++")  # whose version has to be asked
    program(tmp_path / "bin/nvcc")
    for path in ("\0", f"/a\0b:{tmp_path / 'bin'}", str(tmp_path / "bin")):
        facts = probe_machine(
            Home(loop / "home"),
            broken,
            env={"PATH": path, "CXX": "g++\0", "CUDA_HOME": "\0"},
            sysroot=loop,
            nvml=NvmlSource(broken),
            site_packages=[loop, "\0"],
        )
        assert (facts.toolkits, facts.compilers) == ((), ())
        assert facts.driver is not None  # it is not known, which is not "none"
        assert facts.arch == platform.machine()


def test_this_machine() -> None:
    """A process of its own: no torch is imported, and nothing is started but nvcc."""
    code = (
        "import sys, json\n"
        "from colabmagic.cuda.machine.probe import probe_machine\n"
        "from colabmagic.cuda.machine.facts import facts_to_dict\n"
        "data = facts_to_dict(probe_machine())\n"
        "assert not {'torch', 'IPython', 'requests'} & set(sys.modules)\n"
        "print(json.dumps(data))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["arch"] == platform.machine()
    assert data["disk_free"]["home"] > 0
