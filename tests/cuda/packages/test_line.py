"""One line of the cell: what pip reads in it, and what to type where it reads nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.cuda.packages.line import read_line
from colabmagic.cuda.packages.wish import NoRequirement


def refused(line: str) -> NoRequirement:
    """Return why a line is none."""
    with pytest.raises(NoRequirement) as caught:
        read_line(line, 1, "")
    return caught.value


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("!pip install torch", ("torch",)),
        ("%pip install -q torch torchvision", ("-q", "torch", "torchvision")),
        ("pip3 install 'numpy<2'", ("numpy<2",)),
        ("! uv pip install torch -f https://h", ("torch", "-f https://h")),
        ("python3.11 -m pip install -U --pre a", ("-U", "--pre", "a")),
        ("!pip install a --index-url=https://h", ("a", "--index-url=https://h")),
        ("!pip install a -i", ("a", "-i")),
        ("!pip install 'a", ("'a",)),  # a quotation mark that is open
        ("%pip install", ("# take this line out",)),
    ],
)
def test_a_pasted_command(line: str, fix: tuple[str, ...]) -> None:
    """What followed it is told one a line, a value beside its option."""
    assert refused(line).fix == fix


def test_a_package_may_be_called_like_a_command() -> None:
    """Only a whole command is one."""
    wishes, _ = read_line("pip-install-test==0.5", 1, "")
    assert [wish.name for wish in wishes] == ["pip-install-test"]


@pytest.mark.parametrize(
    ("line", "text", "options"),
    [
        ("a==1 --hash=sha256:00", "a==1 --hash=sha256:00", []),
        ("a --hash sha256:0 -U", "a --hash=sha256:0", ["--upgrade"]),
        ("a --config-settings 'x=1 2'", "a --config-settings='x=1 2'", []),
        ("a<2 -f https://h --pre", "a<2", ["--find-links https://h", "--pre"]),
        ("a  -U", "a", ["--upgrade"]),
    ],
)
def test_options_of_one_requirement_and_of_all(
    line: str, text: str, options: list[str]
) -> None:
    """Its own stay behind it, quoted as pip reads a line; the others go for all."""
    (wish,), found = read_line(line, 7, "more.txt")
    assert (wish.text, [each.text for each in found]) == (text, options)
    assert (wish.number, wish.where) == (7, "more.txt")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("-e .", [None]),
        ("-e git+https://h/a.git#egg=A_b&subdirectory=x", ["a-b"]),
        ("-e ./a -e ./b", [None, None]),
        ("--editable=/x -U", [None]),
        ("-e https://h/a#subdirectory=x&egg=a.b", ["a-b"]),
    ],
)
def test_what_is_edited(line: str, names: list[str | None]) -> None:
    """Each is a requirement; its name is that of the address, if it tells one."""
    wishes, _ = read_line(line, 1, "")
    assert [wish.name for wish in wishes] == names
    assert all(wish.editable and wish.is_pinned_to_file for wish in wishes)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("torch-2.1.0-cp39-cp39-linux_x86_64.whl", "torch"),
        ("https://h/Torch_Vision-0.1-py3-none-any.whl?x=1#sha256=0", "torch-vision"),
        ("./a.zip", None),
        ("~/src/a", None),
        ("a.tar.gz", None),
        ("git+ssh://git@h/a.git@v1#egg=a", "a"),
        ("./a[extra]", None),
    ],
)
def test_places(line: str, name: str | None) -> None:
    """A file needs no slash; the name of a wheel is that of its package."""
    (wish,), _ = read_line(line, 1, "")
    assert (wish.name, wish.text) == (name, line)
    assert wish.is_pinned_to_file


@pytest.mark.parametrize("line", ["numpy@https://h/x.zip", "numpy @ file:///x.whl"])
def test_an_address_behind_a_name(line: str) -> None:
    """The name counts, and not the file."""
    (wish,), _ = read_line(line, 1, "")
    assert (wish.name, wish.is_pinned_to_file) == ("numpy", True)


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("torch=2.1", ("torch==2.1",)),
        ("torch[x] = 2", ("torch[x] == 2",)),
        ("torch=>2", ("torch>=2",)),
        ("torch=<2", ("torch<=2",)),
        ("torch==>2", ("torch>=2",)),
        ("torch=!2", ("torch!=2",)),
        ("=", ("torch", "torch==VERSION")),
    ],
)
def test_signs_that_are_turned_round(line: str, fix: tuple[str, ...]) -> None:
    """What was meant is what is told to be typed."""
    assert refused(line).fix == fix
    if line != "=":
        assert read_line(fix[0], 1, "")[0]


@pytest.mark.parametrize(
    "line", ["--index-url", "-i ''", "--find-links=", "-r", "-e", "a -c", "-C ''"]
)
def test_a_value_that_is_missing(line: str) -> None:
    """Pip would take the next line for it, or fail without naming the line."""
    assert refused(line).seen.endswith(" wants a value")


@pytest.mark.parametrize(
    "line",
    ["--target=/x", "-t /x", "--user", "a --prefix /x", "--no-", "-", "--", "---"],
)
def test_options_that_no_file_of_requirements_has(line: str) -> None:
    """Also those that would send packages elsewhere, and beginnings of several."""
    assert refused(line).seen.startswith(("pip has no option", "Expected"))


@pytest.mark.parametrize(
    "line",
    [
        "-" * 10_000,
        "--" + "x" * 10_000,
        "a " * 5_050,
        "pip install " + "a " * 5_000,
        "a, " * 5_000,
        "--extra " + "x" * 10_000,
        "a; " + "(" * 3_000,
    ],
    ids=len,
)
def test_much_is_told_in_short(line: str) -> None:
    """Twenty lines and no more; what is left out is counted."""
    why = refused(line.strip())
    assert len(why.seen) < 300
    assert len(why.fix) <= 21
    assert sum(map(len, why.fix)) < 1000
    if len(why.fix) == 21:
        assert why.fix[-1].startswith("# and ")


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused(line: str) -> None:
    """Nothing else is raised, and who is refused is told something to type."""
    if not line.strip():
        return
    told: tuple[object, ...]
    try:
        told = read_line(line.strip(), 1, "")
    except NoRequirement as why:
        told = (why.seen and why.fix,)
    assert any(told)
