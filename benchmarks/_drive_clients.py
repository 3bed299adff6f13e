"""One contestant does one job in a process of its own, and says what it took.

``python _drive_clients.py JOB WHO OPTIONS`` prints JSON: seconds (without the start of
Python), CPU seconds, peak of memory.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from google.oauth2.credentials import Credentials

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.drive.clients import (  # noqa: E402
    googleapiclient_service,
    rewritten_document,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20
THREADS = 8
OCTETS = "application/octet-stream"
LISTED = "id,name,size,md5Checksum,mimeType,modifiedTime"


class Ours:
    """Our own."""

    def __init__(self, options: dict[str, Any]) -> None:
        from colabmagic.drive.api.files import Files
        from colabmagic.drive.api.http import Transport, Waits
        from colabmagic.drive.archive.stage import stage
        from colabmagic.drive.transfer.download import download
        from colabmagic.drive.transfer.upload import upload

        self.fetch, self.send, self.bring = download, upload, stage

        credentials = Credentials(options["token"])  # type: ignore[no-untyped-call]
        waits = Waits(0.2, 2.0)
        self.files = Files(Transport(credentials, options["url"], waits=waits))

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file."""
        remote = self.files.stat(f"MyDrive/{options['name']}")
        self.fetch(self.files, remote, Path(options["target"]))
        return {}

    def upload(self, source: Path, name: str) -> None:
        """Upload a file."""
        self.send(
            self.files, source, self.files.folder("MyDrive"), name, chunk_bytes=MIB
        )

    def list(self, _: dict[str, Any]) -> dict[str, Any]:
        """List a folder."""
        return {"count": sum(1 for _ in self.files.ls("MyDrive/many"))}

    def small(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download small files, one by one or by several threads."""
        target = Path(options["target"])

        def one(file_id: str) -> None:
            remote = known[file_id]
            self.fetch(self.files, remote, target / remote.name)

        known = {each.id: each for each in self.files.ls("MyDrive/small")}
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(options["threads"]) as pool:
            list(pool.map(one, options["ids"]))
        return {"seconds": time.monotonic() - began}

    def stage(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download the archive of all small files, unpacked; then ask for it again."""
        folder = Path(options["target"]) / "set"
        began = time.monotonic()
        done = self.bring(self.files, "MyDrive/small.tar", folder)
        first = time.monotonic()
        self.bring(self.files, "MyDrive/small.tar", folder)
        return {
            "seconds": first - began, "hit": time.monotonic() - first, "files": done.files,
        }  # fmt: skip


class Google:
    """Google's own googleapiclient."""

    def __init__(self, options: dict[str, Any], listed: str = LISTED) -> None:
        from googleapiclient import http

        self.http, self.listed = http, listed
        self.service = googleapiclient_service(options["url"], options["token"])

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file, as Google's documentation shows it."""
        with Path(options["target"]).open("wb") as file:
            self._fetch(options["id"], file)
        return {}

    def _fetch(self, file_id: str, file: Any) -> None:  # noqa: ANN401 (an open file)
        """Download into an open file."""
        loader = self.http.MediaIoBaseDownload(
            file, self.service.files().get_media(fileId=file_id)
        )
        done = False
        while not done:
            _, done = loader.next_chunk()

    def upload(self, source: Path, name: str) -> None:
        """Upload a file, as Google's documentation shows it."""
        media = self.http.MediaFileUpload(
            str(source), OCTETS, chunksize=MIB, resumable=True
        )
        body = {"name": name, "parents": ["root"]}
        request = self.service.files().create(body=body, media_body=media, fields="id")
        made = None
        while made is None:
            _, made = request.next_chunk(num_retries=5)

    def list(self, _: dict[str, Any]) -> dict[str, Any]:
        """List a folder."""
        files, count, token = self.service.files(), 0, None
        found = files.list(q="name = 'many'", fields="files(id)").execute()
        query = f"'{found['files'][0]['id']}' in parents and trashed = false"
        while True:
            page = files.list(
                q=query, pageSize=1000, pageToken=token,
                fields=f"nextPageToken,files({self.listed})",
            ).execute()  # fmt: skip
            count += len(page["files"])
            token = page.get("nextPageToken")
            if token is None:
                return {"count": count}

    def small(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download small files, one by one: the service is for one thread."""
        for number, file_id in enumerate(options["ids"]):
            with (Path(options["target"]) / str(number)).open("wb") as file:
                self._fetch(file_id, file)
        return {}


class Fsspec:
    """gdrive_fsspec."""

    def __init__(self, options: dict[str, Any]) -> None:
        from gdrive_fsspec import core
        from googleapiclient.discovery import build_from_document

        credentials = Credentials(options["token"])  # type: ignore[no-untyped-call]
        core.build = lambda *_args, **_options: build_from_document(
            rewritten_document(options["url"]), credentials=credentials
        )
        self.system = core.GoogleDriveFileSystem(token="anon")  # noqa: S106 (none)

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file."""
        self.system.get_file(options["name"], options["target"])
        return {}

    def list(self, _: dict[str, Any]) -> dict[str, Any]:
        """List a folder."""
        return {"count": len(self.system.ls("many"))}


class Requests:
    """Plain requests: one connection, bytes into a file, nothing checked."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.root = options["url"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {options['token']}"

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file."""
        url = f"{self.root}/drive/v3/files/{options['id']}?alt=media"
        with (
            self.session.get(url, stream=True, timeout=60) as response,
            Path(options["target"]).open("wb") as file,
        ):
            file.writelines(response.iter_content(MIB))
        return {}


class RequestsHash(Requests):
    """Plain requests that make a checksum of what comes: the same promise as ours."""

    def __init__(self, options: dict[str, Any], name: str) -> None:
        super().__init__(options)
        self.name = name

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file."""
        url = f"{self.root}/drive/v3/files/{options['id']}?alt=media"
        digest = hashlib.new(self.name, usedforsecurity=False)
        with (
            self.session.get(url, stream=True, timeout=60) as response,
            Path(options["target"]).open("wb") as file,
        ):
            for piece in response.iter_content(MIB):
                digest.update(piece)
                file.write(piece)
        return {}


class Rclone:
    """rclone, over TLS and a proxy that leads to the same server."""

    def __init__(self, options: dict[str, Any], streams: int) -> None:
        self.options, self.streams = options, streams

    def _run(self, *arguments: str) -> str:
        """Run it."""
        folder = Path(self.options["folder"])
        command = ["rclone", "--config", str(folder / "rclone.conf"), *arguments]
        return subprocess.run(
            [*command, "--ca-cert", str(folder / "ca.pem")],
            env={**os.environ, "HTTPS_PROXY": self.options["proxy"]},
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    def download(self, options: dict[str, Any]) -> dict[str, Any]:
        """Download a file."""
        streams = [
            "--multi-thread-streams",
            str(self.streams),
            "--multi-thread-cutoff",
            "1M",
        ]
        self._run("copyto", f"fake:{options['name']}", options["target"], *streams)
        return {}

    def upload(self, source: Path, name: str) -> None:
        """Upload a file."""
        self._run("copyto", str(source), f"fake:{name}", "--drive-chunk-size", "1M")

    def list(self, _: dict[str, Any]) -> dict[str, Any]:
        """List a folder."""
        return {"count": len(self._run("lsf", "fake:many").splitlines())}


def google_with_our_fields(options: dict[str, Any]) -> Google:
    """Return googleapiclient that asks for as much of each file as ours."""
    from colabmagic.drive.api.remote import LISTED as OURS

    return Google(options, OURS)


WHO: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ours": Ours,
    "googleapiclient": Google,
    "gdrive_fsspec": Fsspec,
    "requests": Requests,
    "googleapiclient, our fields": google_with_our_fields,
    "requests with MD5": lambda options: RequestsHash(options, "md5"),
    "requests with SHA-256": lambda options: RequestsHash(options, "sha256"),
    "rclone 4": lambda options: Rclone(options, 4),
    "rclone 8": lambda options: Rclone(options, 8),
}


def uploads(client: Any, options: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 (any)
    """Upload several files; one that fails is tried once more, as a person would."""
    failed = 0
    for number in range(options["count"]):
        source = Path(options["folder"]) / "source.bin"
        for _ in range(2):
            try:
                client.upload(source, f"{options['prefix']}{number}")
                break
            except Exception:  # noqa: BLE001 (each has errors of its own)
                failed += 1
    return {"failed": failed, "md5": hashlib.md5(source.read_bytes()).hexdigest()}  # noqa: S324


def main(job: str, who: str, options: dict[str, Any]) -> None:
    """Do a job, and say what it took."""
    client = WHO[who](options)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    kind = (
        resource.RUSAGE_CHILDREN if who.startswith("rclone") else resource.RUSAGE_SELF
    )
    before, began = resource.getrusage(kind), time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        found = (
            uploads(client, options)
            if job == "uploads"
            else getattr(client, job)(options)
        )
    seconds, after = time.monotonic() - began, resource.getrusage(kind)
    taken = {
        "seconds": seconds,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "mib": after.ru_maxrss / 1024,
        **found,
    }
    sys.stdout.write(json.dumps(taken) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
