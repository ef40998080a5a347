"""Artifacts as strangers make them: the honest are read, all others refused in a sentence, and nothing is written."""

import io
import json
import stat
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout import plans, untrusted
from rollout.artifact import read
from rollout.errors import RolloutError
from tests.rollout.plan_documents import plan, resource
from tests.rollout.previews import (
    BASE,
    GIGABYTE,
    HEAD,
    WITH,
    WITHOUT,
    crafted,
    deflated_zeros,
    entry,
    findings,
    honest,
    manifest,
    of_stack,
    row,
    touched,
    unchanged,
    zipped,
)

PLAN = b"plans/dev.head.json"
MARKUP = "</details>@all"


def files(**changed: bytes | None) -> dict[str, bytes]:
    """The honest files, but for some."""
    names = {"manifest": "preview.json", "plan": "plans/dev.head.json", "findings": "policies/dev.head.json"}
    found = honest() | {names[name]: content for name, content in changed.items() if content is not None}
    return {name: content for name, content in found.items() if changed.get(_key(names, name), b"") is not None}


def _key(names: dict[str, str], value: str) -> str:
    return next((key for key, name in names.items() if name == value), "")


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


def as_manifest(document: Any) -> bytes:
    return zipped(files(manifest=dumped(document)))


def as_plan(content: bytes) -> bytes:
    return zipped(files(plan=content))


def other_plan(document: dict[str, Any]) -> bytes:
    """An archive whose manifest goes with the plan, whatever that is."""
    digests = {"head": {"sha256": "0" * 64}, "base": row("dev", WITH, WITHOUT)["base"]}
    return zipped(files(manifest=dumped(manifest({"stack": "dev", **digests})), plan=dumped(document)))


def failing(stack: str, side: str, message: str = "no") -> Any:
    """The honest manifest, and that a plan could not be made."""
    return json.loads(honest()["preview.json"]) | {"failures": [{"stack": stack, "side": side, "message": message}]}


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a path out of the folder": (lambda: zipped(honest() | {"../x": b"{}"}), "none is to have"),
    "a path out of the folder, later": (
        lambda: zipped(honest() | {"plans/../../x.head.json": b"{}"}),
        "none is to have",
    ),
    "an absolute path": (lambda: zipped(honest() | {"/etc/passwd": b"x"}), "none is to have"),
    "backslashes": (lambda: zipped(honest() | {"plans\\dev.head.json": b"{}"}), "none is to have"),
    "a drive letter": (lambda: zipped(honest() | {"C:/preview.json": b"{}"}), "none is to have"),
    "a file nobody expects": (lambda: zipped(honest() | {"README.md": b"hello"}), "none is to have"),
    "a file whose name only begins well": (lambda: zipped(honest() | {"plans/dev.head.json.exe": b""}), "none is to"),
    "an archive in the archive": (lambda: zipped(honest() | {"plans.zip": zipped(honest())}), "none is to have"),
    "a folder": (lambda: zipped(honest() | {"plans/": b""}), "none is to have"),
    "a folder with the name of a file": (
        lambda: crafted(entry(PLAN, b"", mode=stat.S_IFDIR | 0o755)),
        "no plain file",
    ),
    "a symbolic link": (lambda: crafted(entry(PLAN, b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), "no plain file"),
    "a device": (lambda: crafted(entry(PLAN, mode=stat.S_IFBLK | 0o666)), "no plain file"),
    "a pipe": (lambda: crafted(entry(PLAN, mode=stat.S_IFIFO | 0o666)), "no plain file"),
    "a name twice": (lambda: crafted(entry(b"preview.json"), entry(b"preview.json", b"[]")), "two files"),
    "names that differ in case": (
        lambda: zipped(honest() | {"plans/DEV.head.json": b"{}"}),
        "two files",
    ),
    "a NUL in a name": (lambda: crafted(entry(b"preview.json\0.exe")), "none is to have"),
    "a line break in a name": (lambda: crafted(entry(b"plans/dev\n.head.json")), "none is to have"),
    "a command to the runner in a name": (lambda: crafted(entry(b"\n::set-output name=x::y")), "none is to have"),
    "an escape sequence in a name": (lambda: crafted(entry(b"plans/\x1b[31m.head.json")), "none is to have"),
    "a look-alike name": (lambda: zipped(honest() | {"prev\u0131ew.json": b"{}"}), "none is to have"),
    "an empty name": (lambda: crafted(entry(b"")), "none is to have"),
    "a very long name": (lambda: crafted(entry(b"plans/" + b"x" * 60_000 + b".head.json")), "none is to have"),
    "a name that is no text": (lambda: crafted(entry(b"\xff\xfe", flags=0x800)), "no whole zip"),
    "too many files": (
        lambda: zipped({f"plans/s{number}.head.json": b"{}" for number in range(101)}),
        "more than 100 entries",
    ),
    "a gigabyte of zeros": (
        lambda: crafted(entry(PLAN, packed=deflated_zeros(GIGABYTE), size=GIGABYTE, method=8)),
        "more than 20,000,000 bytes",
    ),
    "a gigabyte of zeros that says it is small": (
        lambda: crafted(entry(PLAN, packed=deflated_zeros(GIGABYTE), size=1000, method=8)),
        "no whole zip",
    ),
    "a size that says too much": (lambda: crafted(entry(PLAN, b"{}", size=1000)), r"no whole zip|not as long"),
    "a size that says too little": (lambda: crafted(entry(PLAN, b"{}" + b" " * 100, size=2)), "no whole zip"),
    "six files of 20 MB": (
        lambda: crafted(*(entry(b"plans/s%d.head.json" % n, packed=b"", size=19_000_000, method=8) for n in range(6))),
        "more than 100,000,000 bytes",
    ),
    "a wrong checksum": (lambda: crafted(entry(PLAN, crc=1)), "no whole zip"),
    "another name inside than in the list": (lambda: crafted(entry(PLAN, local_name=b"../../evil")), "no whole zip"),
    "an encrypted file": (lambda: crafted(entry(PLAN, flags=1)), "encrypted"),
    "a file packed with bzip2": (lambda: crafted(entry(PLAN, method=12)), "packed in a way"),
    "a file packed in an unknown way": (lambda: crafted(entry(PLAN, method=99)), "packed in a way"),
    "packed bytes that are none": (lambda: crafted(entry(PLAN, packed=b"\xff" * 50, method=8)), "no whole zip"),
    "an archive that is too long": (lambda: bytes(untrusted.ARCHIVE_LIMIT + 1), "20,971,520 bytes"),
    "half an archive": (lambda: zipped(honest())[:-100], "no whole zip"),
    "an archive without its beginning": (lambda: zipped(honest())[50:], "no whole zip"),
    "no archive": (lambda: b"<html>502</html>", "no whole zip"),
    "nothing": (lambda: b"", "no whole zip"),
    "an archive of nothing": (lambda: zipped({}), "no preview.json"),
}
CONTENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no JSON": (lambda: as_plan(b"{not json"), "is no JSON"),
    "two JSON documents": (lambda: as_plan(b"{}{}"), "is no JSON"),
    "an archive for a plan": (lambda: as_plan(zipped(honest())), r"no UTF-8|no JSON"),
    "no UTF-8": (lambda: as_plan(b'{"version": "\xff"}'), "no UTF-8"),
    "UTF-16": (lambda: as_plan("{}".encode("utf-16")), "no UTF-8"),
    "half a character": (lambda: as_plan(b'{"version": "\\ud800"}'), "half a character"),
    "half a character in a key": (lambda: as_plan(b'{"\\udfff": 1}'), "half a character"),
    "100,000 levels": (lambda: as_plan(b"[" * 100_000 + b"]" * 100_000), "nested too deep"),
    "70 levels": (lambda: as_plan(b"[" * 70 + b"]" * 70), "nested too deep"),
    "NaN": (lambda: as_plan(b'{"version": NaN}'), "NaN"),
    "infinity": (lambda: as_plan(b'{"version": -Infinity}'), "Infinity"),
    "a number without end": (lambda: as_plan(b'{"version": 1e999}'), "without end"),
    "a huge integer": (lambda: as_plan(b'{"version": ' + b"9" * 5000 + b"}"), "64 bits"),
    "a key twice": (lambda: as_plan(b'{"version": 1, "version": 1}'), "key twice"),
    "a key twice, spelled otherwise": (lambda: as_plan(b'{"a": 1, "\\u0061": 1}'), "key twice"),
    "no manifest": (lambda: zipped(files(manifest=None)), "no preview.json"),
    "a manifest that is a list": (lambda: as_manifest([]), "preview.schema.json"),
    "another version": (lambda: as_manifest(manifest() | {"version": 2}), "preview.schema.json"),
    "a version that is true": (lambda: as_manifest(json.loads(honest()["preview.json"]) | {"version": True}), "schema"),
    "a head that is no commit": (
        lambda: as_manifest(json.loads(honest()["preview.json"]) | {"head": "main"}),
        "schema",
    ),
    "a base with a line break": (
        lambda: as_manifest(json.loads(honest()["preview.json"]) | {"base": BASE + "\n"}),
        "schema",
    ),
    "a number of a pull request": (
        lambda: as_manifest(json.loads(honest()["preview.json"]) | {"pullRequest": 1}),
        "preview.schema.json",
    ),
    "a huge manifest": (lambda: as_manifest(manifest() | {"x": "x" * 100_000}), "more than 100,000 bytes"),
    "a stack that is a path": (lambda: as_manifest(manifest(row("../x", WITH, WITH))), "preview.schema.json"),
    "a stack that is markup": (lambda: as_manifest(manifest(row(MARKUP, WITH, WITH))), "preview.schema.json"),
    "a stack with a line break": (lambda: as_manifest(manifest(row("dev\n", WITH, WITH))), "schema"),
    "a stack twice": (lambda: as_manifest(manifest(*[row("dev", WITH, WITHOUT)] * 2)), "twice"),
    "a stack in two cases": (lambda: as_manifest(manifest(row("dev", WITH, WITHOUT), row("Dev", WITH, WITH))), "twice"),
    "a stack on neither side": (lambda: as_manifest(manifest(row("dev", None, None))), "neither side"),
    "a digest that is none": (
        lambda: as_manifest(manifest({"stack": "dev", "head": {"sha256": "x"}, "base": None})),
        "preview.schema.json",
    ),
    "a stack that differs without a plan": (
        lambda: zipped({"preview.json": dumped(manifest(row("dev", WITH, WITHOUT)))}),
        "no plan of it",
    ),
    "a new stack without a plan": (
        lambda: zipped({"preview.json": dumped(manifest(row("dev", WITH, None)))}),
        "no plan of it",
    ),
    "one of two plans": (
        lambda: zipped({name: content for name, content in honest().items() if "base" not in name}),
        "not those that preview.json names",
    ),
    "a plan of a side that is not there": (
        lambda: as_manifest(manifest(row("dev", WITH, None))),
        "not those that preview.json names",
    ),
    "a plan nobody names": (
        lambda: zipped(honest() | touched("stray", of_stack(WITH, "stray"), None)),
        "says nothing of it",
    ),
    "a plan without findings": (lambda: zipped(files(findings=None)), "not both plan and findings"),
    "findings without a plan": (lambda: zipped(files(plan=None)), "not both plan and findings"),
    "findings of another form": (lambda: zipped(files(findings=b'{"x": 1}')), "findings.schema.json"),
    "findings about another stack": (lambda: zipped(files(findings=dumped(findings("prod")))), "another stack"),
    "a plan that could and could not be made": (
        lambda: as_manifest(failing("dev", "head")),
        "both that it has a plan and that it has none",
    ),
    "a base that could and could not be planned": (lambda: as_manifest(failing("dev", "base")), "both that it has"),
    "a failure of a third side": (lambda: as_manifest(failing("dev", "middle")), "preview.schema.json"),
    "a failure with a long message": (lambda: as_manifest(failing("x", "head", "x" * 5000)), "preview.schema.json"),
    "a plan of another stack": (lambda: other_plan(of_stack(WITH, "prod")), "another stack"),
    "a plan that is another than was said": (
        lambda: as_plan(dumped(plan(resource("aws:s3/bucket:Bucket", "other")))),
        "another digest",
    ),
    "a plan with too many resources": (
        lambda: other_plan(plan(*[resource("a:b:C", "x")] * (plans.MOST_RESOURCES + 1))),
        "resources",
    ),
    "a plan of another version": (lambda: other_plan(WITH | {"version": 2}), "version"),
    "a plan with one more field": (lambda: other_plan(WITH | {"more": 1}), "is no plan"),
    "a plan with a value that is no value": (
        lambda: other_plan(plan(resource("a:b:C", "x", {"p": {"$secret": "shown"}}))),
        "is no plan",
    ),
}


@pytest.mark.parametrize(("made", "said"), (ARCHIVES | CONTENTS).values(), ids=(ARCHIVES | CONTENTS).keys())
def test_hostile_archives_are_refused_in_a_sentence_and_nothing_is_written(
    made: Callable[[], bytes], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    content = made()
    with pytest.raises(RolloutError, match=said) as caught:
        read(content)
    message = str(caught.value)
    assert message.isascii() or "…" in message
    assert message.isprintable(), "one line, and nothing that a terminal or the runner would obey"
    assert len(message) < 400
    assert MARKUP not in message
    assert list(tmp_path.iterdir()) == []


def test_there_are_over_twenty_hostile_archives() -> None:
    assert len(ARCHIVES) > 20
    assert len(CONTENTS) > 20


@pytest.mark.parametrize("name", ["a gigabyte of zeros", "a gigabyte of zeros that says it is small"])
def test_a_gigabyte_of_zeros_takes_no_gigabyte(name: str) -> None:
    content = ARCHIVES[name][0]()
    assert len(content) < 2 * 2**20, "it is cheap to send"
    tracemalloc.start()
    try:
        with pytest.raises(RolloutError):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()


def test_an_honest_preview_is_read_and_its_digests_are_those_of_its_plans() -> None:
    found = read(zipped(honest()))
    assert (found.head, found.base) == (HEAD, BASE)
    assert list(found.stacks) == ["dev", "prod"]
    dev, prod = found.stacks["dev"], found.stacks["prod"]
    assert (dev.head_plan, dev.base_plan) == (WITH, WITHOUT)
    assert (dev.head_digest, dev.base_digest) == (plans.digest(WITH), plans.digest(WITHOUT))
    assert (dev.head_findings, dev.base_findings) == (findings("dev"), findings("dev"))
    assert dev.touched
    assert not prod.touched
    assert prod.head_digest == prod.base_digest == plans.digest(of_stack(WITHOUT, "prod"))


def test_an_archive_as_the_upload_streams_it_is_read() -> None:
    class Stream(io.RawIOBase):  # cannot go back, so that sizes and checksums stand behind each file
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, content: Any) -> int:
            self.written += bytes(content)
            return len(content)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in honest().items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, content)
    assert zipfile.ZipFile(io.BytesIO(stream.written)).infolist()[0].flag_bits & 0x8
    assert read(stream.written).stacks["dev"].touched


def test_stacks_that_come_and_go_are_read() -> None:
    new, old = of_stack(WITH, "new"), of_stack(WITH, "old")
    document = manifest(row("new", new, None), row("old", None, old))
    found = read(zipped({"preview.json": dumped(document)} | touched("new", new, None) | touched("old", None, old)))
    assert (found.stacks["new"].base_plan, found.stacks["new"].base_digest) == (None, None)
    assert (found.stacks["old"].head_plan, found.stacks["old"].head_digest) == (None, None)
    assert found.stacks["old"].touched


def test_a_stack_whose_findings_alone_differ_is_read() -> None:
    document = manifest(row("dev", WITH, WITH))
    found = read(zipped({"preview.json": dumped(document)} | touched("dev", WITH, WITH)))
    assert found.stacks["dev"].touched


def test_plans_that_could_not_be_made_are_read() -> None:
    (failure,) = read(as_manifest(failing("broken", "head", "NameError"))).failures
    assert (failure.stack, failure.side, failure.message) == ("broken", "head", "NameError")
    document = manifest(row("dev", WITH, None), failures=failing("dev", "base")["failures"])
    found = read(zipped({"preview.json": dumped(document)} | touched("dev", WITH, None)))
    assert found.stacks["dev"].base_plan is None
    assert found.failures[0].side == "base"


def test_no_change_at_all_is_read() -> None:
    assert not any(stack.touched for stack in read(zipped(unchanged())).stacks.values())


GOOD = zipped(honest())


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, len(GOOD)),
    whole=st.booleans(),
)
def test_whatever_happens_to_its_bytes_an_archive_is_read_or_refused(
    edits: list[tuple[int, int]], cut: int, whole: bool
) -> None:
    content = bytearray(GOOD)
    for at, value in edits:
        content[at] = value
    given_bytes = bytes(content) if whole else bytes(content[:cut])
    try:
        found = read(given_bytes)
    except RolloutError:
        return
    assert found.stacks["dev"].head_digest == plans.digest(WITH)


@settings(max_examples=100, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WITH, "urn", "x"]), inner),
        max_leaves=8,
    )
)
def test_any_json_in_place_of_the_manifest_or_a_plan_is_refused(document: Any) -> None:
    text = dumped(document)
    for content in (zipped(files(manifest=text)), as_plan(text), zipped(files(findings=b"[" + text + b"]"))):
        with pytest.raises(RolloutError):
            read(content)
