"""Storage with its keys in a connection string, a registry with credentials, container apps, a role."""

import pulumi
import pulumi_azure_native as azure

client = azure.authorization.get_client_config()
group = azure.resources.ResourceGroup("group")
account = azure.storage.StorageAccount(
    "account", resource_group_name=group.name, sku={"name": azure.storage.SkuName.STANDARD_LRS}, kind="StorageV2"
)
keys = azure.storage.list_storage_account_keys_output(resource_group_name=group.name, account_name=account.name)
connection = pulumi.Output.all(account.name, keys).apply(
    lambda found: f"DefaultEndpointsProtocol=https;AccountName={found[0]};AccountKey={found[1].keys[1].value}"
)
container = azure.storage.BlobContainer("models", resource_group_name=group.name, account_name=account.name)
identity = azure.managedidentity.UserAssignedIdentity("server", resource_group_name=group.name)
azure.authorization.RoleAssignment(
    "reads",
    principal_id=identity.principal_id,
    principal_type="ServicePrincipal",
    scope=container.id,
    role_definition_id=f"/subscriptions/{client.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/x",
)
registry = azure.containerregistry.Registry("registry", resource_group_name=group.name, sku={"name": "Basic"})
credentials = azure.containerregistry.list_registry_credentials_output(
    resource_group_name=group.name, registry_name=registry.name
)
logs = azure.operationalinsights.Workspace("logs", resource_group_name=group.name)
shared = azure.operationalinsights.get_shared_keys_output(resource_group_name=group.name, workspace_name=logs.name)
environment = azure.app.ManagedEnvironment(
    "environment",
    resource_group_name=group.name,
    app_logs_configuration={
        "destination": "log-analytics",
        "log_analytics_configuration": {
            "customer_id": logs.customer_id,
            "shared_key": shared.apply(lambda found: found.primary_shared_key),
        },
    },
)
app = azure.app.ContainerApp(
    "app",
    resource_group_name=group.name,
    managed_environment_id=environment.id,
    identity={"type": "UserAssigned", "user_assigned_identities": [identity.id]},
    configuration={
        "ingress": {"external": True, "target_port": 8080},
        "registries": [{"server": registry.login_server, "username": credentials.apply(lambda found: found.username)}],
    },
    template={"containers": [{"name": "app", "image": pulumi.Output.concat(registry.login_server, "/app:1")}]},
)
vault = azure.keyvault.Vault(
    "vault",
    resource_group_name=group.name,
    properties={"tenant_id": client.tenant_id, "sku": {"family": "A", "name": "standard"}},
)
pulumi.export("connection", pulumi.Output.secret(connection))
pulumi.export("url", app.configuration.apply(lambda found: f"https://{found.ingress.fqdn}"))
pulumi.export("site", account.primary_endpoints.apply(lambda found: found.web.rstrip("/")))
pulumi.export("vault", vault.properties.apply(lambda found: found.vault_uri.rstrip("/")))
pulumi.export("second", credentials.apply(lambda found: found.passwords[1].name))
pulumi.export("clientOfApp", identity.client_id.apply(str.upper))
