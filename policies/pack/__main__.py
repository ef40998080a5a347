"""The rules as an ordinary Pulumi policy pack: `pulumi preview --policy-pack policies/pack`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a host starts a pack anywhere; `policies` is two up

from pulumi_policy import PolicyPack

from policies.crossguard import policies

PolicyPack("groundwork", policies())
