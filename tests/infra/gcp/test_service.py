"""The service: always enough healthy copies, reached over TLS by known callers at their rate, and by nobody else."""

from pathlib import Path

import pytest

from tests.infra.gcp.planned import NUMBER, Planned, named, of_type, only, planned

DOMAIN = "predict.dev.example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    program = """
        made = parts.service("predict", served(environment={"MODEL_STORE": "gs://models/"}))
        made.grant_deploy(parts.identity("workflow", "container"))
        pulumi.Output.concat(made.url, "|", made.cluster, "|", made.name).apply(
            lambda told: parts.identity(told.replace("/", "_"), "container")
        )
    """
    return planned(tmp_path_factory.mktemp("service"), program)


def run(resources: list[Planned]) -> Planned:
    (found,) = (one for one in of_type(resources, "Service") if one.type.startswith("gcp:cloudrunv2"))
    return found


def test_it_runs_an_image_by_its_digest_as_its_own_identity(service: list[Planned]) -> None:
    template = run(service).inputs["template"]
    (container,) = template["containers"]
    assert container["image"].endswith(f"@sha256:{'a' * 64}")
    assert template["serviceAccount"] == "groundwork-dev-server@acme-ml-dev.iam.gserviceaccount.com"
    assert template["encryptionKey"].endswith("/cryptoKeys/groundwork-dev-logs")
    assert container["envs"] == [{"name": "MODEL_STORE", "value": "gs://models/"}]
    assert "args" not in container


def test_the_platform_sets_the_port(service: list[Planned]) -> None:
    (container,) = run(service).inputs["template"]["containers"]
    assert container["ports"]["containerPort"] == 8080
    assert "PORT" not in {variable["name"] for variable in container["envs"]}


def test_the_arguments_of_the_entry_point_are_given_when_there_are_some(tmp_path: Path) -> None:
    made = run(planned(tmp_path, 'parts.service("predict", served(command=("serve", "--quiet")))'))
    assert made.inputs["template"]["containers"][0]["args"] == ["serve", "--quiet"]


def test_copies_are_asked_whether_they_are_ready_and_alive(service: list[Planned]) -> None:
    (container,) = run(service).inputs["template"]["containers"]
    paths = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {
        "startup": {"path": "/readyz", "port": 8080},
        "readiness": {"path": "/readyz", "port": 8080},
        "liveness": {"path": "/healthz", "port": 8080},
    }


def test_it_scales_at_the_cpu_that_was_asked_for_within_its_bounds(tmp_path: Path) -> None:
    made = run(planned(tmp_path, 'parts.service("predict", served(Scale(3, 10)))'))
    scaling = made.inputs["template"]["scaling"]
    assert scaling == {"minInstanceCount": 3, "maxInstanceCount": 10, "cpuUtilization": 0.75}
    (container,) = made.inputs["template"]["containers"]
    assert container["resources"]["cpuIdle"] is False


def test_a_target_that_cloud_run_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"gcp: Cloud Run scales at 10 to 95 % CPU and not at 97"):
        planned(tmp_path, 'parts.service("predict", served(Scale(2, 4, 97, 25)))')


def test_calls_go_to_the_latest_revision_that_became_ready(service: list[Planned]) -> None:
    (traffic,) = run(service).inputs["traffics"]
    assert traffic == {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}


def test_it_is_reached_through_the_network_alone(service: list[Planned]) -> None:
    inputs = run(service).inputs
    assert inputs["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    assert inputs["defaultUriDisabled"] is True
    access = inputs["template"]["vpcAccess"]
    assert access["egress"] == "ALL_TRAFFIC"
    assert access["networkInterfaces"][0]["tags"] == ["groundwork-dev-members"]
    assert {rule.inputs["loadBalancingScheme"] for rule in of_type(service, "ForwardingRule")} == {"INTERNAL_MANAGED"}
    assert only(service, "Address").inputs["addressType"] == "INTERNAL"


@pytest.mark.parametrize("disposable", [False, True])
def test_only_a_disposable_service_may_be_deleted(tmp_path: Path, disposable: bool) -> None:
    made = run(planned(tmp_path, 'parts.service("predict", served())', disposable=disposable))
    assert made.inputs["deletionProtection"] is not disposable


def test_it_speaks_tls_alone_with_a_certificate_for_its_domain(service: list[Planned]) -> None:
    rule = only(service, "ForwardingRule").inputs
    assert rule["portRange"] == "443"
    assert not of_type(service, "RegionTargetHttpProxy")
    assert only(service, "RegionTargetHttpsProxy").inputs["certificateManagerCertificates"]
    assert only(service, "Certificate").inputs["managed"]["domains"] == [DOMAIN]
    tls = only(service, "RegionSslPolicy").inputs
    assert (tls["minTlsVersion"], tls["profile"]) == ("TLS_1_2", "RESTRICTED")


def test_its_domain_and_the_proof_of_it_are_in_the_zone(service: list[Planned]) -> None:
    records = {
        one.name: one.inputs for one in of_type(service, "RecordSet") if one.inputs["managedZone"] == "example-com"
    }
    assert set(records) == {"predict", "predict-proof"}
    assert (records["predict"]["name"], records["predict"]["type"]) == (f"{DOMAIN}.", "A")
    assert records["predict-proof"]["type"] == "CNAME"


def test_known_networks_call_at_their_rate_and_everybody_else_is_turned_away(service: list[Planned]) -> None:
    throttle, rest = only(service, "RegionSecurityPolicy").inputs["rules"]
    assert throttle["action"] == "throttle"
    assert throttle["match"]["config"]["srcIpRanges"] == ["10.0.0.0/8"]
    limit = throttle["rateLimitOptions"]
    assert limit["rateLimitThreshold"] == {"count": 600, "intervalSec": 60}
    assert (limit["exceedAction"], limit["enforceOnKey"]) == ("deny(429)", "IP")
    assert (rest["action"], rest["priority"]) == ("deny(403)", 2147483647)
    assert only(service, "RegionBackendService").inputs["securityPolicy"]


def test_more_networks_than_a_rule_holds_take_more_rules(tmp_path: Path) -> None:
    program = """
        from dataclasses import replace
        networks = tuple(f"10.{number}.0.0/16" for number in range(25))
        args = served()
        parts.service("predict", replace(args, callers=replace(CALLERS, networks=networks)))
    """
    rules = only(planned(tmp_path, program), "RegionSecurityPolicy").inputs["rules"]
    assert [len(rule["match"]["config"]["srcIpRanges"]) for rule in rules] == [10, 10, 5, 1]
    assert len({rule["priority"] for rule in rules}) == 4


def test_callers_show_a_token_of_their_issuer_for_the_audience(service: list[Planned]) -> None:
    issuer = only(service, "WorkloadIdentityPoolProvider").inputs
    assert issuer["oidc"] == {"issuerUri": "https://login.example.com", "allowedAudiences": ["predict"]}
    (trade,) = (one.inputs for one in of_type(service, "IAMMember") if one.name == "predict")
    assert trade["role"] == "roles/iam.serviceAccountOpenIdTokenCreator"
    pool = f"projects/{NUMBER}/locations/global/workloadIdentityPools/groundwork-dev-predict-callers"
    assert trade["member"] == f"principalSet://iam.googleapis.com/{pool}/attribute.calls/predict"
    assert run(service).inputs["customAudiences"] == [f"https://{DOMAIN}"]


def test_only_the_callers_account_invokes_and_never_everybody(service: list[Planned]) -> None:
    grants = named(service, "ServiceIamMember")
    assert grants["callers"].inputs["role"] == "roles/run.invoker"
    assert grants["callers"].inputs["member"].startswith("serviceAccount:")
    members = [grant.inputs.get("member", "") for grant in service if "member" in grant.inputs]
    assert not [member for member in members if member.startswith("all")]


def test_who_deploys_makes_revisions_of_this_service_and_no_more(service: list[Planned]) -> None:
    may = named(service, "IAMCustomRole")["predict-deploy"].inputs["permissions"]
    assert may == ["run.services.get", "run.services.update"]
    assert named(service, "ServiceIamMember")["workflow-deploy-predict"].inputs["name"] == "groundwork-dev-predict"
    acts = named(service, "IAMMember")["workflow-deploy-predict"].inputs
    assert acts["role"] == "roles/iam.serviceAccountUser"
    assert acts["serviceAccountId"].endswith("/groundwork-dev-server@acme-ml-dev.iam.gserviceaccount.com")
    assert only(service, "RepositoryIamMember", "workflow-pull-app")


def test_a_deployment_of_the_same_image_is_no_drift(service: list[Planned]) -> None:
    assert "template.annotations" in run(service).options["ignoreChanges"]


def test_what_it_logs_is_kept_with_our_key(service: list[Planned]) -> None:
    log = named(service, "ProjectSink")["predict"].inputs
    assert 'service_name="groundwork-dev-predict"' in log["filter"]
    assert named(service, "ProjectBucketConfig")["predict"].inputs["cmekSettings"]


def test_it_tells_where_it_is(service: list[Planned]) -> None:
    assert f"https:__{DOMAIN}|europe-west1|groundwork-dev-predict" in named(service, "Account")
