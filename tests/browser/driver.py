"""A headless Chromium, driven through chromedriver's W3C protocol: no more than these tests need."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy there is, not to this machine
TIMEOUT = 120  # s for one command; a page of 10,000 rows opens in far less


class Failed(Exception):
    """What the browser answered instead of a value."""


def _start() -> tuple[subprocess.Popen[str], str]:
    """Start chromedriver; again when it ends at once: the port it took for IPv4 may be another's for IPv6."""
    said = ""
    for _ in range(5):
        process = subprocess.Popen(
            ["chromedriver", "--port=0"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if started := re.search(r"successfully on port (\d+)", line):
                return process, started.group(1)
        process.wait()
    raise Failed(f"chromedriver does not start: {said}")


class Browser:
    """One window.

    Parameters
    ----------
    width, height
        Size of the window in CSS pixels; a phone's width is emulated, because no window is that narrow.
    dark
        What the page is told of the user's colours.
    """

    def __init__(self, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self._process, port = _start()
        self._url = f"http://127.0.0.1:{port}"
        options = {
            "args": [*ARGUMENTS, f"--window-size={width},{height}"],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}},
            "perfLoggingPrefs": {"enableNetwork": True},
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self._url += f"/session/{self._ask('POST', '/session', capabilities={'alwaysMatch': wanted})['sessionId']}"
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.chrome("Emulation.setEmulatedMedia", features=features)

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with OPENER.open(request, timeout=TIMEOUT) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failed(json.load(error)["value"]["message"]) from None

    def chrome(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chrome's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, page: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._ask("POST", "/url", url=page.resolve().as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; `return` gives a value back."""
        return self._ask("POST", "/execute/sync", script=script, args=list(arguments))

    def wait(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript that calls its last argument when it is done."""
        return self._ask("POST", "/execute/async", script=script, args=list(arguments))

    def console(self) -> list[str]:
        """Return what the page complained of since the last call."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", type="browser")]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self._ask("POST", "/se/log", type="performance"))
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def alert(self) -> str | None:
        """Return the text of a dialogue that the page has opened; None when there is none."""
        with suppress(Failed):
            return self._ask("GET", "/alert/text")
        return None

    def screenshot(self, file: Path, whole: bool = True) -> None:
        """Write a PNG of the page, or of the window."""
        data = self.chrome("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """End the browser and its driver."""
        with suppress(Failed, OSError):
            self._ask("DELETE", "")
        self._process.terminate()
        self._process.wait(timeout=10)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
