"""A managed cluster, its kubeconfig assembled from the cluster's outputs, and a workload through it."""

import base64
import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

role = aws.iam.Role("cluster", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
cluster = aws.eks.Cluster("cluster", role_arn=role.arn, vpc_config={"subnet_ids": ["subnet-1", "subnet-2"]})


def kubeconfig(found: dict[str, str]) -> str:
    """As `aws eks update-kubeconfig` writes it."""
    assert base64.b64decode(found["authority"]).startswith(b"-----BEGIN CERTIFICATE-----")
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "main",
                    "cluster": {"server": found["endpoint"], "certificate-authority-data": found["authority"]},
                }
            ],
        }
    )


config = pulumi.Output.all(endpoint=cluster.endpoint, authority=cluster.certificate_authority.data).apply(kubeconfig)
provider = kubernetes.Provider("cluster", kubeconfig=config)
issuer = cluster.identities[0].oidcs[0].issuer
oidc = aws.iam.OpenIdConnectProvider("oidc", client_id_lists=["sts.amazonaws.com"], url=issuer)
pod = aws.iam.Role(
    "pod",
    assume_role_policy=pulumi.Output.all(oidc.arn, issuer).apply(
        lambda found: json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRoleWithWebIdentity",
                        "Principal": {"Federated": found[0]},
                        "Condition": {
                            "StringEquals": {found[1].removeprefix("https://") + ":sub": "system:serviceaccount:a:b"}
                        },
                    }
                ],
            }
        )
    ),
)
options = pulumi.ResourceOptions(provider=provider)
namespace = kubernetes.core.v1.Namespace("apps", opts=options)
service = kubernetes.core.v1.Service(
    "web",
    metadata={"namespace": namespace.metadata.name, "labels": {"app.kubernetes.io/name": "web"}},
    spec={"type": "LoadBalancer", "ports": [{"port": 80}]},
    opts=options,
)
pulumi.export("host", service.status.apply(lambda status: status.load_balancer.ingress[0].hostname.lower()))
pulumi.export("cluster-ip", service.spec.apply(lambda spec: spec.cluster_ip.split(".")[0]))
