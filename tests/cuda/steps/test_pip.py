"""A real pip, an index on loopback: what is installed, refused and taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    NoTorchWheelError,
    PackageInUseError,
    RequirementError,
    SourceUnreachableError,
)
from colabmagic.cuda.packages.sources import Source
from colabmagic.cuda.steps.pip import Family, PipInstall, outcome_of
from colabmagic.cuda.steps.registry import step_from_dict
from tests.fakes.wheel_index import WheelIndex, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work
    from tests.cuda.steps.conftest import Place

pytestmark = [pytest.mark.xdist_group("pip"), pytest.mark.timeout(240)]

TORCH = make_wheel("torch", "2.7.1+cu118", ["tinydep>=1"])
VISION = make_wheel("torchvision", "0.22.1+cu118", ["torch==2.7.1"])
PIN, VISION_PIN = "torch==2.7.1+cu118", "torchvision==0.22.1+cu118"
SECRET = "s3cr3t-pass"  # noqa: S105 (of this test)


def fill(index: WheelIndex) -> None:
    """Fill the index: each side has what the other must not give."""
    index.add("whl/cu118", TORCH, VISION, make_wheel("tinydep", "99.0"))
    index.add(
        "simple",
        make_wheel("torch", "9.9"),
        make_wheel("torchvision", "9.9"),
        make_wheel("tinydep", "1.0"),
        make_wheel("tinydep", "1.5"),
        make_wheel("timm", "1.0", ["torch>=2", "tinydep"]),
    )


def step_of(index: WheelIndex, place: Place, *rest: str, **more: Any) -> PipInstall:  # noqa: ANN401
    """Return a step that installs PyTorch from its index and the rest from pip's."""
    family = Family(
        source=Source(url=f"{index.url}/whl/cu118", is_flat=False),
        pins=(PIN, VISION_PIN),
    )
    fields: dict[str, Any] = {
        "family": family,
        "requirements": (PIN, VISION_PIN, *rest),
        "python": place.python,
    }
    return PipInstall(**{**fields, **more})


def all_text(step: PipInstall, work: Work) -> str:
    """Return everything that is shown, kept or told."""
    kept = "".join(
        path.read_text(errors="replace")
        for path in work.home.root.rglob("*")
        if path.is_file()
    )
    told = "\n".join(work.progress.lines)  # type: ignore[attr-defined]
    undo = "".join(str(dict(each.to_dict())) for each in step.undo())
    lines = "\n".join(step.lines())
    return "\n".join([kept, told, undo, lines, repr(step), json.dumps(step.to_dict())])


def test_each_package_comes_from_its_own_index(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """PyTorch's index serves PyTorch alone, although it has newer copies of others."""
    fill(index)
    step = step_of(index, place, "timm")
    step.do(work)
    assert place.versions() == {
        "torch": "2.7.1+cu118",
        "torchvision": "0.22.1+cu118",
        "tinydep": "1.5",
        "timm": "1.0",
    }
    assert not index.asked("whl/cu118/tinydep")
    assert not any(path.endswith("9.9-py3-none-any.whl") for path in index.requests)
    outcome = outcome_of(step, work.home)
    assert outcome is not None
    assert [each.shown for each in outcome.changes] == [
        "timm (new) → 1.0",
        "tinydep (new) → 1.5",
        "torch (new) → 2.7.1+cu118",
        "torchvision (new) → 0.22.1+cu118",
    ]
    assert outcome.restart == ()
    assert work.progress.lines[0] == "pip: what would change"  # type: ignore[attr-defined]
    assert "pip install 4" in work.progress.lines  # type: ignore[attr-defined]
    assert work.progress.done == 4  # type: ignore[attr-defined]


def test_what_is_there_is_left_alone(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """The second time nothing changes, and PyTorch's index is not even asked."""
    fill(index)
    step = step_of(index, place)
    step.do(work)
    before = place.files()
    index.requests.clear()
    step.do(work)
    assert place.files() == before
    assert not index.asked("whl")
    assert work.progress.lines[-1] == "nothing: all is here already"  # type: ignore[attr-defined]


def test_undo_brings_everything_back(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """What was new goes, what was replaced is back, byte for byte."""
    fill(index)
    index.add("whl/cu121", make_wheel("torch", "2.1.0+cu121"))
    place.pip("--no-deps", "-i", f"{index.url}/whl/cu121", "torch==2.1.0+cu121")
    place.pip("tinydep==1.0")
    before = place.files()
    root = f"{index.url}/whl"
    step = step_of(index, place, "timm", "tinydep==1.5")
    (undo,) = step.undo()
    undo = replace(undo, root=root)  # type: ignore[type-var]
    step.do(work)
    assert place.versions()["torch"] == "2.7.1+cu118"
    undo.do(work)
    assert place.versions() == {"torch": "2.1.0+cu121", "tinydep": "1.0"}
    after = place.files()
    assert set(after) - set(before) <= {
        path for path in after if path.endswith(("REQUESTED", "INSTALLER"))
    }
    assert {path: after[path] for path in before if not path.endswith("RECORD")} == {
        path: data for path, data in before.items() if not path.endswith("RECORD")
    }
    assert outcome_of(step, work.home) is None
    undo.do(work)  # nothing is left to take back
    assert place.versions() == {"torch": "2.1.0+cu121", "tinydep": "1.0"}


def test_undo_after_a_refusal_changes_nothing(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """A step that changed nothing has nothing to take back."""
    fill(index)
    step = step_of(index, place, "no-such-package")
    with pytest.raises(RequirementError):
        step.do(work)
    index.requests.clear()
    for each in step.undo():
        each.do(work)
    assert place.versions() == {}
    assert index.requests == []


def test_an_imported_package_is_not_changed(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """The dry run finds what a dependency would change; it is refused whole."""
    fill(index)
    index.add("simple", make_wheel("wants-old", "1.0", ["tinydep==1.0"]))
    place.pip("tinydep==1.5")
    before = place.files()
    step = PipInstall(
        requirements=("wants-old",),
        imported=(("tinydep", "1.5"),),
        python=place.python,
    )
    with pytest.raises(PackageInUseError) as caught:
        step.do(work)
    assert str(caught.value) == (
        "this kernel has imported tinydep, and the cell would change it | seen: "
        "tinydep 1.5 → 1.0 | try: restart the kernel, then run this cell before all "
        "others; or add --yes to the first line, and restart afterwards"
    )
    assert place.files() == before
    assert outcome_of(step, work.home) is None
    willing = replace(step, yes=True)
    willing.do(work)
    outcome = outcome_of(willing, work.home)
    assert place.versions() == {"tinydep": "1.0", "wants-old": "1.0"}
    assert outcome is not None
    assert outcome.restart == ("tinydep",)
    assert work.packages == outcome
    willing.do(work)  # nothing is left to change, but the kernel still has the old one
    assert (work.packages.changes, work.packages.restart) == ((), ("tinydep",))


def test_passwords_are_used_and_never_shown(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """A private index lets pip in; its password is nowhere to be read."""
    index.add("private", make_wheel("hidden", "1.0"))
    index.need_login("private", "me", SECRET)
    address = f"http://me:{SECRET}@{index.netloc}/private"
    step = PipInstall(
        requirements=("hidden",),
        options=(f"--extra-index-url {address}",),
        python=place.python,
    )
    index.add("simple", make_wheel("other", "1.0"))
    step.do(work)
    assert place.versions() == {"hidden": "1.0"}
    assert SECRET not in all_text(step, work)
    assert f"--extra-index-url http://****@{index.netloc}/private" in all_text(
        step, work
    )


@pytest.mark.parametrize("what", ["refused", "missing", "url"])
def test_passwords_are_not_in_errors(
    what: str, index: WheelIndex, place: Place, work: Work
) -> None:
    """Nor does a failure tell them."""
    index.add("private", make_wheel("hidden", "1.0"))
    index.need_login("private", "me", "another one")
    address = f"http://me:{SECRET}@{index.netloc}/private"
    wheel = make_wheel("hidden", "1.0")
    if what == "url":
        requirements = (f"hidden @ {address}/hidden/{wheel.file}",)
        options: tuple[str, ...] = ()
    else:
        requirements = ("hidden" if what == "refused" else "no-such",)
        options = (f"--index-url {address}",)
    step = PipInstall(requirements=requirements, options=options, python=place.python)
    with pytest.raises(CudaError) as caught:
        step.do(work)
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(caught.value.render())
    assert SECRET not in all_text(step, work)
    assert place.versions() == {}


def mirror_step(
    mirror: WheelIndex, index: WheelIndex, place: Place, *, flat: bool = False
) -> PipInstall:
    """Return a step that takes PyTorch from a mirror and its checksums from PyTorch."""
    source = Source(
        url=f"{mirror.url}/pytorch/whl/cu118",
        is_flat=flat,
        official=f"{index.url}/whl/cu118",
    )
    return PipInstall(
        family=Family(source=source, pins=(PIN,)),
        requirements=(PIN,),
        python=place.python,
    )


@pytest.mark.parametrize("flat", [False, True])
def test_a_mirror_serves_and_pytorch_vouches(
    index: WheelIndex, place: Place, work: Work, *, flat: bool
) -> None:
    """The wheel comes from the mirror, its checksum from PyTorch."""
    fill(index)
    with WheelIndex() as mirror:
        (mirror.add_flat if flat else mirror.add)("pytorch/whl/cu118", TORCH)
        mirror.fault(TORCH, "pytorch/whl/cu118", "no_hash")
        mirror_step(mirror, index, place, flat=flat).do(work)
        assert any(path.endswith(".whl") for path in mirror.requests)
    assert place.versions()["torch"] == "2.7.1+cu118"
    assert not any(path.endswith(TORCH.file) for path in index.requests)


@pytest.mark.parametrize("fault", ["wrong_bytes", "wrong_hash"])
def test_a_mirror_with_another_file_is_refused(
    fault: str, index: WheelIndex, place: Place, work: Work
) -> None:
    """Neither another checksum nor another file is taken."""
    fill(index)
    with WheelIndex() as mirror:
        mirror.add("pytorch/whl/cu118", TORCH)
        mirror.fault(TORCH, "pytorch/whl/cu118", fault)
        step = mirror_step(mirror, index, place)
        with pytest.raises(ChecksumError) as caught:
            step.do(work)
    assert "sha" in (caught.value.seen or "").lower()
    assert "without --mirror" in caught.value.hint
    assert place.versions() == {}


def test_a_mirror_without_pytorch_at_hand(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """Where PyTorch does not answer, the mirror's own checksum is all there is."""
    fill(index)
    with WheelIndex() as gone:
        nobody = gone.url
    with WheelIndex() as mirror:
        mirror.add("pytorch/whl/cu118", TORCH)
        step = mirror_step(mirror, index, place)
        assert step.family is not None
        source = replace(step.family.source, official=f"{nobody}/whl/cu118")
        replace(step, family=replace(step.family, source=source)).do(work)
    assert place.versions()["torch"] == "2.7.1+cu118"


def test_servers_that_are_gone(
    index: WheelIndex, place: Place, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not answer is named, and nothing has changed."""
    monkeypatch.setenv("PIP_RETRIES", "1")  # pip is silent about the first failure
    fill(index)
    with WheelIndex() as gone:
        gone_source = Source(url=f"{gone.url}/whl/cu118", is_flat=False)
    step = step_of(index, place)
    assert step.family is not None
    lost = replace(step, family=replace(step.family, source=gone_source))
    with pytest.raises(SourceUnreachableError) as caught:
        lost.do(work)
    assert caught.value.what == "the index of PyTorch's wheels does not answer"
    index.stop()
    with pytest.raises(SourceUnreachableError) as caught:
        PipInstall(requirements=("timm",), python=place.python).do(work)
    assert caught.value.what == "a server that pip asks does not answer"
    assert place.versions() == {}


def test_a_download_that_is_cut(index: WheelIndex, place: Place, work: Work) -> None:
    """Half a wheel is no wheel, and nothing is half installed."""
    fill(index)
    index.fault(TORCH, "whl/cu118", "cut")
    place.pip("tinydep==1.5")
    before = place.files()
    with pytest.raises((SourceUnreachableError, ChecksumError)) as caught:
        step_of(index, place, "timm").do(work)
    assert caught.value.seen
    assert place.files() == before


def test_a_build_that_is_not_there(index: WheelIndex, place: Place, work: Work) -> None:
    """The index answers and has no such wheel for this Python."""
    index.add("whl/cu118", make_wheel("torch", "2.7.1+cu118", tag="cp27-none-any"))
    with pytest.raises(NoTorchWheelError) as caught:
        step_of(index, place).do(work)
    assert caught.value.what == f"there is no wheel of {PIN} for this Python"
    assert f"{index.url}/whl/cu118/torch/" in (caught.value.seen or "")


@pytest.mark.parametrize(
    ("requirement", "lines"),
    [
        (
            "nonesuch",
            (
                "pip finds no package nonesuch | seen: the index has none of this name for "
                "this Python | try: check its name; the one to type is on the package's "
                "own page"
            ),
        ),
        (
            "tinydep==7",
            "pip finds no tinydep==7 | seen: there are 1.0, 1.5 | try: tinydep==1.5",
        ),
    ],
)
def test_what_pip_does_not_find(
    requirement: str, lines: str, index: WheelIndex, place: Place, work: Work
) -> None:
    """The error names what there is."""
    fill(index)
    with pytest.raises(RequirementError) as caught:
        PipInstall(requirements=(requirement,), python=place.python).do(work)
    assert str(caught.value) == lines


def test_requirements_that_do_not_go_together(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """The conflict is quoted."""
    fill(index)
    index.add("simple", make_wheel("wants-old", "1.0", ["tinydep==1.0"]))
    step = PipInstall(requirements=("wants-old", "tinydep==1.5"), python=place.python)
    with pytest.raises(RequirementError) as caught:
        step.do(work)
    assert caught.value.what == "these requirements do not go together"
    assert "wants-old 1.0 depends on tinydep==1.0" in (caught.value.seen or "")


def test_offline_nothing_is_fetched(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """What is there goes through, what is missing is refused, and nobody is asked."""
    fill(index)
    place.pip("tinydep==1.0")
    index.requests.clear()
    work.offline = True
    PipInstall(requirements=("tinydep",), python=place.python).do(work)
    with pytest.raises(SourceUnreachableError, match="--offline was given"):
        PipInstall(requirements=("timm",), python=place.python).do(work)
    with pytest.raises(SourceUnreachableError, match="--offline was given"):
        step_of(index, place).do(work)
    assert index.requests == []


def test_hashes_of_the_cell_are_checked(
    index: WheelIndex, place: Place, work: Work
) -> None:
    """Pip compares the checksum that the cell names."""
    wheel = make_wheel("solo", "1.0")
    index.add("simple", wheel)
    bad = PipInstall(
        requirements=(f"solo==1.0 --hash=sha256:{'1' * 64}",), python=place.python
    )
    with pytest.raises(ChecksumError):
        bad.do(work)
    good = PipInstall(
        requirements=(f"solo==1.0 --hash=sha256:{wheel.sha256}",), python=place.python
    )
    good.do(work)
    assert place.versions() == {"solo": "1.0"}


def test_the_plan_shows_what_runs(place: Place, index: WheelIndex) -> None:
    """The lines of a step are its commands, with the files that they name."""
    lines = step_of(index, place, "timm").lines()
    assert lines == [
        (
            f"{place.python} -P -m pip install --no-input --progress-bar=off "
            "--find-links=torch-wheels.html --dry-run --report=report.json "
            "--requirement=requirements.txt"
        ),
        (
            f"{place.python} -P -m pip install --no-input --progress-bar=off "
            "--find-links=torch-wheels.html --constraint=found.txt "
            "--requirement=requirements.txt"
        ),
        f"with requirements.txt: {PIN}; {VISION_PIN}; timm",
        "with found.txt: the versions that the first command finds",
        f"with torch-wheels.html: {PIN}, {VISION_PIN} from {index.url}/whl/cu118 alone",
    ]


def test_the_commands_that_run_are_those_shown(
    index: WheelIndex, place: Place, work: Work, tmp_path: Path
) -> None:
    """But for the folder of their files."""
    fill(index)
    ran: list[list[str]] = []
    run = work.run

    def note(argv: list[str], **options: Any) -> Any:  # noqa: ANN401
        ran.append(list(argv))
        return run(argv, **options)

    work.run = note
    step = step_of(index, place)
    step.do(work)
    (dry,) = [argv for argv in ran if "--dry-run" in argv]
    bare = [
        f"{word.partition('=')[0]}={word.rpartition('/')[2]}"
        if "/colabmagic-" in word
        else word
        for word in dry
    ]
    assert " ".join(bare) == step.lines()[0]
    assert tmp_path.exists()


def test_a_step_is_plain_data(index: WheelIndex, place: Place) -> None:
    """It goes into a journal as JSON, and its undo does too."""
    step = step_of(index, place, "timm")
    assert json.loads(json.dumps(step.to_dict()))["pins"] == [PIN, VISION_PIN]
    assert step.kind == "pip"
    assert step.outside == ("packages of this Python (pip)",)
    (undo,) = step.undo()
    assert json.loads(json.dumps(undo.to_dict()))["token"] == step.token
    assert undo.undo() == ()
    assert step_from_dict(json.loads(json.dumps(undo.to_dict()))) == undo


def test_settings_of_pip_do_not_send_packages_elsewhere(
    index: WheelIndex, place: Place, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told to be installed is in this Python afterwards; nothing else is."""
    fill(index)
    elsewhere = work.staging.parent / "elsewhere"
    for name in ("TARGET", "PREFIX", "ROOT", "REPORT", "REQUIREMENT"):
        monkeypatch.setenv(f"PIP_{name}", str(elsewhere))
    monkeypatch.setenv("PIP_DRY_RUN", "1")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONUSERBASE", str(elsewhere))
    PipInstall(requirements=("tinydep",), python=place.python).do(work)
    assert place.versions() == {"tinydep": "1.5"}
    assert not elsewhere.exists()


def test_files_of_settings_do_not_either_and_their_index_is_asked(
    index: WheelIndex, place: Place, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's file and that of this Python: places do not count, all else does."""
    fill(index)
    elsewhere = work.staging.parent / "elsewhere"
    user = work.staging.parent / "config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text(
        f"[global]\nindex-url = {index.url}/simple\nuser = true\n"
        f"[install]\ntarget = {elsewhere}\nroot = {elsewhere}\n"
    )
    site = place.packages.parents[2] / "pip.conf"
    site.write_text(f"[install]\nprefix = {elsewhere}\n--dry_run = yes\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user.parent.parent))
    monkeypatch.setenv("HOME", str(work.staging.parent))
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.delenv("PIP_INDEX_URL")
    try:
        PipInstall(requirements=("tinydep",), python=place.python).do(work)
    finally:
        site.unlink()
    assert place.versions() == {"tinydep": "1.5"}
    assert index.asked("simple/tinydep")
    assert not elsewhere.exists()
