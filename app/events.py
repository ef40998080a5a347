"""What the platform's metrics are made of: one JSON line per event on standard output.

    {"event": "request", "path": "/predict", "status": 200, "seconds": 0.004}   each answer, but to the platform's
                                                                                own questions (health, metrics)
    {"event": "evaluation", "rmse": 10.1, …}      pounds, on the held-out rows (a command's answer)
    {"event": "drift", "share": 0.03}             of the live heights; 0.25 is when the model is to be built again
    {"event": "unstored", "id": "…", "reason": "…"}   a call was answered, and its record could not be stored

Nothing that a client wrote is in them: no header, no address, no height; the path is the route.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

_lock = threading.Lock()


def tell(event: str, **fields: Any) -> None:
    """Prints an event. A standard output that nobody reads any more does not stop the program."""
    line = json.dumps({"event": event, **fields}) + "\n"
    try:
        with _lock:
            sys.stdout.write(line)
            sys.stdout.flush()
    except (OSError, ValueError):
        pass
