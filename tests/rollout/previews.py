"""The artifact of a preview, honest and hostile."""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from rollout import plans
from tests.rollout.fake_github import archive
from tests.rollout.plan_documents import plan, resource

HEAD = "a" * 40
BASE = "b" * 40
NONE = {"fail": 0, "undetermined": 0, "waived": 0, "pass": 0}
ZEROS = 2**20
GIGABYTE = 2**30


def of_stack(document: dict[str, Any], stack: str) -> dict[str, Any]:
    """A small plan of the stack dev, as one of another stack."""
    found: dict[str, Any] = json.loads(json.dumps(document).replace("urn:pulumi:dev::", f"urn:pulumi:{stack}::"))
    return found | {"stack": stack}


WITHOUT = plan()
WITH = plan(resource("aws:s3/bucket:Bucket", "models", {"bucket": "models"}))


def findings(stack: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the policies say of a stack (rollout/findings.schema.json); nothing bad by default."""
    lists: dict[str, Any] = {"errors": [], "levels": {}, "policies": {}, "findings": list(rows)}
    return {"version": 1, "stack": stack, "passed": True, "counts": NONE, "notAssessed": 0, "omitted": 0} | lists | more


def side(document: dict[str, Any] | None) -> dict[str, str] | None:
    """What the manifest says of one side."""
    return document and {"sha256": plans.digest(document)}


def manifest(*stacks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "head": HEAD, "base": BASE, "stacks": list(stacks), **more}


def row(stack: str, head: dict[str, Any] | None, base: dict[str, Any] | None) -> dict[str, Any]:
    return {"stack": stack, "head": side(head), "base": side(base)}


def touched(stack: str, head: dict[str, Any] | None, base: dict[str, Any] | None) -> dict[str, bytes]:
    """The files of a stack that differs."""
    files = {}
    for name, document in (("head", head), ("base", base)):
        if document is not None:
            files[f"plans/{stack}.{name}.json"] = json.dumps(document).encode()
            files[f"policies/{stack}.{name}.json"] = json.dumps(findings(stack)).encode()
    return files


def honest(head: str = HEAD, base: str = BASE) -> dict[str, bytes]:
    """dev gains a bucket, prod stays as it is."""
    prod = of_stack(WITHOUT, "prod")
    document = manifest(row("dev", WITH, WITHOUT), row("prod", prod, prod), head=head, base=base)
    return {"preview.json": json.dumps(document).encode(), **touched("dev", WITH, WITHOUT)}


def unchanged(head: str = HEAD, base: str = BASE) -> dict[str, bytes]:
    """Nothing changes."""
    return {"preview.json": json.dumps(manifest(row("dev", WITHOUT, WITHOUT), head=head, base=base)).encode()}


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    return archive(files)


def entry(
    name: bytes,
    content: bytes = b"{}",
    *,
    packed: bytes | None = None,
    method: int = 0,
    size: int | None = None,
    crc: int | None = None,
    flags: int = 0,
    mode: int = 0,
    local_name: bytes | None = None,
) -> tuple[bytes, bytes]:
    """One entry of a zip, byte by byte: its local part, and its part of the list of contents (offset left out)."""
    packed = content if packed is None else packed
    size = len(content) if size is None else size
    crc = zlib.crc32(content) if crc is None else crc
    common = struct.pack("<HHHHHIII", 20, flags, method, 0, 0x21, crc, len(packed), size)
    inside = name if local_name is None else local_name
    local = b"PK\x03\x04" + common + struct.pack("<HH", len(inside), 0) + inside + packed
    central = b"PK\x01\x02" + struct.pack("<H", 3 << 8 | 20) + common
    central += struct.pack("<HHHHHI", len(name), 0, 0, 0, 0, mode << 16)
    return local, central + b"OFFS" + name


def crafted(*entries: tuple[bytes, bytes]) -> bytes:
    """A zip of such entries, which may lie as they like."""
    body, listing = b"", b""
    for local, central in entries:
        listing += central.replace(b"OFFS", struct.pack("<I", len(body)), 1)
        body += local
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(listing), len(body), 0)
    return body + listing + b"PK\x05\x06" + end


def deflated_zeros(count: int) -> bytes:
    """`count` bytes of zeros, a multiple of a megabyte, packed: one packed megabyte again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(bytes(ZEROS))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (count // ZEROS) + packer.flush(zlib.Z_FINISH)
