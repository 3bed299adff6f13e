"""Tests for `colabmagic.cuda.methods.reuse`."""

from __future__ import annotations

from dataclasses import replace

from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.planning.plan import Options
from colabmagic.report.model import Unknown
from tests.cuda.methods.judge import fields, judge, kinds

SYSTEM = Toolkit(root="/usr/local/cuda-12.4", build="12.4.131", origin="system")
OURS = Toolkit(
    root="/data/cuda/12.4.1",
    build="12.4.99",
    origin="ours",
    variables=(("CUDAHOSTCXX", "/data/cuda/12.4.1/host/bin/g++-12"),),
)


def test_the_systems() -> None:
    """It is proven with the compiler that suits it, then used; nothing is fetched."""
    made = judge("reuse", "colab_t4", "12.8")
    assert kinds(made) == ["use-compiler", "verify", "activate"]
    assert fields(made, "verify")["root"] == "/usr/local/cuda-12.8"
    assert fields(made, "verify")["build"] == "12.8.93"
    assert fields(made, "verify")["capability"] == 75
    assert fields(made, "verify")["until"] == "ext"  # nobody has linked with it yet
    assert fields(made, "activate")["root"] == "/usr/local/cuda-12.8"
    assert (made.download_bytes, made.disk_bytes, made.basis) == (0, 0, "measured")


def test_ours_comes_first_with_its_own_compiler() -> None:
    """The variables of its card hold for the proof too."""
    made = judge("reuse", "colab_t4", "12.4", toolkits=(SYSTEM, OURS))
    assert kinds(made) == ["verify", "activate"]
    assert fields(made, "verify")["root"] == OURS.root
    assert made.steps[-1].to_dict()["variables"] == OURS.variables
    assert fields(made, "verify")["until"] == "cubin"  # it has run when it was made
    assert made.seconds == 1.0


def test_system_link() -> None:
    """--system points /usr/local/cuda to what is here."""
    made = judge("reuse", "colab_t4", "12.8", Options(system=True))
    assert fields(made, "system-link")["root"] == "/usr/local/cuda-12.8"


def test_none() -> None:
    """Another minor is no match, nor is one that does not tell."""
    made = judge("reuse", "colab_t4", "12.4")
    assert made.problem is not None
    assert made.problem.code == "E23"
    silent = Toolkit(root="/opt/cuda", build=Unknown("it is silent"), origin="path")
    assert not judge("reuse", "colab_t4", "12.4", toolkits=(silent,)).fits


def test_without_a_compiler() -> None:
    """Libraries alone, and wheels, which do not link by themselves."""
    bare = Toolkit(
        root="/v/nvidia/cu13", build="13.0", origin="wheels", has_compiler=False
    )
    made = judge("reuse", "colab_t4", "13.0", toolkits=(bare,))
    assert made.problem is not None
    assert made.problem.code == "E16"
    wheels = Toolkit(root="/v/nvidia/cu13", build="13.0.88", origin="wheels")
    made = judge("reuse", "colab_t4", "13.0", toolkits=(wheels,))
    assert made.problem is not None
    assert made.problem.code == "E16"


def test_no_host_compiler_for_it() -> None:
    """A compiler is not unpacked into what is not ours."""
    old = Toolkit(root="/usr/local/cuda-11.1", build="11.1.105", origin="system")
    made = judge("reuse", "colab_t4", "11.1", toolkits=(old,))
    assert made.problem is not None
    assert made.problem.code == "E04"


def test_libraries_that_it_has_not() -> None:
    """What ``--with`` asks for must be in it; if nothing has it, that is told."""
    bare = replace(SYSTEM, root="/usr/local/cuda-12.4")
    full = replace(SYSTEM, root="/opt/cuda-12.4", origin="path", parts=("cudnn",))
    wish = Options(parts=("cudnn",))
    made = judge("reuse", "colab_t4", "12.4", wish, toolkits=(bare, full))
    assert fields(made, "activate")["root"] == "/opt/cuda-12.4"
    made = judge("reuse", "colab_t4", "12.4", wish, toolkits=(bare,))
    assert not made.fits
    assert made.why == "/usr/local/cuda-12.4 has no cudnn"
