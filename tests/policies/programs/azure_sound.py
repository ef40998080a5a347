"""The same things on Azure as they should be."""

import pulumi
from pulumi_azure_native import app, authorization, managedidentity, network, resources, storage

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
READER = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"

group = resources.ResourceGroup("shop", location="westeurope")
network.NetworkSecurityGroup(
    "inline",
    resource_group_name=group.name,
    security_rules=[
        {
            "name": "web",
            "access": "Allow",
            "direction": "Inbound",
            "priority": 100,
            "protocol": "Tcp",
            "source_address_prefix": "Internet",
            "source_port_range": "*",
            "destination_address_prefix": "*",
            "destination_port_range": "443",
        },
        {
            "name": "no-ssh",
            "access": "Deny",
            "direction": "Inbound",
            "priority": 4000,
            "protocol": "*",
            "source_address_prefix": "*",
            "source_port_range": "*",
            "destination_address_prefix": "*",
            "destination_port_range": "*",
        },
    ],
)

account = storage.StorageAccount(
    "data",
    resource_group_name=group.name,
    kind="StorageV2",
    sku={"name": "Standard_ZRS"},
    allow_blob_public_access=False,
    allow_shared_key_access=False,
    enable_https_traffic_only=True,
    minimum_tls_version="TLS1_2",
    public_network_access="Disabled",
    network_rule_set={"default_action": "Deny"},
)
container = storage.BlobContainer(
    "data", resource_group_name=group.name, account_name=account.name, public_access="None"
)

identity = managedidentity.UserAssignedIdentity("deployer", resource_group_name=group.name)
authorization.RoleAssignment(
    "reader",
    scope=container.id,
    role_definition_id=READER,
    principal_id=identity.principal_id,
    principal_type="ServicePrincipal",
)
environment = app.ManagedEnvironment("env", resource_group_name=group.name)
app.ContainerApp(
    "app",
    resource_group_name=group.name,
    managed_environment_id=environment.id,
    identity={"type": "UserAssigned", "user_assigned_identities": [identity.id]},
    template={"containers": [{"name": "app", "image": "shop.azurecr.io/app@sha256:" + "a" * 64}]},
)
managedidentity.FederatedIdentityCredential(
    "github",
    resource_group_name=group.name,
    resource_name_=identity.name,
    issuer="https://token.actions.githubusercontent.com",
    subject="repo:acme/shop:environment:prod",
    audiences=["api://AzureADTokenExchange"],
)
pulumi.export("account", account.name)
