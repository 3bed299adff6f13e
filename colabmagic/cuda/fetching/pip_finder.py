"""A program of its own: ask pip's finder where wheels are, and download none.

``pip install --dry-run --report`` downloads each wheel only to report where it is: pip
23.2 and 24.1 (Colab's) always, 25.3 where the index has no metadata beside its wheels
(all three tried with a counting server). Its finder reads the same configuration and
makes the same choice from the pages of the index. It is not public: where it has changed,
this program fails, and the dry run is asked instead.

It is run by ``python -P -m``, as a plan shows it: with ``-P`` a ``json.py`` beside the
notebook is not taken for Python's own. Where that Python does not find
colabmagic (the kernel alone was told where it is), the dry run is asked instead, too.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def find(requirements: list[str]) -> list[dict[str, Any]]:
    """Return where the best wheel for each requirement is, with its hash.

    Parameters
    ----------
    requirements
        A name with versions each, no extras and no address.

    Raises
    ------
    LookupError
        There is none.
    """
    from pip._internal.commands import create_command  # noqa: PLC0415 (slow)
    from pip._vendor.packaging.requirements import Requirement  # noqa: PLC0415 (slow)

    command: Any = create_command("download")
    with command.main_context():
        asked = ["--no-deps", "--only-binary", ":all:", "--no-input", *requirements]
        options, _ = command.parse_args(asked)
        finder = command._build_package_finder(  # noqa: SLF001 (there is no other way)
            options, command.get_default_session(options)
        )
        found = []
        for text in requirements:
            wanted = Requirement(text)
            if wanted.url or wanted.extras or wanted.marker:
                raise LookupError(text)
            answer = finder.find_best_candidate(wanted.name, wanted.specifier)
            known = getattr(answer, "iter_applicable", None)
            fitting = list(known() if known else answer.applicable_candidates)
            # Of equal ones in two places, pip's resolver takes the last.
            link = fitting[-1].link if fitting else None
            if link is None or not link.is_wheel:
                raise LookupError(text)
            sha256 = link.hash if link.hash_name == "sha256" else None
            found.append({"url": link.url_without_fragment, "sha256": sha256})
        return found


def main() -> int:
    """Write the answer as JSON; return 0 if there is one."""
    try:
        text = json.dumps(find(sys.argv[1:]))
    except Exception as error:  # noqa: BLE001 (pip may have changed in any way)
        sys.stderr.write(f"{type(error).__name__}\n")
        return 1
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
