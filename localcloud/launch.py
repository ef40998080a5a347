"""Writes down which process this is, then becomes the command: `python -m localcloud.launch RECORD JSON WORD...`.

The record is written by the process that it names, so that whoever started it may be killed at any moment and the next
one still knows what runs.
"""

import json
import os
import sys
from pathlib import Path

from localcloud import pids
from localcloud.files import write_private

if __name__ == "__main__":
    record, known, *words = sys.argv[1:]
    pid = os.getpid()
    write_private(Path(record), json.dumps({"pid": pid, "began": pids.start_time(pid), **json.loads(known)}).encode())
    try:
        os.execvp(words[0], words)  # noqa: S606 - that is what this is for
    except OSError as error:
        sys.exit(f"{words[0]} cannot be started: {error.strerror}.")
