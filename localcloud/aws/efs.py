"""EFS: file systems, their doors in subnets, access points, policies and backups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import all_of, changed, if_found, retag, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.recorded import recorded

SPELLING = {"transitionToIa": "TransitionToIA"}
FROM_CLOUD = {cloud: wire for wire, cloud in SPELLING.items()} | {"ValueInIA": "valueInIa"}
PLAIN = ("creationToken", "encrypted", "kmsKeyId", "performanceMode", "provisionedThroughputInMibps", "throughputMode")


def create_file_system(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that EFS gives."""
    efs = account.client("efs")
    said = to_cloud({name: inputs[name] for name in PLAIN if name in inputs})
    made = str(efs.create_file_system(Tags=tag_list(tags), **said)["FileSystemId"])
    _write_lifecycle(efs, made, inputs)
    return made


def _write_lifecycle(efs: Any, file_system: str, inputs: Properties) -> None:
    policies = to_cloud(inputs.get("lifecyclePolicies") or [], SPELLING)
    efs.put_lifecycle_configuration(FileSystemId=file_system, LifecyclePolicies=policies)


def _described(account: Account, file_system: str) -> Any:
    answer = unless_gone(lambda: account.client("efs").describe_file_systems(FileSystemId=file_system))
    return answer and answer["FileSystems"][0]


def _dns(account: Account, file_system: str) -> str:
    return f"{file_system}.efs.{account.region}.amazonaws.com"


def read_file_system(account: Account, id_: str, _: Properties) -> Properties | None:
    """Two calls, as the rules of its lifecycle are told apart from it."""
    about = _described(account, id_)
    if about is None:
        return None
    lifecycle = account.client("efs").describe_lifecycle_configuration(FileSystemId=id_)["LifecyclePolicies"]
    return {
        **{name: about[cloud] for name in PLAIN if (cloud := name[:1].upper() + name[1:]) in about},
        "arn": about["FileSystemArn"],
        "dnsName": _dns(account, id_),
        "name": about["Name"],
        "numberOfMountTargets": about["NumberOfMountTargets"],
        "ownerId": about["OwnerId"],
        "sizeInBytes": [
            to_wire({key: it for key, it in about["SizeInBytes"].items() if key != "Timestamp"}, FROM_CLOUD)
        ],
        "lifecyclePolicies": to_wire(lifecycle, FROM_CLOUD),
        "tags": tag_map(about["Tags"]),
    }


def update_file_system(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """Lifecycle and tags."""
    efs = account.client("efs")
    if changed(old, new, "lifecyclePolicies"):
        _write_lifecycle(efs, id_, new)
    _retag(account, id_, old, new)


def _retag(account: Account, id_: str, old: Properties, new: Properties) -> None:
    efs = account.client("efs")
    retag(
        old,
        new,
        lambda tags: efs.tag_resource(ResourceId=id_, Tags=tag_list(tags)),
        lambda names: efs.untag_resource(ResourceId=id_, TagKeys=names),
    )


def delete_file_system(account: Account, id_: str, _: Properties) -> None:
    """EFS refuses while there are mount targets; they are resources of their own."""
    unless_gone(lambda: account.client("efs").delete_file_system(FileSystemId=id_))


def list_file_systems(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("efs"), "describe_file_systems", "FileSystems"):
        yield row["FileSystemId"], tag_map(row["Tags"])


def create_mount_target(account: Account, inputs: Properties, _: Tags) -> str:
    """One in each subnet, at most."""
    said = present(SecurityGroups=inputs.get("securityGroups"), IpAddress=inputs.get("ipAddress"))
    answer = account.client("efs").create_mount_target(
        FileSystemId=inputs["fileSystemId"], SubnetId=inputs["subnetId"], **said
    )
    return str(answer["MountTargetId"])


def read_mount_target(account: Account, id_: str, _: Properties) -> Properties | None:
    """Two calls, as its security groups are told apart from it."""
    efs = account.client("efs")
    answer = unless_gone(lambda: efs.describe_mount_targets(MountTargetId=id_))
    if answer is None:
        return None
    about = answer["MountTargets"][0]
    file_system = about["FileSystemId"]
    return {
        "fileSystemId": file_system,
        "subnetId": about["SubnetId"],
        "ipAddress": about["IpAddress"],
        "securityGroups": efs.describe_mount_target_security_groups(MountTargetId=id_).get("SecurityGroups", []),
        "availabilityZoneId": about["AvailabilityZoneId"],
        "availabilityZoneName": about["AvailabilityZoneName"],
        "dnsName": _dns(account, file_system),
        "mountTargetDnsName": f"{about['AvailabilityZoneName']}.{_dns(account, file_system)}",
        "fileSystemArn": _arn(account, f"file-system/{file_system}"),
        "networkInterfaceId": about["NetworkInterfaceId"],
        "ownerId": about["OwnerId"],
    }


def _arn(account: Account, what: str) -> str:
    return f"arn:{account.partition}:elasticfilesystem:{account.region}:{account.account_id}:{what}"


def update_mount_target(account: Account, id_: str, _: Properties, new: Properties) -> None:
    """Its security groups."""
    efs = account.client("efs")
    efs.modify_mount_target_security_groups(MountTargetId=id_, SecurityGroups=new.get("securityGroups") or [])


def delete_mount_target(account: Account, id_: str, _: Properties) -> None:
    """The file system stays."""
    unless_gone(lambda: account.client("efs").delete_mount_target(MountTargetId=id_))


def _mount_targets(account: Account, file_system: str) -> list[Any]:
    efs = account.client("efs")
    return unless_gone(lambda: all_of(efs, "describe_mount_targets", "MountTargets", FileSystemId=file_system)) or []


def list_mount_targets(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every file system."""
    for file_system, _ in list_file_systems(account):
        yield from ((row["MountTargetId"], {}) for row in _mount_targets(account, file_system))


def find_mount_target(account: Account, inputs: Properties) -> str | None:
    """By its file system and subnet."""
    rows = _mount_targets(account, inputs["fileSystemId"])
    return next((row["MountTargetId"] for row in rows if row["SubnetId"] == inputs["subnetId"]), None)


def create_access_point(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that EFS gives."""
    said = to_cloud({name: inputs[name] for name in ("posixUser", "rootDirectory") if name in inputs})
    answer = account.client("efs").create_access_point(FileSystemId=inputs["fileSystemId"], Tags=tag_list(tags), **said)
    return str(answer["AccessPointId"])


def read_access_point(account: Account, id_: str, _: Properties) -> Properties | None:
    """One call tells all."""
    answer = unless_gone(lambda: account.client("efs").describe_access_points(AccessPointId=id_))
    if answer is None:
        return None
    about = answer["AccessPoints"][0]
    return {
        "arn": about["AccessPointArn"],
        "fileSystemId": about["FileSystemId"],
        "fileSystemArn": _arn(account, f"file-system/{about['FileSystemId']}"),
        "ownerId": about["OwnerId"],
        "posixUser": to_wire(about.get("PosixUser")),
        "rootDirectory": to_wire(about.get("RootDirectory")),
        "tags": tag_map(about["Tags"]),
    }


def delete_access_point(account: Account, id_: str, _: Properties) -> None:
    """Its directory stays."""
    unless_gone(lambda: account.client("efs").delete_access_point(AccessPointId=id_))


def list_access_points(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("efs"), "describe_access_points", "AccessPoints"):
        yield row["AccessPointId"], tag_map(row["Tags"])


def put_policy(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the file system's."""
    account.client("efs").put_file_system_policy(FileSystemId=inputs["fileSystemId"], Policy=inputs["policy"])
    return str(inputs["fileSystemId"])


def update_policy(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the policy anew."""
    put_policy(account, new, {})


def read_policy(account: Account, id_: str, _: Properties) -> Properties | None:
    """A policy without a statement is what `delete_policy` leaves."""
    efs = account.client("efs")
    if unless_gone(lambda: efs.describe_file_systems(FileSystemId=id_)) is None:
        return None  # asked for the policy of no file system, the emulator breaks
    answer = unless_gone(lambda: efs.describe_file_system_policy(FileSystemId=id_))
    if answer is None or answer["Policy"] == NOTHING:
        return None
    return {"fileSystemId": id_, "policy": answer["Policy"]}


# The emulator knows no DeleteFileSystemPolicy; a policy that says nothing is as good as none.
LACKING = ("500", "NotImplemented")  # what Moto says to that, and what the gate before it says
NOTHING = '{"Version": "2012-10-17", "Statement": []}'


def delete_policy(account: Account, id_: str, _: Properties) -> None:
    """Takes the policy away, or what it says where the emulator cannot."""
    efs = account.client("efs")
    if read_policy(account, id_, {}) is None:
        return
    try:
        if_found(efs.delete_file_system_policy, "FileSystemNotFound", "PolicyNotFound", FileSystemId=id_)
    except ClientError as error:
        if error.response["Error"]["Code"] not in LACKING:
            raise
        efs.put_file_system_policy(FileSystemId=id_, Policy=NOTHING)


def find_policy(account: Account, inputs: Properties) -> str | None:
    """By its file system."""
    return str(inputs["fileSystemId"]) if read_policy(account, inputs["fileSystemId"], inputs) else None


KINDS = (
    Kind(
        "aws:efs/fileSystem:FileSystem",
        create=create_file_system,
        read=read_file_system,
        update=update_file_system,
        delete=delete_file_system,
        list=list_file_systems,
        read_back=frozenset([*PLAIN, "lifecyclePolicies", "tags"]),
        computed=frozenset(["kmsKeyId"]),
        # throughput: UpdateFileSystem ends in a 500 of the emulator; AWS changes it in place
        replaces=frozenset(PLAIN),
        unordered=frozenset(["lifecyclePolicies"]),
        defaults={"performanceMode": "generalPurpose", "throughputMode": "bursting"},
        name_input="creationToken",
        tagged=True,
    ),
    Kind(
        "aws:efs/mountTarget:MountTarget",
        create=create_mount_target,
        read=read_mount_target,
        update=update_mount_target,
        delete=delete_mount_target,
        list=list_mount_targets,
        find=find_mount_target,
        read_back=frozenset(["fileSystemId", "subnetId", "ipAddress", "securityGroups"]),
        computed=frozenset(["ipAddress", "securityGroups"]),
        replaces=frozenset(["fileSystemId", "subnetId", "ipAddress"]),
        unordered=frozenset(["securityGroups"]),
        delete_before_replace=True,
    ),
    Kind(
        "aws:efs/accessPoint:AccessPoint",
        create=create_access_point,
        read=read_access_point,
        update=_retag,
        delete=delete_access_point,
        list=list_access_points,
        read_back=frozenset(["fileSystemId", "posixUser", "rootDirectory", "tags"]),
        computed=frozenset(["rootDirectory"]),
        replaces=frozenset(["fileSystemId", "posixUser", "rootDirectory"]),
        tagged=True,
    ),
    Kind(
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        create=put_policy,
        read=read_policy,
        update=update_policy,
        delete=delete_policy,
        find=find_policy,
        read_back=frozenset(["fileSystemId", "policy"]),
        kept={"bypassPolicyLockoutSafetyCheck": "steers the call that writes the policy; no cloud reports it"},
        replaces=frozenset(["fileSystemId"]),
        delete_before_replace=True,
    ),
    recorded(
        "aws:efs/backupPolicy:BackupPolicy",
        "the emulator knows no PutBackupPolicy",
        id_=lambda _, inputs: str(inputs["fileSystemId"]),
        inputs=["fileSystemId", "backupPolicy"],
        owner=lambda account, inputs: _described(account, inputs["fileSystemId"]),
        replaces=["fileSystemId"],
    ),
)
