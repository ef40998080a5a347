"""Who notices: alarms, whom they tell, budgets."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, is_known
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.doors import BALANCERS, HTTP_API, REST_STAGE
from policies.rules.aws.reading import no, rows_of, setters, yes

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
BUDGET = "aws:budgets/budget:Budget"
STACK = "pulumi:pulumi:Stack"
ACTIONS = ("alarmActions", "okActions", "insufficientDataActions")
WATCHES = ("AWS/ApplicationELB", "AWS/NetworkELB", "AWS/ApiGateway", "AWS/ECS", "AWS/Lambda")
COSTLY = (
    *(
        "aws:ec2/instance:Instance",
        "aws:autoscaling/group:Group",
        "aws:ecs/service:Service",
        "aws:eks/nodeGroup:NodeGroup",
    ),
    *(
        "aws:eks/cluster:Cluster",
        "aws:rds/instance:Instance",
        "aws:rds/cluster:Cluster",
        "aws:redshift/cluster:Cluster",
    ),
    *("aws:sagemaker/endpoint:Endpoint", "aws:opensearch/domain:Domain", "aws:ec2/natGateway:NatGateway"),
)


def _silent(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if no(resource.get("actionsEnabled")):
        yield fail("Its actions are switched off.", "actionsEnabled")
    elif resource.get("alarmActions") is None and not resource.references.get("alarmActions"):
        part = any(resource.urn in row.references.get("alarmRule", ()) for row in graph.of_type(COMPOSITE))
        named = str(resource.get("name", resource.name))
        if not part and not any(named in str(row.get("alarmRule", "")) for row in graph.of_type(COMPOSITE)):
            yield fail("It tells nobody.", "alarmActions")
    elif resource.get("alarmActions") == []:
        yield fail("It tells nobody.", "alarmActions")


def _unread(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    alarms = [row for key in ACTIONS for row in setters(graph, resource, key, ALARM, COMPOSITE)]
    if alarms and not setters(graph, resource, "topic", SUBSCRIPTION):
        yield fail("Alarms go to it, and nobody in the program is subscribed.")


def _unwatched(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type in BALANCERS and yes(resource.get("internal")):
        return
    alarms = [*graph.of_type(ALARM)]
    own = setters(graph, resource, "dimensions", ALARM)
    queries = [
        metric
        for row in alarms
        for query in rows_of(row.get("metricQueries"))
        for metric in rows_of(query.get("metric"))
    ]
    if not own and not any(row.get("namespace") in WATCHES for row in [*(alarm.inputs for alarm in alarms), *queries]):
        yield fail("No alarm of the program watches it.")


def _no_budget(_: Resource, graph: Graph) -> Iterator[Verdict]:
    costly = next(graph.of_type(*COSTLY), None)
    if costly and not any(True for _budget in graph.of_type(BUDGET)):
        yield fail(f"It pays for {costly.name} and more by the hour, and no budget says when it is too much.")


def _mute_budget(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    rows = resource.get("notifications")
    if not is_known(rows) and not rows_of(rows):
        yield undetermined("Whom it tells is not known before the deployment.", "notifications")
        return
    keys = ("subscriberEmailAddresses", "subscriberSnsTopicArns")
    told = any(row.get(key) for row in rows_of(rows) for key in keys)
    if not told and not setters(graph, resource, "budgetName", "aws:budgets/budgetAction:BudgetAction"):
        yield fail("It tells nobody.", "notifications")


RULES = (
    Rule(
        "GW-AWS-140",
        "An alarm must tell someone",
        "medium",
        "It turns red on a page that nobody looks at.",
        "Set alarm_actions to a topic with a subscriber, or to what acts on it.",
        ("IR-5", "SI-4"),
        (ALARM, COMPOSITE),
        _silent,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-141",
        "A topic of alarms must have a subscriber",
        "medium",
        "The alarm is sent, and reaches no one.",
        "Declare aws.sns.TopicSubscription with the address of the team that owns the service.",
        ("IR-4", "IR-5", "SI-4"),
        (TOPIC,),
        _unread,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-142",
        "A public service must be watched",
        "medium",
        "Its users notice first that it is down.",
        "Declare aws.cloudwatch.MetricAlarm on its errors and its latency.",
        ("CA-7", "SI-4"),
        (*BALANCERS, HTTP_API, REST_STAGE),
        _unwatched,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-143",
        "A stack that pays by the hour must have a budget",
        "low",
        "A loop or a forgotten machine is noticed on the bill, a month later.",
        "Declare aws.budgets.Budget with notifications.",
        ("CA-7", "SC-6"),
        (STACK,),
        _no_budget,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-144",
        "A budget must tell someone",
        "low",
        "It is exceeded, and no one hears of it.",
        "Set notifications with an address or a topic.",
        ("IR-5", "SC-6"),
        (BUDGET,),
        _mute_budget,
        "advisory",
        whole_stack=True,
    ),
)
