"""Each place has its text, and none promises what nobody can."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from colabmagic.host import detect
from colabmagic.keepalive.place import PLACES, place_of

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = SimpleNamespace(kernel=object())
COLAB = {"COLAB_RELEASE_TAG": "release-colab_20250902-060050_RC00"}
KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "KAGGLE_DATA_PROXY_URL": "https://x"}


@pytest.mark.parametrize(
    ("env", "is_page", "shell", "code"),
    [
        (COLAB, True, KERNEL, "colab-web"),
        (COLAB, None, KERNEL, "colab-web"),
        (COLAB, False, KERNEL, "colab-client"),
        (
            COLAB | {"VERTEX_PRODUCT": "COLAB_ENTERPRISE"},
            None,
            KERNEL,
            "colab-enterprise",
        ),
        (KAGGLE, None, KERNEL, "kaggle-interactive"),
        (KAGGLE | {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, None, KERNEL, "kaggle-batch"),
        ({"JUPYTERHUB_USER": "me"}, None, KERNEL, "jupyterhub"),
        ({"JPY_SESSION_NAME": "a.ipynb"}, None, KERNEL, "jupyter"),
        ({}, None, KERNEL, "jupyter"),
        ({"VSCODE_PID": "1"}, None, KERNEL, "vscode"),
        ({"PAPERSPACE_FQDN": "x"}, None, KERNEL, "hosted"),
        ({"LIGHTNING_CLOUD_SPACE_ID": "x"}, None, KERNEL, "hosted"),
        ({}, None, SimpleNamespace(), "terminal"),
        ({}, None, None, "script"),
    ],
)
def test_each_place_is_recognised(
    env: dict[str, str],
    is_page: bool | None,  # noqa: FBT001
    shell: object,
    code: str,
    tmp_path: Path,
) -> None:
    """By the same rules as everywhere."""
    (tmp_path / "var/colab").mkdir(parents=True)
    (tmp_path / "var/colab/hostname").touch()
    host = detect(env, tmp_path, {}, shell)
    assert place_of(host, is_page=is_page, env=env).code == code


def test_none_promises_to_keep_colab() -> None:
    """What nobody has seen is called unknown, and the end is named."""
    for place in PLACES.values():
        text = " ".join(place.advice)
        assert "keeps Colab alive" not in text
        assert place.short == "" or place.short[0].islower() or place.short[0].isupper()
    assert "nobody outside Google knows" in " ".join(PLACES["colab-web"].advice)
    for code in ("colab-web", "colab-client"):
        text = " ".join(PLACES[code].advice)
        assert "What nothing prevents: the end after 12 hours" in text


def test_where_there_is_nothing_to_do_it_says_why() -> None:
    """In the line itself."""
    idle = {code for code, place in PLACES.items() if not place.beats}
    assert idle == {"terminal", "script", "kaggle-batch"}
    for code in idle:
        assert PLACES[code].short.startswith("nothing to do: ")
