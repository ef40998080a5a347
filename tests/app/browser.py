"""A headless Chromium for tests, driven by its own protocol over a pair of pipes: no port, no library, no driver.

    with Browser() as browser:
        page = browser.open(url, width=390)
        page.press("Tab")
        assert page.js("document.activeElement.id") == "height"

It needs an installed Chromium or Chrome (`find` looks for one). Protocol: the DevTools protocol, one JSON message after
the other, each ended by a zero byte, read by the browser from descriptor 3 and written to 4.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 20.0  # for whatever is waited for; a loaded machine needs more than an idle one
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--disable-dev-shm-usage",
)
# Descriptors 3 and 4 are the protocol's; a shell names no descriptor over 9, so Python puts them there.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " "), "ArrowRight": (39, ""), "ArrowLeft": (37, "")}


def find() -> str | None:
    """The browser that is installed here, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser that runs while the `with` lasts, with a profile of its own that goes with it."""

    def __enter__(self) -> Browser:
        program = find()
        assert program is not None, "no Chromium is installed"
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        theirs_in, self._out = _pipe()
        self._in, theirs_out = _pipe()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        command = [program, *OPTIONS, *root, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._turn = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._number, self._ended = 0, False
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)  # the browser ends when nobody speaks to it any more
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._profile.cleanup()

    def send(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        """Calls a method of the protocol, and returns its result."""
        with self._turn:
            self._number += 1
            number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        with self._turn:
            done = self._turn.wait_for(lambda: number in self._answers or self._ended, SECONDS)
            assert done, f"{method} got no answer"
            assert number in self._answers, f"the browser ended at {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False, scale: float = 1) -> Page:
        """A tab of its own, with a context of its own, at `url`; a narrow one is a phone."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.send(f"{domain}.enable")
        shape = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        page.send("Emulation.setDeviceMetricsOverride", shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.send("Emulation.setEmulatedMedia", {"features": [scheme]})
        page.send("Emulation.setFocusEmulationEnabled", {"enabled": True})
        page.go(url)
        return page

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._in, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            with self._turn:
                for text in messages:
                    message = json.loads(text)
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events[message.get("sessionId", "")].append(message)
                self._turn.notify_all()
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        os.close(self._in)


class Page:
    """A tab: what a person does there, and what they would see."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser, self._target, self._session = browser, target, session

    def send(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Calls a method of the protocol in this tab."""
        return self._browser.send(method, parameters, self._session)

    def go(self, url: str) -> None:
        """Opens an address, and waits until it is loaded."""
        answer = self.send("Page.navigate", {"url": url})
        assert "errorText" not in answer, answer
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def js(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for."""
        found = self.send("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Returns once an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.js(f"!!({expression})"):
            assert time.monotonic() < end, f"never came true: {expression}\n{self.js('document.body.innerText')}"
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """The words shown by an element."""
        return str(self.js(f"document.querySelector({json.dumps(selector)}).innerText")).strip()

    def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key: Tab, Enter, Space, ArrowLeft or ArrowRight."""
        code, text = _KEYS[key]
        name = " " if key == "Space" else key
        common = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **common})
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", **common})

    def type(self, text: str) -> None:
        """Types into what has the focus, over what is selected."""
        self.send("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        """Clicks into the middle of an element with the mouse."""
        element = f"document.querySelector({json.dumps(selector)})"
        box = self.js(f"({element}.scrollIntoView({{block: 'center'}}), {element}.getBoundingClientRect().toJSON())")
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", {"type": "mousePressed", **where})
        self.send("Input.dispatchMouseEvent", {"type": "mouseReleased", **where})

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes what is seen, or the `whole` page, as PNG."""
        found = self.send("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(found["data"]))

    def requests(self) -> list[str]:
        """The address of each request that the page made."""
        return [event["params"]["request"]["url"] for event in self._events("Network.requestWillBeSent")]

    def complaints(self) -> list[str]:
        """What the console says: errors, warnings, uncaught exceptions, refusals by the policy."""
        told = [event["params"] for event in self._events("Runtime.consoleAPICalled")]
        found = [str(each["args"]) for each in told if each["type"] in ("error", "warning", "assert")]
        found += [str(event["params"]["exceptionDetails"]) for event in self._events("Runtime.exceptionThrown")]
        entries = [event["params"]["entry"] for event in self._events("Log.entryAdded")]
        return found + [
            f"{each['text']} {each.get('url', '')}" for each in entries if each["level"] in ("error", "warning")
        ]

    def close(self) -> None:
        """Closes the tab."""
        self._browser.send("Target.closeTarget", {"targetId": self._target})

    def _events(self, method: str) -> list[dict[str, Any]]:
        return [event for event in list(self._browser.events[self._session]) if event["method"] == method]


def _pipe() -> tuple[int, int]:
    """A pipe's two ends, both over 9: 3 and 4 are to be the browser's."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high[0], high[1]
