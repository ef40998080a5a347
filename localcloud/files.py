"""Files that their owner alone may read, written in one step."""

import os
import tempfile
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Replaces `path` so that a reader or a kill finds the old content or the new, never a part. Mode 0600.

    Its folder is made (0700) if need be.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_drafts(path: Path) -> None:
    """Removes what a kill in the middle of `write_private` left. Only for whoever alone may write `path`."""
    for draft in path.parent.glob(f".{path.name}.????????"):
        draft.unlink(missing_ok=True)
