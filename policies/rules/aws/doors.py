"""The doors through which anybody may come: functions, gateways, load balancers, databases, clusters."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.ports import world
from policies.rules.aws.reading import meant, no, number, rows_of, yes

LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
CDN = "aws:cloudfront/distribution:Distribution"
PERMISSION = "aws:lambda/permission:Permission"
FUNCTION_URL = "aws:lambda/functionUrl:FunctionUrl"
HTTP_API = "aws:apigatewayv2/api:Api"
HTTP_ROUTE = "aws:apigatewayv2/route:Route"
HTTP_STAGE = "aws:apigatewayv2/stage:Stage"
REST_METHOD = "aws:apigateway/method:Method"
REST_STAGE = "aws:apigateway/stage:Stage"
PUBLIC = {
    "aws:rds/instance:Instance": "publiclyAccessible",
    "aws:rds/clusterInstance:ClusterInstance": "publiclyAccessible",
    "aws:docdb/clusterInstance:ClusterInstance": "publiclyAccessible",
    "aws:neptune/clusterInstance:ClusterInstance": "publiclyAccessible",
    "aws:redshift/cluster:Cluster": "publiclyAccessible",
    "aws:redshiftserverless/workgroup:Workgroup": "publiclyAccessible",
    "aws:dms/replicationInstance:ReplicationInstance": "publiclyAccessible",
    "aws:mq/broker:Broker": "publiclyAccessible",
}
CLUSTER = "aws:eks/cluster:Cluster"
OLD_TLS = ("SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016", "TLSv1_2017")


def _public(resource: Resource, _: Graph) -> Iterator[Verdict]:
    path = PUBLIC[resource.type]
    if not is_known(resource.get(path)):
        yield undetermined(f"{path} is not known before the deployment.", path)
    elif yes(resource.get(path)):
        yield fail("It has an address on the internet.", path)


def _redirects(resource: Resource) -> bool:
    actions = rows_of(resource.get("defaultActions"))
    return bool(actions) and all(
        action.get("type") in ("redirect", "fixed-response")
        and all(row.get("protocol", "HTTPS") in ("HTTPS", "#{protocol}") for row in rows_of(action.get("redirect")))
        for action in actions
    )


def _plain_listener(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    protocol = resource.get("protocol")
    if not is_known([protocol, resource.get("port")]):
        yield undetermined("Its protocol is not known before the deployment.", "protocol")
        return
    plain = protocol == "HTTP" or (protocol is None and number(resource.get("port")) == 80)
    if not plain or _redirects(resource):
        return
    if not any(yes(row.get("internal")) for row in meant(graph, resource, "loadBalancerArn", *BALANCERS)):
        yield fail("It serves plain HTTP and does not redirect to HTTPS.", "protocol")


def _old_tls(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if resource.type == CDN:
        version = resource.get("viewerCertificate.minimumProtocolVersion")
        if version in OLD_TLS:
            yield fail(f"It takes {version}.", "viewerCertificate.minimumProtocolVersion")
        return
    if resource.get("protocol") not in ("HTTPS", "TLS"):
        return
    policy = resource.get("sslPolicy")
    if not is_known(policy):
        yield undetermined("Its TLS policy is not known before the deployment.", "sslPolicy")
        return
    old = ("TLS13-1-0", "TLS13-1-1", "TLS-1-0", "TLS-1-1", "FS-1-1", "FS-2018", "2015", "2016")
    if policy is None or any(mark in str(policy) for mark in old):
        yield fail(f"Its TLS policy {policy or 'by default'} takes TLS 1.0 or 1.1.", "sslPolicy")


def _plain_cdn(resource: Resource, _: Graph) -> Iterator[Verdict]:
    behaviours = [("defaultCacheBehavior", row) for row in rows_of(resource.get("defaultCacheBehavior"))]
    behaviours += [
        (f"orderedCacheBehaviors.{index}", row)
        for index, row in enumerate(rows_of(resource.get("orderedCacheBehaviors")))
    ]
    for path, row in behaviours:
        if row.get("viewerProtocolPolicy") == "allow-all":
            yield fail("It serves plain HTTP.", f"{path}.viewerProtocolPolicy")


def _open_function(resource: Resource, _: Graph) -> Iterator[Verdict]:
    kind = resource.get("authorizationType")
    if not is_known(kind):
        yield undetermined("How it authorizes is not known before the deployment.", "authorizationType")
    elif kind == "NONE":
        yield fail("Anybody who knows its address calls the function.", "authorizationType")


def _open_permission(resource: Resource, _: Graph) -> Iterator[Verdict]:
    bound = ("sourceArn", "sourceAccount", "principalOrgId")
    if resource.get("principal") == "*" and not any(resource.get(key) for key in bound):
        yield fail("Anybody may call the function.", "principal")


def _unbound_permission(resource: Resource, _: Graph) -> Iterator[Verdict]:
    principal = str(resource.get("principal", ""))
    bound = any(resource.get(key) for key in ("sourceArn", "sourceAccount", "principalOrgId", "eventSourceToken"))
    if principal.endswith((".amazonaws.com", ".amazonaws.com.cn")) and not bound:
        yield fail(f"{principal} may call it on behalf of any account.", "sourceArn")


def _open_route(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type == REST_METHOD:
        kind, path, name = resource.get("authorization"), "authorization", str(resource.get("httpMethod", ""))
        keyed = yes(resource.get("apiKeyRequired"))
    elif resource.type == HTTP_API:
        kind, path, name = "NONE", "routeKey", str(resource.get("routeKey", "$default"))
        keyed = not resource.get("target")
    else:
        kind, path = resource.get("authorizationType", "NONE"), "authorizationType"
        name, keyed = str(resource.get("routeKey", "")), yes(resource.get("apiKeyRequired"))
        sockets = [row for row in meant(graph, resource, "apiId", HTTP_API) if row.get("protocolType") == "WEBSOCKET"]
        keyed = keyed or (name != "$connect" and (bool(sockets) or (" " not in name and name != "$default")))
    if not is_known(kind):
        yield undetermined("How it authorizes is not known before the deployment.", path)
    elif kind == "NONE" and not keyed and not name.upper().startswith("OPTIONS"):
        yield fail("Anybody may call it: no authorizer, no key.", path)


def _no_throttle(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type == HTTP_STAGE:
        rows = [*rows_of(resource.get("defaultRouteSettings")), *rows_of(resource.get("routeSettings"))]
        if not is_known([resource.get("defaultRouteSettings"), resource.get("routeSettings")]):
            yield undetermined("Its limits are not known before the deployment.", "defaultRouteSettings")
        elif not any((number(row.get("throttlingRateLimit")) or 0) > 0 for row in rows):
            yield fail("Nothing limits how often it is called.", "defaultRouteSettings")
        return
    methods = graph.of_type("aws:apigateway/methodSettings:MethodSettings")
    settings = [row for method in methods for row in rows_of(method.get("settings"))]
    plans = any(row.get("throttleSettings") for row in graph.of_type("aws:apigateway/usagePlan:UsagePlan"))
    if not plans and not any((number(row.get("throttlingRateLimit")) or 0) > 0 for row in settings):
        yield fail("Nothing limits how often it is called.")


def _open_cluster(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if no(resource.get("vpcConfig.endpointPublicAccess")) or not resource.get("vpcConfig"):
        return
    networks = resource.get("vpcConfig.publicAccessCidrs")
    if not is_known([networks, resource.get("vpcConfig.endpointPublicAccess")]):
        yield undetermined("Who reaches its control plane is not known before the deployment.", "vpcConfig")
    elif not networks or any(world(network) for network in listed(networks)):
        yield fail("Its control plane answers the whole internet.", "vpcConfig.publicAccessCidrs")


def _public_share(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if "all" in (resource.get("group"), resource.get("accountId")):
        yield fail("Everybody may copy it.", "group" if resource.get("group") else "accountId")


def _unlogged_stage(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not resource.get("accessLogSettings"):
        yield fail("It writes down no call.", "accessLogSettings")


RULES = (
    Rule(
        "GW-AWS-004",
        "A database must have no public address",
        "critical",
        "It can be tried with stolen and guessed passwords, and each flaw of its software, from everywhere.",
        "Set publicly_accessible=False and reach it from the private network.",
        ("AC-3", "SC-7"),
        tuple(PUBLIC),
        _public,
    ),
    Rule(
        "GW-AWS-005",
        "A load balancer must redirect plain HTTP",
        "high",
        "Tokens and data pass in plain, to be read and changed on the way.",
        "Listen on 443 with a certificate; let the listener on 80 redirect to HTTPS.",
        ("SC-8", "SC-13"),
        LISTENERS,
        _plain_listener,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-006",
        "What serves HTTPS must take TLS 1.2 or newer",
        "medium",
        "TLS 1.0 and 1.1 are broken and withdrawn; a load balancer with no policy of its own still takes them.",
        "Set ssl_policy to ELBSecurityPolicy-TLS13-1-2-2021-06, or minimum_protocol_version to TLSv1.2_2021.",
        ("SC-8", "SC-13"),
        (*LISTENERS, CDN),
        _old_tls,
        "advisory",
    ),
    Rule(
        "GW-AWS-007",
        "A content network must not serve plain HTTP",
        "medium",
        "Pages and tokens pass in plain, to be read and changed on the way.",
        "Set viewer_protocol_policy to redirect-to-https or https-only.",
        ("SC-8",),
        (CDN,),
        _plain_cdn,
    ),
    Rule(
        "GW-AWS-008",
        "A function's URL must ask who calls",
        "high",
        "Anybody on the internet runs the function, with its role and on its bill.",
        "Set authorization_type to AWS_IAM, or put an API with an authorizer before the function.",
        ("AC-3", "SC-7"),
        (FUNCTION_URL,),
        _open_function,
    ),
    Rule(
        "GW-AWS-009",
        "Nobody unnamed may call a function",
        "critical",
        "A principal of * without a source admits every account of every company.",
        "Name the service as the principal, with source_arn of what may call.",
        ("AC-3",),
        (PERMISSION,),
        _open_permission,
    ),
    Rule(
        "GW-AWS-010",
        "A service must call a function for a named source only",
        "medium",
        "Somebody else's bucket or topic, of any account, triggers the function through the same service.",
        "Set source_arn (and source_account for a bucket).",
        ("AC-3", "AC-4"),
        (PERMISSION,),
        _unbound_permission,
        "advisory",
    ),
    Rule(
        "GW-AWS-011",
        "A route of an API must ask who calls",
        "high",
        "Anybody on the internet reads what it returns and changes what it writes.",
        "Give the route an authorizer (JWT, IAM or Lambda).",
        ("AC-3", "IA-2"),
        (HTTP_ROUTE, REST_METHOD, HTTP_API),
        _open_route,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-012",
        "An API must limit how often it is called",
        "low",
        "One caller uses up what is meant for all, or runs up the bill.",
        "Set throttling_rate_limit and throttling_burst_limit on the stage.",
        ("SC-5", "SC-6"),
        (HTTP_STAGE, REST_STAGE),
        _no_throttle,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-013",
        "An API must write down its calls",
        "medium",
        "After an incident nobody can say who called what.",
        "Set access_log_settings with a log group.",
        ("AU-2", "AU-12"),
        (HTTP_STAGE, REST_STAGE),
        _unlogged_stage,
        "advisory",
    ),
    Rule(
        "GW-AWS-014",
        "The internet must not reach a cluster's API",
        "high",
        "A leaked token suffices then, from everywhere; so does a flaw of the API server.",
        "Set endpoint_public_access=False, or name your networks in public_access_cidrs.",
        ("AC-17", "SC-7"),
        (CLUSTER,),
        _open_cluster,
    ),
    Rule(
        "GW-AWS-015",
        "An image or a snapshot must not be public",
        "critical",
        "Disks hold keys and data; public ones are searched for them as they appear.",
        "Share it with the accounts that need it, by their ids.",
        ("AC-3", "SC-7"),
        (
            "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
            "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission",
        ),
        _public_share,
    ),
)
