"""Whose environment this is, and the names and tags that follow from it. Pure: the same in, the same out."""

import hashlib
import re
from dataclasses import dataclass

HASH_LENGTH = 8  # hexadecimal characters, 32 bits: enough to tell the names of one account apart


@dataclass(frozen=True)
class Limit:
    """What a cloud allows in one kind of name: characters in all, and what may stand between its parts."""

    longest: int
    separator: str = "-"


def joined(parts: tuple[str, ...], limit: Limit) -> str:
    """The parts as one name of lower-case letters, digits and the separator, within the limit.

    A name that had to be altered or cut ends in a hash of its parts, so that two that were cut alike
    stay apart. Raises ValueError where nothing of a part is left.
    """
    slugs = [re.sub(r"[^a-z0-9]+", "-" if limit.separator else "", part.lower()).strip("-") for part in parts]
    if not all(slugs):
        raise ValueError(f"A name needs letters or digits in each of its parts, found {parts!r}.")
    plain, wanted = limit.separator.join(slugs), limit.separator.join(parts)
    faithful = plain == wanted or (not limit.separator and plain == wanted.replace("-", ""))
    if faithful and len(plain) <= limit.longest:
        return plain
    mark = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:HASH_LENGTH]
    joint = "-" if limit.separator else ""
    room = limit.longest - len(joint) - HASH_LENGTH
    return plain[:room].rstrip(f"-{limit.separator}") + joint + mark


@dataclass(frozen=True)
class Context:
    """Whose environment this is.

    `disposable` says that nothing in it is worth keeping: it may be destroyed with all its data.
    """

    project: str
    environment: str
    organisation: str
    owner: str
    cost_center: str
    data_class: str
    disposable: bool = False

    def name(self, part: str, limit: Limit) -> str:
        """A name that is unique within one account of a cloud."""
        return joined((self.project, self.environment, part), limit)

    def unique_name(self, part: str, limit: Limit) -> str:
        """A name that is unique among all customers of a cloud, as names of buckets must be."""
        return joined((self.organisation, self.project, self.environment, part), limit)

    @property
    def tags(self) -> dict[str, str]:
        """What every resource is tagged with. The keys are legal as AWS tags, GCP labels and Azure tags."""
        return {
            "project": self.project,
            "environment": self.environment,
            "owner": self.owner,
            "cost-center": self.cost_center,
            "data-class": self.data_class,
        }
