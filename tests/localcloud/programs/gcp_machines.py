"""A network, machines over the zones of a region, a database, a cluster and its kubeconfig."""

import pulumi
import pulumi_gcp as gcp

zones = gcp.compute.get_zones(region="europe-west1")
network = gcp.compute.Network("network", auto_create_subnetworks=False)
subnet = gcp.compute.Subnetwork("subnet", network=network.id, ip_cidr_range="10.0.0.0/20", region="europe-west1")
address = gcp.compute.Address("address", region="europe-west1")
firewall = gcp.compute.Firewall(
    "web", network=network.self_link, allows=[{"protocol": "tcp", "ports": ["443"]}], source_ranges=["203.0.113.0/24"]
)
machines = [
    gcp.compute.Instance(
        f"machine-{n}",
        machine_type="e2-small",
        zone=zone,
        boot_disk={"initialize_params": {"image": "debian-cloud/debian-12"}},
        network_interfaces=[
            {"subnetwork": subnet.id, "access_configs": [{"nat_ip": address.address} if n == 0 else {}]}
        ],
    )
    for n, zone in enumerate(zones.names[:3])
]
database = gcp.sql.DatabaseInstance(
    "db", database_version="POSTGRES_17", region="europe-west1", settings={"tier": "db-f1-micro"}
)
cluster = gcp.container.Cluster("cluster", location="europe-west1", initial_node_count=1)
kubeconfig = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.master_auth).apply(
    lambda found: f"{found[0]} https://{found[1]} {found[2]['cluster_ca_certificate'][:8]}"
)
pulumi.export(
    "addresses",
    pulumi.Output.all(
        *(
            machine.network_interfaces[0].access_configs[0].nat_ip.apply(lambda ip: ip.split("."))
            for machine in machines
        )
    ),
)
pulumi.export("kubeconfig", pulumi.Output.secret(kubeconfig))
pulumi.export("database", database.connection_name.apply(lambda name: name.split(":")[2]))
pulumi.export("link", network.self_link.apply(lambda link: link.split("/projects/")[1]))
