"""Pip itself reads the settings that we leave it: the user's, but for places."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.fetching import pip_settings
from colabmagic.cuda.fetching.pip_settings import pip_environment

if TYPE_CHECKING:
    from pathlib import Path

USERS = """\
[DEFAULT]
target = /elsewhere
timeout = 7

[global]
index-url = https://me:s3cret@index.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/simple
cert = /etc/company.pem
proxy = http://of.all:3128
user = true
python = /usr/bin/python2
retries =

[install]
--Target = /elsewhere
no_deps = true
root = /elsewhere
find-links = /wheels/100%
proxy = http://of.install:3128

[download]
platform = win32
dest = /elsewhere
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a user without settings, on a machine without any."""
    for name in [each for each in os.environ if each.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "machine"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(pip_settings, "_ETC", tmp_path / "etc")
    return tmp_path


def as_pip_reads(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """Return the options of ``pip install`` in an environment."""
    from pip._internal.commands import create_command

    with monkeypatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("PIP_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return create_command("install").parser.get_default_values()


def write(path: Path, text: str) -> Path:
    """Write a file of settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_all_but_places_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every section and spelling; lists, logins and percent signs stay as they are."""
    write(home / "config/pip/pip.conf", USERS)
    found = as_pip_reads(pip_environment("install"), monkeypatch)
    assert found.index_url == "https://me:s3cret@index.example/simple"
    assert found.extra_index_urls == [
        "https://one.example/simple",
        "https://two.example/simple",
    ]
    assert found.cert == "/etc/company.pem"
    assert found.proxy == "http://of.install:3128"
    assert found.find_links == ["/wheels/100%"]
    assert (found.ignore_dependencies, found.timeout) == (1, 7)
    assert found.retries > 0  # pip's own: nothing was set
    assert (found.target_dir, found.root_path, found.prefix_path) == (None, None, None)
    assert (found.use_user_site, found.python) == (None, None)


def test_another_command_has_another_section(home: Path) -> None:
    """What stands for ``install`` alone does not count for ``download``."""
    write(home / "config/pip/pip.conf", USERS)
    found = pip_environment("download")
    assert found["PIP_PROXY"] == "http://of.all:3128"
    assert found["PIP_DEST"] == "/elsewhere"  # the user's, and it installs nothing
    assert not {"PIP_NO_DEPS", "PIP_FIND_LINKS", "PIP_PLATFORM"} & set(found)


def test_the_file_that_the_user_names_comes_instead_of_his_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip has it; where it does not exist, his own does count."""
    write(home / "config/pip/pip.conf", "[global]\nretries = 1\ncert = /own\n")
    named = write(home / "named.conf", "[global]\nretries = 2\nprefix = /x\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    found = as_pip_reads(pip_environment("install"), monkeypatch)
    assert (found.retries, found.cert, found.prefix_path) == (2, None, None)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "no-such.conf"))
    found = as_pip_reads(pip_environment("install"), monkeypatch)
    assert (found.retries, found.cert) == (1, "/own")


def test_the_order_of_the_files_is_pips(home: Path) -> None:
    """Machine, user of old, user, this Python, the named one, variables: the last counts."""
    places = ["machine/pip", "etc", ".pip", "config/pip", "prefix"]
    told = []
    for place in places:
        write(home / place / "pip.conf", f"[global]\nindex_url = https://{place}\n")
        told.append(pip_environment("install")["PIP_INDEX_URL"])
    assert told == [f"https://{place}" for place in places]


def test_variables_come_before_all_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any spelling."""
    write(home / "config/pip/pip.conf", "[install]\nindex-url = https://file\n")
    monkeypatch.setenv("PIP_Index-Url", "https://variable")
    found = as_pip_reads(pip_environment("install"), monkeypatch)
    assert found.index_url == "https://variable"


def test_another_python_has_a_file_of_its_own(home: Path) -> None:
    """It lies in its environment, and not in ours."""
    write(home / "prefix/pip.conf", "[global]\ncert = /ours\n")
    write(home / "env/pip.conf", "[global]\nproxy = http://its\ntarget = /x\n")
    found = pip_environment("install", str(home / "env/bin/python"))
    assert found["PIP_PROXY"] == "http://its"
    assert not {"PIP_CERT", "PIP_TARGET"} & set(found)


@pytest.mark.parametrize(
    ("variable", "stays"),
    [
        ("PIP_TARGET", False),
        ("PIP_PYTHON_VERSION", False),
        ("PIP_Dry-Run", False),
        ("PIP___ROOT", False),
        ("PIP_INDEX_URL", True),
        ("PIP_NO_INDEX", True),
        ("PIP_CACHE_DIR", True),
        ("PIP_REQUIRE_VIRTUALENV", True),
        ("pip_target", True),  # pip does not know it either
        ("TARGET", True),
    ],
)
def test_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, *, stays: bool
) -> None:
    """In the spellings that pip takes; others are the user's."""
    del home
    monkeypatch.setenv(variable, "1")
    assert (variable in pip_environment("install")) is stays


def test_who_wants_no_file_to_be_read_gets_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip knows a name for that."""
    write(home / "config/pip/pip.conf", "[global]\ncert = /of/a/file\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    found = pip_environment("install")
    assert found["PIP_CONFIG_FILE"] == os.devnull
    assert not {"PIP_CERT", "PIP_TARGET"} & set(found)


@pytest.mark.parametrize("text", ["no section\n", "[a]\nx = 1\nx = 2\n", "[a\n"])
def test_a_file_that_pip_cannot_read_is_left_to_pip(home: Path, text: str) -> None:
    """Its words name the file; it is not passed over."""
    write(home / "config/pip/pip.conf", text)
    assert "PIP_CONFIG_FILE" not in pip_environment("install")


def test_bytes_that_are_no_text_are_left_to_pip(home: Path) -> None:
    """As any other file that cannot be read."""
    path = write(home / ".pip/pip.conf", "")
    path.write_bytes(b"[global]\nindex-url = \xff\xfe\n")
    assert "PIP_CONFIG_FILE" not in pip_environment("install")


def test_what_no_variable_can_hold_is_left_out(home: Path) -> None:
    """Else no program could be started."""
    text = "[global]\nwhat is this = 1\ncert = a\0b\nproxy = http://p\n"
    write(home / "config/pip/pip.conf", text)
    found = pip_environment("install")
    assert [name for name in found if name.startswith("PIP_")] == [
        "PIP_PROXY",
        "PIP_CONFIG_FILE",
    ]


@pytest.mark.parametrize("named", ["/x" * 5000, "/" + "x" * 300, "relative/none"])
def test_a_name_that_no_file_can_have(
    home: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """It is as if the file did not exist."""
    write(home / "config/pip/pip.conf", "[global]\ncert = /own\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", named)
    assert pip_environment("install")["PIP_CERT"] == "/own"


def test_nobody_knows_where_the_user_is_at_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container under any number: pip takes ``~`` as it stands."""
    write(home / "etc/pip.conf", "[global]\ncert = /etc\n")
    monkeypatch.setenv("HOME", "~")
    assert pip_environment("install")["PIP_CERT"] == "/etc"


def test_what_has_no_end_is_not_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device, and a pipe to which nobody writes."""
    os.mkfifo(home / "pipe")
    for named in ("/dev/zero", str(home / "pipe")):
        monkeypatch.setenv("PIP_CONFIG_FILE", named)
        found = pip_environment("install")
        assert [each for each in found if each.startswith("PIP_")] == [
            "PIP_CONFIG_FILE"
        ]


@pytest.mark.parametrize("lines", [10_000, 100_000])
def test_more_than_a_program_can_be_told_is_left_to_pip(home: Path, lines: int) -> None:
    """No program starts with a variable that long."""
    text = "[global]\nextra-index-url =" + "\n  https://x/y" * lines
    write(home / "config/pip/pip.conf", text)
    assert not any(name.startswith("PIP_") for name in pip_environment("install"))


def test_an_empty_variable_counts_as_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So pip has it, in any spelling."""
    write(home / "config/pip/pip.conf", "[global]\nindex-url = https://file\n")
    monkeypatch.setenv("PIP_INDEX_URL", "")
    monkeypatch.setenv("PIP_Index-Url", "")
    found = as_pip_reads(pip_environment("install"), monkeypatch)
    assert found.index_url == "https://file"
