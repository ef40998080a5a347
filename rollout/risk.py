"""What a reviewer should look at first: data, public exposure, permissions, the fewest of what runs, policies.

Pure functions over two plans of a stack and what the policies found in each. A risk is no verdict: it says what becomes
different, as far as plans can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rollout import grants, hazards, kinds
from rollout.changes import Change, Changes, Row
from rollout.grant import ANYONE, NOT, Grant, covers, is_broad
from rollout.grants import Grants
from rollout.hazard_tables import DEEP_LOCK
from rollout.plans import Plan, without_release

Kind = Literal["data", "exposure", "permission", "capacity", "policy"]
KINDS: tuple[Kind, ...] = ("data", "exposure", "permission", "capacity", "policy")
PUBLIC = {"*", "allUsers", "allAuthenticatedUsers", "Group/system:unauthenticated", "Group/system:anonymous"}
SHOWN = 6  # actions of an identity that is new
Findings = Mapping[str, Any]


@dataclass(frozen=True)
class Risk:
    """One thing to look at. weight: 0 is the worst of its kind. type, name: of the resource; "" where none is meant.

    says: a sentence of ours that goes on from the resource's name; `{}` for each of `values`, which strangers may have
    written, or `{prose}` for one that is a sentence itself.
    """

    kind: Kind
    weight: int
    urn: str
    type: str
    name: str
    says: str
    values: tuple[str, ...] = ()


def of(
    changes: Changes,
    base: Plan | None,
    head: Plan | None,
    base_findings: Findings | None = None,
    head_findings: Findings | None = None,
) -> tuple[Risk, ...]:
    """The risks of a change to a stack, worst first. The plans are those that `changes` was made of."""
    old, new = (_rows(without_release(plan)) if plan else {} for plan in (base, head))
    found = [
        *_data(changes, new),
        *_exposure(changes, new),
        *_permissions(old, new),
        *_capacity(changes),
        *_policies(base_findings, head_findings),
    ]
    return tuple(sorted(dict.fromkeys(found), key=_order))


def fixed(base: Findings | None, head: Findings | None) -> int:
    """How many findings of the base are gone. 0 where the policies could not look at the head."""
    return len(_open(base).keys() - _all(head).keys()) if head and not head["errors"] else 0


def _order(row: Risk) -> tuple[Any, ...]:
    return KINDS.index(row.kind), row.weight, row.urn, row.says, row.values


def _rows(plan: Plan) -> dict[str, Row]:
    return {row["urn"]: row for row in plan["resources"]}


def _of(kind: Kind, weight: int, change: Change, says: str, *values: Any) -> Risk:
    return Risk(kind, weight, change.urn, change.type, change.name, says, tuple(map(str, values)))


def _at(kind: Kind, weight: int, row: Row, says: str, *values: str) -> Risk:
    return Risk(kind, weight, row["urn"], row["type"], row["name"], says, values)


def shown(value: Any) -> str:
    """A value of a plan as a short text."""
    if value is None:
        return "none"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- data ---


def _data(changes: Changes, rows: Mapping[str, Row]) -> Iterator[Risk]:
    for change in changes.resources:
        held = kinds.holds(change.type)
        if change.op == "delete" and change.old:
            if held:
                yield _deleted(change, change.old["options"], held)
            elif _still_there(change.old, rows):
                yield from _unkept(change, change.old)
        elif change.op == "replace" and held:
            yield _replaced(change, held)
        if change.old and change.new:
            yield from _kept_less(change, change.old, change.new)


def _deleted(change: Change, options: Mapping[str, Any], held: str) -> Risk:
    if change.moved:
        says = f"is deleted, and with it {held}, and made anew elsewhere in the program: an alias of {{}} would keep it"
        return _of("data", 0, change, says, change.urn)
    if options.get("retainOnDelete"):
        return _of("data", 2, change, f"leaves the stack: it stays in the cloud with {held}, and nobody looks after it")
    if options.get("protect"):
        return _of("data", 0, change, f"is deleted, and with it {held}. It is protected: the deployment stops at it")
    return _of("data", 0, change, f"is deleted, and with it {held}")


def _replaced(change: Change, held: str) -> Risk:
    causes = [row.path for row in change.properties if row.forces]
    named = ", ".join("{}" for _ in causes[:3])
    says = f"may be replaced, and {held} lost, as {named} {'change' if len(causes) > 1 else 'changes'}"
    return _of("data", 0, change, says, *causes[:3])


def _unkept(change: Change, old: Row) -> Iterator[Risk]:
    for kept in hazards.keeps(old).values():
        if kept.good or kept.amount not in (None, math.inf):
            yield _of("data", 1, change, f"is deleted: what it is about loses {kept.says}")


def _kept_less(change: Change, old: Row, new: Row) -> Iterator[Risk]:
    after = hazards.keeps(new)
    for path, kept in hazards.keeps(old).items():
        now = after.get(path, hazards.Kept(None, ""))
        less = kept.amount is not None and (now.amount is None or now.amount < kept.amount)
        if less or (kept.good and not now.good):
            yield _of("data", 1, change, f"loses {kept.says} ({{}} → {{}})", shown(kept.value), shown(now.value))
    for row in change.properties:  # also deep in a template that another engine deploys
        was, becomes = hazards.number(row.old), hazards.number(row.new)
        if row.path.endswith(f".{DEEP_LOCK}") and was is not None and (becomes is None or becomes < was):
            told = (shown(was), "none" if becomes is None else shown(becomes))
            yield _of("data", 1, change, "loses days of a lock ({} → {})", *told)


def _still_there(row: Row, rows: Mapping[str, Row]) -> bool:
    """Whether something that a removed resource was about is still there."""
    about = {urn for urns in row["propertyDependencies"].values() for urn in urns} | set(row["dependencies"])
    return any(urn in rows and rows[urn]["custom"] for urn in about)


# --- exposure ---

# What keeps the public out where it is said, and does not where nothing is said.
_BLOCKS = (
    ("blockPublicAcls", True), ("blockPublicPolicy", True), ("ignorePublicAcls", True), ("restrictPublicBuckets", True),
    ("publicAccessPrevention", "enforced"), ("uniformBucketLevelAccess", True), ("allowBlobPublicAccess", False),
    ("publicNetworkAccess", "Disabled"), ("internal", True),
)  # fmt: skip
_WORST = ("anyone", "internet in", "public", "bucket")


def _exposure(changes: Changes, rows: Mapping[str, Row]) -> Iterator[Risk]:
    for change in changes.resources:
        before = hazards.openings(change.old) if change.old else {}
        for (path, value), says in (hazards.openings(change.new) if change.new else {}).items():
            if (path, value) not in before:
                weight = 0 if any(word in says for word in _WORST) else 1
                told = (path, value) if path and value else ()
                yield _of("exposure", weight, change, says + (" ({} is {})" if told else ""), *told)
        if change.op == "delete" and "publicaccessblock" in kinds.kind(change.type):
            if change.old and _still_there(change.old, rows):
                yield _of("exposure", 0, change, "is deleted: nothing keeps its bucket from being made public")
        elif change.old and change.new:
            for name, closed in _BLOCKS:
                if change.old["inputs"].get(name) == closed and change.new["inputs"].get(name) is None:
                    yield _of("exposure", 0, change, "no longer says {}, which kept the public out", name)


# --- permissions ---


def _permissions(before: Mapping[str, Row], rows: Mapping[str, Row]) -> Iterator[Risk]:
    old, new = grants.of_rows(before), grants.of_rows(rows)
    known, had = _by_identity(old.allowed), {grant.what for grant in old.allowed}
    gained = [
        grant
        for grant in new.allowed
        if grant.what not in had and not any(covers(other, grant) for other in known.get(grant.identity, ()))
    ]
    known_before = old.identities
    yield from _gained([row for row in gained if row.identity in known_before or _is_public(row)], known, rows)
    yield from _newcomers([row for row in gained if row.identity not in known_before and not _is_public(row)], rows)
    yield from _no_longer_denied(old, new, before, rows)
    yield from _boundaries(old, new)
    for urn, name in sorted(new.unread - old.unread):
        yield _at("permission", 1, rows[urn], "has a policy ({}) whose text nobody knows before the deployment", name)


def _is_public(grant: Grant) -> bool:
    return grant.identity in PUBLIC or grant.identity.startswith(NOT)


def _by_identity(found: Iterable[Grant]) -> dict[str, list[Grant]]:
    rows: dict[str, list[Grant]] = {}
    for grant in found:
        rows.setdefault(grant.identity, []).append(grant)
    return rows


def _gained(gained: list[Grant], known: Mapping[str, list[Grant]], rows: Mapping[str, Row]) -> Iterator[Risk]:
    """Who gains which actions on what: one row for all actions of the same resource, condition and cause."""
    together: dict[tuple[str, ...], list[Grant]] = {}
    for grant in gained:
        cause = _cause(grant, known.get(grant.identity, ()))
        together.setdefault((grant.identity, grant.resource, grant.condition, grant.source, cause), []).append(grant)
    for (identity, resource, condition, source, cause), found in together.items():
        public = _is_public(found[0]) and not condition
        told = ["anyone" if identity in PUBLIC else identity, _actions(found), resource]
        if cause == "no condition":
            says = "{} may do {} on {} without the condition that it had"
        elif cause == "other condition":
            says, told = "{} may do {} on {} under another condition: {}", [*told, condition]
        else:
            says, told = ("{} gains {} on {}, if {}", [*told, condition]) if condition else ("{} gains {} on {}", told)
        weight = 0 if public or any(map(is_broad, found)) else 1
        yield _at("exposure" if public else "permission", weight, rows[source], says, *told)


def _actions(found: Iterable[Grant]) -> str:
    return ", ".join(sorted({grant.action for grant in found}))


def _cause(grant: Grant, known: Iterable[Grant]) -> str:
    """Whether the identity had the same permission under a condition that is gone or another one."""
    same = any((other.action, other.resource) == (grant.action, grant.resource) for other in known)
    return "" if not same else "other condition" if grant.condition else "no condition"


def _newcomers(gained: list[Grant], rows: Mapping[str, Row]) -> Iterator[Risk]:
    """What identities may do that nobody had named before: one row each."""
    for identity, found in _by_identity(gained).items():
        broad = {grant.action for grant in found if is_broad(grant)}
        actions = sorted({grant.action for grant in found}, key=lambda action: (action not in broad, action))
        about = sorted({grant.resource for grant in found})
        more = f" and {len(actions) - SHOWN} more" if len(actions) > SHOWN else ""
        says = f"{{}} is new here and gains {{}}{more} on {'{}' if len(about) == 1 else f'{len(about)} resources'}"
        told = [identity, ", ".join(actions[:SHOWN]), *(about if len(about) == 1 else ())]
        yield _at("permission", 1 if broad else 2, rows[found[0].source], says, *told)


def _no_longer_denied(old: Grants, new: Grants, before: Mapping[str, Row], rows: Mapping[str, Row]) -> Iterator[Risk]:
    """Denials that are gone though what they were about is not."""
    now, denied = {grant.what for grant in new.denied}, _by_identity(new.denied)
    together: dict[tuple[str, ...], list[Grant]] = {}
    for grant in old.denied:
        others = [*denied.get(grant.identity, ()), *denied.get(ANYONE, ())]
        if grant.what in now or any(covers(other, grant) for other in others):
            continue
        if grant.source in rows or _still_there(before[grant.source], rows):
            together.setdefault((grant.identity, grant.resource, grant.condition, grant.source), []).append(grant)
    for (identity, resource, condition, source), found in together.items():
        told = ["anyone" if identity == ANYONE else identity, _actions(found), resource]
        says = "{} is no longer denied {} on {}" + (", if {}" if condition else "")
        yield _at("permission", 0, before[source], says, *told, *([condition] if condition else []))


def _boundaries(old: Grants, new: Grants) -> Iterator[Risk]:
    for identity, boundary in sorted(old.boundaries.items()):
        now = new.boundaries.get(identity)
        if now is None and identity in new.identities:
            yield Risk("permission", 0, "", "", "", "{} loses its boundary, {}", (identity, boundary))
        elif now not in (None, boundary):
            yield Risk("permission", 1, "", "", "", "{} gets another boundary: {} → {}", (identity, boundary, str(now)))


# --- capacity ---


def _capacity(changes: Changes) -> Iterator[Risk]:
    for change in changes.resources:
        before = hazards.fewest(change.old) if change.old else {}
        after = hazards.fewest(change.new) if change.new else {}
        for path, (amount, says) in before.items():
            now = after.get(path)
            if change.op == "delete":
                if amount:
                    yield _of("capacity", 1, change, f"is deleted, which lowers {says}: {{}} → {{}}", shown(amount), 0)
            elif now is None:
                yield _of("capacity", 1, change, f"no longer sets {says}; it was {{}}", shown(amount))
            elif now[0] < amount:
                weight = 0 if now[0] == 0 or "on demand" in says else 1
                yield _of("capacity", weight, change, f"lowers {says}: {{}} → {{}}", shown(amount), shown(now[0]))
        if change.old and change.new:
            wide = hazards.spread(change.new)
            for path, (number, says) in hazards.spread(change.old).items():
                if wide.get(path, (0, ""))[0] < number:
                    told = (str(number), str(wide.get(path, (0, ""))[0]))
                    yield _of("capacity", 1, change, f"is spread over fewer {says}: {{}} → {{}}", *told)


# --- policies ---


def _all(findings: Findings | None) -> dict[str, Mapping[str, Any]]:
    return {row["fingerprint"]: row for row in findings["findings"]} if findings else {}


def _open(findings: Findings | None) -> dict[str, Mapping[str, Any]]:
    """Findings that stand and are not waived."""
    return {key: row for key, row in _all(findings).items() if row["status"] != "waived"}


def _policies(base: Findings | None, head: Findings | None) -> Iterator[Risk]:
    if head is None:
        return
    for error in head["errors"]:
        yield Risk("policy", 0, "", "", "", "The policies have no answer: {prose}", (error,))
    before, known = _open(base), _all(base)
    for key, row in _open(head).items():
        earlier = before.get(key)
        if not earlier or (row["blocks"] and not earlier["blocks"]):
            yield _broken(row, head["policies"].get(row["policy"], {"severity": "low", "title": ""}))
    for key, row in _all(head).items():
        waiver = row["waiver"]
        if waiver and (key not in known or not known[key]["waiver"]):
            told = (row["policy"], waiver["expires"], waiver["owner"], waiver["approver"], waiver["reason"])
            yield _at("policy", 1, row, "is let off {} until {}, by {} on the word of {}: {prose}", *told)
    yield from _levels(base, head)


def _broken(row: Mapping[str, Any], policy: Mapping[str, Any]) -> Risk:
    weight = (0 if row["blocks"] else 2) + (row["status"] == "undetermined")
    says = "may break {} ({}): {prose}" if row["status"] == "undetermined" else "breaks {} ({}): {prose}"
    stops = " This stops the deployment." if row["blocks"] else ""
    return _at(
        "policy", weight, row, f"{says}{stops}", row["policy"], policy["severity"], row["message"] or policy["title"]
    )


def _levels(base: Findings | None, head: Findings) -> Iterator[Risk]:
    """Policies that ask less than they did. None where the tools could not look, which is told already."""
    if not base or head["errors"]:
        return
    for policy, level in sorted(base["levels"].items()):
        now = head["levels"].get(policy, "gone")
        if level == "mandatory" and now != "mandatory":
            yield Risk("policy", 0, "", "", "", "The policy {} was mandatory and is {}", (policy, now))
        elif level == "advisory" and now in ("disabled", "gone"):
            yield Risk("policy", 1, "", "", "", "The policy {} was advisory and is {}", (policy, now))
