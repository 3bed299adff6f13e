"""The cell's body: pip's requirement syntax, and what is not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.cuda.errors import RequirementError
from colabmagic.cuda.packages.body import logical_lines, parse_body

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ("torch", "torch", "torch"),
        ("torch==1.10.1+cu111", "torch", "torch==1.10.1+cu111"),
        ("Torch_Vision >= 0.9, < 1", "torch-vision", "Torch_Vision >= 0.9, < 1"),
        ("pkg[a,b]==1.0  # why", "pkg", "pkg[a,b]==1.0"),
        (
            'numpy<2 ; python_version < "3.14"',
            "numpy",
            'numpy<2 ; python_version < "3.14"',
        ),
        ("name @ https://host/x-1.zip", "name", "name @ https://host/x-1.zip"),
        ("-e .", None, "-e ."),
        ("-e .[dev]", None, "-e .[dev]"),
        ("--editable=./sub", None, "-e ./sub"),
        ("-e git+https://h/a.git#egg=a_b", "a-b", "-e git+https://h/a.git#egg=a_b"),
        ("git+https://h/a.git@main", None, "git+https://h/a.git@main"),
        ("./dist/torch-1.0-py3-none-any.whl", "torch", None),
        ("https://h/torch-1.0%2Bcu90-cp36-cp36m-linux_x86_64.whl", "torch", None),
        ("a==1 --hash=sha256:00 --hash=sha256:11", "a", None),
    ],
)
def test_a_requirement(line: str, name: str | None, text: str | None) -> None:
    """All of pip's forms are read, and pass to pip as they stand."""
    body = parse_body(line)
    assert body.problems == ()
    (wish,) = body.requirements
    assert (wish.name, wish.text) == (name, text or line)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--extra-index-url https://h/simple", ["--extra-index-url https://h/simple"]),
        ("--extra https://h/simple", ["--extra-index-url https://h/simple"]),
        ("-i https://h/simple", ["--index-url https://h/simple"]),
        ("-fhttps://h/links", ["--find-links https://h/links"]),
        ("--find-links=https://h/links", ["--find-links https://h/links"]),
        ("--pre --no-index", ["--pre", "--no-index"]),
        ("--no-binary :all:", ["--no-binary :all:"]),
        ("-U", ["--upgrade"]),
        ("-c https://h/pins.txt", ["--constraint https://h/pins.txt"]),
    ],
)
def test_options(line: str, options: list[str]) -> None:
    """Options have their long names, shortened ones too, as in pip."""
    body = parse_body(line)
    assert body.problems == ()
    assert [each.text for each in body.options] == options


def test_options_behind_a_requirement_are_for_all() -> None:
    """People paste half of a command line."""
    body = parse_body("torch==2.4.1 --index-url https://h/cu121 --no-deps")
    assert [each.text for each in body.requirements] == ["torch==2.4.1"]
    assert [each.text for each in body.options] == [
        "--index-url https://h/cu121",
        "--no-deps",
    ]


@pytest.mark.parametrize(
    ("line", "seen", "fix"),
    [
        (
            "!pip install torch==1.2 numpy -f https://x",
            "the cell holds only what would follow `pip install`",
            ("torch==1.2", "numpy", "-f https://x"),
        ),
        (
            "python3 -m pip install torch",
            "the cell holds only what would follow `pip install`",
            ("torch",),
        ),
        ("torch torchvision", "one requirement a line", ("torch", "torchvision")),
        ("torch, torchvision", "one requirement a line", ("torch", "torchvision")),
        (
            "import torch.nn as nn",
            "Python code goes into the next cell; a line here names a package",
            ("torch",),
        ),
        (
            "from torch import nn",
            "Python code goes into the next cell; a line here names a package",
            ("torch",),
        ),
        ("torch=1.10", "a version is pinned by ==", ("torch==1.10",)),
        (
            "--extra anything",
            "pip reads --extra as --extra-index-url, and anything is no address",
            (
                "PACKAGE[anything]",
                "-e .[anything]",
                "--extra-index-url https://HOST/simple",
            ),
        ),
        (
            "--bogus",
            "pip has no option --bogus in a file of requirements",
            ("# see: !pip install --help",),
        ),
        ("--index-url", "--index-url wants a value", ("--index-url VALUE",)),
        (
            "-r https://h/requirements.txt",
            "a file on a server is not looked into, so its torch would not be noticed",
            ("!curl -fLO https://h/requirements.txt", "-r requirements.txt"),
        ),
        (
            "-r gone.txt",
            "gone.txt cannot be read: No such file or directory",
            ("!ls -l gone.txt",),
        ),
        (
            "==1.0",
            "Expected package name at the start of dependency specifier",
            ("torch", "torch==VERSION"),
        ),
    ],
)
def test_what_is_no_requirement(line: str, seen: str, fix: tuple[str, ...]) -> None:
    """One error, with the line and what to type; the other lines are read."""
    body = parse_body(f"numpy\n{line}\nscipy")
    assert [wish.name for wish in body.requirements] == ["numpy", "scipy"]
    (problem,) = body.problems
    assert problem.code == "E21"
    assert problem.what == f"line 2 is no requirement of pip: {line}"
    assert (problem.seen, problem.fix) == (seen, fix)
    with pytest.raises(RequirementError) as caught:
        body.check()
    assert caught.value.render() == [
        f"RequirementError: line 2 is no requirement of pip: {line}",
        f"  seen: {seen}",
        f"  try:  {fix[0]}",
        *(f"        {each}" for each in fix[1:]),
    ]


def test_a_good_body_is_not_refused() -> None:
    """`check` says nothing then."""
    parse_body("torch\n\n# comment\n").check()


def test_lines_are_joined_as_pip_joins_them() -> None:
    """A backslash continues, a comment ends; the number is that of the first line."""
    text = "a==1 \\\n  --hash=sha256:00 \\\n  # comment\n\nb\\\n==2 # two\n#c\nd \\"
    assert list(logical_lines(text)) == [
        (1, "a==1   --hash=sha256:00"),
        (5, "b==2"),
        (8, "d"),
    ]


def test_files_are_followed(tmp_path: Path) -> None:
    """What they hold is read where they stand; a circle is refused."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("torch==1.0\n-r sub/b.txt\nbad line here\n")
    (tmp_path / "sub" / "b.txt").write_text("numpy\n-r ../a.txt\n")
    body = parse_body(f"-r {tmp_path}/a.txt\nscipy")
    assert [wish.name for wish in body.requirements] == ["torch", "numpy", "scipy"]
    assert body.requirements[1].where == f"{tmp_path}/sub/b.txt"
    assert [problem.what for problem in body.problems][-1] == (
        f"line 3 of {tmp_path}/a.txt is no requirement of pip: bad line here"
    )
    assert len(body.problems) >= 2


def test_constraints_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip reads its lines in another folder than that of the kernel."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("-c pins.txt\n")
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "pins.txt").write_text("numpy<2\n")
    body = parse_body("-c pins.txt\n-r sub/a.txt")
    assert [each.value for each in body.options] == [
        f"{tmp_path}/pins.txt",
        f"{tmp_path}/sub/pins.txt",
    ]


def test_passwords_are_not_shown() -> None:
    """Neither in a repr nor in a problem."""
    body = parse_body(
        "x @ https://me:s3cr3t@h/x.whl\n"
        "--extra-index-url https://me:s3cr3t@h/simple\n"
        "!pip install -i https://me:s3cr3t@h/simple x\n"
        "-r https://me:s3cr3t@h/r.txt\n"
        "bad https://me:s3cr3t@h/x\n"
        "--bogus=https://me:s3cr3t@h/x\n"
    )
    assert len(body.problems) == 4
    assert "s3cr3t" not in repr(body)
    assert body.requirements[0].shown == "x @ https://****@h/x.whl"
    assert body.options[0].shown == "--extra-index-url https://****@h/simple"
    assert "s3cr3t" in body.requirements[0].text  # pip gets it


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    """No text draws an error; each line is a requirement, an option or a problem."""

    def read(path: str) -> str:
        raise OSError(2, "No such file or directory", path)

    parse_body(text, read=read)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("-r ~nobody-of-this-name/x", "it is not known where ~ leads"),
        ("-c ~nobody-of-this-name/x", "it is not known where ~ leads"),
        ("-r a\0b", "no file has such a name"),
        ("-c a\0b", "no file has such a name"),
        ("-c /nonexistent/constraints.txt", "there is no such file"),
    ],
)
def test_files_that_cannot_be_found(line: str, seen: str) -> None:
    """They are told of in the plan, and nothing is raised."""
    (problem,) = parse_body(line).problems
    assert seen in problem.seen
    assert problem.fix


def test_a_loop_of_links_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    """A pipe is not waited for."""
    loop, pipe = tmp_path / "loop", tmp_path / "pipe"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    for line in (f"-c {loop}", f"-r {loop}", f"-r {pipe}"):
        (problem,) = parse_body(line).problems
        assert "cannot be read" in problem.seen


def test_a_pasted_text_is_not_told_of_line_by_line() -> None:
    """Of ten thousand lines that make no sense, the first are enough."""
    assert len(parse_body("no requirement at all\n" * 10_000).problems) <= 20
