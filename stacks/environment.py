"""The architecture: the parts of one environment on one cloud, and who may do what to which."""

import pulumi

from infra.parts import Cloud
from infra.shape import (
    Access,
    ApiArgs,
    Container,
    JobArgs,
    KubernetesArgs,
    ServiceArgs,
    Step,
    StoreArgs,
    TrainerArgs,
    WatchArgs,
    WorkflowArgs,
)
from stacks.settings import Settings

# Training data; the model; predictions made, and the weights that people told after them.
PEOPLE, MODEL, LAKE = "people/", "height-weight/", "lake/"
LABELS = PEOPLE + "labels/"  # rows of the lake that a model was fitted to
LANDING = PEOPLE + "incoming/"  # where a new table starts the retraining; what training writes must not
SPOOL = "/spool"  # where the image lets predictions wait for the lake
AUDIT_DAYS = 365


class Environment(pulumi.ComponentResource):
    """Data becomes models by the trainer's hand; the service reads models and writes what it predicted.

    Two keys: one for what people and models write, one for what the platform writes down about them.
    """

    def __init__(self, settings: Settings, cloud: Cloud, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:stacks:Environment", f"{settings.environment}-{cloud.name}", None, opts)
        parts = cloud.parts(parent=self)
        data_key, logs_key = parts.key("data"), parts.key("logs")
        network = parts.network(settings.addresses, settings.callers.networks, logs_key)

        logs = parts.store("logs", StoreArgs(logs_key))
        audit = parts.store("audit", StoreArgs(logs_key, logs, AUDIT_DAYS, settings.replicated))
        kept = {LAKE: settings.lake_days, LABELS: settings.lake_days}
        data = parts.store("data", StoreArgs(data_key, logs, replicated=settings.replicated, kept_days=kept))
        models = parts.store("models", StoreArgs(data_key, logs, replicated=settings.replicated))
        shared = parts.file_system("shared", network, data_key)
        images = parts.registry("app", data_key)

        trainer = parts.identity("trainer", runs_on="machine")
        workflow = parts.identity("workflow", runs_on="container")
        for identity in (trainer, workflow):
            data.grant_read(identity, PEOPLE)
            data.grant_write(identity, PEOPLE)
            models.grant_read(identity, MODEL)
            models.grant_write(identity, MODEL)
            data.grant_read(identity, LAKE)
        images.grant_pull(trainer)
        shared.grant_mount(trainer)

        server = parts.identity("server", runs_on="container")
        function = parts.identity("function", runs_on="function")
        models.grant_read(server, MODEL)
        models.grant_read(function, MODEL)
        data.grant_write(server, LAKE)

        eraser = parts.identity("eraser", runs_on="container")
        models.grant_read(eraser, MODEL)
        for prefix in (LABELS, LAKE):
            data.grant_read(eraser, prefix)
            data.grant_write(eraser, prefix)
            data.grant_erase(eraser, prefix)

        image = images.image(settings.release)
        variables: dict[str, pulumi.Input[str]] = {"MODEL_STORE": models.uri(MODEL), "RELEASE": settings.release}
        lake = {"LAKE": data.uri(LAKE)}
        serving = Container(image, server, network, logs_key, environment={**variables, **lake}, scratch=SPOOL)
        training = {**variables, **lake, "DATA_STORE": data.uri(PEOPLE)}

        served = ServiceArgs(serving, settings.callers, settings.domain, settings.port, settings.scale)
        predict = parts.service("predict", served)
        machines = parts.trainer(
            "trainer",
            TrainerArgs(
                Container(image, trainer, network, logs_key, ("train",), training),
                settings.fleet,
                Access(settings.ssh_key, settings.ssh_from),
                shared,
            ),
        )
        retrain = parts.workflow(
            "retrain",
            WorkflowArgs(
                Container(image, workflow, network, logs_key, environment=training),
                tuple(Step(job, (job,)) for job in ("drift", "train", "evaluate", "publish")),
                deploys=predict,
                starts_on=data,
                prefix=LANDING,
                schedule=settings.retrain,
            ),
        )
        calling = Container(image, function, network, logs_key, ("function",), variables)
        api = parts.api("api", ApiArgs(calling, settings.callers, settings.lake_days))
        api.grant_erase(eraser)

        copies = {"DATA_STORE_COPY": data.copy_uri(PEOPLE), "LAKE_COPY": data.copy_uri(LAKE)}
        erasing = {**training, "CALLS": api.calls, **{name: uri for name, uri in copies.items() if uri is not None}}
        forget = parts.job(
            "forget", JobArgs(Container(image, eraser, network, logs_key, ("forget",), erasing), beside=predict)
        )
        watch = parts.watch(
            WatchArgs(predict, retrain, audit, logs_key, settings.alerts_to, settings.runbook, settings.budget)
        )
        self.outputs = {
            "stores": {"data": data.name, "models": models.name, "logs": logs.name, "audit": audit.name},
            "identities": {one.workload: one.principal for one in (server, trainer, workflow, function, eraser)},
            "registry": images.url,
            "service": {"cluster": predict.cluster, "name": predict.name, "url": predict.url},
            "api": {"url": api.url, "table": api.table},
            "trainer": machines.name,
            "workflow": retrain.name,
            "forget": forget.name,
            "dashboard": watch.dashboard,
        }
        if settings.kubernetes:
            self.outputs["kubernetes"] = parts.kubernetes("predict", KubernetesArgs(served)).name
        self.register_outputs(self.outputs)
