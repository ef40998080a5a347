"""Our rules as the policies of a Pulumi policy pack (`pulumi_policy`), one each, by the rule's id.

A rule of one resource judges the inputs of each registration; a rule of the whole stack judges at the end of a preview
or an update, on the inputs as they were registered. Levels are those of the rules; a host's policy configuration
(`--policy-pack-config`) overrides them for a stack. What is undetermined is advice of two policies of its own, for a
preview does not know what an update will; a rule that could not judge at all is a violation at the rule's level.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies import own
from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict
from policies.rules import all_rules

UNDETERMINED = "GW-UNDETERMINED"
UNDETERMINED_STACK = "GW-UNDETERMINED-STACK"


class Policies(list[Policy]):
    """The policies of a pack, of which a request sees those alone that have something to say.

    The SDK decodes a request again for each policy that it runs: 70,000 times for a stack of 660 resources. So the
    first two judge by all rules, and leave the names of those that are broken; where neither is run, all are seen.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._inputs: dict[str, Mapping[str, Any]] = {}
        self._request = threading.local()
        rest = [_policy(rule, self._inputs) for rule in rules]
        super().__init__([*self._first([rule for rule in rules if rule.level != "disabled"], rules), *rest])

    def __iter__(self) -> Iterator[Policy]:
        self._request.speaking = None
        yield from self[:2]
        speaking: set[str] | None = self._request.speaking
        yield from (policy for policy in self[2:] if speaking is None or policy.name in speaking)

    def _first(self, enabled: Sequence[Rule], rules: Sequence[Rule]) -> tuple[Policy, Policy]:
        def judge(resources: Sequence[Resource], graph: Graph, report: ReportViolation, *, whole_stack: bool) -> None:
            speaking: set[str] = set()
            self._request.speaking = speaking
            for rule in rules:
                for row in resources:
                    said = own.verdicts(rule, row, graph) if _judges(rule, row, whole_stack=whole_stack) else ()
                    speaking.update(rule.id for verdict in said if _violates(verdict))
                    for verdict in said:
                        if not _violates(verdict) and rule in enabled:
                            report(f"{rule.id}: {_sentence(rule, row, verdict)}", row.urn)

        def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
            row = resource_of(args)
            self._inputs[row.urn] = row.inputs
            judge((row,), _graph(row.urn, (row,)), report, whole_stack=False)

        def stack(args: StackValidationArgs, report: ReportViolation) -> None:
            graph = stack_graph(args.resources, self._inputs)
            judge(graph.resources, graph, report, whole_stack=True)

        description = "What decides is not known before the deployment."
        level = EnforcementLevel.ADVISORY
        return (
            ResourceValidationPolicy(UNDETERMINED, description, resource, enforcement_level=level),
            StackValidationPolicy(UNDETERMINED_STACK, description, stack, enforcement_level=level),
        )


def policies(rules: Sequence[Rule] | None = None) -> Policies:
    """The policies of a pack: two that tell what is undetermined, and one for each rule. ValueError without a rule."""
    rules = all_rules() if rules is None else rules
    if not rules:
        raise ValueError("There is no rule: a pack without one would let everything pass.")
    return Policies(rules)


def _policy(rule: Rule, inputs: Mapping[str, Mapping[str, Any]]) -> Policy:
    def judge(row: Resource, graph: Graph, report: ReportViolation) -> None:
        for verdict in own.verdicts(rule, row, graph):
            if _violates(verdict):
                report(_sentence(rule, row, verdict), row.urn)

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        row = resource_of(args)
        if _judges(rule, row, whole_stack=False):
            judge(row, _graph(row.urn, (row,)), report)

    def stack(args: StackValidationArgs, report: ReportViolation) -> None:
        graph = stack_graph(args.resources, inputs)
        for row in graph.of_type(*dict.fromkeys(rule.types)):
            judge(row, graph, report)

    about: dict[str, Any] = {
        "description": rule.title,
        "enforcement_level": EnforcementLevel(rule.level),
        "severity": Severity(rule.severity),
        "tags": list(rule.controls),
        "remediation_steps": rule.mend,
    }
    if rule.whole_stack:
        return StackValidationPolicy(rule.id, validate=stack, **about)
    return ResourceValidationPolicy(rule.id, validate=resource, **about)


def _judges(rule: Rule, row: Resource, *, whole_stack: bool) -> bool:
    return rule.whole_stack is whole_stack and row.kind in rule.types


def _violates(verdict: Verdict) -> bool:
    return verdict.status == "fail" or isinstance(verdict, own.Unjudged)


def _sentence(rule: Rule, row: Resource, verdict: Verdict) -> str:
    return f"{row.name}: {verdict.message} Mend: {rule.mend}"


def resource_of(args: ResourceValidationArgs | PolicyResource) -> Resource:
    """A resource as a plan would tell it: of a registration the inputs, of a stack the outputs in their place."""
    properties = plain(args.props)
    return Resource(
        args.urn,
        args.resource_type,
        args.name,
        properties,
        properties,
        args.opts.parent or "",
        provider=args.provider.urn if args.provider else "",
        options=_options(args.opts),
    )


def stack_graph(resources: Sequence[PolicyResource], inputs: Mapping[str, Mapping[str, Any]]) -> Graph:
    """The graph of a whole stack; inputs by URN, of those that were registered."""
    rows = []
    for each in resources:
        references = {name: [row.urn for row in rows] for name, rows in each.property_dependencies.items()}
        urns = frozenset(row.urn for row in each.dependencies).union(*references.values())
        row = replace(resource_of(each), references=references, dependencies=urns)
        parent = each.parent.urn if each.parent else row.parent
        rows.append(replace(row, parent=parent, inputs=inputs.get(each.urn, row.inputs)))
    return _graph(rows[0].urn if rows else "", tuple(rows))


def _graph(urn: str, resources: tuple[Resource, ...]) -> Graph:
    parts = urn.removeprefix("urn:pulumi:").split("::")
    return Graph(parts[1] if len(parts) > 1 else "", parts[0], resources)


def _options(options: Any) -> dict[str, Any]:
    """The options that are not the default, by the names of a plan."""
    found = {
        "protect": options.protect,
        "ignoreChanges": list(options.ignore_changes),
        "deleteBeforeReplace": options.delete_before_replace,
        "additionalSecretOutputs": list(options.additional_secret_outputs),
    }
    return {name: value for name, value in found.items() if value}


def plain(value: Any) -> Any:
    """Properties as a plan has them: `{"$unknown": true}` for what a preview cannot know, whole numbers as such."""
    if isinstance(value, Mapping):
        return {name: _item(value, name) for name in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _item(value: Any, key: Any) -> Any:
    try:
        return plain(value[key])
    except UnknownValueError:
        return {"$unknown": True}
