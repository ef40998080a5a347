"""Runs in the scanners' environment: IAM policy documents in, what three libraries say against them out.

stdin: `{"documents": [{"id", "kind", "document", "made_up"}]}`. kind: `identity` (grants), `limit` (a boundary: it only
bounds what others grant), `trust`, `resource`, or `role` (all that one role is granted, in one document).
made_up: texts of the document that a plan made up; no form is asked of an ARN that holds one.
stdout: `{"versions": {tool: version}, "findings": [{"id", "policy", "message"}],
"errors": [{"id", "tool", "message"}]}`
The standard library and the three libraries alone; none of our own modules can be imported here.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import importlib.metadata
import importlib.resources
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import cloudsplaining.scan.policy_document as cloudsplaining  # type: ignore[import-not-found]  # the other environment
import policy_sentry.shared.iam_data as policy_sentry  # type: ignore[import-not-found]  # the other environment

try:
    import parliament  # type: ignore[import-not-found]  # the other environment
except ModuleNotFoundError:  # it asks a module that setuptools has dropped for the one thing below
    lookup = {"resource_filename": lambda name, file: str(importlib.resources.files(name) / file)}
    sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")
    vars(sys.modules["pkg_resources"]).update(lookup)
    import parliament

Said = Iterator[tuple[str, str]]
Judge = Callable[[dict[str, Any], str, list[str]], Said]
DATA: dict[str, Any] = policy_sentry.iam_definition
TOOLS = ("parliament", "cloudsplaining", "policy_sentry")
SHOWN = 5  # names in a message; more make nobody wiser
# Conditions that leave a grant as wide as it is; the libraries take any condition for a limit.
NO_LIMIT = {"aws:securetransport", "aws:requestedregion", "aws:currenttime", "aws:useragent", "aws:referer"}
# What parliament says that is a matter of taste, or wrong: a comparison of an ARN as text works, and its list of
# identity providers knows no OpenID Connect at all.
UNSAID = {
    "MISMATCHED_TYPE_BUT_USABLE",
    "UNKNOWN_FEDERATION_SOURCE",
    "RESOURCE_POLICY_PRIVILEGE_ESCALATION",
    "NO_VERSION",
}
SAID = {
    "RESOURCE_EFFECTIVELY_STAR": "its resources come to all that there are",
    "INVALID_SID": "its Sid has more than letters and digits",
    "INVALID_VERSION": "The document's version is neither 2012-10-17 nor 2008-10-17",
    "OLD_VERSION": "The document has variables, and its version 2008-10-17 knows none",
    "UNKNOWN_PRINCIPAL": "its principal is none",
    "UNKNOWN_OPERATOR": "its condition's operator is none",
}
HARMLESS_CREDENTIALS = {"ecr:GetAuthorizationToken"}  # has no narrower form, and shows no image by itself


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as no items, anything else as the one item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def some(names: list[str]) -> str:
    """The first few of some names, and how many more."""
    names = sorted(set(names))
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


@functools.cache
def expanded(pattern: str) -> tuple[tuple[str, str], ...]:
    """(service, action) that a pattern of actions means, as policy_sentry knows them."""
    service, _, name = pattern.partition(":")
    privileges = DATA.get(service.lower(), {}).get("privileges", {}) if service != "*" else {}
    return tuple((service.lower(), each) for each in privileges if fnmatch.fnmatchcase(each.lower(), name.lower()))


def formats(service: str, action: str) -> list[tuple[str, str]]:
    """(type, ARN format) of the resources that an action works on, `*` for one that works on none."""
    data = DATA[service]
    kinds = [kind for kind in data["privileges"][action]["resource_types"] if kind]
    found = [(kind, data["resources"][kind]["arn"]) for kind in kinds if kind in data["resources"]]
    return found or [("", "*")]


def fits(kind: str, form: str, arn: str) -> bool:
    """Whether an ARN, or a pattern of ARNs, can mean a resource of a form."""
    if arn == "*" or form == "*":
        return arn == "*"
    arn = re.sub(r"\$\{[^}]*\}", "*", arn)
    return arn.count(":") >= 5 and bool(parliament.is_arn_match(kind, re.sub(r"\$\{.*?\}", "*", form), arn))


def where(statement: dict[str, Any], index: int) -> str:
    return f"Statement {statement['Sid']}" if statement.get("Sid") else f"Statement {index + 1}"


def readable(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """The document as parliament can judge it: a resource where none is needed, no actions that its list lacks."""
    rows = []
    for said in listed(document.get("Statement")):
        row = dict(said)
        if kind in ("trust", "resource") and "NotResource" not in row:
            row.setdefault("Resource", "*")
        if kind == "resource" and "Sid" in row:  # IAM alone asks for letters and digits
            row["Sid"] = re.sub("[^0-9A-Za-z]", "", str(row["Sid"]))
        for key in ("Action", "NotAction"):
            new = [name for name in listed(row.get(key)) if not parliament.expand_action(str(name), False)]
            new = [name for name in new if expanded(str(name))]
            if new:
                row[key] = [name for name in listed(row[key]) if name not in new]
        if row.get("Action", row.get("NotAction")) != []:
            rows.append(row)
    return {"Version": "2012-10-17", **document, "Statement": rows}


def confirmed(issue: str, detail: Any, row: dict[str, Any], made_up: list[str]) -> str:
    """What to say of a finding of parliament's; "" where policy_sentry's data, which are of another date, deny it."""
    arns = [str(arn) for arn in listed(row.get("Resource"))]
    said = str(detail or SAID.get(issue) or issue.lower().replace("_", " "))
    named = {str(name).lower() for name in listed(row.get("Action"))}  # of a star, only what fits is meant
    if issue == "RESOURCE_MISMATCH":
        found = [each["action"] for each in detail if each["action"].lower() in named]
        bad = [name for name in found if not any(suits(name, arn) for arn in arns)]
        said = f"{some(bad)} on none of its resources" if bad and all(formed(arn, made_up) for arn in arns) else ""
    elif issue == "RESOURCE_STAR":
        grants = row.get("Effect") == "Allow" and not row.get("Condition")
        narrow = [name for name in detail if name.lower() in named and not suits(name, "*", narrower=True)]
        said = f"{some(narrow)} on every resource" if narrow and grants else ""
    elif issue == "INVALID_ARN":
        free = [arn for arn in arns if "${" in arn or arn.startswith("arn:aws-") or not formed(arn, made_up)]
        said = "" if free else said
    elif issue == "MISMATCHED_TYPE":  # a pattern of ARNs on a text is what AWS itself writes for kms:EncryptionContext
        said = "" if "Arn but given String" in said else said
    elif issue == "UNKNOWN_CONDITION_FOR_ACTION":
        key = said.split(" for action", maxsplit=1)[0].rsplit(" ", 1)[-1]
        said = "" if known_condition(key) else f"{key} is no condition key"
    return said


def formed(arn: str, made_up: list[str]) -> bool:
    """Whether an ARN is of a form of its service, or its form is the program's own doing."""
    forms = resources_of(arn)
    return not any(text in arn for text in made_up) or any(fits(form["resource"], form["arn"], arn) for form in forms)


def suits(name: str, arn: str, narrower: bool = False) -> bool:
    """Whether an action works on a resource; narrower: whether it works on nothing narrower than every resource."""
    found = [form for service, action in expanded(name) for form in formats(service, action)]
    if narrower:
        return all(form == "*" for _, form in found)
    return not found or any(fits(kind, form, arn) for kind, form in found)


@functools.cache
def known_condition(key: str) -> bool:
    """Whether any service, or IAM for all of them, has a condition key; what follows a slash is free."""
    prefix = key.split("/", maxsplit=1)[0].lower()
    if prefix.startswith(("aws:", "saml:", "kms:encryptioncontext")) or ":" not in prefix or "." in prefix:
        return True
    named = [each for data in DATA.values() if isinstance(data, dict) for each in data.get("conditions", {})]
    return any(re.split(r"[/<$]", each, maxsplit=1)[0].lower().rstrip(":") == prefix for each in named)


def resources_of(arn: str) -> list[dict[str, Any]]:
    service = arn.split(":")[2] if arn.count(":") > 4 else ""
    return [*DATA.get(service, {}).get("resources", {}).values()]


def by_parliament(document: dict[str, Any], kind: str, made_up: list[str]) -> Said:
    """Its findings, by statement; those that hang on a list of actions only where policy_sentry's says the same."""
    document = readable(document, kind)
    if not document["Statement"]:
        return
    policy = parliament.analyze_policy_string(json.dumps(document))
    for index, each in enumerate(policy.statements):
        row = document["Statement"][index]
        for finding in each.findings:
            issue = finding.issue
            if issue == "EXCEPTION":
                raise ValueError(finding.detail)
            if issue in UNSAID:
                continue
            if said := confirmed(issue, finding.detail, row, made_up):
                yield f"PARLIAMENT_{issue}", f"{where(row, index)}: {said}"
    for finding in policy._findings:
        if finding.issue == "OLD_VERSION" and "${" not in json.dumps(document):
            continue  # the versions differ in variables alone
        if finding.issue not in UNSAID:
            yield f"PARLIAMENT_{finding.issue}", str(finding.detail or SAID.get(finding.issue, finding.issue))


def unfiltered(document: dict[str, Any]) -> Any:
    """The document without denials and conditions that cloudsplaining takes for more than they are."""
    rows = []
    for row in listed(document.get("Statement")):
        condition = row.get("Condition") or {}
        if row.get("Effect") == "Allow":
            loose = {key.lower() for block in condition.values() for key in block} <= NO_LIMIT
            rows.append({name: value for name, value in row.items() if name != "Condition" or not loose})
        elif row.get("Effect") == "Deny" and not condition and "*" in listed(row.get("Resource")):
            rows.append(row)
    return cloudsplaining.PolicyDocument({"Version": "2012-10-17", "Statement": rows})


def by_cloudsplaining(document: dict[str, Any], kind: str, made_up: list[str]) -> Said:
    """What an identity with these grants could do to others."""
    del made_up
    if kind not in ("identity", "role"):
        return
    policy = unfiltered(document)
    ways = {way["type"]: way["actions"] for way in policy.allows_privilege_escalation}
    if kind == "role":
        alone = {"Version": "2012-10-17"}
        for row in listed(document.get("Statement")):  # what one statement allows is said of its own policy
            for way in unfiltered({**alone, "Statement": [row]}).allows_privilege_escalation:
                ways.pop(way["type"], None)
    for name, actions in sorted(ways.items()):
        yield "CLOUDSPLAINING_PRIVILEGE_ESCALATION", f"It allows {some(actions)} on every resource ({name})"
    if kind == "role":
        return
    exposed = [name for name in policy.credentials_exposure if name not in HARMLESS_CREDENTIALS]
    for issue, names in (
        ("RESOURCE_EXPOSURE", policy.permissions_management_without_constraints),
        ("DATA_EXFILTRATION", policy.allows_data_exfiltration_actions),
        ("CREDENTIALS_EXPOSURE", exposed),
        ("UNLIMITED_WRITE", policy.write_actions_without_constraints),
    ):
        if names:
            yield f"CLOUDSPLAINING_{issue}", f"It allows {some(names)} on every resource"


def by_policy_sentry(document: dict[str, Any], kind: str, made_up: list[str]) -> Said:
    """Stars in actions that reach the management of permissions, and ARNs of no form that their service has."""
    for index, row in enumerate(listed(document.get("Statement"))):
        arns = [str(arn) for arn in listed(row.get("Resource"))]
        if kind == "identity" and row.get("Effect") == "Allow" and not row.get("Condition"):
            yield from managing(row, arns, where(row, index))
        for arn in arns if kind in ("identity", "resource") else []:
            forms = resources_of(arn)
            ours = "${" in arn or "*" in ":".join(arn.split(":")[:3]) or any(text in arn for text in made_up)
            if forms and not ours and not any(fits(form["resource"], form["arn"], arn) for form in forms):
                yield "POLICY_SENTRY_ARN_FORMAT", f"{where(row, index)}: {arn} has no form of its service"


def managing(row: dict[str, Any], arns: list[str], place: str) -> Said:
    for pattern in (str(name) for name in listed(row.get("Action"))):
        if "*" not in pattern or pattern.endswith(":*") or pattern == "*":
            continue
        found = [
            f"{service}:{action}"
            for service, action in expanded(pattern)
            if DATA[service]["privileges"][action]["access_level"] == "Permissions management"
            and any(fits(kind, form, arn) or arn == "*" for kind, form in formats(service, action) for arn in arns)
        ]
        if found:
            yield "POLICY_SENTRY_STAR_MANAGES_PERMISSIONS", f"{place}: {pattern} holds {some(found)}"


def _tried(judge: Judge, row: dict[str, Any]) -> tuple[list[tuple[str, str]], str]:
    """What a library says against a document, and why it could not say it."""
    try:
        return [*dict.fromkeys(judge(row["document"], row["kind"], row["made_up"]))], ""
    except Exception as error:  # noqa: BLE001 - three libraries, any document, and no list of what they raise
        return [], f"It could not be read: {type(error).__name__}: {error}"


def judge(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request; a document at which a library breaks is an error, never sound."""
    judges: dict[str, Judge] = {
        "parliament": by_parliament,
        "cloudsplaining": by_cloudsplaining,
        "policy_sentry": by_policy_sentry,
    }
    findings, errors = [], []
    known: dict[str, tuple[list[tuple[str, str]], str]] = {}  # most trusts, and many grants, are alike
    for row in request["documents"]:
        for tool, each in judges.items():
            if row["kind"] == "role" and tool != "cloudsplaining":
                continue
            asked = json.dumps([tool, row["kind"], row["document"], row["made_up"]], sort_keys=True)
            if asked not in known:
                known[asked] = _tried(each, row)
            said, error = known[asked]
            if error:
                errors.append({"id": row["id"], "tool": tool, "message": error})
            findings += [{"id": row["id"], "policy": name, "message": message} for name, message in said]
    return {
        "versions": {tool: importlib.metadata.version(tool) for tool in TOOLS},
        "findings": findings,
        "errors": errors,
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # the libraries print
        answer = judge(json.load(sys.stdin))
    json.dump(answer, sys.stdout)
