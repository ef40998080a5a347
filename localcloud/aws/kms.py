"""KMS: keys and aliases."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same

GONE = "NotFoundException"
# what steers a call of ours and is not a property of the key
BYPASS = {"bypassPolicyLockoutSafetyCheck": "steers the calls that write the policy; no cloud reports it"}


def create_key(account: Account, inputs: Properties, tags: Tags) -> str:
    """Returns the key's id. A key without a policy gets AWS's default one."""
    optional = {
        "Policy": inputs.get("policy"),
        "Description": inputs.get("description"),
        "CustomKeyStoreId": inputs.get("customKeyStoreId"),
        "MultiRegion": inputs.get("multiRegion"),
        "BypassPolicyLockoutSafetyCheck": inputs.get("bypassPolicyLockoutSafetyCheck"),
    }
    answer = account.client("kms").create_key(
        KeyUsage=inputs["keyUsage"],
        KeySpec=inputs["customerMasterKeySpec"],
        Tags=tag_list(tags, "TagKey", "TagValue"),
        **{name: value for name, value in optional.items() if value is not None},
    )
    key: str = answer["KeyMetadata"]["KeyId"]
    _write_switches(account, key, {"isEnabled": True}, inputs)
    return key


def _write_switches(account: Account, key: str, old: Properties, new: Properties) -> None:
    kms = account.client("kms")
    if new.get("isEnabled", True) and not old.get("isEnabled", True):
        kms.enable_key(KeyId=key)  # first: rotation of a disabled key cannot be changed
    if changed(old, new, "enableKeyRotation", "rotationPeriodInDays"):
        if new.get("enableKeyRotation"):
            period = new.get("rotationPeriodInDays")
            kms.enable_key_rotation(KeyId=key, **({"RotationPeriodInDays": period} if period else {}))
        elif old.get("enableKeyRotation"):
            kms.disable_key_rotation(KeyId=key)
    if old.get("isEnabled", True) and not new.get("isEnabled", True):
        kms.disable_key(KeyId=key)


def read_key(account: Account, key: str, _: Properties) -> Properties | None:
    """A key that waits for its deletion counts as gone, as with the real provider."""
    kms = account.client("kms")
    answer = if_found(kms.describe_key, GONE, KeyId=key)
    if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    about = answer["KeyMetadata"]
    live = {
        "arn": about["Arn"],
        "keyId": about["KeyId"],
        "description": about.get("Description", ""),
        "isEnabled": about["Enabled"],
        "keyUsage": about["KeyUsage"],
        "customerMasterKeySpec": about["KeySpec"],
        "multiRegion": about.get("MultiRegion", False),
        "policy": kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
        "tags": tag_map(kms.list_resource_tags(KeyId=key)["Tags"], "TagKey", "TagValue"),
        "enableKeyRotation": False,
    }
    if about["KeySpec"] == "SYMMETRIC_DEFAULT":
        live["enableKeyRotation"] = kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    return live


def update_key(account: Account, key: str, old: Properties, new: Properties) -> None:
    """Description, policy, tags, rotation and whether the key is enabled."""
    kms = account.client("kms")
    if changed(old, new, "description"):
        kms.update_key_description(KeyId=key, Description=new.get("description", ""))
    if new.get("policy") and not same(old.get("policy"), new["policy"]):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=new["policy"])
    _write_switches(account, key, old, new)
    added, removed = tag_changes(old, new)
    if removed:
        kms.untag_resource(KeyId=key, TagKeys=removed)
    if added:
        kms.tag_resource(KeyId=key, Tags=tag_list(added, "TagKey", "TagValue"))


def delete_key(account: Account, key: str, inputs: Properties) -> None:
    """Schedules the deletion; until then AWS keeps the key, of no use to anyone."""
    if read_key(account, key, inputs) is not None:
        window = inputs.get("deletionWindowInDays", 30)
        account.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=window)


def list_keys(account: Account) -> Iterator[tuple[str, Tags]]:
    """The customers' keys that do not wait for their deletion.

    Those of AWS's own aliases are AWS's, such as that of EBS, which the emulator calls a customer's.
    """
    kms = account.client("kms")
    aws = {alias.get("TargetKeyId") for alias in _aliases(account) if alias["AliasName"].startswith("alias/aws/")}
    for key in all_of(kms, "list_keys", "Keys"):
        if key["KeyId"] in aws:
            continue
        about = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if about["KeyManager"] == "CUSTOMER" and about["KeyState"] != "PendingDeletion":
            yield key["KeyId"], tag_map(kms.list_resource_tags(KeyId=key["KeyId"])["Tags"], "TagKey", "TagValue")


def create_alias(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the alias's name."""
    account.client("kms").create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return str(inputs["name"])


def read_alias(account: Account, name: str, inputs: Properties) -> Properties | None:
    """The target is reported as it was declared, as an id or as an ARN."""
    alias = next((row for row in _aliases(account) if row["AliasName"] == name), None)
    if alias is None or "TargetKeyId" not in alias:
        return None
    target = alias["TargetKeyId"]
    arn = alias["AliasArn"].rpartition(":")[0] + f":key/{target}"
    as_declared = arn if str(inputs.get("targetKeyId", "")).startswith("arn:") else target
    return {"name": name, "arn": alias["AliasArn"], "targetKeyId": as_declared, "targetKeyArn": arn}


def update_alias(account: Account, name: str, _: Properties, new: Properties) -> None:
    """Points the alias at another key."""
    account.client("kms").update_alias(AliasName=name, TargetKeyId=new["targetKeyId"])


def delete_alias(account: Account, name: str, _: Properties) -> None:
    """The key stays."""
    if_found(account.client("kms").delete_alias, GONE, AliasName=name)


def _aliases(account: Account) -> list[dict[str, str]]:
    return all_of(account.client("kms"), "list_aliases", "Aliases")


def list_aliases(account: Account) -> Iterator[tuple[str, Tags]]:
    """All but AWS's own."""
    for alias in _aliases(account):
        if not alias["AliasName"].startswith("alias/aws/"):
            yield alias["AliasName"], {}


def find_alias(account: Account, inputs: Properties) -> str | None:
    """By its name."""
    return str(inputs["name"]) if read_alias(account, inputs["name"], inputs) else None


KINDS = (
    Kind(
        "aws:kms/key:Key",
        create=create_key,
        read=read_key,
        update=update_key,
        delete=delete_key,
        list=list_keys,
        read_back=frozenset(
            [
                "description",
                "isEnabled",
                "enableKeyRotation",
                "keyUsage",
                "customerMasterKeySpec",
                "multiRegion",
                "policy",
                "tags",
            ]
        ),
        computed=frozenset(["policy"]),
        kept={
            "deletionWindowInDays": "steers the deletion; no cloud reports it",
            "rotationPeriodInDays": "lost by EnableKeyRotation",
            **BYPASS,
        },
        replaces=frozenset(["keyUsage", "customerMasterKeySpec", "multiRegion"]),
        defaults={
            "keyUsage": "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "isEnabled": True,
        },
        tagged=True,
    ),
    Kind(
        "aws:kms/alias:Alias",
        create=create_alias,
        read=read_alias,
        update=update_alias,
        delete=delete_alias,
        list=list_aliases,
        find=find_alias,
        read_back=frozenset(["name", "targetKeyId"]),
        replaces=frozenset(["name"]),
        name_input="name",
        auto_name="alias/{}".format,
    ),
)
