"""IAM: instance profiles, and the providers of identities from elsewhere (OIDC)."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, retag, tag_list, tag_map
from localcloud.aws.iam import GONE
from localcloud.aws.kind import Kind, Properties, Tags


def create_profile(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the profile's name."""
    account.client("iam").create_instance_profile(
        InstanceProfileName=inputs["name"], Path=inputs["path"], Tags=tag_list(tags)
    )
    _exchange_role(account, inputs["name"], {}, inputs)
    return str(inputs["name"])


def _exchange_role(account: Account, name: str, old: Properties, new: Properties) -> None:
    """A profile has one role at most."""
    iam = account.client("iam")
    if old.get("role"):
        if_found(iam.remove_role_from_instance_profile, GONE, InstanceProfileName=name, RoleName=old["role"])
    if new.get("role"):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=new["role"])


def read_profile(account: Account, name: str, _: Properties) -> Properties | None:
    """One call tells all."""
    answer = if_found(account.client("iam").get_instance_profile, GONE, InstanceProfileName=name)
    if answer is None:
        return None
    profile = answer["InstanceProfile"]
    return {
        "name": profile["InstanceProfileName"],
        "path": profile["Path"],
        "role": next((role["RoleName"] for role in profile["Roles"]), None),
        "arn": profile["Arn"],
        "uniqueId": profile["InstanceProfileId"],
        "createDate": profile["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tags": tag_map(profile.get("Tags", [])),
    }


def update_profile(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Role and tags."""
    iam = account.client("iam")
    if changed(old, new, "role"):
        _exchange_role(account, name, old, new)
    retag(
        old,
        new,
        lambda tags: iam.tag_instance_profile(InstanceProfileName=name, Tags=tag_list(tags)),
        lambda names: iam.untag_instance_profile(InstanceProfileName=name, TagKeys=names),
    )


def delete_profile(account: Account, name: str, inputs: Properties) -> None:
    """Its role goes out first, whichever it is."""
    live = read_profile(account, name, inputs)
    if live is not None:
        _exchange_role(account, name, live, {})
        if_found(account.client("iam").delete_instance_profile, GONE, InstanceProfileName=name)


def list_profiles(account: Account) -> Iterator[tuple[str, Tags]]:
    """All of the account; IAM lists them without their tags."""
    iam = account.client("iam")
    for row in all_of(iam, "list_instance_profiles", "InstanceProfiles"):
        live = read_profile(account, row["InstanceProfileName"], {})
        if live is not None:
            yield live["name"], live["tags"]


def create_oidc(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the provider's ARN."""
    thumbprints = inputs.get("thumbprintLists")
    answer = account.client("iam").create_open_id_connect_provider(
        Url=inputs["url"],
        ClientIDList=inputs["clientIdLists"],
        Tags=tag_list(tags),
        **({"ThumbprintList": thumbprints} if thumbprints else {}),
    )
    return str(answer["OpenIDConnectProviderArn"])


def read_oidc(account: Account, arn: str, _: Properties) -> Properties | None:
    """IAM tells the URL without its scheme."""
    answer = if_found(account.client("iam").get_open_id_connect_provider, GONE, OpenIDConnectProviderArn=arn)
    if answer is None:
        return None
    return {
        "arn": arn,
        "url": f"https://{answer['Url'].removeprefix('https://')}",
        "clientIdLists": answer["ClientIDList"],
        "thumbprintLists": answer["ThumbprintList"],
        "tags": tag_map(answer.get("Tags", [])),
    }


def update_oidc(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """Thumbprints and tags."""
    iam = account.client("iam")
    if changed(old, new, "thumbprintLists") and new.get("thumbprintLists"):
        iam.update_open_id_connect_provider_thumbprint(
            OpenIDConnectProviderArn=arn, ThumbprintList=new["thumbprintLists"]
        )
    retag(
        old,
        new,
        lambda tags: iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=tag_list(tags)),
        lambda names: iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=names),
    )


def delete_oidc(account: Account, arn: str, _: Properties) -> None:
    """Roles that trust it stay."""
    if_found(account.client("iam").delete_open_id_connect_provider, GONE, OpenIDConnectProviderArn=arn)


def list_oidc(account: Account) -> Iterator[tuple[str, Tags]]:
    """All of the account."""
    iam = account.client("iam")
    for row in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        tags = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=row["Arn"])["Tags"]
        yield row["Arn"], tag_map(tags)


KINDS = (
    Kind(
        "aws:iam/instanceProfile:InstanceProfile",
        create=create_profile,
        read=read_profile,
        update=update_profile,
        delete=delete_profile,
        list=list_profiles,
        read_back=frozenset(["name", "path", "role", "tags"]),
        replaces=frozenset(["name", "path"]),
        defaults={"path": "/"},
        name_input="name",
        regional=False,
        tagged=True,
    ),
    Kind(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        create=create_oidc,
        read=read_oidc,
        update=update_oidc,
        delete=delete_oidc,
        list=list_oidc,
        read_back=frozenset(["url", "clientIdLists", "thumbprintLists", "tags"]),
        computed=frozenset(["thumbprintLists"]),
        # clientIdLists: AddClientIDToOpenIDConnectProvider ends in a 500 of the emulator; AWS changes it in place
        replaces=frozenset(["url", "clientIdLists"]),
        unordered=frozenset(["clientIdLists"]),
        regional=False,
        tagged=True,
        delete_before_replace=True,
    ),
)
