"""What stands before the service: an internal load balancer that speaks TLS alone, and asks each caller for a token."""

import pulumi
import pulumi_aws as aws

from infra.aws.args import AwsArgs
from infra.aws.names import FIREWALL, LOAD_BALANCER, TARGET_GROUP
from infra.aws.network import HTTPS, security_group
from infra.context import Context
from infra.shape import Callers, ServiceArgs

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"  # TLS 1.3, and 1.2 with forward secrecy
TOO_MANY = 429  # the status of an answer to who calls too often


class LoadBalancer(pulumi.ComponentResource):
    """One address for the service's copies, for callers of its networks with a token of theirs, and not too often.

    Only copies that say they are ready get requests; it asks them past the listener, without a token. It
    writes no access logs: S3 would have to encrypt these with its own key
    (docs/adr/0010-access-logs-and-our-own-key.md).
    """

    group: pulumi.Output[str]
    target_group: pulumi.Output[str]
    url: pulumi.Output[str]
    metrics: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        cloud: AwsArgs,
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
            subnets=args.container.network.subnets,
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
            vpc_id=args.container.network.id,
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
            certificate_arn=self._certificate(name, args.domain, cloud.hosted_zone),
            default_actions=[
                {"type": "jwt-validation", "order": 1, "jwt_validation": _token(args.callers, cloud)},
                {"type": "forward", "order": 2, "target_group_arn": targets.arn},
            ],
            tags=ctx.tags,
            opts=self._child,
        )
        self._not_too_often(name, balancer, args.callers.per_minute)
        if cloud.hosted_zone:
            aws.route53.Record(
                name,
                zone_id=cloud.hosted_zone,
                name=args.domain,
                type="A",
                aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
                opts=self._child,
            )
        self.target_group, self.metrics = targets.arn, balancer.arn_suffix
        self.url = pulumi.Output.from_input(f"https://{args.domain}")
        self.register_outputs({"group": self.group, "target_group": self.target_group, "url": self.url})

    def _callers_only(self, name: str, args: ServiceArgs) -> pulumi.Output[str]:
        group = security_group(
            f"{name}-balancer", "Load balancer of the service", args.container.network.id, ctx=self._ctx, parent=self
        )
        for network in args.callers.networks:
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

    def _not_too_often(self, name: str, balancer: aws.lb.LoadBalancer, per_minute: int) -> None:
        """Who calls more often than that is refused until the rate has fallen: a caller is an address to it."""
        full_name = self._ctx.name(name, FIREWALL)

        def counted(metric: str) -> aws.wafv2.WebAclVisibilityConfigArgsDict:
            # No samples: they would show the tokens of callers to whoever may look.
            return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": False}

        firewall = aws.wafv2.WebAcl(
            name,
            name=full_name,
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=[
                {
                    "name": "rate",
                    "priority": 1,
                    "action": {"block": {"custom_response": {"response_code": TOO_MANY}}},
                    "statement": {
                        "rate_based_statement": {
                            "limit": per_minute,
                            "evaluation_window_sec": 60,
                            "aggregate_key_type": "IP",
                        }
                    },
                    "visibility_config": counted("rate"),
                }
            ],
            visibility_config=counted(full_name),
            tags=self._ctx.tags,
            opts=self._child,
        )
        aws.wafv2.WebAclAssociation(name, resource_arn=balancer.arn, web_acl_arn=firewall.arn, opts=self._child)

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


def _token(callers: Callers, cloud: AwsArgs) -> aws.lb.ListenerDefaultActionJwtValidationArgsDict:
    """What a token has to say. Issuer and expiry are checked unasked."""
    return {
        "issuer": callers.issuer,
        "jwks_endpoint": cloud.token_keys or f"{callers.issuer.rstrip('/')}/.well-known/jwks.json",
        "additional_claims": [{"name": "aud", "format": "single-string", "values": [callers.audience]}],
    }
