"""Samples of Elastic Load Balancing."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def elb(account: Account) -> Any:
    return account.client("elbv2")


def tag(account: Account, made: str, _: Any) -> None:
    elb(account).add_tags(ResourceArns=[made], Tags=[{"Key": "added", "Value": "1"}])


def balancer_attribute(key: str, value: str) -> Any:
    return lambda a, i, _: elb(a).modify_load_balancer_attributes(
        LoadBalancerArn=i, Attributes=[{"Key": key, "Value": value}]
    )


def group_attribute(key: str, value: str) -> Any:
    return lambda a, i, _: elb(a).modify_target_group_attributes(
        TargetGroupArn=i, Attributes=[{"Key": key, "Value": value}]
    )


def move(account: Account, made: str, outputs: Any) -> None:
    ec2 = account.client("ec2")
    zones = {"eu-central-1b": "10.0.50.0/24", "eu-central-1c": "10.0.51.0/24"}
    subnets = [
        ec2.create_subnet(VpcId=outputs["vpcId"], CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for zone, block in zones.items()
    ]
    elb(account).set_subnets(LoadBalancerArn=made, Subnets=subnets)


def open_up(account: Account, made: str, outputs: Any) -> None:
    group = account.client("ec2").create_security_group(GroupName="x", Description="x", VpcId=outputs["vpcId"])
    elb(account).set_security_groups(LoadBalancerArn=made, SecurityGroups=[group["GroupId"]])


def modify(**said: Any) -> Any:
    return lambda a, i, _: elb(a).modify_listener(ListenerArn=i, **said)


def token(audience: str) -> dict[str, Any]:
    claims = [{"name": "aud", "format": "single-string", "values": [audience]}]
    about = {"issuer": "https://issuer.example.com", "jwksEndpoint": "https://issuer.example.com/jwks"}
    return {"type": "jwt-validation", "jwtValidation": {**about, "additionalClaims": claims}}


def let_all_in(account: Account, made: str, _: Any) -> None:
    """Takes the tokens' check away and leaves the rest."""
    live = elb(account).describe_listeners(ListenerArns=[made])["Listeners"][0]["DefaultActions"]
    elb(account).modify_listener(ListenerArn=made, DefaultActions=live[1:])


def swap_certificate(account: Account, made: str, _: Any) -> None:
    other = account.client("acm").request_certificate(DomainName="elsewhere.example")["CertificateArn"]
    elb(account).modify_listener(ListenerArn=made, Certificates=[{"CertificateArn": other}])


REFUSE = {"type": "fixed-response", "fixedResponse": {"contentType": "text/plain", "statusCode": "404"}}
CHECK = {
    "path": "/readyz",
    "matcher": "200",
    "interval": 15,
    "timeout": 5,
    "healthyThreshold": 2,
    "unhealthyThreshold": 3,
}

SAMPLES = {
    "balancer": Sample(
        "aws:lb/loadBalancer:LoadBalancer",
        {
            "name": "predict",
            "internal": False,
            "loadBalancerType": "application",
            "securityGroups": [Ref("group")],
            "subnets": [Ref("subnet"), Ref("other-subnet")],
            "dropInvalidHeaderFields": True,
            "enableDeletionProtection": False,
            "tags": TAGS,
        },
        changes={
            "accessLogs": {"bucket": "logs", "enabled": True, "prefix": "alb"},
            "clientKeepAlive": 60,
            "connectionLogs": {"bucket": "logs", "enabled": True},
            "desyncMitigationMode": "strictest",
            "dropInvalidHeaderFields": None,
            "enableDeletionProtection": True,
            "enableHttp2": False,
            "enableTlsVersionAndCipherSuiteHeaders": True,
            "enableWafFailOpen": True,
            "enableXffClientPort": True,
            "enableZonalShift": True,
            "idleTimeout": 30,
            "preserveHostHeader": True,
            "securityGroups": [Ref("other-group"), Ref("group")],
            "subnets": [Ref("other-subnet"), Ref("third-subnet")],
            "xffHeaderProcessingMode": "remove",
            "tags": OTHER_TAGS,
        },
        behind={
            "accessLogs": balancer_attribute("access_logs.s3.bucket", "elsewhere"),
            "clientKeepAlive": balancer_attribute("client_keep_alive.seconds", "61"),
            "connectionLogs": balancer_attribute("connection_logs.s3.enabled", "true"),
            "desyncMitigationMode": balancer_attribute("routing.http.desync_mitigation_mode", "monitor"),
            "dropInvalidHeaderFields": balancer_attribute("routing.http.drop_invalid_header_fields.enabled", "false"),
            "enableDeletionProtection": balancer_attribute("deletion_protection.enabled", "true"),
            "enableHttp2": balancer_attribute("routing.http2.enabled", "false"),
            "enableTlsVersionAndCipherSuiteHeaders": balancer_attribute(
                "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "true"
            ),
            "enableWafFailOpen": balancer_attribute("waf.fail_open.enabled", "true"),
            "enableXffClientPort": balancer_attribute("routing.http.xff_client_port.enabled", "true"),
            "enableZonalShift": balancer_attribute("zonal_shift.config.enabled", "true"),
            "idleTimeout": balancer_attribute("idle_timeout.timeout_seconds", "61"),
            "preserveHostHeader": balancer_attribute("routing.http.preserve_host_header.enabled", "true"),
            "securityGroups": open_up,
            "subnets": move,
            "xffHeaderProcessingMode": balancer_attribute("routing.http.xff_header_processing.mode", "preserve"),
            "tags": tag,
        },
    ),
    "internal-balancer": Sample(
        "aws:lb/loadBalancer:LoadBalancer",
        {"internal": True, "subnets": [Ref("other-subnet"), Ref("subnet")], "ipAddressType": "ipv4"},
        changes={"ipAddressType": "dualstack"},
        behind={
            "ipAddressType": lambda a, i, _: elb(a).set_ip_address_type(LoadBalancerArn=i, IpAddressType="dualstack")
        },
    ),
    "network-balancer": Sample(
        "aws:lb/loadBalancer:LoadBalancer",
        {"name": "wire", "loadBalancerType": "network", "subnets": [Ref("subnet"), Ref("other-subnet")]},
    ),
    "targets": Sample(
        "aws:lb/targetGroup:TargetGroup",
        {
            "name": "predict",
            "port": 8080,
            "protocol": "HTTP",
            "targetType": "ip",
            "vpcId": Ref("vpc"),
            "deregistrationDelay": 30,
            "healthCheck": CHECK,
            "tags": TAGS,
        },
        changes={
            "connectionTermination": True,
            "deregistrationDelay": None,
            "healthCheck": {**CHECK, "path": "/healthz", "matcher": "200-299", "port": "8081", "interval": 20},
            "loadBalancingAlgorithmType": "least_outstanding_requests",
            "loadBalancingCrossZoneEnabled": "true",
            "proxyProtocolV2": True,
            "slowStart": 60,
            "stickiness": {"type": "lb_cookie", "enabled": True, "cookieDuration": 600},
            "tags": OTHER_TAGS,
        },
        behind={
            "connectionTermination": group_attribute("deregistration_delay.connection_termination.enabled", "true"),
            "deregistrationDelay": group_attribute("deregistration_delay.timeout_seconds", "0"),
            "healthCheck": lambda a, i, _: elb(a).modify_target_group(TargetGroupArn=i, HealthCheckPath="/"),
            "loadBalancingCrossZoneEnabled": group_attribute("load_balancing.cross_zone.enabled", "false"),
            "proxyProtocolV2": group_attribute("proxy_protocol_v2.enabled", "true"),
            "slowStart": group_attribute("slow_start.duration_seconds", "30"),
            "stickiness": group_attribute("stickiness.enabled", "true"),
            "tags": tag,
        },
    ),
    "grpc-targets": Sample(
        "aws:lb/targetGroup:TargetGroup",
        {
            "port": 8080,
            "protocol": "HTTP",
            "protocolVersion": "GRPC",
            "ipAddressType": "ipv4",
            "targetType": "ip",
            "vpcId": Ref("vpc"),
            "loadBalancingAlgorithmType": "least_outstanding_requests",
            "healthCheck": {"enabled": True, "port": "traffic-port", "protocol": "HTTP"},
        },
        behind={
            "loadBalancingAlgorithmType": group_attribute("load_balancing.algorithm.type", "round_robin"),
            "healthCheck": lambda a, i, _: elb(a).modify_target_group(TargetGroupArn=i, HealthyThresholdCount=9),
        },
    ),
    "wire-targets": Sample(
        "aws:lb/targetGroup:TargetGroup", {"name": "wire", "port": 22, "protocol": "TCP", "vpcId": Ref("vpc")}
    ),
    "listener": Sample(
        "aws:lb/listener:Listener",
        {
            "loadBalancerArn": Ref("balancer"),
            "port": 80,
            "protocol": "HTTP",
            "defaultActions": [{"type": "forward", "targetGroupArn": Ref("targets")}],
            "tags": TAGS,
        },
        changes={"port": 8080, "defaultActions": [REFUSE], "tags": OTHER_TAGS},
        behind={
            "port": modify(Port=81),
            "defaultActions": modify(
                DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
            ),
            "tags": tag,
        },
    ),
    "tls-listener": Sample(
        "aws:lb/listener:Listener",
        {
            "loadBalancerArn": Ref("balancer"),
            "port": 443,
            "protocol": "HTTPS",
            "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "certificateArn": Ref("certificate"),
            "defaultActions": [
                {
                    "type": "forward",
                    "forward": {"targetGroups": [{"arn": Ref("targets")}, {"arn": Ref("grpc-targets"), "weight": 3}]},
                }
            ],
        },
        changes={
            "sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06",
            "certificateArn": Ref("other-certificate"),
            "protocol": "HTTP",
        },
        behind={
            "sslPolicy": modify(SslPolicy="ELBSecurityPolicy-2016-08"),
            "protocol": modify(Protocol="HTTP"),
            "certificateArn": swap_certificate,
        },
    ),
    "listener-for-tokens": Sample(
        "aws:lb/listener:Listener",
        {
            "loadBalancerArn": Ref("balancer"),
            "port": 8443,
            "defaultActions": [{**token("predict"), "order": 1}, {**REFUSE, "order": 2}],
        },
        changes={"defaultActions": [{**token("other"), "order": 1}, {**REFUSE, "order": 2}]},
        behind={"defaultActions": let_all_in},
    ),
    "redirecting-listener": Sample(
        "aws:lb/listener:Listener",
        {
            "loadBalancerArn": Ref("balancer"),
            "port": 81,
            "defaultActions": [
                {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}
            ],
        },
    ),
    "wire-listener": Sample(
        "aws:lb/listener:Listener",
        {
            "loadBalancerArn": Ref("network-balancer"),
            "port": 22,
            "protocol": "TCP",
            "alpnPolicy": "None",
            "defaultActions": [{"type": "forward", "targetGroupArn": Ref("wire-targets")}],
        },
    ),
}
