"""The example of a pull request's comment: `python -m tests.rollout.example [--plan]`.

Writes docs/example-comment.md, and its beginning into README, from the artifact beside this file. With --plan it makes
that artifact anew first: it edits the program in a clone, and previews the edit as a pull request's preview does, on
prod alone (a minute).
"""

import argparse
import functools
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from rollout import artifact, preview, render, sticky
from rollout.redact import Redactor

ROOT = Path(__file__).parents[2]
ARTIFACT = Path(__file__).with_name("example.zip")
PAGE = ROOT / "docs" / "example-comment.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- the beginning of docs/example-comment.md -->\n", "<!-- its end -->\n"
URL = "https://github.com/example/groundwork/actions/runs/1/artifacts/1"
# A change that somebody might well propose. File, what stands there, what is put in its place.
EDITS = (
    ("Pulumi.prod.yaml", "onDemand: 1", "onDemand: 0"),
    ("stacks/environment.py", "AUDIT_DAYS = 365", "AUDIT_DAYS = 30"),
    ("stacks/environment.py", "models.grant_read(server, MODEL)", "models.grant_write(server, MODEL)"),
    ("infra/aws/balancer.py", "internal=True", "internal=False"),
)
INTRODUCTION = """\
# A comment on a pull request

What `comment.yml` says in a pull request that saves on training machines, keeps the audit trail for a month, lets the
server write models, and puts its load balancer on the internet. It is made by the code from a real edit of the program
(`python -m tests.rollout.example`), and a test holds this page to what the code makes of it. The links lead nowhere.

---

"""


def main() -> int:
    """Writes the page."""
    parser = argparse.ArgumentParser(description="Writes the example of a pull request's comment.")
    parser.add_argument("--plan", action="store_true", help="make the plans that it shows anew")
    if parser.parse_args().plan:
        ARTIFACT.write_bytes(planned())
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(with_beginning(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def with_beginning(readme: str) -> str:
    """README with the comment's beginning as a quotation: down to the first of the wider permissions."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    comment = page().removeprefix(INTRODUCTION).partition("\n")[2]  # without the hidden marker
    head, permissions, tail = comment.partition("**Wider permissions**\n\n")
    first = tail.partition("\n")[0]
    quoted = "".join(f"> {line}".rstrip() + "\n" for line in f"{head}{permissions}{first}\n- …".splitlines())
    return f"{before}{BEGIN}{quoted}{END}{after}"


@functools.cache
def page() -> str:
    """The whole page."""
    found = artifact.read(ARTIFACT.read_bytes())
    text = render.comment(found, marker=sticky.marker(found.head), artifact_url=URL, redactor=Redactor((), {}))
    return INTRODUCTION + text


def planned() -> bytes:
    """The artifact of the edit's preview, without what its plans made up, which nobody is shown."""
    with tempfile.TemporaryDirectory() as made:
        base, head, out = (Path(made) / name for name in ("base", "head", "out"))
        for side in (base, head):
            git("clone", "--quiet", "--shared", str(ROOT), str(side))
        for name, old, new in EDITS:
            file = head / name
            text = file.read_text(encoding="utf-8")
            if text.count(old) != 1:
                sys.exit(f"{name} has {old!r} {text.count(old)} times: correct EDITS.")
            file.write_text(text.replace(old, new), encoding="utf-8")
        who = ("-c", "user.name=Example", "-c", "user.email=nobody@example.com")
        git("-C", str(head), *who, "commit", "--quiet", "--all", "--message", "Save on training")
        parser = argparse.ArgumentParser()
        preview.arguments(parser)
        words = ["--base", str(base), "--out", str(out), "-C", str(head), "-s", "prod"]
        if preview.run(parser.parse_args(words)):
            sys.exit("The edit cannot be planned: see above.")
        return packed(out)


def packed(out: Path) -> bytes:
    """The files of a preview as a zip: the same bytes for the same files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for path in sorted(out.rglob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            for row in document.get("resources", ()):
                row["outputs"] = {}
                row["synthetic"] = [pointer for pointer in row["synthetic"] if pointer.startswith("/inputs/")]
            name = path.relative_to(out).as_posix()
            made.writestr(zipfile.ZipInfo(name), json.dumps(document, sort_keys=True), zipfile.ZIP_DEFLATED, 9)
    return archive.getvalue()


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True)


if __name__ == "__main__":
    sys.exit(main())
