"""Machines: how they are reached, as whom they run, and whether they come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.gcp.iam import DEFAULT_ACCOUNT
from policies.rules.reading import UNKNOWN, every, given, made_up, must, must_not, on, one_of, read, same, uses
from policies.rules.workloads import secret_verdict

INSTANCE = "gcp:compute/instance:Instance"
TEMPLATES = (
    "gcp:compute/instanceTemplate:InstanceTemplate",
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate",
)
MACHINES = (INSTANCE, *TEMPLATES)
GROUP, REGION_GROUP = (
    "gcp:compute/instanceGroupManager:InstanceGroupManager",
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager",
)
PRIVILEGED = re.compile(
    r"[\"']?privileged[\"']?:\s*[\"']?true\b|\b(docker|podman|nerdctl)\s+(container\s+)?(run|create)\b(\\\n|[^\n;|]){0,999}\s--privileged(?!=false)",
    re.IGNORECASE,
)
FULL = ("cloud-platform", "https://www.googleapis.com/auth/cloud-platform")


def _address(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path in ("networkInterfaces.*.accessConfigs.*", "networkInterfaces.*.ipv6AccessConfigs.*"):
        for where, _value in every(given(resource), path):
            yield fail("It has an address on the internet.", where)


def _serial(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = "metadata.serial-port-enable"
    value = read(resource, path)
    if resource.type == "gcp:compute/projectMetadataItem:ProjectMetadataItem":
        path, value = "value", read(resource, "value") if read(resource, "key") == "serial-port-enable" else None
    if value is not None and one_of(value, True, 1, "y", "yes"):
        yield fail("Its serial port takes connections from any address.", path)


def _project_keys(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    metadata = read(resource, "metadata")
    if isinstance(metadata, Mapping) and (metadata.get("ssh-keys") or metadata.get("sshKeys")):
        yield fail("A key in the project's metadata opens every machine of the project.", "metadata.ssh-keys")
    if read(resource, "key") in ("ssh-keys", "sshKeys"):
        yield fail("A key in the project's metadata opens every machine of the project.", "key")


def _takes_project_keys(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    metadata = read(resource, "metadata")
    if metadata is UNKNOWN:
        return
    table = metadata if isinstance(metadata, Mapping) else {}
    if not one_of(table.get("block-project-ssh-keys"), True, 1) and not one_of(table.get("enable-oslogin"), True, 1):
        yield fail("Every SSH key of the project opens it.", "metadata.block-project-ssh-keys")


def _rights(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    account = read(resource, "serviceAccount")
    if not isinstance(account, Mapping):
        return
    email = account.get("email")
    shared = email is None or (isinstance(email, str) and DEFAULT_ACCOUNT.search(email))
    scopes = [value for _, value in every(account, "scopes.*")]
    if shared and any(value in FULL for value in scopes):
        yield fail("It runs as the default service account with the scope of everything.", "serviceAccount.scopes")


def _secrets(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, table in (("metadata", read(resource, "metadata")),):
        if isinstance(table, Mapping):
            for name, value in table.items():
                if name not in ("ssh-keys", "user-data", "startup-script"):
                    yield from secret_verdict(name, value, f"{path}.{name}", made_up(resource, f"{path}.{name}"))
    scripts = ("metadata.startup-script", "metadata.user-data", "metadataStartupScript")
    for path in scripts:
        yield from secret_verdict("", read(resource, path), path, False)


def _privileged(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    paths = (
        "metadata.gce-container-declaration",
        "metadata.user-data",
        "metadata.startup-script",
        "metadataStartupScript",
    )
    for path in paths:
        text = read(resource, path)
        if isinstance(text, str) and PRIVILEGED.search(text):
            yield fail("It starts a privileged container.", path)


def _is_spot(template: Resource) -> bool:
    return on(template, "scheduling.preemptible") or one_of(read(template, "scheduling.provisioningModel"), "SPOT")


def _template_of(group: Resource, graph: Graph) -> list[Resource]:
    return [row for row in graph.of_type(*TEMPLATES) if uses(group, row, "versions")]


def _spot(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    templates = _template_of(resource, graph)
    if not templates or not all(_is_spot(row) for row in templates):
        return
    others = [row for row in graph.of_type(GROUP, REGION_GROUP) if row is not resource]
    if any(not _is_spot(template) for other in others for template in _template_of(other, graph)):
        return
    yield fail("All machines are spot machines, and no group of the stack has others: all can go at once.", "versions")


def _one_zone(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if resource.type == GROUP:
        if read(resource, "targetSize") not in (None, 0, 1, UNKNOWN):
            yield fail("All its machines are in one zone.", "zone")
        return
    zones = read(resource, "distributionPolicyZones")
    if isinstance(zones, list) and len(zones) == 1:
        yield fail("All its machines are in one zone.", "distributionPolicyZones")


def _healing(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    serves = read(resource, "namedPorts") or read(resource, "targetPools")
    backends = ("gcp:compute/backendService:BackendService", "gcp:compute/regionBackendService:RegionBackendService")
    serves = serves or any(uses(row, resource, "backends") for row in graph.of_type(*backends))
    if serves and not read(resource, "autoHealingPolicies"):
        yield fail("A machine that serves and hangs is not replaced.", "autoHealingPolicies")


def _shielded(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = "shieldedInstanceConfig.enableSecureBoot"
    value = read(resource, path)
    if value is UNKNOWN:
        yield undetermined("Nobody knows whether it boots securely before the deployment.", path)
    elif not same(value, True):
        yield fail("It boots whatever is on its disk: secure boot is off.", path)


RULES = (
    Rule(
        "GW-GCP-050",
        "A machine must have no address on the internet",
        "medium",
        "An address is found by scanners in minutes, and each is another way in.",
        "Leave `access_configs` out; use a load balancer for what comes in, Cloud NAT for what goes out, IAP for SSH.",
        ("SC-7", "AC-17"),
        MACHINES,
        _address,
        "advisory",
    ),
    Rule(
        "GW-GCP-051",
        "A machine's serial port must be closed",
        "high",
        "The interactive serial console knows no firewall: anyone with a key gets to a prompt from anywhere.",
        "Leave `serial-port-enable` out of the metadata.",
        ("CM-7", "AC-17"),
        (
            *MACHINES,
            "gcp:compute/projectMetadata:ProjectMetadata",
            "gcp:compute/projectMetadataItem:ProjectMetadataItem",
        ),
        _serial,
    ),
    Rule(
        "GW-GCP-052",
        "No SSH key may open a whole project",
        "high",
        "Whoever has the key is on every machine, and nobody sees who it was.",
        "Use OS Login (`enable-oslogin`), or keys in the metadata of one machine.",
        ("AC-6", "IA-2"),
        ("gcp:compute/projectMetadata:ProjectMetadata", "gcp:compute/projectMetadataItem:ProjectMetadataItem"),
        _project_keys,
    ),
    Rule(
        "GW-GCP-053",
        "A machine must take no SSH keys of the project",
        "low",
        "A key that someone adds to the project later opens this machine, too.",
        'Set `block-project-ssh-keys="TRUE"` or `enable-oslogin="TRUE"` in its metadata.',
        ("AC-6", "IA-2"),
        MACHINES,
        _takes_project_keys,
        "advisory",
    ),
    Rule(
        "GW-GCP-054",
        "The default service account must not have every scope",
        "high",
        "With the scope `cloud-platform` it has all that the default account has, which in many projects is editor.",
        "Make a service account for the machine and name it in `service_account.email`.",
        ("AC-6", "IA-9"),
        MACHINES,
        _rights,
    ),
    Rule(
        "GW-GCP-055",
        "No credential may stand in a machine's metadata",
        "high",
        "Every program on the machine and everyone who may look at it reads its metadata.",
        "Fetch it from Secret Manager as the machine's service account.",
        ("IA-5", "SC-28"),
        MACHINES,
        _secrets,
    ),
    Rule(
        "GW-GCP-056",
        "A machine must boot only what is signed",
        "low",
        "Without secure boot what an intruder writes to the boot disk survives and hides.",
        "Set `shielded_instance_config` with `enable_secure_boot=True`.",
        ("SI-7", "CM-6"),
        MACHINES,
        _shielded,
        "advisory",
    ),
    Rule(
        "GW-GCP-057",
        "A machine must forward no packets for others",
        "low",
        "What may send as any address gets around rules that go by addresses.",
        "Leave `can_ip_forward` out, except on a router.",
        ("SC-7",),
        MACHINES,
        must_not("canIpForward", True, message="It may send packets as any address."),
        "advisory",
    ),
    Rule(
        "GW-GCP-058",
        "Spot machines must have a floor",
        "medium",
        "Google may take all spot machines of a region back within thirty seconds: then nothing runs.",
        "Keep a second group of standard machines for what must go on.",
        ("CP-10", "SC-6"),
        (GROUP, REGION_GROUP),
        _spot,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-059",
        "A group of machines must be in two zones",
        "medium",
        "When its zone fails, all of it fails.",
        "Use a `RegionInstanceGroupManager` with two `distribution_policy_zones` or more.",
        ("CP-10", "SC-36"),
        (GROUP, REGION_GROUP),
        _one_zone,
        "advisory",
    ),
    Rule(
        "GW-GCP-060",
        "A group that serves must replace machines that hang",
        "medium",
        "A machine that runs and does not answer stays in the group until someone notices.",
        "Set `auto_healing_policies` with a health check.",
        ("CP-10", "SI-4"),
        (GROUP, REGION_GROUP),
        _healing,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-062",
        "A machine must start no privileged container",
        "critical",
        "A privileged container is root on its machine: who breaks into it has the machine and its service account.",
        "Leave `privileged` out; add the one capability or device that is needed.",
        ("AC-6", "CM-7"),
        MACHINES,
        _privileged,
    ),
    Rule(
        "GW-GCP-061",
        "A project must have no default network",
        "medium",
        "The default network lets SSH and RDP in from anywhere, in every region.",
        "Set `auto_create_network=False` on it.",
        ("SC-7", "CM-7"),
        ("gcp:organizations/project:Project",),
        must("autoCreateNetwork", False, message="It makes the default network (auto create: {})."),
        "advisory",
    ),
)
