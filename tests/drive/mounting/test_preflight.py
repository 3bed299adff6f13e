"""What is known of a mountpoint before anybody is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from colabmagic.drive.errors import (
    DriveMountError,
    MountpointError,
    MountPolicyError,
    MountUnsupportedError,
)
from colabmagic.drive.mounting import preflight
from colabmagic.drive.mounting.preflight import ColabFacts, Place, PlaceKind
from colabmagic.drive.watching.mounts import mountpoints

GOOD = ColabFacts(hostname=True, enterprise=False, credentials=True)
DRIVE = Path("/content/drive")


def place(kind: PlaceKind, **more: object) -> Place:
    """Return a place at the usual path."""
    return Place(path=DRIVE, kind=kind, **more)  # type: ignore[arg-type]


def refusal(facts: ColabFacts, at: Place) -> DriveMountError | None:
    """Judge in the order of a mount."""
    return (
        preflight.refuse_host(facts)
        or preflight.refuse_name(at.path)
        or preflight.refuse_place(at)
    )


@pytest.mark.parametrize("kind", [PlaceKind.ABSENT, PlaceKind.EMPTY])
def test_a_free_place_is_not_refused(kind: PlaceKind) -> None:
    """An absent or empty folder will do."""
    assert refusal(GOOD, place(kind)) is None


REFUSED: list[tuple[ColabFacts, Place, type[DriveMountError], list[str]]] = [
    (
        ColabFacts(hostname=True, enterprise=True, credentials=False),
        place(PlaceKind.EMPTY),
        MountPolicyError,
        [
            "MountPolicyError: Colab Enterprise does not mount Drive",
            "  seen: VERTEX_PRODUCT=COLAB_ENTERPRISE",
            "  try:  %mount_drive --mode api",
            "        (works without a mount, with --creds FILE of a service account)",
        ],
    ),
    (
        ColabFacts(hostname=False, enterprise=False, credentials=True),
        place(PlaceKind.EMPTY),
        MountUnsupportedError,
        [
            (
                "MountUnsupportedError: Drive can be mounted by Colab's means only on a machine "
                "of Colab"
            ),
            "  seen: /var/colab/hostname is not there",
            "  try:  %mount_drive --mode api",
            "        (works without a mount; --mode fuse where /dev/fuse is)",
        ],
    ),
    (
        ColabFacts(hostname=True, enterprise=False, credentials=False),
        place(PlaceKind.EMPTY),
        MountUnsupportedError,
        [
            (
                "MountUnsupportedError: this machine of Colab has nobody who gives out Drive's "
                "credentials"
            ),
            "  seen: the variable TBE_EPHEM_CREDS_ADDR is not set",
            "  try:  Runtime > Disconnect and delete runtime, then connect again",
            "        or",
            "        %mount_drive --mode api",
            "        (works without a mount)",
        ],
    ),
    (
        GOOD,
        place(PlaceKind.LINK, detail="/some\x1bwhere"),
        MountpointError,
        [
            "MountpointError: /content/drive is a link; Drive cannot be mounted at one",
            "  seen: it leads to '/some where'",
            "  try:  %mount_drive /content/drive --move-aside",
            "        which renames the link; or %mount_drive /content/gdrive",
        ],
    ),
    (
        GOOD,
        place(PlaceKind.FILE),
        MountpointError,
        [
            "MountpointError: /content/drive is a file; Drive needs a folder",
            "  try:  %mount_drive /content/drive --move-aside",
            "        which renames the file; or %mount_drive /content/gdrive",
        ],
    ),
    (
        GOOD,
        place(PlaceKind.FILES, names=("a", "b\n\x1b[31m"), more=7),
        MountpointError,
        [
            "MountpointError: /content/drive has files in it; Drive would hide them",
            "  seen: 'a', 'b [31m' and 7 more; often written while Drive was not mounted",
            "  try:  %mount_drive /content/drive --move-aside",
            "        which renames the folder, nothing is deleted",
        ],
    ),
    (
        GOOD,
        place(PlaceKind.UNREADABLE, detail="EIO Input/output error"),
        MountpointError,
        [
            "MountpointError: /content/drive cannot be looked at",
            "  seen: EIO Input/output error",
            "  try:  %mount_drive /content/gdrive",
            "        or look for the cause: %mount_drive --doctor",
        ],
    ),
    (
        GOOD,
        place(PlaceKind.ABSENT, parent_exists=False),
        MountpointError,
        [
            "MountpointError: the folder above /content/drive does not exist",
            "  try:  !mkdir -p /content",
            "        or %mount_drive /content/gdrive",
        ],
    ),
]


@pytest.mark.parametrize(
    ("facts", "at", "kind", "lines"),
    REFUSED,
    ids=[f"{kind.__name__}-{number}" for number, (*_, kind, _) in enumerate(REFUSED)],
)
def test_a_refusal_in_full(
    facts: ColabFacts, at: Place, kind: type[DriveMountError], lines: list[str]
) -> None:
    """Each says what is the matter, what was seen, and what to type."""
    error = refusal(facts, at)
    assert type(error) is kind
    assert error.render() == lines


@pytest.mark.parametrize(
    ("path", "words", "hint"),
    [
        ("/content/my disk", "a space in '/content/my disk'", "%mount_drive /content"),
        ("/", "a folder of its own", "%mount_drive /content/drive"),
        ("/content/a,b", "',' in", "%mount_drive /content/drive"),
        ("/content/$(reboot)", "'$' '(' ')'", "%mount_drive /content/drive"),
        ("/content/a;b", "';'", "%mount_drive /content/drive"),
        ("/content/a\nb", r"'\n'", "%mount_drive /content/drive"),
        ("/content/a*", "'*'", "%mount_drive /content/drive"),
        ("/content/drive/My Drive", "inside of Drive", "use /content/drive/MyDrive"),
        (
            "/mnt/g/MyDrive/x",
            "inside of Drive",
            "%mount_drive /mnt/g\n(then use /mnt/g/MyDrive)",
        ),
        (
            "/content/My Drive",
            "inside of Drive",
            "%mount_drive /content/drive\n(then use /content/drive/MyDrive)",
        ),
    ],
)
def test_a_name_that_will_not_do(path: str, words: str, hint: str) -> None:
    """Google's code writes the path into lines of bash; what is none is refused."""
    error = preflight.refuse_name(Path(path))
    assert error is not None
    assert words in str(error)
    assert hint in error.hint
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "path", ["/content/drive", "/content/MyDrive", "/mnt/Größe-2.1/тест", "/a/b_c@d"]
)
def test_a_name_that_will_do(path: str) -> None:
    """Letters of all alphabets are no trouble."""
    assert preflight.refuse_name(Path(path)) is None


def test_looking_at_places(tmp_path: Path) -> None:
    """What is there is told without following links."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    full = tmp_path / "full"
    full.mkdir()
    for number in range(8):
        (full / f"{number}.txt").touch()
    assert preflight.look(tmp_path / "none").kind is PlaceKind.ABSENT
    assert preflight.look(tmp_path / "folder").kind is PlaceKind.EMPTY
    assert preflight.look(tmp_path / "file").kind is PlaceKind.FILE
    assert preflight.look(tmp_path / "link").detail == "nowhere"
    found = preflight.look(full)
    assert (found.names[0], len(found.names), found.more) == ("0.txt", 5, 3)
    assert not preflight.look(tmp_path / "a/b").parent_exists
    assert not preflight.look(tmp_path / "file/b").parent_exists
    unreadable = preflight.look(tmp_path / ("x" * 300))
    assert unreadable.kind is PlaceKind.UNREADABLE
    assert unreadable.detail.startswith("ENAMETOOLONG")


def test_facts_of_a_machine(tmp_path: Path) -> None:
    """They are read from its files and variables."""
    assert preflight.colab_facts({}, tmp_path) == ColabFacts(
        hostname=False, enterprise=False, credentials=False
    )
    (tmp_path / "var/colab").mkdir(parents=True)
    (tmp_path / "var/colab/hostname").touch()
    env = {"VERTEX_PRODUCT": "COLAB_ENTERPRISE", "TBE_EPHEM_CREDS_ADDR": "x:1"}
    assert preflight.colab_facts(env, tmp_path) == ColabFacts(
        hostname=True, enterprise=True, credentials=True
    )


def test_a_folder_that_others_stand_on_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line renames it: the next one is a folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    (tmp_path.parent / "a-file").touch()
    for busy in (tmp_path, tmp_path.parent, Path("/etc"), Path("/dev")):
        refused = preflight.refuse_place(preflight.look(busy))
        assert refused is not None
        assert refused.hint == f"%mount_drive {busy}/drive"
    monkeypatch.chdir("/")
    refused = preflight.refuse_place(preflight.look(tmp_path))
    assert refused is not None
    assert f"{tmp_path} --move-aside" in refused.hint


def test_a_folder_that_holds_a_mount_stays() -> None:
    """Renaming it would take the mount along."""
    held = next((point.parent for point in mountpoints() if len(point.parts) > 3), None)
    if held is None:
        pytest.skip("nothing is mounted two folders down")
    assert preflight.why_it_stays(held) is not None
    assert preflight.why_it_stays(Path("/nowhere/else")) is None
