"""Run the fake by itself: ``python -m tests.fakes.drive --port 18080``."""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path

from tests.fakes.drive.server import FakeDrive


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="tests.fakes.drive", description=__doc__)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--speed", type=float, help="bytes per second and connection")
    parser.add_argument("--blob-dir", type=Path, help="keep contents on disk here")
    parser.add_argument("--faults", type=Path, help="JSON file with a fault script")
    options = parser.parse_args()
    drive = FakeDrive(
        port=options.port,
        latency_s=options.latency,
        bytes_per_second=options.speed,
        blob_dir=options.blob_dir,
    )
    if options.faults is not None:
        drive.faults.load(json.loads(options.faults.read_text(encoding="utf-8")))
    with drive:
        print(drive.url, flush=True)  # noqa: T201 - the address is the output
        threading.Event().wait()


if __name__ == "__main__":
    main()
