"""What can be done with toolkits, on folders of the test's own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic import cuda
from colabmagic.cuda import service
from colabmagic.cuda.errors import (
    BadVersionError,
    BusyError,
    CudaError,
    DiskFullError,
    GpuNotSupportedError,
    NeedsRootError,
    NoHostCompilerError,
    NotInstalledError,
    VerifyFailedError,
)
from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.planning.plan import Candidate, Options, Plan, Problem
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.publish import Publish
from colabmagic.cuda.steps.verify import Verify
from colabmagic.cuda.store.apply import Store
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.store.lock import locked
from colabmagic.cuda.switching import environment
from tests.cuda.planning.machines import load
from tests.cuda.store.scenario import Fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step, Work

FACTS = replace(load("debian12_cpu"), toolkits=())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Let everything lie in a folder of the test's own."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))
    yield Home(tmp_path / "home")
    environment.deactivate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """A step in which something goes wrong."""

    what: str

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "raise"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (self.what,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse."""
        return ()

    def do(self, work: Work) -> None:
        """Let it go wrong."""
        if self.what == "interrupt":
            raise KeyboardInterrupt
        if self.what == "full":
            raise OSError(28, os.strerror(28))
        work.fetched_bytes += 1000
        raise VerifyFailedError("it does not compile", seen="nvcc: killed", hint="%x")


def plan_of(version: str, *steps: Step, method: str = "wheels", **parts: Any) -> Plan:  # noqa: ANN401
    """Return a plan of these steps."""
    made = service.plan(version, facts=FACTS)
    assert made.release is not None
    steps = steps or (
        Fill(text=version),
        Publish(name=made.release.version, build=version, method="wheels"),
        Activate(),
    )
    chosen = Candidate(method=method, why="a test", steps=steps)
    return replace(made, chosen=chosen, problems=(), warnings=(), **parts)


def test_the_library_without_a_notebook() -> None:
    """``plan`` takes lines, or one text; it is pure."""
    one = cuda.plan("12.4", "numpy<2\nscipy", facts=FACTS)
    many = cuda.plan("12.4", ["numpy<2", "scipy"], facts=FACTS)
    assert one.to_dict() == many.to_dict()
    assert one.packages.requirements == ("numpy<2", "scipy")
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        cuda.nonesuch  # noqa: B018 (reading it is the test)


def test_this_machine_is_looked_at(home: Home) -> None:
    """Without facts, those of this machine are taken, and nothing is written."""
    made = cuda.plan("13.0")
    assert made.facts.python[0] == 3
    assert not home.root.exists()


def test_the_folder_of_the_cache_is_looked_into(home: Home, tmp_path: Path) -> None:
    """For kept toolkits, and only if it is named; one that cannot be used says why."""
    (tmp_path / "drive/toolkits").mkdir(parents=True)
    (tmp_path / "drive/toolkits/x.json").write_text("{}")
    made = cuda.plan("13.0", options=Options(cache=str(tmp_path / "drive")))
    (kept,) = made.facts.kept  # type: ignore[misc]  # it answers
    assert kept.problem == "its label cannot be read"
    assert f"{tmp_path}/drive/toolkits is not used: its label" in " ".join(
        each.why for each in made.candidates
    )
    assert not home.root.exists()


def test_install_list_use_rollback(home: Home) -> None:
    """The whole life of a toolkit."""
    path = os.environ["PATH"]
    outcome = cuda.install(plan_of("13.0"))
    root = home.toolkits / "13.0.3"
    assert outcome.root == root
    assert outcome.variables["CUDA_HOME"] == os.environ["CUDA_HOME"] == str(root)
    assert os.environ["PATH"] == f"{root}/bin:{path}"
    cuda.install(plan_of("12.9"))
    listed = service.overview(FACTS)
    assert [each.name for each in listed.ours] == ["13.0.3", "12.9.2"]
    assert listed.active == str(home.toolkits / "12.9.2")
    assert "12.9.2 (in use)" in listed.text
    assert service.use("13").summary == str(root)
    assert os.environ["CUDA_HOME"] == str(root)
    done = service.rollback()
    assert done.verdict == "taken back: install CUDA 12.9.2"
    assert os.environ["CUDA_HOME"] == str(root)  # it was not in use
    assert service.rollback().verdict == "taken back: install CUDA 13.0.3"
    assert "CUDA_HOME" not in os.environ
    assert os.environ["PATH"] == path
    with pytest.raises(NotInstalledError, match="nothing to take back"):
        service.rollback()
    assert service.overview(FACTS).ours == ()


def test_none_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set before us is set again."""
    monkeypatch.setenv("CUDA_HOME", "/opt/mine")
    cuda.install(plan_of("13.0"))
    assert service.use("none").summary == "CUDA_HOME is /opt/mine"
    assert os.environ["CUDA_HOME"] == "/opt/mine"


def test_a_toolkit_that_is_used_again_is_no_change(home: Home) -> None:
    """``--rollback`` takes the installation back, not that it was used since."""
    cuda.install(plan_of("13.0"))
    root = str(home.toolkits / "13.0.3")
    outcome = cuda.install(plan_of("13.0", Activate(root=root), method="reuse"))
    assert outcome.is_reused
    assert service.rollback().verdict == "taken back: install CUDA 13.0.3"
    assert not (home.toolkits / "13.0.3").exists()


def test_packages_for_a_toolkit_that_was_here(home: Home) -> None:
    """What is taken back is the packages: the toolkit stays, and is told by its name."""
    cuda.install(plan_of("13.0"))
    facts = replace(
        FACTS,
        toolkits=(
            Toolkit(root=str(home.toolkits / "13.0.3"), build="13.0.88", origin="ours"),
        ),
    )
    plan = cuda.plan("13.0", "numpy", facts=facts)
    assert plan.chosen is not None
    step = Activate(root=str(home.toolkits / "13.0.3"))
    plan = replace(
        plan,
        chosen=replace(plan.chosen, steps=(step,)),
        packages=replace(plan.packages, steps=(Fill(text="a"),)),
    )
    outcome = cuda.install(plan)
    assert outcome.text.startswith("CUDA 13.0.3: is here already")
    done = service.rollback()
    assert done.verdict == "taken back: install packages for CUDA 13.0.3"
    assert (home.toolkits / "13.0.3").exists()
    assert os.environ["CUDA_HOME"] == str(
        home.toolkits / "13.0.3"
    )  # as before the cell


def test_uninstall(home: Home) -> None:
    """It is gone, also from the environment, and cannot be taken back."""
    cuda.install(plan_of("13.0"))
    done = service.uninstall("13.0")
    assert done.verdict == "is gone"
    assert done.typed == ("%cuda_install 13.0.3",)
    assert done.summary.endswith(
        "freed; our own cache is empty: a later install fetches it, or takes it from "
        "--cache"
    )
    assert "CUDA_HOME" not in os.environ
    assert not (home.toolkits / "13.0.3").exists()
    with pytest.raises(NotInstalledError) as caught:
        service.rollback()
    assert str(caught.value) == (
        "uninstall CUDA 13.0.3 cannot be taken back | seen: its files are gone; what was "
        "fetched for it may be in the cache | try: %cuda_install 13.0.3"
    )


@pytest.mark.parametrize(
    ("act", "hint"),
    [
        (service.use, "%cuda_install 9.1"),
        (service.verify, "%cuda_install 9.1"),
        (service.uninstall, "%cuda_install --list"),
    ],
)
def test_what_is_not_here(act: Any, hint: str) -> None:  # noqa: ANN401
    """It is named, with what is here; who wants it gone is not told to install it."""
    cuda.install(plan_of("13.0"))
    with pytest.raises(NotInstalledError) as caught:
        act("9.1")  # no machine that runs this has it
    assert str(caught.value) == (
        f"CUDA 9.1 is not installed | seen: in our folder: 13.0.3 | try: {hint}"
    )


def test_a_cache_in_mydrive_is_on_drive_or_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A local folder of that name would go with the machine."""
    monkeypatch.chdir(tmp_path)
    options = Options(cache="MyDrive/kept")
    with pytest.raises(CudaError) as caught:
        cuda.plan("13.0", options=options)
    assert caught.value.seen == f"there is no {tmp_path}/MyDrive"
    assert caught.value.hint == (
        "give the whole path, such as --cache /content/drive/MyDrive/kept"
    )
    (tmp_path / "MyDrive").mkdir()
    assert cuda.plan("13.0", options=options).facts.kept == ()


@pytest.mark.parametrize("act", [service.use, service.uninstall])
@pytest.mark.parametrize("version", ["", " "])
def test_a_version_that_is_empty(act: Any, version: str) -> None:  # noqa: ANN401
    """It is neither all of them nor a toolkit without a name."""
    cuda.install(plan_of("13.0"))
    root = environment.active_root()
    with pytest.raises(NotInstalledError, match="does not say which CUDA"):
        act(version)
    assert environment.active_root() == root


def test_nothing_to_take_back_where_a_toolkit_is_used(tmp_path: Path) -> None:
    """Using one is no change of the folder; how to end that is told."""
    with pytest.raises(NotInstalledError) as caught:
        service.rollback()
    assert caught.value.hint == "%cuda_install --list"
    environment.activate(tmp_path, {})
    with pytest.raises(NotInstalledError) as caught:
        service.rollback()
    assert caught.value.hint.startswith("%cuda_install --use none\n")
    assert environment.active_root() == tmp_path


def test_what_is_kept_of_one_that_goes(home: Home) -> None:
    """The cache is spoken of where there is one."""
    cuda.install(plan_of("13.0"))
    home.cache.mkdir(parents=True, exist_ok=True)
    (home.cache / "kept").write_bytes(b"x")
    told = service.uninstall("13.0").summary
    assert told.endswith("a later install takes from the cache what is kept there")


def test_nothing_to_verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any toolkit it says where was looked."""
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match="no CUDA toolkit to verify"):
        service.verify()


def test_verify_finds_what_is_wrong(home: Home) -> None:
    """What our folder holds is tried; what does not run is told, and nothing raised."""
    cuda.install(plan_of("13.0"))
    verified = service.verify("13.0", facts=FACTS)
    assert not verified.ok
    assert verified.ladder.failed is not None
    assert verified.ladder.root == str(home.toolkits / "13.0.3")
    assert service.verify(facts=FACTS).ladder.failed is not None  # the one in use


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("verify", VerifyFailedError),
        ("full", DiskFullError),
        ("interrupt", KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_all_as_it_was(
    home: Home, what: str, kind: type[BaseException]
) -> None:
    """What is told says so."""
    cuda.install(plan_of("12.9"))
    steps = plan_of("13.0").steps
    with pytest.raises(kind) as caught:
        cuda.install(plan_of("13.0", steps[0], Raise(what=what), *steps[1:]))
    assert service.AS_BEFORE in str(getattr(caught.value, "seen", caught.value))
    assert [each.name for each in service.overview(FACTS).ours] == ["12.9.2"]
    assert os.environ["CUDA_HOME"] == str(home.toolkits / "12.9.2")
    assert not list(home.toolkits.glob(".staging-*"))
    assert cuda.install(plan_of("13.0")).root == home.toolkits / "13.0.3"


def test_an_interrupt_is_one_line() -> None:
    """It says what was stopped and how to go on."""
    with pytest.raises(KeyboardInterrupt) as caught:
        cuda.install(plan_of("13.0", Raise(what="interrupt")))
    (line,) = caught.value._render_traceback_()  # type: ignore[attr-defined]
    assert line == (
        "KeyboardInterrupt: stopped; everything is as it was before; what was fetched is "
        "kept. Run this cell again to go on"
    )


def test_plans_that_cannot_be_carried_out(home: Home) -> None:
    """They raise what stands against them, and touch nothing."""
    with pytest.raises(BadVersionError, match=r"12\.7 was never released"):
        cuda.install(cuda.plan("12.7", facts=FACTS))
    with pytest.raises(GpuNotSupportedError):
        cuda.install(cuda.plan("13.0", facts=load("kaggle_p100")))
    odd = replace(plan_of("13.0"), chosen=None)
    refused = Candidate(
        method="deb", why="", problem=Problem(code="E09", what="no way")
    )
    with pytest.raises(CudaError, match="no way"):
        cuda.install(replace(odd, candidates=(refused,)))
    with pytest.raises(CudaError, match="cannot be had here"):
        cuda.install(replace(odd, candidates=()))
    assert not home.root.exists()


def test_what_changes_the_system_needs_a_yes(tmp_path: Path) -> None:
    """The cell's own lines for pip need none: they were asked for."""
    step = Command(argv=("true",), what="x", changes=("packages of the system: x",))
    with pytest.raises(NeedsRootError) as caught:
        cuda.install(plan_of("13.0", step))
    assert caught.value.seen == "packages of the system: x"
    cuda.install(plan_of("13.0", step, options=Options(yes=True)))
    packages = cuda.plan("13.0", "numpy", facts=FACTS).packages
    assert packages.steps[0].outside
    service._refuse(plan_of("13.0", packages=packages))
    del tmp_path


def nvcc_in(root: Path, version: str = "13.0.88") -> None:
    """Write a program that tells a version as nvcc does, and compiles nothing."""
    (root / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("nvcc", "ptxas", "fatbinary", "nvlink", "cudafe++"):
        program = root / "bin" / name
        program.write_text(
            "#!/bin/sh\ncase $1 in --list-gpu-code) echo sm_75 ;;\n"
            f"--version) echo 'release {version[:4]}, V{version}' ;;\n*) exit 1 ;; esac\n"
        )
        program.chmod(0o755)


def test_a_proof_holds_until_something_changes(home: Home, tmp_path: Path) -> None:
    """The second time only the version is asked; a changed file is tried anew."""
    from colabmagic.cuda.verifying.ladder import Ladder, Rung
    from colabmagic.cuda.verifying.proof import Proofs, key_of

    root = tmp_path / "toolkit"
    nvcc_in(root)
    rung = Rung(name="version", verdict="ok", why="CUDA 13.0.88.", seconds=2.0)
    user = environment.without_ours()
    known = {"own": {}, "capability": None, "until": "ext"}
    key = key_of(root, user=user, **known)  # type: ignore[arg-type]
    assert key is not None
    proofs = Proofs.below(home.toolkits)
    proofs.keep(key, Ladder(root="x", build="13.0.88", rungs=(rung,)))
    step = Verify(build="13.0.88", root=str(root))
    plan = plan_of("13.0", step, Activate(root=str(root)), method="reuse")
    outcome = cuda.install(plan)
    assert outcome.proven_at is not None
    assert outcome.ladder is not None
    assert outcome.ladder.root == str(root)
    assert outcome.ladder.seconds < 2.0
    assert json.loads(outcome.to_json())["proven_at"] == outcome.proven_at
    os.utime(root / "bin" / "nvcc", (1, 1))
    assert key_of(root, user=user, **known) != key  # type: ignore[arg-type]
    with pytest.raises(CudaError):  # it is tried, and compiles nothing
        cuda.install(plan)


def test_a_failure_leaves_the_toolkit_in_use_that_was(home: Home) -> None:
    """Also where it fails after the new one was switched to: pip comes last."""
    cuda.install(plan_of("13.0"))
    used = {name: os.environ[name] for name in ("CUDA_HOME", "PATH", "CUDAHOSTCXX")}
    steps = plan_of("12.9").steps
    with pytest.raises(CudaError):
        cuda.install(plan_of("12.9", *steps, Raise(what="full")))
    assert {name: os.environ[name] for name in used} == used
    assert environment.active_root() == home.toolkits / "13.0.3"


def test_a_failure_leaves_the_systems_toolkit_in_use(tmp_path: Path) -> None:
    """It has no card of ours: what it wants is known to this kernel alone."""
    other = tmp_path / "cuda-12.8"
    other.mkdir()
    variables = {"NVCC_PREPEND_FLAGS": "-ccbin /usr/bin/g++-11"}
    environment.activate(other, variables)
    with pytest.raises(CudaError):
        cuda.install(plan_of("13.0", *plan_of("13.0").steps, Raise(what="full")))
    assert environment.active_root() == other
    assert os.environ["NVCC_PREPEND_FLAGS"] == variables["NVCC_PREPEND_FLAGS"]
    cuda.install(plan_of("13.0"))
    environment.activate(other, variables)
    service.rollback()
    assert os.environ["CUDA_HOME"] == str(other)
    assert os.environ["NVCC_PREPEND_FLAGS"] == variables["NVCC_PREPEND_FLAGS"]


def test_what_could_not_be_taken_back_is_said() -> None:
    """Nobody is told that all is as before when it is not; the next run tries again."""
    stuck = Command(argv=("true",), what="x", undo_argv=("false",))
    with pytest.raises(CudaError) as caught:
        cuda.install(plan_of("13.0", stuck, Raise(what="verify")))
    assert caught.value.seen == (
        "nvcc: killed; not all could be taken back (take back: x did not work): the next "
        "run tries that again"
    )


def test_an_interrupt_that_came_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is whole: nobody is told that nothing has changed."""

    def press(store: Store) -> None:
        if store.after.is_whole:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "_sweep", press)
    with pytest.raises(KeyboardInterrupt, match="done already; %cuda_install --rollb"):
        cuda.install(plan_of("13.0"))
    with pytest.raises(KeyboardInterrupt, match=r"CUDA 13\.0\.3 is gone already"):
        service.uninstall("13.0")
    assert environment.active_root() is None


def test_a_rollback_says_what_it_cannot_bring_back(home: Home) -> None:
    """A toolkit that was made anew, with other parts, has taken another's place."""
    cuda.install(plan_of("13.0"))
    cuda.install(plan_of("13.0"))
    done = service.rollback()
    assert done.summary.endswith("in the cache; the 13.0.3 before it is not kept")
    assert done.typed == ("%cuda_install 13.0.3",)
    assert not (home.toolkits / "13.0.3").exists()
    system = Activate(root="/usr/local/cuda-13.0")  # with packages, it is a change
    for _ in range(2):
        packages = Command(argv=("true",), what="x", changes=("packages",))
        made = plan_of("13.0", system, packages, method="reuse")
        cuda.install(replace(made, options=Options(yes=True)))
    assert service.rollback().typed == ("%cuda_install --list",)


def test_an_uninstall_that_cannot_be_leaves_it_in_use(home: Home) -> None:
    """Another kernel is at work: nothing changes here."""
    cuda.install(plan_of("13.0"))
    with locked(home), pytest.raises(BusyError):
        service.uninstall("13.0")
    assert environment.active_root() == home.toolkits / "13.0.3"


@pytest.mark.parametrize("name", ["a$(touch x)b", 'a"b', "a`b", "a\\b", "a\nb"])
def test_a_folder_whose_name_a_shell_would_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own folder nvcc puts into commands of a shell: it is told before anything."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / name))
    with pytest.raises(CudaError, match="hands it to a shell"):
        service.plan("13.0")
    assert not any(tmp_path.iterdir())


def test_a_home_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """``~nobody``: one clear error, for our folder and for the cache."""
    monkeypatch.setenv("COLABMAGIC_HOME", "~nobody-of-this-name/x")
    with pytest.raises(CudaError, match="where ~ leads"):
        service.overview(FACTS)
    monkeypatch.delenv("COLABMAGIC_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent/data")
    plan = plan_of("13.0", options=Options(cache="~nobody-of-this-name/x"))
    with pytest.raises(CudaError, match="where ~ leads") as caught:
        service.install(plan)
    assert caught.value.hint == "write the folder in full: --cache /a/folder"


def test_a_folder_at_which_path_is_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program would be found in it."""
    monkeypatch.setenv("COLABMAGIC_HOME", "/data/a:b")
    with pytest.raises(CudaError) as caught:
        service.overview(FACTS)
    assert caught.value.render()[:2] == [
        "CudaError: no program is found in a folder of this name: PATH is parted there",
        "  seen: /data/a:b has ':'",
    ]


def test_a_compiler_is_not_brought_where_nvcc_cannot_be_told_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is said before anything is fetched."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "my data"))
    with pytest.raises(NoHostCompilerError, match="has a space in it"):
        cuda.install(cuda.plan("11.1", facts=FACTS))
    assert not (tmp_path / "my data").exists()


def test_a_link_of_the_system_that_leads_nowhere_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Programs of others look there."""
    link = tmp_path / "cuda"
    monkeypatch.setattr(service, "SYSTEM_LINK", str(link))
    link.symlink_to(cuda.install(plan_of("13.0")).root or "")
    done = service.uninstall("13.0.3")
    assert done.summary.endswith(f"; {link} leads nowhere now")
    assert done.typed == ("%cuda_install 13.0.3", f"!rm {link}")
