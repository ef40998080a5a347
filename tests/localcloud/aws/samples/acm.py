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
    "certificate-for-more-names": Sample(
        "aws:acm/certificate:Certificate",
        {
            "domainName": "predict.example",
            "subjectAlternativeNames": ["b.predict.example", "a.predict.example"],
            "validationMethod": "DNS",
            "keyAlgorithm": "EC_prime256v1",
            "options": {"certificateTransparencyLoggingPreference": "DISABLED"},
            "validationOptions": [{"domainName": "predict.example", "validationDomain": "example"}],
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
