"""What compilers wrote, as captured, leads to the cause and to short words."""

from __future__ import annotations

import pytest

from colabmagic.cuda.verifying.words import cause_of, last_words
from colabmagic.host.command import CommandOutcome

GCC_TOO_NEW = """\
In file included from /x/13.0/bin/../include/cuda_runtime.h:83,
                 from <command-line>:
/x/13.0/bin/../include/crt/host_config.h:132:2: error: #error -- unsupported GNU version! \
gcc versions later than 11 are not supported! The nvcc flag '-allow-unsupported-compiler' \
can be used to override this version check; use at your own risk.
  132 | #error -- unsupported GNU version! gcc versions later than 11 are not supported!
      |  ^~~~~
"""
NO_SPACE = """\
<built-in>: fatal error: when writing output to /t/tmpxft_1.cpp1.ii: No space left on device
compilation terminated.
"""
NO_GCC = """\
gcc: No such file or directory
nvcc fatal   : Failed to preprocess host compiler properties.
"""


def ended(text: str, returncode: int | None = 1, **how: object) -> CommandOutcome:
    """Return how a program ended."""
    values = {"timed_out": False, "elapsed_s": 1.0, **how}
    return CommandOutcome(returncode=returncode, stdout="", stderr=text, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        (
            GCC_TOO_NEW,
            "E04",
            "The host compiler is too new: this nvcc takes g++ up to 11.",
        ),
        (
            "unsupported clang version! clang version must be less than 20 and greater",
            "E04",
            "The host compiler is too new: this nvcc takes clang below 20.",
        ),
        (NO_SPACE, "E08", "The disk is full."),
        (NO_GCC, "E05", "There is no host compiler: gcc is not found."),
        (
            "sh: 1: cudafe++: not found",
            "E20",
            "A part of the toolkit is missing: cudafe++.",
        ),
        (
            "sh: 1: /x/bin/../nvvm/bin/cicc: not found",
            "E20",
            "A part of the toolkit is missing: cicc.",
        ),
        (
            "gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory",
            "E05",
            "The host compiler does not work.",
        ),
        (
            "nvcc fatal   : Unsupported gpu architecture 'compute_61'",
            "E06",
            "This toolkit makes no code for sm_61.",
        ),
        (
            "nvcc fatal   : Value 'sm_120' is not defined for option 'gpu-architecture'",
            "E06",
            "This toolkit makes no code for sm_120.",
        ),
        (
            "nvcc fatal   : Could not open output file '/nowhere/tmpxft_00005275_0000000a'",
            "E20",
            "nvcc cannot write its temporary files to /nowhere.",
        ),
        (
            (
                "ptxas /t/a.ptx, line 9; fatal   : Unsupported .version 9.0; current version"
                " is '7.8'"
            ),
            "E20",
            "ptxas is of another toolkit than nvcc: it reads PTX 7.8, not 9.0.",
        ),
        (
            "/usr/bin/ld: cannot find -lcudadevrt: No such file or directory",
            "E20",
            "A library is missing or damaged: cudadevrt.",
        ),
        (
            "/usr/bin/ld: error: /x/lib64/libcudart_static.a: file too short",
            "E20",
            "A library is missing or damaged: libcudart_static.a.",
        ),
        ("", "E20", "nvcc failed with status 1."),
    ],
)
def test_causes(text: str, code: str, what: str) -> None:
    """Each has its code, one sentence, and something to type."""
    cause = cause_of(ended(text), "nvcc")
    assert (cause.code, cause.what) == (code, what)
    assert cause.fix


def test_ends_without_words() -> None:
    """Signals, limits and programs that do not start are told as what they are."""
    assert cause_of(ended("", -9), "nvcc").what == (
        "nvcc was killed by signal 9 (too little memory?)."
    )
    late = ended("", None, timed_out=True, elapsed_s=180.2)
    assert cause_of(late, "nvcc").what == (
        "nvcc did not end within 180 s and was stopped."
    )
    flood = ended("error: x\n" * 9, None, flooded=True)
    assert cause_of(flood, "nvcc").what == "nvcc printed without end and was stopped."
    foreign = ended("", None, error="[Errno 8] Exec format error: '/x/nvcc'")
    assert cause_of(foreign, "nvcc").code == "E02"
    gone = ended("", None, error="[Errno 2] No such file or directory: '/x/nvcc'")
    assert cause_of(gone, "nvcc").what == "nvcc cannot be started."


def test_the_last_telling_lines() -> None:
    """Echoed source, the flag that is no fix, and our folders are left out."""
    assert last_words(GCC_TOO_NEW, ["/x/13.0"]) == (
        "bin/../include/crt/host_config.h:132:2: error: #error -- unsupported GNU version!"
        " gcc versions later than 11 are not supported!"
    )
    assert last_words(NO_GCC) == (
        "gcc: No such file or directory / nvcc fatal   : Failed to preprocess host"
        " compiler properties."
    )
    assert last_words("") == ""


def test_no_more_than_three_lines() -> None:
    """However much is written, little is shown, and nothing that steers a terminal."""
    text = "\n".join(
        f"a.cu({n}): error: \x1b[31m{'x' * 1000}\x1b[0m" for n in range(50)
    )
    words = last_words(text)
    assert words.count(" / ") == 2
    assert len(words) < 800
    assert "\x1b" not in words
    assert words.startswith("a.cu(47)")
