"""The same on a cluster as it should be."""

import pulumi_kubernetes as kubernetes

CLOSED = {
    "privileged": False,
    "allow_privilege_escalation": False,
    "run_as_non_root": True,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
kubernetes.apps.v1.Deployment(
    "app",
    spec={
        "replicas": 2,
        "selector": {"match_labels": {"app": "app"}},
        "template": {
            "metadata": {"labels": {"app": "app"}},
            "spec": {
                "automount_service_account_token": False,
                "containers": [
                    {
                        "name": "app",
                        "image": "registry.example.com:5000/app@sha256:" + "a" * 64,
                        "security_context": CLOSED,
                        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m"}},
                        "readiness_probe": {"http_get": {"path": "/ready", "port": 8080}},
                        "liveness_probe": {"http_get": {"path": "/live", "port": 8080}},
                    }
                ],
            },
        },
    },
)
kubernetes.rbac.v1.Role("read", rules=[{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])
kubernetes.core.v1.Service(
    "app", spec={"type": "ClusterIP", "selector": {"app": "app"}, "ports": [{"port": 443, "target_port": 8443}]}
)
