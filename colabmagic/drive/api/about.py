"""Who is logged in, and how full his Drive is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colabmagic.drive.api import budget
from colabmagic.drive.api.fields import number_at, object_at, text_at

if TYPE_CHECKING:
    from colabmagic.drive.api.http import Transport


def about(transport: Transport) -> dict[str, Any]:
    """Ask Google who is logged in, and how full the Drive is.

    Parameters
    ----------
    transport
        Sends the request.

    Returns
    -------
    dict
        ``user``, an address or None; ``used_bytes``, ``trash_bytes``; ``limit_bytes``, None
        where there is no limit.

    Raises
    ------
    DriveError
        Google does not say, or is not reached.
    """
    answer = transport.json(
        "GET",
        "/drive/v3/about",
        cost=budget.GET,
        params={"fields": "user(emailAddress),storageQuota"},
    )
    quota = object_at(answer, "storageQuota")
    return {
        "user": text_at(object_at(answer, "user"), "emailAddress"),
        "used_bytes": number_at(quota, "usage") or 0,
        "limit_bytes": number_at(quota, "limit"),
        "trash_bytes": number_at(quota, "usageInDriveTrash") or 0,
    }
