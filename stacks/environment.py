"""The architecture: the parts of one environment on one cloud, and who may do what to which."""

import pulumi

from infra.shape import Cloud, ServiceArgs, StoreArgs
from stacks.settings import Settings

PEOPLE, MODEL, LAKE = "people/", "height-weight/", "lake/"  # training data; the model; predictions made
AUDIT_DAYS = 365


class Environment(pulumi.ComponentResource):
    """Data becomes models by the trainer's hand; the service reads models and writes what it predicted.

    Two keys: one for what people and models write, one for what the platform writes down about them.
    """

    def __init__(self, settings: Settings, cloud: Cloud, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:stacks:Environment", f"{settings.environment}-{cloud.name}", None, opts)
        parts = cloud.parts(parent=self)
        data_key, logs_key = parts.key("data"), parts.key("logs")
        network = parts.network(settings.addresses, settings.callers, logs_key)

        logs = parts.store("logs", StoreArgs(logs_key))
        audit = parts.store("audit", StoreArgs(logs_key, logs_to=logs, locked_days=AUDIT_DAYS))
        data = parts.store("data", StoreArgs(data_key, logs_to=logs))
        models = parts.store("models", StoreArgs(data_key, logs_to=logs))
        images = parts.registry("app", data_key)

        trainer = parts.identity("trainer", runs_on="machine")
        data.grant_read(trainer, PEOPLE)
        data.grant_write(trainer, PEOPLE)
        models.grant_read(trainer, MODEL)
        models.grant_write(trainer, MODEL)

        server = parts.identity("server", runs_on="container")
        models.grant_read(server, MODEL)
        data.grant_write(server, LAKE)

        predict = parts.service(
            "predict",
            ServiceArgs(
                image=images.image(settings.release),
                runs_as=server,
                network=network,
                key=logs_key,
                domain=settings.domain,
                port=settings.port,
                scale=settings.scale,
                environment={
                    "MODEL_STORE": models.uri(MODEL),
                    "LAKE": data.uri(LAKE),
                    "RELEASE": settings.release,
                },
            ),
        )
        self.outputs = {
            "stores": {"data": data.name, "models": models.name, "logs": logs.name, "audit": audit.name},
            "identities": {"server": server.principal, "trainer": trainer.principal},
            "registry": images.url,
            "service": {"cluster": predict.cluster, "name": predict.name, "url": predict.url},
        }
        self.register_outputs(self.outputs)
