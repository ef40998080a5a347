"""Manifests as resources of a cluster. It imports Kubernetes's SDK, which the local environment does not have."""

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import Provider
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import Namespace, Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from infra.manifests import Manifest

CLASSES: dict[str, Any] = {
    one.__name__: one
    for one in (
        Deployment,
        HorizontalPodAutoscaler,
        Namespace,
        NetworkPolicy,
        PodDisruptionBudget,
        Service,
        ServiceAccount,
    )
}


def apply(
    manifests: Sequence[Manifest],
    kubeconfig: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
) -> None:
    """Make the objects on the cluster of a kubeconfig, in their order, once what is in `after` is there."""
    name = manifests[0]["metadata"]["name"]
    provider = Provider(
        name, kubeconfig=kubeconfig, enable_server_side_apply=True, opts=pulumi.ResourceOptions(parent=parent)
    )
    made: list[pulumi.Resource] = list(after)
    for manifest in manifests:
        fields = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        kind = manifest["kind"]
        made.append(
            CLASSES[kind](
                f"{manifest['metadata']['name']}-{kind}",
                **{_snake(key): value for key, value in fields.items()},
                opts=pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=list(made)),
            )
        )


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
