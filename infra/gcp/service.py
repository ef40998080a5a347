"""The app as a service: containers on Cloud Run behind a load balancer, over all zones of the region."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.balancer import LoadBalancer
from infra.gcp.callers import Admission
from infra.gcp.keys import Key
from infra.gcp.names import RUN_SERVICE, Account
from infra.gcp.policy import own, role
from infra.gcp.watch import Log
from infra.shape import Container, Identity, Scale, ServiceArgs, Unsupported

CPU, MEMORY = "1", "1Gi"
READY, ALIVE = "/readyz", "/healthz"
CALLS_AT_ONCE = 80  # that one copy answers
CPU_TARGETS = range(10, 96)  # per cent; what Cloud Run can scale at


class Service(pulumi.ComponentResource):
    """A self-healing service that is never under its minimum of copies.

    A deployment is a revision: it gets calls once its copies are ready, and until then, or for ever if they
    never are, those of the last one that was ready answer. Cloud Run's own address is switched off.
    """

    cluster: pulumi.Output[str]
    name: pulumi.Output[str]
    url: pulumi.Output[str]
    scale: Scale

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        managed_zone: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Service", name, None, opts)
        self._name, self._container, self._account, self._ctx = name, args.container, account, ctx
        self._child, self.scale = pulumi.ResourceOptions(parent=self), args.scale
        full_name = ctx.name(name, RUN_SERVICE)
        log = Log(name, args.container.key, _written_by(full_name), account=account, ctx=ctx, opts=self._child)
        service = gcp.cloudrunv2.Service(
            name,
            name=full_name,
            description=f"{ctx.project} {ctx.environment}: {name}",
            project=account.project,
            location=account.region,
            ingress="INGRESS_TRAFFIC_INTERNAL_ONLY",  # the load balancer of the network is internal
            default_uri_disabled=True,
            custom_audiences=[f"https://{args.domain}"],
            template=self._template(args),
            traffics=[{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
            deletion_protection=not ctx.disposable,
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[log, own(args.container.key, Key).open_to("run")],
                # A new deployment of the same image is told by an annotation; clients sign with their name.
                ignore_changes=["template.annotations", "client", "clientVersion"],
            ),
        )
        self.cluster, self.name = service.location, service.name
        self._admit(args)
        self.url = LoadBalancer(name, args, service.name, managed_zone, account=account, ctx=ctx, opts=self._child).url
        self.register_outputs({"cluster": self.cluster, "name": self.name, "url": self.url})

    def grant_deploy(self, identity: Identity) -> None:
        """Let it replace the running copies by new ones.

        A new revision takes the permission to change the service, to give it the identity that it has, and to
        read its image: Cloud Run has none for a restart alone.
        """
        update = role(
            f"{self._name}-deploy",
            ["run.services.get", "run.services.update"],
            f"Make a new revision of {self._name}",
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        self._grant(f"{identity.workload}-deploy-{self._name}", update, identity.principal)
        gcp.serviceaccount.IAMMember(
            f"{identity.workload}-deploy-{self._name}",
            service_account_id=pulumi.Output.format(
                "projects/{0}/serviceAccounts/{1}", self._account.project, self._container.runs_as.id
            ),
            role="roles/iam.serviceAccountUser",
            member=identity.principal,
            opts=self._child,
        )
        self._container.image.registry.grant_pull(identity)

    def _admit(self, args: ServiceArgs) -> None:
        callers = Admission(self._name, args.callers, account=self._account, ctx=self._ctx, opts=self._child)
        self._grant("callers", "roles/run.invoker", callers.principal)

    def _grant(self, name: str, what: pulumi.Input[str], member: pulumi.Input[str]) -> None:
        gcp.cloudrunv2.ServiceIamMember(
            name,
            project=self._account.project,
            location=self.cluster,
            name=self.name,
            role=what,
            member=member,
            opts=self._child,
        )

    def _template(self, args: ServiceArgs) -> gcp.cloudrunv2.ServiceTemplateArgsDict:
        """A revision: the container, what it runs as, and how many copies there are."""
        container = args.container
        return {
            "service_account": container.runs_as.id,
            "encryption_key": container.key.id,
            "execution_environment": "EXECUTION_ENVIRONMENT_GEN2",
            "max_instance_request_concurrency": CALLS_AT_ONCE,
            "timeout": "30s",
            "scaling": _scaling(args.scale),
            "vpc_access": {
                "egress": "ALL_TRAFFIC",
                "network_interfaces": [
                    {
                        "network": container.network.id,
                        "subnetwork": container.network.subnets[0],
                        "tags": [container.network.members],
                    }
                ],
            },
            "containers": [_container(self._name, container, args.port)],
            "labels": self._ctx.tags,
        }


def _scaling(scale: Scale) -> gcp.cloudrunv2.ServiceTemplateScalingArgsDict:
    """One target of CPU, above which copies are added and under which they are taken away. Raises Unsupported."""
    if scale.cpu_out not in CPU_TARGETS:
        raise Unsupported(
            f"gcp: Cloud Run scales at {CPU_TARGETS[0]} to {CPU_TARGETS[-1]} % CPU and not at {scale.cpu_out}; "
            "set scale.cpuOut within that."
        )
    return {
        "min_instance_count": scale.minimum,
        "max_instance_count": scale.maximum,
        "cpu_utilization": scale.cpu_out / 100,
    }


def _container(name: str, container: Container, port: int) -> gcp.cloudrunv2.ServiceTemplateContainerArgsDict:
    """The one container of a copy. Cloud Run itself sets PORT, and lets nobody else."""
    made: gcp.cloudrunv2.ServiceTemplateContainerArgsDict = {
        "name": name,
        "image": container.image.uri,
        "ports": {"name": "http1", "container_port": port},
        "envs": [{"name": key, "value": container.environment[key]} for key in sorted(container.environment)],
        "resources": {
            "limits": {"cpu": CPU, "memory": MEMORY},
            "cpu_idle": False,  # a copy is there all the time, and writes what it predicted after it has answered
            "startup_cpu_boost": True,
        },
        "startup_probe": {
            "http_get": {"path": READY, "port": port},
            "period_seconds": 5,
            "timeout_seconds": 4,
            "failure_threshold": 24,
        },
        "readiness_probe": {
            "http_get": {"path": READY, "port": port},
            "period_seconds": 15,
            "timeout_seconds": 5,
            "failure_threshold": 3,
        },
        "liveness_probe": {
            "http_get": {"path": ALIVE, "port": port},
            "period_seconds": 15,
            "timeout_seconds": 5,
            "failure_threshold": 3,
        },
    }
    if container.command:
        made["args"] = list(container.command)
    return made


def _written_by(service: str) -> str:
    """The filter of what the service and its load balancer log."""
    return (
        f'(resource.type="cloud_run_revision" AND resource.labels.service_name="{service}")'
        f' OR (resource.type="internal_http_lb_rule" AND resource.labels.url_map_name="{service}")'
    )
