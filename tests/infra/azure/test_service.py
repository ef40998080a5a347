"""The service: within the network, for callers with a token, never under its minimum."""

from typing import Any

import pytest

from infra.azure.policy import ACR_PULL, SECRETS_USER
from localcloud.program import ProgramError
from tests.infra.azure.planned import SECRET, Planned, planned

SERVE = """
predict = parts.service("predict", served)
predict.grant_deploy(parts.identity("workflow", "container"))
pulumi.export("service", [predict.url, predict.cluster, predict.name])
"""
CHANGED = "from dataclasses import replace\n"


def plan(before: str = "") -> Planned:
    return planned(before + SERVE, ground=True)


def app() -> dict[str, Any]:
    return plan().only("app:ContainerApp").inputs


def container() -> dict[str, Any]:
    (found,) = app()["template"]["containers"]
    assert isinstance(found, dict)
    return found


def test_the_environment_is_within_the_network_over_its_zones_and_has_no_public_address() -> None:
    inputs = plan().only("app:ManagedEnvironment").inputs
    assert inputs["vnetConfiguration"]["internal"] is True
    assert inputs["vnetConfiguration"]["infrastructureSubnetId"].endswith("/subnets/groundwork-dev-apps")
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["zoneRedundant"] is True


def test_the_image_is_named_by_its_digest_and_fetched_by_an_identity_the_app_gets_no_token_of() -> None:
    assert "@sha256:" in container()["image"]
    configuration = app()["configuration"]
    starter = plan().named("managedidentity:UserAssignedIdentity", "predict-starter").outputs
    server = plan().named("managedidentity:UserAssignedIdentity", "server").outputs
    assert configuration["registries"] == [{"server": "acmegroundworkdevapp.azurecr.io", "identity": starter["id"]}]
    assert {row["identity"]: row["lifecycle"] for row in configuration["identitySettings"]} == {
        server["id"]: "Main",
        starter["id"]: "None",
    }
    assert plan().granted("predict-starter-pull-app-images").inputs["roleDefinitionId"].endswith(ACR_PULL)
    assert "secrets" not in configuration


def test_the_app_knows_its_port_its_variables_and_its_own_client() -> None:
    variables = {row["name"]: row["value"] for row in container()["env"]}
    client = plan().named("managedidentity:UserAssignedIdentity", "server").outputs["clientId"]
    assert variables == {"PORT": "8080", "LAKE": "lake", "AZURE_CLIENT_ID": client}
    assert "command" not in container()
    assert "args" not in container()


def test_a_command_takes_the_place_of_the_images_own() -> None:
    program = (
        'from dataclasses import replace\nserved = replace(served, container=replace(container, command=("a", "b")))\n'
    )
    found = plan(program).only("app:ContainerApp").inputs
    assert found["template"]["containers"][0]["args"] == ["a", "b"]


def test_it_scales_between_its_limits_by_the_cpu() -> None:
    scale = app()["template"]["scale"]
    assert (scale["minReplicas"], scale["maxReplicas"]) == (2, 4)
    assert scale["rules"] == [
        {"name": "cpu", "custom": {"type": "cpu", "metadata": {"type": "Utilization", "value": "75"}}}
    ]


def test_only_healthy_copies_get_calls_and_a_broken_release_gets_none() -> None:
    probes = {row["type"]: row["httpGet"] for row in container()["probes"]}
    assert probes == {
        "Startup": {"path": "/readyz", "port": 8080},
        "Liveness": {"path": "/healthz", "port": 8080},
        "Readiness": {"path": "/readyz", "port": 8080},
    }
    assert app()["configuration"]["activeRevisionsMode"] == "Single"
    assert app()["configuration"]["ingress"]["traffic"] == [{"latestRevision": True, "weight": 100}]


def test_it_is_called_over_https_from_the_networks_of_its_callers_alone() -> None:
    ingress = app()["configuration"]["ingress"]
    assert ingress["allowInsecure"] is False
    assert ingress["targetPort"] == 8080
    assert ingress["ipSecurityRestrictions"] == [
        {"name": "callers-0", "action": "Allow", "ipAddressRange": "10.0.0.0/8"}
    ]


def test_calls_without_a_token_of_the_issuer_for_the_audience_are_refused() -> None:
    inputs = plan().only("app:ContainerAppsAuthConfig").inputs
    assert inputs["platform"] == {"enabled": True}
    assert inputs["globalValidation"] == {"unauthenticatedClientAction": "Return401"}
    assert inputs["httpSettings"] == {"requireHttps": True}
    directory = inputs["identityProviders"]["azureActiveDirectory"]
    assert directory["enabled"] is True
    assert directory["registration"] == {"openIdIssuer": "https://login.example.com", "clientId": "predict"}
    assert directory["validation"] == {"allowedAudiences": ["predict"]}


def issuer_rules(found: Planned) -> list[str]:
    return [
        row.name
        for row in found.of_type("network:SecurityRule")
        if row.inputs["destinationAddressPrefix"] == "Internet"
    ]


def test_the_way_to_the_issuer_is_open_only_where_azure_has_no_name_for_it() -> None:
    assert issuer_rules(plan()) == ["apps-to-issuer"]
    entra = 'from dataclasses import replace\nserved = replace(served, callers=replace(callers, issuer="https://login.microsoftonline.com/x/v2.0"))\n'
    assert issuer_rules(plan(entra)) == []


def test_what_it_says_goes_to_the_log_of_its_network_without_a_key_of_the_workspace() -> None:
    environment = plan().only("app:ManagedEnvironment")
    assert environment.inputs["appLogsConfiguration"] == {"destination": "azure-monitor"}
    setting = plan().named("monitor:DiagnosticSetting", "predict-log").inputs
    assert setting["resourceUri"] == environment.outputs["id"]
    assert setting["workspaceId"] == plan().only("operationalinsights:Workspace").outputs["id"]
    assert [row["category"] for row in setting["logs"]] == ["ContainerAppConsoleLogs", "ContainerAppSystemLogs"]


def test_without_a_certificate_it_is_refused_with_what_to_do() -> None:
    with pytest.raises(ProgramError, match=r"predict.dev.example.com has no certificate.*; set azure.certificate to"):
        plan(CHANGED + "parts.args = replace(parts.args, certificate=None)\n")


def test_within_the_network_azures_name_is_found_too() -> None:
    _, cluster, name = plan().outputs["service"]
    domain = plan().only("app:ManagedEnvironment").outputs["defaultDomain"]
    assert (cluster, name) == ("groundwork-dev-predict", "groundwork-dev-predict")
    record = plan().only("privatedns:PrivateRecordSet").inputs
    assert (record["privateZoneName"], record["relativeRecordSetName"]) == (domain, "*")


def test_it_is_called_by_its_domain_with_the_certificate_that_people_bring() -> None:
    found = plan()
    assert found.outputs["service"][0] == "https://predict.dev.example.com"
    certificate = found.only("app:Certificate")
    assert found.only("app:ContainerApp").inputs["configuration"]["ingress"]["customDomains"] == [
        {
            "name": "predict.dev.example.com",
            "bindingType": "SniEnabled",
            "certificateId": certificate.outputs["id"],
        }
    ]
    vault = certificate.inputs["properties"]["certificateKeyVaultProperties"]
    assert vault["keyVaultUrl"] == "https://acme.vault.azure.net/secrets/predict"
    may_read = found.granted("predict-certificate-read-predict-certificate").inputs
    assert (may_read["scope"], may_read["roleDefinitionId"][-36:]) == (SECRET, SECRETS_USER)  # of the one secret
    outside = [row for row in found.of_type("authorization:RoleAssignment") if "/secrets/" in row.inputs["scope"]]
    assert [row.name for row in outside] == ["predict-certificate-read-predict-certificate"]
    records = {row.inputs["relativeRecordSetName"]: row.inputs for row in found.of_type("dns:RecordSet")}
    assert records["predict.dev"]["aRecords"] == [
        {"ipv4Address": found.only("app:ManagedEnvironment").outputs["staticIp"]}
    ]
    assert records["asuid.predict.dev"]["recordType"] == "TXT"


def test_a_domain_outside_of_the_zone_is_refused_with_what_to_do() -> None:
    other = CHANGED + 'served = replace(served, domain="predict.example.org")\n'
    with pytest.raises(
        ProgramError, match=r"predict.example.org is not in the DNS zone example.com; set azure.dnsZone"
    ):
        plan(other)


def test_a_grant_to_deploy_replaces_copies_and_changes_nothing_else() -> None:
    grant = plan().granted("workflow-deploy-predict").inputs
    deployer = plan().named("authorization:RoleDefinition", "predict-deployer-workflow")
    assert grant["roleDefinitionId"] == deployer.outputs["id"]
    assert grant["scope"] == plan().only("app:ContainerApp").outputs["id"]
    (permissions,) = deployer.inputs["permissions"]
    assert permissions["actions"] == [
        "Microsoft.App/containerApps/read",
        "Microsoft.App/containerApps/revisions/read",
        "Microsoft.App/containerApps/revisions/restart/action",
    ]
