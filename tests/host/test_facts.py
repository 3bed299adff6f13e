"""Facts about the host."""

from __future__ import annotations

from dataclasses import replace

from colabmagic.data.tables import host_rules
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind


def test_every_kind_has_a_rule() -> None:
    """The kinds and the rows of the table are the same set."""
    assert {rule.kind for rule in host_rules()} == {kind.value for kind in HostKind}


def test_container_of_a_service_is_not_the_users() -> None:
    """Colab runs in a container, but nobody can pass it --gpus."""
    own = detect({}, "/nonexistent", {})
    own = replace(own, system=replace(own.system, container="docker"))
    assert own.is_container
    colab = replace(own, kind=HostKind.COLAB)
    assert colab.is_managed
    assert not colab.is_container
