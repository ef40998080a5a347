"""The AWS resource types that localcloud can make, read, change and delete over boto3."""

from localcloud.aws import kms
from localcloud.aws.kind import Kind

FAMILIES = (kms,)

KINDS: dict[str, Kind] = {kind.token: kind for family in FAMILIES for kind in family.KINDS}
