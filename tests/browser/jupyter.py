"""A Jupyter server of its own, and the browser to look at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SERVER_OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=",  # only for loopback, only in tests
    "--ServerApp.disable_check_xsrf=True",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--MappingKernelManager.cull_idle_timeout=0",
)


class JupyterServer:
    """A server that serves JupyterLab from a temporary folder.

    Parameters
    ----------
    root
        A folder for notebooks, settings and the log.
    theme
        "light" or "dark".
    """

    def __init__(self, root: Path, theme: str) -> None:
        self.root = root
        self.theme = theme
        self.notebooks = root / "notebooks"
        self.notebooks.mkdir(parents=True)
        self._count = 0
        self._write_settings()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "jupyterlab", *SERVER_OPTIONS]
        command += [f"--port={self.port}", f"--ServerApp.root_dir={self.notebooks}"]
        self._log = (root / "server.log").open("wb")
        self._process = subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_up()

    def _environment(self) -> dict[str, str]:
        """Return variables with which nothing comes from the user's home."""
        folders = {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "MPLCONFIGDIR": "matplotlib",
        }
        own = {name: str(self.root / folder) for name, folder in folders.items()}
        # One thread: several would only wait for each other on a busy machine.
        fixed = {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **fixed}

    def _write_settings(self) -> None:
        settings: dict[str, dict[str, Any]] = {
            "apputils-extension/themes": {"theme": THEMES[self.theme]},
            "apputils-extension/notification": {
                "fetchNews": "false",
                "checkForUpdates": False,
            },
            # Without windowing all cells stay in the page.
            "notebook-extension/tracker": {"windowingMode": "none"},
            "docmanager-extension/plugin": {"autosave": False},
        }
        for name, values in settings.items():
            base = self.root / "settings" / "@jupyterlab" / name
            base.parent.mkdir(parents=True, exist_ok=True)
            path = base.with_name(f"{base.name}.jupyterlab-settings")
            path.write_text(json.dumps(values), encoding="utf-8")

    def _wait_until_up(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.ask("GET", "/api")
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.close()
        log = (self.root / "server.log").read_text(encoding="utf-8", errors="replace")
        message = f"the Jupyter server did not start:\n{log}"
        raise RuntimeError(message)

    def ask(self, method: str, path: str) -> Any:  # noqa: ANN401 (JSON)
        """Send a request to the server's REST interface."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 (loopback)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (loopback)
            body = answer.read()
        return json.loads(body) if body else None

    def add_notebook(self, source: list[str] | nbformat.NotebookNode | Path) -> str:
        """Write a new notebook, from cells or as a copy, and return its path there."""
        self._count += 1
        path = self.notebooks / f"notebook-{self._count}.ipynb"
        if isinstance(source, Path):
            shutil.copyfile(source, path)
            return path.name
        if isinstance(source, list):
            spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            source = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in source],
                metadata={"kernelspec": spec},
            )
        nbformat.write(source, path)
        return path.name

    def stop_kernels(self) -> None:
        """End all notebook sessions and their kernels."""
        for session in self.ask("GET", "/api/sessions"):
            self.ask("DELETE", f"/api/sessions/{session['id']}")

    def close(self) -> None:
        """Stop the server and everything that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()


def find_chromium() -> str | None:
    """Return the browser: $CHROMIUM, or the first that is installed."""
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, CHROMIUM_NAMES)]
    return next(filter(None, found), None)


@contextmanager
def running_browser(chromium: str) -> Iterator[Browser]:
    """Run a Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, headless=True, args=list(CHROMIUM_OPTIONS)
        )
        try:
            yield started
        finally:
            started.close()
