"""Plans, as a person reads them: whole texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Options
from colabmagic.cuda.report import choices
from tests.cuda.planning.machines import FOLDER, load, names

FIXTURE = FOLDER.parent / "cuda_reports.txt"
INSTALL = "python -P -m pip install"
# Machine, version, method.
CASES = (
    "colab_t4 11.1",
    "colab_t4 12.8",
    "colab_t4 13.0",
    "kaggle_p100 13.0",
    "debian12_cpu 11.1",
    "colab_t4 12.4 apt",
    "wsl_rtx4070 13.0",
)


def text_of(machine: str, wanted: str, body: str = "", **options: object) -> str:
    """Return the text of a plan."""
    facts = load(machine)
    made = make_plan(wanted, body, facts, Options(**options))  # type: ignore[arg-type]
    return made.text.replace(str(FOLDER.parents[2]), "…")


@pytest.mark.parametrize("case", CASES)
def test_whole_texts(case: str) -> None:
    """What it takes, the ways with their reasons, what runs, and the machine."""
    machine, wanted, *rest = case.split()
    method = rest[0] if rest else "auto"
    options = {"method": method, "system": method == "apt", "yes": method == "apt"}
    expected = (
        FIXTURE.read_text("utf-8").partition(f"## {case}\n")[2].partition("\n## ")
    )
    text = text_of(machine, wanted, **options)
    assert text == expected[0].strip("\n"), f"write into {FIXTURE.name}:\n\n{text}\n"


def test_a_version_that_never_was() -> None:
    """There is no table where there are no ways."""
    assert text_of("colab_t4", "12.7").splitlines()[:6] == [
        "CUDA 12.7: not possible here  nothing is fetched, nothing changes",
        "  Why     CUDA 12.7 was never released [E01]",
        "  Seen    NVIDIA went from 12.6 to 12.8",
        "  Fix",
        "      %cuda_install 12.8",
        "here: Ubuntu 22.04.5 LTS   Python 3.13   glibc 2.35   g++ 11.4",
    ]


def test_an_old_torch_on_a_new_colab() -> None:
    """Each other way is parted by a word; a cell of two lines stays two lines."""
    text = text_of("colab_t4", "11.1", "torch==1.10.1\n")
    assert (
        "      %%cuda_install 11.8\n"
        "      torch==2.5.1\n"
        "          or\n"
        "      %%cuda_install 12.1\n"
        "      torch==2.5.1\n"
        "          or\n"
        "      !uv venv --python 3.9 ~/torch-1.10.1\n"
    ) in text
    assert "way " not in text  # no way is at fault


def test_what_is_brought_and_what_changes() -> None:
    """A g++ that comes along is told, and that pip changes this Python."""
    text = text_of("colab_t4", "12.4", "torch")
    assert (
        "  Note    This changes outside our folder: packages of this Python (pip).\n"
        in text
    )
    assert f"      {INSTALL} --no-input" in text
    text = text_of("debian12_cpu", "11.1")
    assert (
        "g++ 10 is put beside it (Debian 11): this CUDA does not take g++ 12"
    ) in " ".join(text.split())
    text = text_of("no_compiler_slim", "13.0")
    assert "g++ 12 is put beside it (Debian 12): there is none here." in text
    assert (
        "      # apt-get update" in text
    )  # in a state of its own: nothing to be copied


def test_root_is_told() -> None:
    """What runs as root says so."""
    text = text_of("colab_t4", "12.4", system=True, method="apt", yes=True)
    assert "as root" in text.replace("\n", " ").partition("Note")[0]
    assert "\n      DEBIAN_FRONTEND=noninteractive apt-get install -y " in text


@pytest.mark.parametrize("machine", names())
@pytest.mark.parametrize("wanted", ["9.2", "11.8", "12.8", "13.0", "torch", "auto"])
def test_each_text_fits_a_page(machine: str, wanted: str) -> None:
    """Only what can be typed, and addresses, are longer than a line; HTML has it too."""
    made = make_plan(wanted, "", load(machine))
    for line in made.text.splitlines():
        assert len(line) <= 80 or line.startswith("      "), line
    assert "None" not in made.text
    assert "Fix" not in made.text or made.problems or made.warnings
    assert ("<strong>What runs</strong>" in made.html) is made.can_run


def test_foreign_text_does_no_harm() -> None:
    """What a user, or a machine, writes is escaped."""
    facts = replace(load("colab_t4"), os_name="<b>x</b>\x1b[31m")
    made = make_plan("<script>1</script>", "", facts)
    assert "<script>" not in made.html
    assert "<b>" not in made.html
    assert "\x1b" not in made.text


def test_a_second_step_is_no_other_way() -> None:
    """What follows a compiler, or uv, belongs to it; a whole line of ours needs no more."""
    steps = ("!sudo apt-get install -y g++-11", "%cuda_install 11.4")
    assert list(choices(steps)) == list(steps)
    steps = ("%pip install uv", "!uv venv --python 3.9 ~/old")
    assert list(choices(steps)) == list(steps)
    others = ("%cuda_install 12.9", "update this computer's driver to 580 or newer")
    assert list(choices(others)) == [others[0], "or", others[1]]
