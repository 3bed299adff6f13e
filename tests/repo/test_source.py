"""The source keeps to what the project has agreed on."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING

import pytest

import colabmagic
from colabmagic import errors
from tests.repo.project import PACKAGE, ROOT, modules, settings, text_of, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_MODULE = 500
LONGEST_FUNCTION = 60

# Put together from parts, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(
        "/" + r"(?:root|home|work|Users)/(?!\.|USER|(?:you|me)\b)[A-Za-z0-9_.-]+"
    ),
    "a path of one temporary folder": re.compile(
        "/" + r"tmp/(?!ipykernel|fake)[\w.-]+"
    ),
    "a package registry": re.compile(
        "|".join(
            re.escape(host)
            for host in (
                "pypi" + ".org",
                "pythonhosted" + ".org",
                "npmjs" + ".org",
                "deb.debian" + ".org",
            )
        )
    ),
}
# Foreign files: a fake that imitates such paths, or the text of the licence.
MAY_HOLD_PATHS = ("tests/fixtures/", "LICENSE")


def test_the_version_is_written_once() -> None:
    """`colabmagic.__version__` is the only place; the build reads it there."""
    project = settings()["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]
    assert settings()["tool"]["hatch"]["version"]["path"] == "colabmagic/__init__.py"
    assignments = [
        path
        for path in modules()
        if re.search(r"^__version__\s*[:=]", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert assignments == [PACKAGE / "__init__.py"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", colabmagic.__version__)


def _tree_lines(kind: type, indent: str = "") -> Iterator[str]:
    """Draw the classes below one, as the docstring of `errors` does."""
    children = [
        child for child in vars(errors).values() if _direct_child(child, of=kind)
    ]
    for child in children:
        last = child is children[-1]
        others = [base.__name__ for base in child.__bases__ if base is not kind]
        suffix = f" ({', '.join(others)})" if others else ""
        yield f"{indent}{'└── ' if last else '├── '}{child.__name__}{suffix}"
        yield from _tree_lines(child, indent + ("    " if last else "│   "))


def _direct_child(thing: object, *, of: type) -> bool:
    return isinstance(thing, type) and thing.__bases__[0] is of


def test_the_error_tree_is_the_docstring_of_errors() -> None:
    """One screen tells what to catch, and it is true."""
    root = errors.ColabMagicError
    drawn = "\n".join(f"    {line}" for line in [root.__name__, *_tree_lines(root)])
    assert drawn in (errors.__doc__ or ""), f"write this into errors.py:\n{drawn}"


def test_all_errors_are_in_errors() -> None:
    """No other module defines an error of ours."""
    for path in modules():
        if path.name != "errors.py":
            found = re.findall(
                r"^class (\w+Error)\b", path.read_text("utf-8"), re.MULTILINE
            )
            assert not found, f"{path.relative_to(ROOT)}: move {found} to errors.py"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function without its docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_is_small_and_silent(path: Path) -> None:
    """No print outside the magics, no module or function that nobody can oversee."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE
    shows = path.parent.name == "magics" or path.name == "__main__.py"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = code_lines(node)
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert shows or node.func.id != "print", f"line {node.lineno} prints"


def test_public_names_exist() -> None:
    """Every name in an `__all__` is there, and sorted as ruff wants it."""
    for path in modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "__all__" in path.read_text("utf-8") and "train" not in path.parts:
            module = importlib.import_module(name.removesuffix(".__init__"))
            for public in module.__all__:
                assert hasattr(module, public), f"{name} has no {public}"


def test_nothing_names_one_machine_or_a_registry() -> None:
    """What is in the repository is true on every machine."""
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(MAY_HOLD_PATHS):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for what, pattern in FORBIDDEN.items():
            assert not pattern.findall(text), f"{name} holds {what}"


def test_tools_are_pinned() -> None:
    """Each development tool has one version, so that checks agree everywhere."""
    for name in ("requirements/dev.txt", "requirements/old-kernel.txt"):
        for line in text_of(name).splitlines():
            if line and not line.startswith("#"):
                assert re.match(r"[\w-]+(==[\d.]+|<\d+)$", line), f"{name}: {line}"


def test_dependencies_have_no_upper_bound() -> None:
    """Nobody's own build of torch, or of anything else, is replaced by installing."""
    for line in settings()["project"]["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", line), line
