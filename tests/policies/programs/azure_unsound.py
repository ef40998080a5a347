"""Each way into a subscription of Azure that must be stopped; `# unsound: TOPIC` marks the line."""

from pulumi_azure_native import app, authorization, containerinstance, managedidentity, network, resources, storage

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
OWNER = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"

group = resources.ResourceGroup("shop", location="westeurope")
network.NetworkSecurityGroup(  # unsound: ssh inline
    "inline",
    resource_group_name=group.name,
    security_rules=[
        {
            "name": "ssh",
            "access": "Allow",
            "direction": "Inbound",
            "priority": 100,
            "protocol": "Tcp",
            "source_address_prefix": "*",
            "source_port_range": "*",
            "destination_address_prefix": "*",
            "destination_port_range": "22",
        }
    ],
)
firewall = network.NetworkSecurityGroup("rules", resource_group_name=group.name)
network.SecurityRule(  # unsound: ssh in a range
    "range",
    resource_group_name=group.name,
    network_security_group_name=firewall.name,
    access="Allow",
    direction="Inbound",
    priority=200,
    protocol="*",
    source_address_prefixes=["10.0.0.0/8", "Internet"],
    source_port_range="*",
    destination_address_prefix="*",
    destination_port_ranges=["443", "20-30"],
)

account = storage.StorageAccount(  # unsound: public storage
    "public",
    resource_group_name=group.name,
    kind="StorageV2",
    sku={"name": "Standard_LRS"},
    allow_blob_public_access=True,
    enable_https_traffic_only=False,
)
storage.BlobContainer(  # unsound: public container
    "public", resource_group_name=group.name, account_name=account.name, public_access="Blob"
)

authorization.RoleAssignment(  # unsound: owner
    "owner",
    scope=SUBSCRIPTION,
    role_definition_id=OWNER,
    principal_id="11111111-1111-1111-1111-111111111111",
    principal_type="ServicePrincipal",
)
authorization.RoleDefinition(  # unsound: star role
    "star",
    role_name="star",
    scope=SUBSCRIPTION,
    assignable_scopes=[SUBSCRIPTION],
    permissions=[{"actions": ["*"], "not_actions": []}],
)

containerinstance.ContainerGroup(  # unsound: privileged container
    "privileged",
    resource_group_name=group.name,
    os_type="Linux",
    containers=[
        {
            "name": "app",
            "image": "registry.example.com/app@sha256:" + "a" * 64,
            "resources": {"requests": {"cpu": 1, "memory_in_gb": 1}},
            "security_context": {"privileged": True},
        }
    ],
)
environment = app.ManagedEnvironment("env", resource_group_name=group.name)
app.ContainerApp(  # unsound: latest image
    "latest",
    resource_group_name=group.name,
    managed_environment_id=environment.id,
    template={"containers": [{"name": "app", "image": "shop.azurecr.io/app:latest"}]},
)

identity = managedidentity.UserAssignedIdentity("deployer", resource_group_name=group.name)
managedidentity.FederatedIdentityCredential(  # unsound: OIDC trust without one subject
    "github",
    resource_group_name=group.name,
    resource_name_=identity.name,
    issuer="https://token.actions.githubusercontent.com",
    subject="repo:acme/*",
    audiences=["api://AzureADTokenExchange"],
)
