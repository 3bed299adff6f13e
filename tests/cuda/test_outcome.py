"""What was done, as data and as a person reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.outcome import Done, Outcome, Toolkits, Verified
from colabmagic.cuda.packages.record import Change, Record
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.store.inventory import Installed
from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.report.model import Unknown
from tests.cuda.planning.machines import load

if TYPE_CHECKING:
    from colabmagic.report.document import Document

ROOT = "/data/cuda/13.0.3"
KEYS = {
    "schema",
    "version",
    "build",
    "method",
    "root",
    "ladder",
    "proven_at",
    "variables",
    "packages",
    "fetched_bytes",
    "notes",
    "seconds",
    "plan",
}
PLAN_KEYS = {
    "schema",
    "can_run",
    "wanted",
    "release",
    "method",
    "basis",
    "steps",
    "afterwards",
    "outside",
    "problems",
    "warnings",
    "candidates",
    "compiler",
    "packages",
    "options",
    "machine",
}


def rung(name: str, verdict: str = "ok", why: str = "It is.", **more: str) -> Rung:
    """Return a rung."""
    return Rung(name=name, verdict=verdict, why=why, seconds=0.5, **more)


def ladder(*rungs: Rung) -> Ladder:
    """Return a ladder of this root."""
    return Ladder(root=ROOT, build="13.0.88", rungs=rungs)


WITHOUT_GPU = ladder(
    rung("files"),
    rung("version", why="CUDA 13.0.88."),
    rung("cubin", why="Code for sm_75."),
    rung("run", "no driver", "Built, linked and started."),
    rung("flags"),
    rung("gpu", "no driver"),
    rung("ptx", "no driver"),
)


def outcome(machine: str = "debian12_cpu", **parts: Any) -> Outcome:  # noqa: ANN401
    """Return an outcome with some parts changed."""
    plan = make_plan("13.0", "", load(machine))
    values: dict[str, Any] = {
        "root": Path(ROOT),
        "ladder": WITHOUT_GPU,
        "seconds": 11.2,
    }
    return Outcome(plan=plan, **{**values, **parts})


def test_a_fresh_one() -> None:
    """One headline, what was tried, and what to type."""
    assert outcome(fetched_bytes=104_500_000).text == (
        "CUDA 13.0.3: is installed  it compiles and links; there is no GPU here to run\n"
        "on, 11.2 s, 104.5 MB fetched\n"
        "tried                verdict    what was seen\n"
        "files and hashes     ok         It is.\n"
        "nvcc --version       ok         CUDA 13.0.88.\n"
        "compile for the GPU  ok         Code for sm_75.\n"
        "link and run         no driver  Built, linked and started.\n"
        "  Next\n"
        "      !nvcc --version\n"
        "      %cuda_install --rollback   # takes it back\n"
        f"CUDA_HOME {ROOT}"
    )


def test_one_that_was_here() -> None:
    """What was proven before takes one line; what the plan warns of is told."""
    made = outcome("colab_t4", proven_at=1_800_000_000.0, seconds=0.1)
    plan = make_plan("12.8", "", load("colab_t4"))
    assert plan.is_reuse
    made = Outcome(
        plan=plan,
        root=Path("/usr/local/cuda-12.8"),
        ladder=WITHOUT_GPU,
        proven_at=1_800_000_000.0,
        seconds=0.1,
    )
    lines = made.text.splitlines()
    assert lines[0].startswith("CUDA 13.0.88: is here already  it compiles and links;")
    assert "nothing has changed since" in made.headline
    assert "tried " not in made.text.splitlines()[2]
    assert lines[-3:] == [
        "  Next",
        "      !nvcc --version",
        "CUDA_HOME /usr/local/cuda-12.8",
    ]


def test_packages_beside_one_that_was_here() -> None:
    """They can be taken back, so that is told."""
    plan = make_plan("12.8", "numpy", load("colab_t4"))
    made = Outcome(plan=plan, root=Path("/usr/local/cuda-12.8"), ladder=None)
    assert "      %cuda_install --rollback   # takes it back\n" in made.text


def test_on_a_gpu() -> None:
    """The headline says how far the proof goes."""
    proven = ladder(rung("cubin"), rung("run"), rung("gpu", why="Right."), rung("ptx"))
    made = outcome("colab_t4", ladder=proven)
    assert "it computes on the GPU" in made.headline
    assert "compute on the GPU" in made.text


def test_what_did_not_pass_and_is_not_its_fault() -> None:
    """It is a warning, with a command on a line of its own."""
    failed = rung(
        "ptx",
        "failed",
        "The driver compiles no PTX of it.",
        code="E15",
        seen="CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
        fix="nvcc -arch=sm_75   so that no PTX is needed",
    )
    assert (
        "  Warning PTX on this driver: The driver compiles no PTX of it. [E15]\n"
        "  Seen    CUDA_ERROR_UNSUPPORTED_PTX_VERSION\n"
        "  Fix\n"
        "      nvcc -arch=sm_75\n"
        "          (so that no PTX is needed)\n"
    ) in outcome(ladder=ladder(rung("run"), failed)).text


def test_packages() -> None:
    """What pip did is told in short, and a restart only where it is needed."""
    changes = tuple(
        Change(name=f"p{number}", before=None, after="1") for number in range(8)
    )
    quiet = outcome(packages=Record(before=(), changes=changes)).text
    assert "pip has installed: p0 (new) → 1; " in quiet
    assert "and 2 more" in quiet.replace("\n          ", " ")
    assert "restart" not in quiet
    loud = outcome(packages=Record(before=(), changes=changes, restart=("p0",))).text
    assert (
        "  Warning this kernel still works with the old p0 [restart-needed]\n" in loud
    )
    assert outcome(packages=Record(before=(), changes=())).text == outcome().text


DOCUMENTS: tuple[Document, ...] = (
    outcome(
        packages=Record(
            before=("x==1",),
            changes=(Change(name="x", before="1", after="2"),),
            restart=("x",),
        ),
        variables={"PATH": "/data/bin:/home/me/bin", "CUDA_HOME": ROOT},
    ),
    make_plan("12.4", "torch\nnumpy<2", load("colab_t4")),
    make_plan("12.7", "", load("colab_t4")),
    Verified(ladder=WITHOUT_GPU),
    Toolkits(
        ours=(
            Installed(
                name="13.0.3",
                build="13.0.88",
                method="wheels",
                installed=1.0,
                root=ROOT,
            ),
        ),
        others=(Toolkit(root="/usr/x", build=Unknown("why"), origin="system"),),
        active=ROOT,
        folder="/data",
    ),
    Done(title="CUDA", verdict="done", typed=("%cuda_install --list",)),
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_each_is_json(document: Document) -> None:
    """What is written is what is read; each has the number of its schema."""
    plain = document.to_dict()
    assert json.loads(document.to_json()) == plain
    assert plain["schema"] == 1
    bundle = document._repr_mimebundle_()
    assert bundle[document.mime_type] == plain
    assert bundle["text/plain"] == document.text


def test_the_schema() -> None:
    """Names that scripts read: where one goes, or changes its meaning, count it up."""
    plain = DOCUMENTS[0].to_dict()
    assert set(plain) == KEYS
    assert set(plain["plan"]) == PLAN_KEYS
    assert plain["version"] == "13.0.3"
    assert plain["ladder"]["ok"] is True
    assert plain["variables"] == {"PATH": "/data/bin", "CUDA_HOME": ROOT}
    assert plain["packages"]["restart"] == ["x"]
    assert set(DOCUMENTS[2].to_dict()) == PLAN_KEYS


def test_a_ladder_alone() -> None:
    """``--verify`` tells the first rung that failed."""
    broken = Verified(ladder=ladder(rung("files", "failed", "Gone.", fix="%x")))
    assert not broken.ok
    assert broken.headline == "CUDA 13.0.88: fails: files and hashes"
    assert Verified(ladder=WITHOUT_GPU).text.splitlines()[-1] == (
        f"CUDA_HOME {ROOT}   checked in 3.50 s"
    )


def test_a_list() -> None:
    """Ours and others; what is in use is marked; next is what can be done."""
    assert DOCUMENTS[4].text == (
        "CUDA toolkits: 1 in our folder, 1 of others\n"
        "version          from             size     where\n"
        "13.0.3 (in use)  NVIDIA's wheels  0 bytes  /data/cuda/13.0.3\n"
        "unknown          system                    /usr/x\n"
        "  Next\n"
        "      %cuda_install --verify 13.0.3\n"
        "      %cuda_install --uninstall 13.0.3\n"
        "our folder /data   downloads kept 0 bytes"
    )
    assert Toolkits(folder="/data").text == (
        "CUDA toolkits: none is here\n"
        "  Next\n"
        "      %cuda_install auto\n"
        "our folder /data   downloads kept 0 bytes"
    )
