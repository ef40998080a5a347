"""Elastic Load Balancing: listeners and their actions. Balancers and target groups have a module of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws import load_balancers
from localcloud.aws.answers import fit, present, unless_gone
from localcloud.aws.calls import ProviderError, all_of, changed, tag_list, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.load_balancers import client, retag, tags_of

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# what AWS adds to a redirect that says nothing of it
_REDIRECT = {"host": "#{host}", "path": "/#{path}", "port": "#{port}", "protocol": "#{protocol}", "query": "#{query}"}

# actions that the emulator's CreateListener refuses and its ModifyListener takes
LATER = ("jwt-validation",)


def _action_arguments(action: Properties) -> dict[str, Any]:
    known = {"type", "order", "targetGroupArn", "forward", "redirect", "fixedResponse", "jwtValidation"}
    if set(action) - known:
        raise ProviderError(f"localcloud knows no listener action with {', '.join(sorted(set(action) - known))}.")
    forward = action.get("forward")
    return present(
        Type=action["type"],
        Order=action.get("order"),
        TargetGroupArn=action.get("targetGroupArn"),
        ForwardConfig=forward and _forward_arguments(forward),
        RedirectConfig=to_cloud(action["redirect"]) if action.get("redirect") else None,
        FixedResponseConfig=to_cloud(action["fixedResponse"]) if action.get("fixedResponse") else None,
        JwtValidationConfig=to_cloud(action["jwtValidation"]) if action.get("jwtValidation") else None,
    )


def _forward_arguments(forward: Properties) -> dict[str, Any]:
    groups = [present(TargetGroupArn=group["arn"], Weight=group.get("weight")) for group in forward["targetGroups"]]
    stickiness = forward.get("stickiness") or {}
    sticky = present(Enabled=stickiness.get("enabled"), DurationSeconds=stickiness.get("duration"))
    return {"TargetGroups": groups, **({"TargetGroupStickinessConfig": sticky} if sticky else {})}


def _live_action(action: dict[str, Any], declared: Properties) -> Properties:
    """An action in Pulumi's form, without what AWS adds to the declared one."""
    config = action.get("ForwardConfig") or {}
    groups = [present(arn=row["TargetGroupArn"], weight=row.get("Weight")) for row in config.get("TargetGroups") or []]
    sticky = config.get("TargetGroupStickinessConfig") or {}
    only = groups[0]["arn"] if len(groups) == 1 else None
    live = present(
        type=action["Type"],
        order=action.get("Order"),
        targetGroupArn=action.get("TargetGroupArn") or only,
        forward=_live_forward(groups, sticky, declared.get("forward") or {}) if groups else None,
        redirect=fit(to_wire(action.get("RedirectConfig")), declared.get("redirect"), _REDIRECT),
        fixedResponse=fit(to_wire(action.get("FixedResponseConfig")), declared.get("fixedResponse")),
        jwtValidation=to_wire(action.get("JwtValidationConfig")),
    )
    return fit(live, declared, {"type": None, "jwtValidation": None}) or live if declared else live


def _live_forward(groups: list[Properties], sticky: dict[str, Any], declared: Properties) -> Properties:
    asked = declared.get("targetGroups") or []
    if len(asked) == len(groups):
        groups = [fit(live, group, {"weight": 1}) or live for live, group in zip(groups, asked, strict=True)]
    live = {"enabled": sticky.get("Enabled", False), **present(duration=sticky.get("DurationSeconds"))}
    wanted = declared.get("stickiness")
    return present(targetGroups=groups, stickiness=fit(live, wanted, {"enabled": False}))


def _live_actions(actions: list[dict[str, Any]], declared: list[Properties] | None) -> list[Properties]:
    asked = declared if declared and len(declared) == len(actions) else [{}] * len(actions)
    return [_live_action(action, wanted) for action, wanted in zip(actions, asked, strict=True)]


def _listener_arguments(inputs: Properties) -> dict[str, Any]:
    certificate = inputs.get("certificateArn")
    return present(
        Port=inputs.get("port"),
        SslPolicy=inputs.get("sslPolicy"),
        Certificates=[{"CertificateArn": certificate}] if certificate else None,
        DefaultActions=[_action_arguments(action) for action in inputs["defaultActions"]],
    )


def _protocol(inputs: Properties, balancer: str) -> str | None:
    """An application balancer's listener speaks HTTP unless it is told otherwise."""
    return inputs.get("protocol") or ("HTTP" if ":loadbalancer/app/" in balancer else None)


def _create_listener(account: Account, inputs: Properties, tags: Tags) -> str:
    balancer = inputs["loadBalancerArn"]
    arguments = present(Protocol=_protocol(inputs, balancer), Tags=tag_list(tags) or None)
    if inputs.get("alpnPolicy"):
        arguments["AlpnPolicy"] = [inputs["alpnPolicy"]]
    said = _listener_arguments(inputs)
    first = {**said, "DefaultActions": [action for action in said["DefaultActions"] if action["Type"] not in LATER]}
    created = client(account).create_listener(LoadBalancerArn=balancer, **arguments, **first)
    arn = str(created["Listeners"][0]["ListenerArn"])
    if first != said:
        client(account).modify_listener(ListenerArn=arn, DefaultActions=said["DefaultActions"])
    return arn


def _read_listener(account: Account, arn: str, inputs: Properties) -> Properties | None:
    answer = unless_gone(lambda: client(account).describe_listeners(ListenerArns=[arn]))
    if not answer or not answer["Listeners"]:
        return None
    found = answer["Listeners"][0]
    certificates = found.get("Certificates") or [{}]
    return present(
        arn=arn,
        loadBalancerArn=found["LoadBalancerArn"],
        port=found.get("Port"),
        protocol=found.get("Protocol"),
        sslPolicy=found.get("SslPolicy"),
        certificateArn=certificates[0].get("CertificateArn"),
        alpnPolicy=next(iter(found.get("AlpnPolicy") or []), None),
        defaultActions=_live_actions(found["DefaultActions"], inputs.get("defaultActions")),
        tags=tags_of(account, [arn])[arn],
    )


def _update_listener(account: Account, arn: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "port", "protocol", "sslPolicy", "certificateArn", "defaultActions"):
        # the emulator refuses to be told again of some protocols
        protocol = {"Protocol": new["protocol"]} if new.get("protocol") and changed(old, new, "protocol") else {}
        client(account).modify_listener(ListenerArn=arn, **protocol, **_listener_arguments(new))
    retag(account, arn, old, new)


def _delete_listener(account: Account, arn: str, _inputs: Properties) -> None:
    unless_gone(lambda: client(account).delete_listener(ListenerArn=arn))


def _list_listeners(account: Account) -> list[tuple[str, Tags]]:
    balancers = all_of(client(account), "describe_load_balancers", "LoadBalancers")
    arns = [
        row["ListenerArn"]
        for balancer in balancers
        for row in all_of(
            client(account), "describe_listeners", "Listeners", LoadBalancerArn=balancer["LoadBalancerArn"]
        )
    ]
    return list(tags_of(account, arns).items())


LISTENER = Kind(
    token="aws:lb/listener:Listener",
    create=_create_listener,
    read=_read_listener,
    update=_update_listener,
    delete=_delete_listener,
    list=_list_listeners,
    read_back=frozenset(
        {"loadBalancerArn", "port", "protocol", "sslPolicy", "certificateArn", "alpnPolicy", "defaultActions", "tags"}
    ),
    computed=frozenset({"protocol", "sslPolicy"}),
    # alpnPolicy changes in place on AWS; the emulator ignores that without a word
    replaces=frozenset({"loadBalancerArn", "alpnPolicy"}),
    tagged=True,
    # a balancer listens on a port once
    delete_before_replace=True,
)

KINDS: tuple[Kind, ...] = (*load_balancers.KINDS, LISTENER)
