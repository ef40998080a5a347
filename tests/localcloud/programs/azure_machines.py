"""A network with inline subnets, a machine with an address, a cluster with its kubeconfig, a database, a web app."""

import base64
import json

import pulumi
import pulumi_azure_native as azure

group = azure.resources.ResourceGroup("group", location="northeurope")
network = azure.network.VirtualNetwork(
    "network",
    resource_group_name=group.name,
    address_space={"address_prefixes": ["10.0.0.0/16"]},
    subnets=[{"name": "default", "address_prefix": "10.0.1.0/24"}],
)
address = azure.network.PublicIPAddress("address", resource_group_name=group.name)
interface = azure.network.NetworkInterface(
    "interface",
    resource_group_name=group.name,
    ip_configurations=[
        {
            "name": "main",
            "subnet": {"id": network.subnets.apply(lambda subnets: subnets[0].id)},
            "public_ip_address": {"id": address.id},
        }
    ],
)
machine = azure.compute.VirtualMachine(
    "machine",
    resource_group_name=group.name,
    hardware_profile={"vm_size": "Standard_B1s"},
    network_profile={"network_interfaces": [{"id": interface.id}]},
)
found_address = pulumi.Output.all(machine.id, group.name, address.name).apply(
    lambda found: azure.network.get_public_ip_address(resource_group_name=found[1], public_ip_address_name=found[2])
)
cluster = azure.containerservice.ManagedCluster(
    "cluster",
    resource_group_name=group.name,
    dns_prefix="cluster",
    identity={"type": "SystemAssigned"},
    agent_pool_profiles=[{"name": "system", "count": 2, "mode": "System"}],
)
credentials = azure.containerservice.list_managed_cluster_user_credentials_output(
    resource_group_name=group.name, resource_name=cluster.name
)
kubeconfig = credentials.apply(lambda found: base64.b64decode(found.kubeconfigs[0].value).decode())
server = azure.sql.Server("server", resource_group_name=group.name, administrator_login="admin1")
database = azure.sql.Database("database", resource_group_name=group.name, server_name=server.name)
plan = azure.web.AppServicePlan("plan", resource_group_name=group.name, sku={"name": "B1", "tier": "Basic"})
app = azure.web.WebApp("app", resource_group_name=group.name, server_farm_id=plan.id)
pulumi.export("address", found_address.ip_address.apply(lambda ip: ip.split(".")[0]))
pulumi.export("kubeconfig", kubeconfig.apply(lambda text: json.loads(text)["clusters"][0]["name"]))
pulumi.export("sql", server.fully_qualified_domain_name.apply(str.lower))
pulumi.export("app", app.default_host_name.apply(lambda host: f"https://{host}"))
pulumi.export("kubelet", cluster.identity_profile.apply(lambda profile: profile["kubeletidentity"].object_id))
