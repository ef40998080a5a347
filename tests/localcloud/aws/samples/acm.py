"""Samples of ACM."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample


def acm(account: Account) -> Any:
    return account.client("acm")


SAMPLES = {
    "certificate": Sample(
        "aws:acm/certificate:Certificate",
        {"domainName": "predict.example", "validationMethod": "DNS", "tags": {"project": "p", "owner": "o"}},
        changes={"tags": {"project": "q"}},
        behind={"tags": lambda a, i, _: acm(a).remove_tags_from_certificate(CertificateArn=i, Tags=[{"Key": "owner"}])},
    ),
    "other-certificate": Sample(
        "aws:acm/certificate:Certificate",
        {
            "domainName": "predict.example",
            "subjectAlternativeNames": ["b.predict.example", "a.predict.example"],
            "validationMethod": "DNS",
            "options": {"certificateTransparencyLoggingPreference": "DISABLED"},
            "validationOptions": [{"domainName": "predict.example", "validationDomain": "example"}],
        },
        lost={
            "keyAlgorithm": (
                "EC_prime256v1",
                lambda a, i: acm(a).describe_certificate(CertificateArn=i)["Certificate"]["KeyAlgorithm"],
            )
        },
        steers=frozenset(["validationOptions"]),
    ),
    "validation": Sample(
        "aws:acm/certificateValidation:CertificateValidation",
        {"certificateArn": Ref("certificate", "arn")},
        steers=frozenset(["validationRecordFqdns"]),
        leaves="the certificate",
    ),
}
