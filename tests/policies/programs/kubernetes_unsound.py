"""What no cluster of any cloud may run; `# unsound: TOPIC` marks the line."""

import pulumi_kubernetes as kubernetes

PINNED = "registry.example.com/app@sha256:" + "a" * 64


def labelled(container):
    return {
        "selector": {"match_labels": {"app": "app"}},
        "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}},
    }


kubernetes.apps.v1.Deployment(  # unsound: privileged container
    "privileged", spec=labelled({"name": "app", "image": PINNED, "security_context": {"privileged": True}})
)
kubernetes.core.v1.Pod(  # unsound: privileged init container
    "init",
    spec={
        "containers": [{"name": "app", "image": PINNED}],
        "init_containers": [{"name": "setup", "image": PINNED, "security_context": {"privileged": True}}],
    },
)
kubernetes.apps.v1.Deployment(  # unsound: latest image
    "latest", spec=labelled({"name": "app", "image": "registry.example.com/app:latest"})
)
kubernetes.batch.v1.CronJob(  # unsound: image without a tag
    "untagged",
    spec={
        "schedule": "0 0 * * *",
        "job_template": {
            "spec": {
                "template": {
                    "spec": {
                        "restart_policy": "Never",
                        "containers": [{"name": "train", "image": "registry.example.com:5000/train"}],
                    }
                }
            }
        },
    },
)
kubernetes.rbac.v1.ClusterRole(  # unsound: star role
    "star", rules=[{"api_groups": ["*"], "resources": ["*"], "verbs": ["*"]}]
)
kubernetes.rbac.v1.ClusterRoleBinding(  # unsound: administrator
    "administrator",
    role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
)
kubernetes.core.v1.Service(  # unsound: ssh
    "ssh",
    spec={
        "type": "LoadBalancer",
        "selector": {"app": "app"},
        "ports": [{"port": 22, "target_port": 22}],
        "load_balancer_source_ranges": ["0.0.0.0/0"],
    },
)
