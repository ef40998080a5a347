"""ACM: certificates that Amazon issues, and the wait for their validation."""

from __future__ import annotations

import time
from collections.abc import Iterator

from localcloud.aws.account import Account
from localcloud.aws.calls import ProviderError, all_of, if_found, tag_changes, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"
WAIT = 120  # seconds for a validation; the emulator takes 60, or MOTO_ACM_VALIDATION_WAIT


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the certificate's ARN."""
    optional = {
        "ValidationMethod": inputs.get("validationMethod"),
        "SubjectAlternativeNames": inputs.get("subjectAlternativeNames"),
        "KeyAlgorithm": inputs.get("keyAlgorithm"),
        "Options": to_cloud(inputs.get("options")),
        "DomainValidationOptions": to_cloud(inputs.get("validationOptions")),
        "Tags": tag_list(tags),
    }
    answer = account.client("acm").request_certificate(
        DomainName=inputs["domainName"], **{name: value for name, value in optional.items() if value}
    )
    return str(answer["CertificateArn"])


def read(account: Account, arn: str, inputs: Properties) -> Properties | None:
    """The domain itself, which ACM counts among the alternative names, is left out unless it was declared there."""
    acm = account.client("acm")
    answer = if_found(acm.describe_certificate, GONE, CertificateArn=arn)
    if answer is None:
        return None
    about = answer["Certificate"]
    own = {about["DomainName"]} - set(inputs.get("subjectAlternativeNames", []))
    options = to_wire(about["Options"])
    if options.get("export") == "DISABLED" and "export" not in inputs.get("options", {}):
        del options["export"]
    validations = about.get("DomainValidationOptions", [])
    dates = {name: about[name].strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("NotBefore", "NotAfter") if name in about}
    return {
        "arn": arn,
        "domainName": about["DomainName"],
        "subjectAlternativeNames": [name for name in about["SubjectAlternativeNames"] if name not in own],
        "keyAlgorithm": about["KeyAlgorithm"],
        "options": options,
        "validationMethod": next((row["ValidationMethod"] for row in validations if "ValidationMethod" in row), None),
        "domainValidationOptions": [
            {"domainName": row["DomainName"]}
            | {f"resourceRecord{name}": row["ResourceRecord"][name] for name in ("Name", "Type", "Value")}
            for row in validations
            if "ResourceRecord" in row
        ],
        "validationEmails": [mail for row in validations for mail in row.get("ValidationEmails", [])],
        "status": about["Status"],
        "type": about["Type"],
        "renewalEligibility": about["RenewalEligibility"],
        "renewalSummaries": [],
        "pendingRenewal": False,
        **to_wire(dates),
        "tags": tag_map(acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]),
    }


def update(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """Tags."""
    acm = account.client("acm")
    added, removed = tag_changes(old, new)
    if removed:
        acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": name} for name in removed])
    if added:
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=tag_list(added))


def delete(account: Account, arn: str, _: Properties) -> None:
    """ACM refuses while something uses it."""
    if_found(account.client("acm").delete_certificate, GONE, CertificateArn=arn)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Every certificate of the region."""
    acm = account.client("acm")
    for row in all_of(acm, "list_certificates", "CertificateSummaryList"):
        arn = row["CertificateArn"]
        yield arn, tag_map(acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])


def wait(account: Account, inputs: Properties, _: Tags) -> str:
    """Waits until the certificate is issued, and returns when that was, as the real provider does for an id."""
    arn = inputs["certificateArn"]
    about = account.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    wanted = {
        row["ResourceRecord"]["Name"].rstrip(".") for row in about["DomainValidationOptions"] if "ResourceRecord" in row
    }
    given = inputs.get("validationRecordFqdns")
    missing = wanted - {name.rstrip(".") for name in given} if given is not None else set()
    if missing:
        raise ProviderError(
            f"validationRecordFqdns lacks {', '.join(sorted(missing))}. Give the records of all domains."
        )
    end = time.monotonic() + WAIT
    while about["Status"] == "PENDING_VALIDATION" and time.monotonic() < end:
        time.sleep(0.2)
        about = account.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    if about["Status"] != "ISSUED":
        raise ProviderError(f"the certificate {arn} is {about['Status']}, and not issued after {WAIT} s.")
    return f"{about['IssuedAt']:%Y-%m-%d %H:%M:%S} +0000 UTC"


def read_validation(account: Account, _: str, inputs: Properties) -> Properties | None:
    """Exists while the certificate is issued. Without inputs, as in an import, there is nothing to look for."""
    arn = inputs.get("certificateArn")
    if arn is None:
        return None
    answer = if_found(account.client("acm").describe_certificate, GONE, CertificateArn=arn)
    return {"certificateArn": arn} if answer and answer["Certificate"]["Status"] == "ISSUED" else None


KINDS = (
    Kind(
        "aws:acm/certificate:Certificate",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset(("domainName", "validationMethod", "subjectAlternativeNames", "options", "tags")),
        computed=frozenset(["options"]),
        kept={
            "keyAlgorithm": "lost by RequestCertificate: every key is RSA_2048",
            "validationOptions": "steers the request; reported only until the certificate is issued",
        },
        # options: UpdateCertificateOptions ends in a 500 of the emulator; AWS changes them in place
        replaces=frozenset(
            {
                "domainName",
                "validationMethod",
                "validationOptions",
                "subjectAlternativeNames",
                "keyAlgorithm",
                "options",
            }
        ),
        unordered=frozenset(["subjectAlternativeNames"]),
        tagged=True,
    ),
    Kind(
        "aws:acm/certificateValidation:CertificateValidation",
        create=wait,
        read=read_validation,
        delete=lambda *_: None,
        read_back=frozenset(["certificateArn"]),
        kept={"validationRecordFqdns": "checked when it is created; no cloud reports it"},
        replaces=frozenset(["certificateArn", "validationRecordFqdns"]),
    ),
)
