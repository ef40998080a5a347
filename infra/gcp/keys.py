"""Customer-managed encryption keys (Cloud KMS)."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import KEY, MADE_LATE, Account
from infra.shape import KeyPurpose

DAY = 86_400  # seconds
ROTATION_DAYS = 90
USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


class Key(pulumi.ComponentResource):
    """A key that is rotated each quarter and outlives a mistake by its waiting time.

    On GCP it is the service that holds the data which uses the key, not the workload that reads it: a part
    opens the key to its own service, and no workload is granted its use.
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        purpose: KeyPurpose,
        *,
        account: Account,
        ctx: Context,
        location: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._name = f"{purpose}-{location}" if location else purpose
        super().__init__("groundwork:gcp:Key", self._name, None, opts)
        self._purpose, self._account, self._ctx, self._opts = purpose, account, ctx, opts
        self._open: dict[str, pulumi.Resource] = {}
        self._elsewhere: dict[str, Key] = {}
        full_name = ctx.name(self._name, KEY)
        lasting = pulumi.ResourceOptions(parent=self, protect=not ctx.disposable)
        ring = gcp.kms.KeyRing(
            self._name,
            name=full_name,
            location=location or account.region,
            project=account.project,
            opts=lasting,
        )
        key = gcp.kms.CryptoKey(
            self._name,
            name=full_name,
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=f"{ROTATION_DAYS * DAY}s",
            destroy_scheduled_duration=f"{(1 if ctx.disposable else 30) * DAY}s",
            labels=ctx.tags,
            opts=lasting,
        )
        self.id = key.id
        self.register_outputs({"id": self.id})

    def open_to(self, service: str) -> pulumi.Resource:
        """Let one service of GCP (`storage`, `run`) use the key; what it encrypts has to wait for what is returned."""
        if service not in self._open:
            member, made = self._agent(service)
            self._open[service] = gcp.kms.CryptoKeyIAMMember(
                f"{self._name}-{service}",
                crypto_key_id=self.id,
                role=USE,
                member=member,
                opts=pulumi.ResourceOptions(parent=self, depends_on=made),
            )
        return self._open[service]

    def spanning(self, location: str) -> "Key":
        """The key of the same purpose for what lies in another location: a key never leaves its own."""
        if location not in self._elsewhere:
            self._elsewhere[location] = Key(
                self._purpose, account=self._account, ctx=self._ctx, location=location, opts=self._opts
            )
        return self._elsewhere[location]

    def _agent(self, service: str) -> tuple[pulumi.Input[str], list[pulumi.Resource]]:
        """What the service acts as, and what makes it where it does not come with the service's API."""
        asking = pulumi.InvokeOptions(parent=self)
        if service == "storage":  # asking for this one makes it
            found = gcp.storage.get_project_service_account_output(project=self._account.project, opts=asking)
            return found.member, []
        if service == "logging":  # as above
            settings = gcp.logging.get_project_cmek_settings_output(project=self._account.project, opts=asking)
            return pulumi.Output.concat("serviceAccount:", settings.service_account_id), []
        made: list[pulumi.Resource] = []
        if service in MADE_LATE:
            identity = gcp.projects.ServiceIdentity(
                f"{self._name}-{service}",
                project=self._account.project,
                service=f"{service}.googleapis.com",
                opts=pulumi.ResourceOptions(parent=self),
            )
            made.append(identity)
        return self._account.agent(service), made
