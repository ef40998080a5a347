"""A headless Chromium over its debugging pipe: nothing to install for it, no port, no request leaves it."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Puts the two ends where the browser looks for them.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page of a browser. Messages of its protocol are JSON, each ended by a zero byte."""

    def __init__(self, program: str, profile: Path) -> None:
        from_us, self.sender = os.pipe()
        self.receiver, to_us = os.pipe()
        arguments = ["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        arguments += [f"--user-data-dir={profile}", "--no-first-run", "--disable-background-networking", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(from_us), str(to_us), program, *arguments],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        self.number = 0
        self.rest = b""
        self.events: list[dict[str, Any]] = []
        self.session = ""
        target = next(row for row in self.call("Target.getTargets")["targetInfos"] if row["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers to a command; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sender, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.receiver], [], [], SECONDS)
            assert ready, f"the browser has said nothing for {SECONDS} s"
            got = os.read(self.receiver, 1 << 20)
            assert got, "the browser has ended"
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, page: Path, fragment: str = "", *, width: int = 1280, scripts: bool = True) -> None:
        """Loads a file at a width of the window, with a fragment, with or without JavaScript."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        self.go("about:blank")  # else another fragment of the same file would load nothing
        self.events.clear()
        self.go(page.as_uri() + fragment)

    def go(self, url: str) -> None:
        """Returns when the page and all that it asks for is loaded."""
        loader = self.call("Page.navigate", url=url)["loaderId"]
        wanted = {"name": "load", "loaderId": loader}
        while not any(wanted.items() <= row.get("params", {}).items() for row in self.events):
            self.events.append(self.read())

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        text = {"Enter": "\r", "Tab": "\t"}.get(key, key)
        code = {"Enter": 13, "Tab": 9, "ArrowDown": 40}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text if len(text) == 1 else "",
                      windowsVirtualKeyCode=code)  # fmt: skip

    def close(self) -> None:
        try:
            os.write(self.sender, b'{"id": 0, "method": "Browser.close"}\0')
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.sender)
        os.close(self.receiver)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"No browser is here ({', '.join(NAMES)}): how the page looks and filters is not tested.")
    found = Browser(program, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()
