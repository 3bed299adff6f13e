"""A Google Drive v3 service on loopback, for tests without Google.

It speaks the real HTTP interface, so the real google-auth, requests,
googleapiclient and rclone can talk to it, and it checks every request and
reply against Google's own discovery document. See README.md.
"""

from tests.fakes.drive.contract import ContractError, DriveContract, shipped_document
from tests.fakes.drive.faults import KINDS, FaultScript
from tests.fakes.drive.server import FakeDrive, Record
from tests.fakes.drive.store import FOLDER, SHORTCUT, Entry, Store

__all__ = [
    "FOLDER",
    "KINDS",
    "SHORTCUT",
    "ContractError",
    "DriveContract",
    "Entry",
    "FakeDrive",
    "FaultScript",
    "Record",
    "Store",
    "shipped_document",
]
