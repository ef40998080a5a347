"""A static website: bucket, policy built from the bucket's ARN, certificate validated in DNS, distribution."""

import json

import pulumi
import pulumi_aws as aws

bucket = aws.s3.Bucket("site", tags={"Name": "site"})
website = aws.s3.BucketWebsiteConfiguration("site", bucket=bucket.id, index_document={"suffix": "index.html"})
zone = aws.route53.Zone("zone", name="example.org")
certificate = aws.acm.Certificate(
    "certificate",
    domain_name="example.org",
    subject_alternative_names=["www.example.org", "*.shop.example.org"],
    validation_method="DNS",
)


def validate(options: list[aws.acm.outputs.CertificateDomainValidationOption]) -> list[pulumi.Output[str]]:
    """One record for each domain of the certificate."""
    assert len(options) == 3
    return [
        aws.route53.Record(
            f"validation-{index}",
            zone_id=zone.zone_id,
            name=option.resource_record_name,
            type=option.resource_record_type,
            records=[option.resource_record_value],
            ttl=60,
        ).fqdn
        for index, option in enumerate(options)
    ]


validated = aws.acm.CertificateValidation(
    "validated",
    certificate_arn=certificate.arn,
    validation_record_fqdns=certificate.domain_validation_options.apply(validate),
)
identity = aws.cloudfront.OriginAccessIdentity("identity")
policy = pulumi.Output.all(bucket.arn, identity.iam_arn).apply(
    lambda found: json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": found[1]},
                    "Action": "s3:GetObject",
                    "Resource": found[0] + "/*",
                }
            ],
        }
    )
)
aws.s3.BucketPolicy("policy", bucket=bucket.id, policy=policy)
distribution = aws.cloudfront.Distribution(
    "distribution",
    enabled=True,
    origins=[
        {
            "domain_name": bucket.bucket_regional_domain_name,
            "origin_id": bucket.arn,
            "s3_origin_config": {"origin_access_identity": identity.cloudfront_access_identity_path},
        }
    ],
    default_cache_behavior={
        "allowed_methods": ["GET", "HEAD"],
        "cached_methods": ["GET", "HEAD"],
        "target_origin_id": bucket.arn,
        "viewer_protocol_policy": "redirect-to-https",
    },
    restrictions={"geo_restriction": {"restriction_type": "none"}},
    viewer_certificate={"acm_certificate_arn": validated.certificate_arn, "ssl_support_method": "sni-only"},
)
pulumi.export("url", pulumi.Output.concat("https://", distribution.domain_name))
pulumi.export("nameservers", zone.name_servers.apply(lambda servers: [servers[n] for n in range(4)]))
pulumi.export("website", website.website_endpoint.apply(str.upper))
