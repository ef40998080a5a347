"""The API: its gateway, the app behind it, and the table of its calls."""

import pytest

from infra.azure import gateway
from infra.shape import Callers
from tests.infra.azure.planned import Planned, planned


@pytest.fixture(scope="module")
def plan() -> Planned:
    return planned(
        """
        function = parts.identity("function", "function")
        command = ("python", "-m", "app", "function")
        container = Container(container.image, function, network, logs_key, command, {"MODEL_STORE": "models"})
        api = parts.api("api", ApiArgs(container, callers, 30))
        api.grant_erase(parts.identity("eraser", "container"))
        pulumi.export("url", api.url)
        pulumi.export("table", api.table)
        """,
        ground=True,
    )


def test_nothing_runs_until_a_call_comes(plan: Planned) -> None:
    scale = plan.only("app:ContainerApp").inputs["template"]["scale"]
    assert scale["minReplicas"] == 0
    assert scale["maxReplicas"] > 0


def test_the_app_is_told_its_table_port_and_identity(plan: Planned) -> None:
    (container,) = plan.only("app:ContainerApp").inputs["template"]["containers"]
    account = plan.named("storage:StorageAccount", "api-calls").inputs["accountName"]
    table = plan.only("storage:Table").inputs["tableName"]
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "AZURE_CLIENT_ID": plan.named("managedidentity:UserAssignedIdentity", "function").outputs["clientId"],
        "CALLS": f"https://{account}.table.core.windows.net/{table}",
        "CALLS_DAYS": "30",
        "MODEL_STORE": "models",
        "PORT": "8080",
    }
    assert container["args"] == ["python", "-m", "app", "function"]
    assert container["image"].endswith("@sha256:" + "0" * 64)


def test_the_app_may_add_calls_to_its_table_and_nothing_else(plan: Planned) -> None:
    assert on_table(plan, "function-store-api") == [f"{ENTITIES}/add/action"]


def test_who_forgets_people_may_find_and_remove_calls(plan: Planned) -> None:
    assert on_table(plan, "eraser-erase-api") == [f"{ENTITIES}/read", f"{ENTITIES}/delete"]


ENTITIES = "Microsoft.Storage/storageAccounts/tableServices/tables/entities"


def on_table(plan: Planned, name: str) -> list[str]:
    """What a grant on the table alone allows."""
    grant = plan.granted(name).inputs
    assert grant["scope"] == plan.only("storage:Table").outputs["id"]
    (role,) = [
        row for row in plan.of_type("authorization:RoleDefinition") if row.outputs["id"] == grant["roleDefinitionId"]
    ]
    (permission,) = role.inputs["permissions"]
    assert permission["actions"] == []
    found = permission["dataActions"]
    assert isinstance(found, list)
    return found


def test_the_table_is_under_our_key_and_takes_no_keys_of_its_own(plan: Planned) -> None:
    account = plan.named("storage:StorageAccount", "api-calls").inputs
    assert account["encryption"]["keySource"] == "Microsoft.Keyvault"
    assert account["encryption"]["services"]["table"] == {"enabled": True, "keyType": "Account"}
    assert account["allowSharedKeyAccess"] is False
    assert account["publicNetworkAccess"] == "Disabled"
    assert plan.only("storage:Table").options["protect"] is True


def test_callers_show_a_token_within_their_rate_on_the_one_route(plan: Planned) -> None:
    policy = plan.only("apimanagement:ApiPolicy").inputs
    callers = Callers(("10.0.0.0/8",), "https://login.example.com", "predict", 600)
    assert policy["value"] == gateway.policy(callers, 30)
    operation = plan.only("apimanagement:ApiOperation").inputs
    assert (operation["method"], operation["urlTemplate"]) == ("POST", "/predict")
    api = plan.only("apimanagement:Api").inputs
    assert api["protocols"] == ["https"]
    assert api["serviceUrl"] == "https://" + plan.only("app:ContainerApp").outputs["configuration"]["ingress"]["fqdn"]


def test_the_app_takes_calls_of_the_gateway_alone(plan: Planned) -> None:
    ingress = plan.only("app:ContainerApp").inputs["configuration"]["ingress"]
    subnet = plan.named("network:Subnet", "gateway")
    assert [(one["action"], one["ipAddressRange"]) for one in ingress["ipSecurityRestrictions"]] == [
        ("Allow", subnet.inputs["addressPrefix"])
    ]
    assert ingress["allowInsecure"] is False
    front = plan.only("apimanagement:ApiManagementService").inputs
    assert front["virtualNetworkConfiguration"]["subnetResourceId"] == subnet.outputs["id"]
    assert plan.only("app:ManagedEnvironment").inputs["vnetConfiguration"]["internal"] is True


def test_callers_within_the_network_find_the_gateway_at_a_private_address(plan: Planned) -> None:
    door = plan.named("network:PrivateEndpoint", "api-Gateway").inputs
    (connection,) = door["privateLinkServiceConnections"]
    assert connection["groupIds"] == ["Gateway"]
    rule = plan.named("network:SecurityRule", "callers-to-gateway-0").inputs
    assert (rule["sourceAddressPrefix"], rule["destinationPortRange"]) == ("10.0.0.0/8", "443")


def test_every_call_is_written_down_by_the_gateway(plan: Planned) -> None:
    log = plan.named("monitor:DiagnosticSetting", "api-access").inputs
    assert [one["category"] for one in log["logs"]] == ["GatewayLogs"]
    assert log["resourceUri"] == plan.only("apimanagement:ApiManagementService").outputs["id"]


def test_the_api_says_its_url_and_its_table(plan: Planned) -> None:
    service = plan.only("apimanagement:ApiManagementService").inputs["serviceName"]
    assert plan.outputs == {
        "url": f"https://{service}.azure-api.net",
        "table": plan.only("storage:Table").inputs["tableName"],
    }
