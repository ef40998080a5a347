"""What a plan makes of Kubernetes objects: YAML that is read, kinds that no SDK knows, charts that nobody renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import kubernetes, project
from localcloud.errors import LocalcloudError
from localcloud.evaluation import evaluate
from localcloud.values import UNKNOWN, Secret
from tests.localcloud.planning import planned

TEXT = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {day: 2024-01-02}}
---
---
{apiVersion: v1, kind: Namespace, metadata: {name: b}}
"""


def test_yaml_becomes_objects_and_a_list_its_items_and_a_date_stays_a_text() -> None:
    found = kubernetes.decoded({"text": TEXT})["result"]
    assert [row["metadata"]["name"] for row in found] == ["a", "b"]
    assert found[0]["data"] == {"day": "2024-01-02"}


def test_what_a_secret_text_holds_is_secret_and_of_an_unknown_one_nothing_is_known() -> None:
    assert isinstance(kubernetes.decoded({"text": Secret(TEXT)})["result"], Secret)
    assert kubernetes.decoded({"text": UNKNOWN})["result"] is UNKNOWN


def test_a_text_that_is_no_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(LocalcloudError, match="no YAML in line 2"):
        kubernetes.decoded({"text": "a: 1\nb: {"})


def test_objects_of_a_file_and_of_kinds_that_somebody_added_are_planned(tmp_path: Path) -> None:
    source = f"""
import pulumi
import pulumi_kubernetes as k8s
group = k8s.yaml.ConfigGroup("group", yaml=[{TEXT!r}])
made = k8s.apiextensions.CustomResource("made", api_version="example.org/v1", kind="Widget", spec={{"size": 1}})
pulumi.export("name", made.metadata["name"])
pulumi.export("day", group.get_resource("v1/ConfigMap", "a").apply(lambda found: found.data["day"]))
"""
    found = planned(tmp_path, source)
    types = [row.type for row in found.resources]
    assert {"kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Namespace", "kubernetes:example.org/v1:Widget"} <= {
        *types
    }
    assert found.outputs["day"] == "2024-01-02"
    assert found.outputs["name"].startswith("made-")


def test_a_chart_is_planned_with_nothing_inside_and_a_warning_says_so(tmp_path: Path) -> None:
    source = """
import pulumi_kubernetes as k8s
k8s.helm.v3.Chart("chart", k8s.helm.v3.LocalChartOpts(path="./chart"))
"""
    planned(tmp_path, "import pulumi")
    (tmp_path / "__main__.py").write_text(source, encoding="utf-8")
    logs: list[str] = []
    found = evaluate(project.load(tmp_path, "dev"), lambda _severity, message: logs.append(message))
    assert any(row.type == "kubernetes:helm.sh/v3:Chart" for row in found.resources)
    assert any("a chart is rendered by the provider: nothing of what is inside is planned" in text for text in logs)
