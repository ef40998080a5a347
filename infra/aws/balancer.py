"""What stands before the service: an internal load balancer that speaks TLS alone, and its certificate."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import LOAD_BALANCER, TARGET_GROUP
from infra.aws.network import HTTPS, security_group
from infra.context import Context
from infra.shape import ServiceArgs

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"  # TLS 1.3, and 1.2 with forward secrecy


class LoadBalancer(pulumi.ComponentResource):
    """One address for the service's copies, for the callers of its network alone.

    Only copies that say they are ready get requests. It writes no access logs: S3 would have to encrypt
    these with its own key (docs/adr/0010-access-logs-and-our-own-key.md).
    """

    group: pulumi.Output[str]
    target_group: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        hosted_zone: str | None,
        *,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:LoadBalancer", name, None, opts)
        self._ctx, self._child = ctx, pulumi.ResourceOptions(parent=self)
        self.group = self._callers_only(name, args)
        balancer = aws.lb.LoadBalancer(
            name,
            name=ctx.name(name, LOAD_BALANCER),
            internal=True,
            load_balancer_type="application",
            security_groups=[self.group],
            subnets=args.network.subnets,
            drop_invalid_header_fields=True,
            enable_deletion_protection=not ctx.disposable,
            tags=ctx.tags,
            opts=self._child,
        )
        targets = aws.lb.TargetGroup(
            name,
            name=ctx.name(name, TARGET_GROUP),
            port=args.port,
            protocol="HTTP",
            target_type="ip",
            vpc_id=args.network.id,
            deregistration_delay=30,  # seconds; a prediction takes far less
            health_check={
                "path": "/readyz",
                "matcher": "200",
                "interval": 15,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            tags=ctx.tags,
            opts=self._child,
        )
        aws.lb.Listener(
            name,
            load_balancer_arn=balancer.arn,
            port=HTTPS,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=self._certificate(name, args.domain, hosted_zone),
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=ctx.tags,
            opts=self._child,
        )
        if hosted_zone:
            aws.route53.Record(
                name,
                zone_id=hosted_zone,
                name=args.domain,
                type="A",
                aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
                opts=self._child,
            )
        self.target_group = targets.arn
        self.url = pulumi.Output.from_input(f"https://{args.domain}")
        self.register_outputs({"group": self.group, "target_group": self.target_group, "url": self.url})

    def _callers_only(self, name: str, args: ServiceArgs) -> pulumi.Output[str]:
        group = security_group(
            f"{name}-balancer", "Load balancer of the service", args.network.id, ctx=self._ctx, parent=self
        )
        for network in args.network.callers:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-from-{network}",
                security_group_id=group,
                description="Callers of the service",
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                cidr_ipv4=network,
                tags=self._ctx.tags,
                opts=self._child,
            )
        return group

    def _certificate(self, name: str, domain: str, hosted_zone: str | None) -> pulumi.Output[str]:
        """The certificate's ARN once it may be used: a listener refuses one that is not validated yet."""
        certificate = aws.acm.Certificate(
            name, domain_name=domain, validation_method="DNS", tags=self._ctx.tags, opts=self._child
        )
        if not hosted_zone:  # an emulator, which asks for no proof
            return certificate.arn
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-proof",
            zone_id=hosted_zone,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            opts=self._child,
        )
        return aws.acm.CertificateValidation(
            name, certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], opts=self._child
        ).certificate_arn
