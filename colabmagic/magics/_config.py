"""Settings of the extension, for ``%config ColabMagic``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from traitlets import Bool, Dict, Enum, Set, TraitError, Unicode, validate
from traitlets.config import Config, Configurable

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


# Of torch or its extensions; others are known when torch has been imported.
_OTHER_DEVICES: Final = ("meta", "mtia", "hpu", "xla", "npu", "mlu", "musa")


class ColabMagic(Configurable):
    """Settings of colabmagic; an option in the cell's first line goes before them."""

    device = Unicode(
        "auto",
        help="Device of a %%train_on that names none: auto, cpu, cuda, cuda:1, mps …",
    ).tag(config=True)
    rng = Enum(
        ("auto", "cpu", "device"),
        "auto",
        help="Where a %%train_on cell draws its random numbers, unless --rng is given.",
    ).tag(config=True)
    quiet = Bool(
        default_value=False,
        help="Run every %%train_on cell as if --quiet were given.",
    ).tag(config=True)
    free_after_error = Bool(
        default_value=True,
        help="Free what the traceback of a failed cell keeps alive, before the next cell "
        "runs (unless that is %tb, %debug or %pdb).",
    ).tag(config=True)

    explain = Bool(
        default_value=True,
        help="Say below the traceback of a failed cell what the error means.",
    ).tag(config=True)
    language = Unicode(
        "auto",
        help="Language of one more line below it, such as zh; auto: COLABMAGIC_LANG, "
        "LC_ALL or LANG; en: English alone.",
    ).tag(config=True)

    setup = Dict(
        help="What %colab_setup does where its line says nothing, such as "
        "{'drive': True, 'train': 'auto', 'keepalive': '4h'}; it goes before files.",
    ).tag(config=True)

    told = Set(help="Reasons that were given in full already; not a setting.")

    @validate("device")
    def _known_device(self, proposal: dict[str, str]) -> str:
        """Refuse what names no kind of device; whether one is here, a cell will tell."""
        from colabmagic.errors import BadDeviceError  # noqa: PLC0415 (lazy)
        from colabmagic.train.options import (  # noqa: PLC0415 (lazy)
            WELL_KNOWN_DEVICES,
            DeviceSpec,
        )

        device = proposal["value"]
        try:
            kind = DeviceSpec.parse(device).kind
            if kind not in {*WELL_KNOWN_DEVICES, *_OTHER_DEVICES}:
                sys.modules["torch"].device(kind)
        except (BadDeviceError, KeyError, RuntimeError, AttributeError):
            known = ", ".join(WELL_KNOWN_DEVICES)
            raise TraitError(
                f"ColabMagic.device is one of {known}, cuda:1 …, not {device!r}"
            ) from None
        return device

    @validate("language")
    def _known_language(self, proposal: dict[str, str]) -> str:
        """Refuse a language that has no file."""
        from colabmagic.explain import catalogue  # noqa: PLC0415 (lazy)

        language = proposal["value"]
        known = ("auto", *catalogue.available())
        if language not in known:
            raise TraitError(
                f"ColabMagic.language is one of {', '.join(known)}, not {language!r}"
            )
        return language

    @validate("setup")
    def _known_parts(self, proposal: dict[str, dict[str, object]]) -> object:
        """Refuse parts that there are not, and values that they cannot have."""
        from colabmagic.setup.wishes import read_table  # noqa: PLC0415 (lazy)

        found = read_table(proposal["value"], "ColabMagic.setup")
        wrong = [each.error for each in found.by_part.values() if each.error]
        words = [*found.problems, *(f"{one.what}; {one.hint}" for one in wrong)]
        if words:
            raise TraitError(words[0])
        return proposal["value"]

    @classmethod
    def of(cls, shell: InteractiveShell) -> ColabMagic:
        """Return the settings that a shell has, or new ones with its configuration.

        Parameters
        ----------
        shell
            The shell; its configuration may come from ``ipython_config.py``.
        """
        for configurable in shell.configurables:
            if isinstance(configurable, cls):
                return configurable
        try:
            return cls(parent=shell)
        except TraitError:  # of a `%config` that was refused, but stays in the shell's
            return cls(parent=shell, config=cls._without_mistakes(shell))

    @classmethod
    def _without_mistakes(cls, shell: InteractiveShell) -> Config:
        """Return the shell's configuration of these settings, without what is refused."""
        kept = Config()
        for name, value in shell.config.get(cls.__name__, {}).items():
            one = Config({cls.__name__: {name: value}})
            try:
                cls(config=one)
            except TraitError as error:
                print(f"colabmagic: a setting is left out: {error}")  # noqa: T201 (once)
            else:
                kept.merge(one)
        return kept
