"""make picture: writes docs/images/home.png anew, the home page of a service that runs and is in use."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
import urllib.request
from typing import Any

from app import dataset
from tests.app.browser import Browser, Page, find
from tests.app.processes import ROOT, Running, environment, moto_server, run, wait_until_ready

PICTURE = ROOT / "docs/images/home.png"
MOST_BYTES = 200_000


def main() -> int:
    """Returns the exit code."""
    if find() is None:
        sys.stderr.write("No Chromium is installed here, which takes the picture: install one (Debian: chromium).\n")
        return 2
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the emulator's requests
    with moto_server() as url, tempfile.TemporaryDirectory(prefix="picture-") as folder:
        variables = {**environment(url), "SPOOL": folder}
        for command in ("train", "evaluate", "publish"):
            run([command], variables).check_returncode()
        with Running(variables) as service, Browser() as browser:
            wait_until_ready(service.url)
            use(service.url)
            page = browser.open(service.url + "/", height=962)
            take(page)
    size = PICTURE.stat().st_size
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {size} bytes\n")
    return 0 if size <= MOST_BYTES else 1


def use(url: str) -> None:
    """Asks for people like those of the training data, until the service tells how they compare."""
    heights = dataset.generate(1_000, seed=7).heights
    end = time.monotonic() + 60
    while json.load(urllib.request.urlopen(f"{url}/status"))["drift"]["share"] is None and time.monotonic() < end:
        for height in heights:
            ask(url, {"height": height})


def ask(url: str, body: dict[str, Any]) -> None:
    """Asks for a prediction."""
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/predict", data, headers)).close()


def take(page: Page) -> None:
    """Asks as a person would, and takes the picture."""
    page.wait("document.querySelector('#plot svg .fit') && document.querySelector('#card').children.length")
    page.js("document.getElementById('height').select()")
    page.type("71")
    page.press("Enter")
    page.wait("document.querySelector('#plot .point')")
    page.js("document.getElementById('true-weight').select()")
    page.type("141")
    page.press("Enter")
    page.wait("document.querySelector('#plot .told')")
    page.js("document.activeElement.blur()")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(PICTURE)


if __name__ == "__main__":
    sys.exit(main())
