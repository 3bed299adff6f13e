"""``/usr/local/cuda``: swapped in one step, and restorable."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import CudaError, NeedsRootError
from colabmagic.cuda.store.trouble import unwritable

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Step, Work

SYSTEM_LINK: Final = "/usr/local/cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemLink:
    """Let the whole system use the toolkit.

    Attributes
    ----------
    link
        Usually ``/usr/local/cuda``.
    root
        Of the toolkit; None: the one that this plan has made.
    """

    link: str = SYSTEM_LINK
    root: str | None = None

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "system-link"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return (f"{self.link} (a link; %cuda_install --rollback sets it back)",)

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"ln -sfn {self.root or '<the new toolkit>'} {self.link}",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse: where the link points to now."""
        target = leads_to(self.link)
        return (RestoreLink(link=self.link, target=target, set_to=self.root),)

    def do(self, work: Work) -> None:
        """Swap it; a real folder in its place is never touched."""
        root = self.root or (str(work.root) if work.root is not None else None)
        assert root is not None, "publish comes before system-link"
        point(Path(self.link), root)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreLink:
    """Let the link point to where it pointed before.

    Attributes
    ----------
    link
        The link.
    target
        As the link's own text says; None: there was no link.
    set_to
        Where we have let it point; None: to a toolkit in our folder.
    """

    link: str
    target: str | None
    set_to: str | None = None

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "restore-link"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return (self.link,)

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        if self.target is None:
            return (f"rm {self.link}",)
        return (f"ln -sfn {self.target} {self.link}",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse: there is none."""
        return ()

    def do(self, work: Work) -> None:
        """Set it back, where it is not so already, and nobody else has turned it."""
        link, now = Path(self.link), leads_to(self.link)
        if now == self.target or (now is not None and not self._is_ours(now, work)):
            return
        if self.target is not None:
            point(link, self.target)
        elif link.is_symlink():
            try:
                link.unlink()
            except OSError as error:
                raise _refused(link, error) from None

    def _is_ours(self, target: str, work: Work) -> bool:
        """Tell whether we have let the link point there."""
        if self.set_to is not None:
            return target == self.set_to
        return Path(target).parent == work.home.toolkits


def point(link: Path, target: str) -> None:
    """Let a link point elsewhere, in one step: it is never missing.

    Parameters
    ----------
    link
        The link; it is made if it is not there.
    target
        Its text.

    Raises
    ------
    NeedsRootError
        We may not.
    CudaError
        Something that is no link has the name.
    """
    if os.path.lexists(link) and not link.is_symlink():
        raise CudaError(
            f"{link} is a real folder, not a link",
            seen="it is left as it is",
            hint=f"leave --system out, or move it away yourself:\n"
            f"!mv {shlex.quote(str(link))} {shlex.quote(f'{link}.old')}",
        )
    beside = link.with_name(f".{link.name}-{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link)
    except OSError as error:
        raise _refused(link, error) from None


def leads_to(link: str) -> str | None:
    """Return the text of a link; None: there is no link.

    Parameters
    ----------
    link
        Its path.
    """
    try:
        return str(Path(link).readlink())
    except OSError:
        return None


def _refused(link: Path, error: OSError) -> CudaError:
    """Return the error for a link that cannot be changed."""
    if isinstance(error, PermissionError):
        return NeedsRootError(
            f"{link} cannot be changed",
            seen=f"{error.strerror}; user {os.geteuid()}",
            hint="leave --system out: this kernel and what it starts need it not",
        )
    return unwritable(link, error)
