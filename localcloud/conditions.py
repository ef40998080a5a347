"""The Condition element of IAM policies: operators, wildcards, policy variables. Pure; no I/O.

Semantics follow AWS's reference of condition operators, multivalued keys and policy variables:
keys are case-insensitive; the values of one key are alternatives; a missing key fails a positive
operator and passes a negated one; `...IfExists` passes without the key; `ForAllValues` passes and
`ForAnyValue` fails without a value.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

Context = Mapping[str, str | Sequence[str]]
"""Condition key (any case) → its value, or the values of a multivalued key. An absent key is left out."""


class MalformedError(ValueError):
    """A policy says something that IAM does not know; the message names it."""


class UnresolvedError(LookupError):
    """A policy variable has neither a value in the request nor a default; the message is its name."""


class _Wild:
    def __init__(self, name: str) -> None:
        self.name = name


_ANY: Final = _Wild("*")
_ONE: Final = _Wild("?")
Pattern = tuple[str | _Wild, ...]
"""Single characters and wildcards; a character that came from a variable is never a wildcard."""

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"^\s*([^,\s]+)\s*,\s*'([^']*)'\s*$")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


def lowered(context: Context) -> dict[str, tuple[str, ...]]:
    """The context with lower-case keys and a tuple of values for each."""
    return {k.lower(): (v,) if isinstance(v, str) else tuple(v) for k, v in context.items()}


def _resolve(expression: str, context: Mapping[str, tuple[str, ...]]) -> str:
    if expression in _LITERALS:
        return _LITERALS[expression]
    key, default = expression.strip(), None
    if match := _DEFAULT.match(expression):
        key, default = match.group(1), match.group(2)
    values = context.get(key.lower(), ())
    if len(values) == 1:
        return values[0]
    if default is None:  # a multivalued key cannot stand in a variable either
        raise UnresolvedError(key)
    return default


def pattern(text: str, context: Mapping[str, tuple[str, ...]] | None, *, wildcards: bool = True) -> Pattern:
    """`text` with its variables filled in (when a context is given) and its wildcards marked."""
    parts: list[str | _Wild] = []

    def plain(piece: str) -> None:
        if wildcards:
            parts.extend(_ANY if c == "*" else _ONE if c == "?" else c for c in piece)
        else:
            parts.extend(piece)

    at = 0
    if context is not None:
        for match in _VARIABLE.finditer(text):
            plain(text[at : match.start()])
            parts.extend(_resolve(match.group(1), context))
            at = match.end()
    plain(text[at:])
    return tuple(parts)


def matches(wanted: Pattern, text: str) -> bool:
    """Whether the whole of `text` fits; time is at most the product of the lengths, whatever the pattern."""
    p = t = 0
    star, resume = -1, 0
    while t < len(text):
        if p < len(wanted) and wanted[p] is _ANY:
            star, resume, p = p, t, p + 1
        elif p < len(wanted) and (wanted[p] is _ONE or wanted[p] == text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return all(part is _ANY for part in wanted[p:])


def _segments(wanted: Pattern) -> list[Pattern]:
    """Splits a pattern at its first five colons, as an ARN."""
    pieces: list[list[str | _Wild]] = [[]]
    for part in wanted:
        if part == ":" and len(pieces) < 6:
            pieces.append([])
        else:
            pieces[-1].append(part)
    return [tuple(piece) for piece in pieces]


def matches_arn(wanted: Pattern, arn: str) -> bool:
    """Segment by segment: no wildcard reaches over one of the first five colons, but a last `*` does."""
    have = arn.split(":", 5)
    want = _segments(wanted)
    if len(have) < 6:
        return matches(wanted, arn)
    if len(want) < 6:
        return bool(want[-1]) and want[-1][-1] is _ANY and matches(wanted, arn)
    return all(matches(w, h) for w, h in zip(want, have, strict=True))


# --- operators: (policy value, request value) → fits. A request value of the wrong kind does not fit. ---

Test = Callable[[str, str, Mapping[str, tuple[str, ...]]], bool]


def _text(wanted: str, context: Mapping[str, tuple[str, ...]]) -> str:
    return "".join(str(c) for c in pattern(wanted, context, wildcards=False))


def _string_equals(wanted: str, value: str, context: Mapping[str, tuple[str, ...]]) -> bool:
    return _text(wanted, context) == value


def _string_equals_ignore_case(wanted: str, value: str, context: Mapping[str, tuple[str, ...]]) -> bool:
    return _text(wanted, context).casefold() == value.casefold()


def _string_like(wanted: str, value: str, context: Mapping[str, tuple[str, ...]]) -> bool:
    return matches(pattern(wanted, context), value)


def _arn_like(wanted: str, value: str, context: Mapping[str, tuple[str, ...]]) -> bool:
    want, have = _segments(pattern(wanted, context)), value.split(":", 5)
    return len(want) == len(have) == 6 and all(matches(w, h) for w, h in zip(want, have, strict=True))


def _number(text: str) -> float | None:
    try:
        return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()) else None
    except ValueError:
        return None


def _date(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 date (UTC unless it says otherwise) or of epoch seconds."""
    if (number := _number(text)) is not None and "-" not in text.strip()[1:]:
        return number
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float | None], fits: Callable[[float, float], bool]) -> Test:
    def test(wanted: str, value: str, _: Mapping[str, tuple[str, ...]]) -> bool:
        want, have = read(wanted), read(value)
        if want is None:
            raise MalformedError(f"the value {wanted!r} is not a number or date")
        return have is not None and fits(have, want)

    return test


def _bool(wanted: str, value: str, _: Mapping[str, tuple[str, ...]]) -> bool:
    if wanted.lower() not in {"true", "false"}:
        raise MalformedError(f"the value {wanted!r} is neither true nor false")
    return wanted.lower() == value.lower()


def _ip(wanted: str, value: str, _: Mapping[str, tuple[str, ...]]) -> bool:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        raise MalformedError(f"the value {wanted!r} is not an address or a CIDR block") from None
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _binary(wanted: str, value: str, _: Mapping[str, tuple[str, ...]]) -> bool:
    try:
        want = base64.b64decode(wanted, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError(f"the value {wanted!r} is not base64") from None
    try:
        return want == base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False


@dataclass(frozen=True)
class _Operator:
    test: Test
    negated: bool = False


def _family(read: Callable[[str], float | None], name: str) -> dict[str, _Operator]:
    return {
        f"{name}Equals": _Operator(_ordered(read, lambda have, want: have == want)),
        f"{name}NotEquals": _Operator(_ordered(read, lambda have, want: have == want), negated=True),
        f"{name}LessThan": _Operator(_ordered(read, lambda have, want: have < want)),
        f"{name}LessThanEquals": _Operator(_ordered(read, lambda have, want: have <= want)),
        f"{name}GreaterThan": _Operator(_ordered(read, lambda have, want: have > want)),
        f"{name}GreaterThanEquals": _Operator(_ordered(read, lambda have, want: have >= want)),
    }


_NAMED: Mapping[str, _Operator] = {
    "StringEquals": _Operator(_string_equals),
    "StringNotEquals": _Operator(_string_equals, negated=True),
    "StringEqualsIgnoreCase": _Operator(_string_equals_ignore_case),
    "StringNotEqualsIgnoreCase": _Operator(_string_equals_ignore_case, negated=True),
    "StringLike": _Operator(_string_like),
    "StringNotLike": _Operator(_string_like, negated=True),
    "ArnEquals": _Operator(_arn_like),  # AWS: ArnEquals and ArnLike behave the same
    "ArnLike": _Operator(_arn_like),
    "ArnNotEquals": _Operator(_arn_like, negated=True),
    "ArnNotLike": _Operator(_arn_like, negated=True),
    **_family(_number, "Numeric"),
    **_family(_date, "Date"),
    "Bool": _Operator(_bool),
    "IpAddress": _Operator(_ip),
    "NotIpAddress": _Operator(_ip, negated=True),
    "BinaryEquals": _Operator(_binary),
}
OPERATORS: Mapping[str, _Operator] = {name.lower(): operator for name, operator in _NAMED.items()}
_NO_IF_EXISTS = "null"


@dataclass(frozen=True)
class Condition:
    """One key of a Condition block under one operator."""

    operator: str  # lower case, without set prefix and IfExists; "null" among them
    quantifier: str  # "", "forallvalues" or "foranyvalue"
    if_exists: bool
    key: str  # lower case
    values: tuple[str, ...]


def parse(block: object) -> tuple[Condition, ...]:
    """The conditions of a Condition element. Raises MalformedError for what IAM does not know."""
    if not isinstance(block, Mapping):
        raise MalformedError("Condition is not an object")
    found: list[Condition] = []
    for name, keys in block.items():
        quantifier, _, rest = str(name).lower().rpartition(":")
        if_exists = rest.endswith("ifexists")
        operator = rest.removesuffix("ifexists")
        known = operator in OPERATORS or (operator == _NO_IF_EXISTS and not if_exists)
        if not known or quantifier not in {"", "forallvalues", "foranyvalue"}:
            raise MalformedError(f"unknown condition operator {name!r}")
        if not isinstance(keys, Mapping):
            raise MalformedError(f"{name} is not an object")
        for key, given in keys.items():
            values = tuple(_scalar(v) for v in (given if isinstance(given, list) else [given]))
            condition = Condition(operator, quantifier, if_exists, str(key).lower(), values)
            _check_values(condition)
            found.append(condition)
    return tuple(found)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise MalformedError(f"a condition value is {type(value).__name__}, not text, number or boolean")


def _check_values(condition: Condition) -> None:
    """A value that its operator cannot read is malformed whatever the request says."""
    if condition.operator == "null":
        for value in condition.values:
            if value.lower() not in {"true", "false"}:
                raise MalformedError(f"Null takes true or false, not {value!r}")
        return
    if condition.operator.startswith(("string", "arn")):
        return
    for value in condition.values:
        OPERATORS[condition.operator].test(value, "", {})


def holds(condition: Condition, context: Mapping[str, tuple[str, ...]], *, allow: bool) -> bool:
    """Whether one condition holds for a request's context (as `lowered` gives it).

    allow: whether its statement allows. Where AWS leaves open what holds (a negated operator over a variable
    without a value, `ForAnyValue:...IfExists` without the key), an allow does not apply and a deny does.
    """
    have = context.get(condition.key)
    if condition.operator == "null":
        return any((value.lower() == "true") == (not have) for value in condition.values)
    operator = OPERATORS[condition.operator]
    if not have:
        if condition.quantifier == "foranyvalue":
            return condition.if_exists and not allow
        return condition.quantifier == "forallvalues" or condition.if_exists or operator.negated
    unresolved = False

    def equals(wanted: str, value: str) -> bool:
        nonlocal unresolved
        try:
            return operator.test(wanted, value, context)
        except UnresolvedError:
            unresolved = True
            return False

    def fits(value: str) -> bool:
        found = [equals(wanted, value) for wanted in condition.values]  # each, as one may be unresolved
        return any(found) != operator.negated

    each = [fits(value) for value in have]
    if condition.quantifier == "foranyvalue":
        held = any(each)
    else:  # several values without a set operator never fit
        held = all(each) and (condition.quantifier == "forallvalues" or len(each) == 1)
    return held and not (unresolved and operator.negated and allow)
