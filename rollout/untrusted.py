"""Reads archives and JSON that strangers made: bounded in every direction, in memory alone, nothing written to disk.

What is wrong is told in a sentence that quotes at most a short piece, in plain ASCII on one line.
"""

from __future__ import annotations

import io
import json
import math
import re
import stat
import struct
import zipfile
import zlib
from typing import Any

from rollout.branches import shown
from rollout.errors import RolloutError

ARCHIVE_LIMIT = 20 * 2**20  # bytes of a whole download; ours have 0.3 MB a plan
FILE_LIMIT = 20 * 10**6  # bytes of one file, unpacked; our largest plan has 3 MB
TOTAL_LIMIT = 100 * 10**6  # bytes of all files, unpacked
FILES_LIMIT = 100
DEPTH_LIMIT = 64  # JSON levels; our plans have 15
DIGITS_LIMIT = 20  # of an integer: 64 bits and a sign
ENTRY = b"PK\x01\x02"  # stands before each entry of a zip's list of contents
ENCRYPTED = 0x1
# all that zipfile raises for what is no whole, plain zip
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    IndexError,
    OverflowError,
)


def members(archive: bytes, allowed: re.Pattern[str]) -> dict[str, bytes]:
    """The files in a zip.

    :param allowed: what a whole name may be; it must not match two names that differ in case alone
    :raises RolloutError: it is no zip, it is too large or broken, or anything in it is not a plain file so named
    """
    if len(archive) > ARCHIVE_LIMIT:
        raise RolloutError(f"The archive has more than {ARCHIVE_LIMIT:,} bytes; it is not opened.")
    # Counted before it is opened: what an archive says of the number of its entries binds no reader.
    if archive.count(ENTRY) > FILES_LIMIT:
        raise RolloutError(f"The archive has more than {FILES_LIMIT} entries; it is not opened.")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            _check_entries(entries, allowed)
            return {entry.filename: _content(opened, entry) for entry in entries}
    except BROKEN as error:
        raise RolloutError(f"The archive is no whole zip ({type(error).__name__}). Run the preview again.") from None


def _check_entries(entries: list[zipfile.ZipInfo], allowed: re.Pattern[str]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename  # as it stands there; zipfile cuts `filename` at a NUL
        if not allowed.fullmatch(name):
            raise RolloutError(f"The archive has a file that none is to have, {shown(name)}.")
        if name.casefold() in seen:
            raise RolloutError(f"The archive has two files {shown(name)}.")
        seen.add(name.casefold())
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or kind not in (0, stat.S_IFREG):
            raise RolloutError(f"{shown(name)} in the archive is no plain file.")
        if entry.flag_bits & ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RolloutError(f"{shown(name)} in the archive is encrypted or packed in a way that none is to be.")
        if entry.file_size > FILE_LIMIT:
            raise RolloutError(f"{shown(name)} in the archive has more than {FILE_LIMIT:,} bytes.")
    if sum(entry.file_size for entry in entries) > TOTAL_LIMIT:
        raise RolloutError(f"The archive unpacks to more than {TOTAL_LIMIT:,} bytes.")


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # Never more than the size that was checked, whatever is packed; a size or checksum that lies is an error.
    with opened.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise RolloutError(f"{shown(entry.filename)} in the archive is not as long as the archive says.")
    return content


def parse(content: bytes, where: str) -> Any:
    """The JSON in some bytes, read strictly: no key twice, no NaN, no number beyond 64 bits, no endless nesting.

    :param where: what it is, for the sentence; no text of a stranger's
    :raises RolloutError: it is anything else
    """
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise RolloutError(f"{where} is no UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise RolloutError(f"{where} is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise RolloutError(f"{where} is no JSON (line {error.lineno}).") from None
    except ValueError as error:
        raise RolloutError(f"{where} {error}.") from None
    _check(document, where)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("has an object with a key twice")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"has {name}, which is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_LIMIT:
        raise ValueError("has a number of more than 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("has a number without end")
    return value


def _check(document: Any, where: str) -> None:
    """Level by level, so that no nesting can exhaust the stack."""
    level = [document]
    for _ in range(DEPTH_LIMIT + 1):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following += [*value, *value.values()]
            elif isinstance(value, list):
                following += value
            elif isinstance(value, str) and not _whole(value):
                raise RolloutError(f"{where} has a text with half a character in it.")
        if not following:
            return
        level = following
    raise RolloutError(f"{where} is nested too deep: more than {DEPTH_LIMIT} levels.")


def _whole(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON can spell half of a surrogate pair, which no other text can hold."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
