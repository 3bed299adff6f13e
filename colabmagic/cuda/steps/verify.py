"""The step that proves by compiling that the toolkit works, before it gets its name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from colabmagic.cuda.errors import CudaError
    from colabmagic.cuda.steps.base import Step, Work
    from colabmagic.cuda.verifying.ladder import Ladder, Rung
    from colabmagic.cuda.verifying.proof import Proofs

VERIFIED: Final = "verified.json"  # beside the toolkit's card: the whole ladder
# How far a ladder was climbed, the highest first: what is proven higher holds below.
_HEIGHTS: Final = ("extension", "ext", "cubin")
_EXT: Final = ("torch", "ext")
_OF_SESSION: Final = frozenset({"library", "flags"})
_PTX_TOO_NEW: Final = "E15"
_AGAIN: Final = (
    "run the cell again, or --method NAME for another way: all was taken back"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Climb the ladder up to link and run, and on the GPU where there is one.

    A toolkit that is here already, and that has passed, only tells its version, as long
    as nothing has changed that its proof rests on.

    Attributes
    ----------
    build
        What nvcc shall say: "13.0.88", or "13.0".
    capability
        Of the GPU: 75 for 7.5; None: none is here.
    ext
        Whether a PyTorch extension is built as well.
    root
        Of a toolkit that is there already; None: the one that is being made.
    variables
        What a toolkit that is there already wants in the environment, by pairs.
    until
        The last rung to try; "cubin" proves within a second that it compiles, "ext" (all
        of them) in some seconds that programs run.
    """

    kind: ClassVar[str] = "verify"

    build: str
    capability: int | None = None
    ext: bool = False
    root: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    until: str = "ext"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return that nothing changes outside of our folder."""
        return ()

    def lines(self) -> Sequence[str]:
        """Return what a person sees in the plan."""
        arch = "a common GPU" if self.capability is None else f"sm_{self.capability}"
        where = f" of {self.root}" if self.root is not None else ""
        more = "" if self.until == "cubin" else ", link, run"
        told = f"verify{where}: nvcc --version tells {self.build}, compile for {arch}{more}"
        return (told, "build and call a PyTorch extension") if self.ext else (told,)

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def do(self, work: Work) -> None:
        """Carry it out; the ladder stays in ``verified.json``.

        Raises
        ------
        CudaError
            A rung of the toolkit itself failed; the class is that of its code.
        """
        from colabmagic.cuda.switching import environment  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.verifying.proof import Proofs, key_of  # noqa: PLC0415 (lazy)

        root = work.staging if self.root is None else Path(self.root)
        own = {**work.environment, **dict(self.variables)}
        user = environment.without_ours()
        proofs = Proofs.below(work.home.toolkits)

        def key(height: str) -> str | None:
            return key_of(
                root, own=own, user=user, capability=self.capability, until=height
            )

        wanted = _HEIGHTS.index("extension" if self.ext else self.until)
        if self.root is not None:
            for height in _HEIGHTS[: wanted + 1]:
                if self._was_proven(work, proofs, key(height), own, user):
                    return
        ladder = self._climb(work, root, own, user)
        broken = ladder.broken
        if broken is None and self.ext:  # then PyTorch has to pass as well
            broken = next(
                (r for r in ladder.rungs if r.failed and r.name in _EXT), None
            )
        if broken is not None:
            error = error_of(broken)
            if self.root is not None and "--uninstall" in broken.fix:
                error.hint = self._instead(work)  # it is here, and stays as it is
            raise error
        found = key(_HEIGHTS[wanted])
        if found is not None and all(map(_lasts, filter(_failed, ladder.rungs))):
            proofs.keep(found, ladder)
        work.progress.finish(_summary(ladder))

    def _instead(self, work: Work) -> str:
        """Return what to type where a toolkit that is here does not pass."""
        assert self.root is not None
        root = Path(self.root)
        if root.parent == work.home.toolkits:
            return f"%cuda_install --uninstall {root.name}\n%cuda_install {root.name}"
        minor = ".".join(self.build.split(".")[:2])
        return (
            f"%cuda_install --plan {minor}\n"
            "(names the other ways; add --method and the name of one)"
        )

    def _was_proven(
        self,
        work: Work,
        proofs: Proofs,
        key: str | None,
        own: dict[str, str],
        user: dict[str, str],
    ) -> bool:
        """Take the proof of an earlier time, if there is one that still holds."""
        from colabmagic.cuda.verifying.proof import confirmed  # noqa: PLC0415 (lazy)

        assert self.root is not None
        root = Path(self.root)
        proof = proofs.find(key, root) if key is not None else None
        if proof is None:
            return False
        scene = {"root": root, "own": own, "user": user}
        work.ladder = confirmed(proof, scene, work.run)
        work.proven_at = proof.at if work.ladder is not None else None
        return work.ladder is not None

    def _climb(
        self, work: Work, root: Path, own: dict[str, str], user: dict[str, str]
    ) -> Ladder:
        """Try it, rung by rung; what came out stays beside the toolkit."""
        import json  # noqa: PLC0415 (when it is used)

        from colabmagic.cuda.verifying import verify_toolkit  # noqa: PLC0415

        work.progress.start("verifying by compiling")
        ladder = verify_toolkit(
            root,
            build=self.build,
            capability=self.capability,
            run=work.run,
            own=own,
            user=user,
            until=self.until,
            ext=self.ext,
            torch=self.ext,
            hashes=False,  # they were taken a moment ago, or it is another's
        )
        work.ladder = ladder
        if self.root is None:
            (root / VERIFIED).write_text(
                json.dumps(ladder.to_dict(), indent=1), encoding="utf-8"
            )
        return ladder

    def undo(self) -> Sequence[Step]:
        """Return nothing: it changes nothing."""
        return ()


def _failed(rung: Rung) -> bool:
    """Tell whether a rung failed."""
    return rung.failed


def _lasts(rung: Rung) -> bool:
    """Tell whether what failed does so again while nothing of a proof's key changes.

    A GPU that fails may be busy; the user's variables and the driver are in the key.
    """
    return rung.name in _OF_SESSION or rung.code == _PTX_TOO_NEW


def error_of(rung: Rung) -> CudaError:
    """Return the error that a failed rung stands for.

    Parameters
    ----------
    rung
        Of a ladder.
    """
    from colabmagic.cuda import errors  # noqa: PLC0415 (when it is used)
    from colabmagic.cuda.report import typed  # noqa: PLC0415 (when it is used)

    classes = {
        each.code: each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.CudaError) and each.code
    }
    kind = classes.get(rung.code, errors.VerifyFailedError)
    return kind(
        f"The toolkit does not pass ({rung.title}): {rung.why}",
        seen=rung.seen or None,
        hint=_AGAIN if "--uninstall" in rung.fix else "\n".join(typed(rung.fix)),
    )


def _summary(ladder: Ladder) -> str:
    """Return how it ended, in one line."""
    told = [ladder.rung(name) for name in ("run", "ext")]
    words = [rung.why for rung in told if rung is not None]
    warned = [f"But: {rung.why}" for rung in ladder.rungs if rung.failed]
    return " ".join([*(words or ["It compiles."]), *warned])
