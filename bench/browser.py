"""A headless Chromium, driven through pipes by the DevTools protocol: opens a page, moves the pointer, evaluates."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--enable-unsafe-swiftshader", "--hide-scrollbars",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip


def path() -> str | None:
    """Return the path of a Chromium; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """A page in Chromium.

    Parameters
    ----------
    width, height : int
        The size of the window.
    dark : bool
        Whether the reader prefers dark colours.
    """

    def __init__(self, width: int = 1200, height: int = 800, *, dark: bool = False) -> None:
        self.folder = tempfile.mkdtemp()
        to_browser, self.writes = os.pipe()
        self.reads, from_browser = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={self.folder}", f"--window-size={width},{height}"]
        command = 'exec "$@" 3<&%d 4>&%d' % (to_browser, from_browser)  # noqa: UP031
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", str(path()), *flags],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.numbers, self.buffer, self.session = itertools.count(1), b"", None
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[theme])
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.writes)
        os.close(self.reads)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            piece = os.read(self.reads, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended.")
            self.buffer += piece
        one, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(one)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(message["params"]["exceptionDetails"])[:1000])
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.errors.append(message["params"]["entry"]["text"])
        return message

    def open(self, file: str | os.PathLike[str], fragment: str = "") -> float:
        """Open a map and return the seconds until its points are drawn."""
        self.send("Page.navigate", url="about:blank")  # another fragment alone does not load the page again
        began = time.perf_counter()
        self.send("Page.navigate", url=Path(file).resolve().as_uri() + fragment)
        while not self.evaluate("document.body && document.body.dataset.ready"):
            if self.errors or time.perf_counter() - began > 60:
                raise RuntimeError(f"The page is not ready: {self.errors}")
            time.sleep(0.02)
        return time.perf_counter() - began

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", "error"))
        return found["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send an event of the mouse: moved, pressed, released or wheel."""
        kind = f"mouse{kind.capitalize()}"
        if kind in {"mousePressed", "mouseReleased"}:
            more = {"button": "left", "clickCount": 1, **more}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("moved", x, y)
        self.mouse("pressed", x, y)
        self.mouse("released", x, y)

    def drag(self, places: list[tuple[float, float]]) -> None:
        self.mouse("pressed", *places[0])
        for place in places[1:]:
            self.mouse("moved", *place, button="left", buttons=1)
        self.mouse("released", *places[-1])

    def wait_for(self, expression: str, seconds: float = 10) -> Any:
        """Return the value of an expression once it is true."""
        end = time.perf_counter() + seconds
        while not (value := self.evaluate(expression)):
            if time.perf_counter() > end:
                raise RuntimeError(f"Still not true: {expression}")
            time.sleep(0.02)
        return value

    def downloads(self) -> list[Path]:
        return list(Path(self.folder).glob("*.txt"))

    def screenshot(self, file: str | os.PathLike[str]) -> None:
        data = self.send("Page.captureScreenshot", format="png")["data"]
        Path(file).write_bytes(base64.b64decode(data))
