import dataclasses
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from policies.check import Report, check
from policies.report.picture import MOST_BOXES, MOST_MARKS, Picture, pictures
from tests.policies import samples

COMPONENT = "shop:aws:Store"


def component(name: str, parent: str = "", token: str = COMPONENT) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::shop::{token}::{name}"
    return samples.resource(name, {}, type=token, urn=urn, custom=False, parent=parent or None)


def report_of(tmp_path: Path, *rows: dict[str, Any]) -> Report:
    return check(
        {"dev.json": samples.plan(*rows)},
        samples.waivers(tmp_path),
        samples.TODAY,
        samples.assessor(samples.rule(1), samples.rule(2, "low", "advisory")),
    )


def only(report: Report) -> Picture:
    (picture,) = pictures(report)
    return picture


def shop(parts: int, each: int, *, chained: bool = True) -> list[dict[str, Any]]:
    """A stack of parts, each of some buckets, that use the part before them if they are chained."""
    rows: list[dict[str, Any]] = []
    for part in range(parts):
        rows.append(component(f"part-{part}"))
        uses = {"acl": [f"urn:pulumi:dev::shop::{samples.BUCKET}::b{part - 1}-0"]} if part and chained else {}
        for number in range(each):
            rows.append(
                samples.resource(f"b{part}-{number}", {}, parent=rows[-1 - number]["urn"], propertyDependencies=uses)
            )
    return rows


def test_a_part_is_a_box_and_a_resource_a_mark_in_it(tmp_path: Path) -> None:
    picture = only(report_of(tmp_path, *shop(5, 3)))
    assert [box.title for box in picture.boxes] == [f"part-{number}" for number in range(5)]
    assert {(box.kind, len(box.marks), box.more) for box in picture.boxes} == {("Store", 3, 0)}
    assert picture.resources == 15
    assert [(line.user, line.used) for line in picture.lines] == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_a_part_stands_below_what_it_uses(tmp_path: Path) -> None:
    heights = [box.y for box in only(report_of(tmp_path, *shop(5, 3))).boxes]
    assert heights == sorted(set(heights))


def test_a_mark_carries_its_worst_finding_and_leads_to_it(tmp_path: Path) -> None:
    worst = samples.resource("worst", {"fails": ["acl"]})
    wonders = samples.resource("wonders", {"wonders": ["acl"]})
    queue = samples.resource(
        "queue", {}, type="aws:sqs/queue:Queue", urn="urn:pulumi:dev::shop::aws:sqs/queue:Queue::q"
    )
    report = report_of(tmp_path, queue, samples.resource("sound", {}), wonders, worst)
    marks = [mark for box in only(report).boxes for mark in box.marks]
    found = {mark.title.split(" ")[0]: (mark.status, mark.severity) for mark in marks}
    assert found == {
        "worst": ("fail", "high"),
        "wonders": ("undetermined", "high"),
        "sound": ("pass", "high"),
        "queue": ("none", ""),
    }
    anchors = {mark.title.split(" ")[0]: mark.href for mark in marks}
    (finding,) = [row for row in report.findings if row.name == "worst" and row.policy == "GW-TEST-001"]
    assert anchors["worst"] == f"#f-{finding.fingerprint[:20]}"
    assert anchors["sound"] == anchors["queue"] == "#findings"


def test_a_box_has_the_colour_of_the_worst_in_it(tmp_path: Path) -> None:
    rows = shop(5, 3)
    rows[-1]["inputs"] = {"fails": ["acl"]}
    boxes = only(report_of(tmp_path, *rows)).boxes
    assert [box.status for box in boxes] == ["pass"] * 4 + ["fail"]


@pytest.mark.parametrize(("parts", "each"), [(5, 1000), (1200, 3), (1, 4000)])
def test_thousands_of_resources_stay_a_picture_that_a_person_reads(parts: int, each: int, tmp_path: Path) -> None:
    rows = shop(parts, each)
    rows[-1]["inputs"] = {"fails": ["acl"]}
    picture = only(report_of(tmp_path, *rows))
    assert picture.resources == parts * each
    assert len(picture.boxes) <= MOST_BOXES
    assert all(len(box.marks) <= MOST_MARKS for box in picture.boxes)
    assert sum(len(box.marks) + box.more for box in picture.boxes) == parts * each
    assert "fail" in {mark.status for box in picture.boxes for mark in box.marks}, "the worst have no mark"


def test_thousands_of_resources_without_components_are_grouped_by_module(tmp_path: Path) -> None:
    rows = [samples.resource(f"bucket-{number}", {}) for number in range(2000)]
    rows += [
        samples.resource(f"queue-{number}", {}, type="aws:sqs/queue:Queue", urn=f"urn:pulumi:dev::shop::q::{number}")
        for number in range(2000)
    ]
    picture = only(report_of(tmp_path, *rows))
    assert [box.title for box in picture.boxes] == ["aws:s3", "aws:sqs"]


@pytest.mark.parametrize("chained", [True, False])
@pytest.mark.parametrize(("parts", "each"), [(1, 1), (5, 3), (40, 7), (12, 100)])
def test_boxes_neither_overlap_nor_leave_the_picture(parts: int, each: int, chained: bool, tmp_path: Path) -> None:
    picture = only(report_of(tmp_path, *shop(parts, each, chained=chained)))
    for box in picture.boxes:
        assert box.x >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
        for mark in box.marks:
            assert 0 < mark.x < box.width
            assert 0 < mark.y < box.height
    for one, other in combinations(picture.boxes, 2):
        assert (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )


def test_parents_in_a_ring_do_not_hang_it(tmp_path: Path) -> None:
    one, two = component("one"), component("two")
    one["parent"], two["parent"] = two["urn"], one["urn"]
    assert only(report_of(tmp_path, one, two, samples.resource("data", {}, parent=one["urn"]))).resources == 1


def test_parts_that_use_each_other_are_drawn(tmp_path: Path) -> None:
    rows = shop(5, 2)
    rows[1]["propertyDependencies"] = {"tags": [rows[-1]["urn"]]}
    picture = only(report_of(tmp_path, *rows))
    assert (0, 4) in [(line.user, line.used) for line in picture.lines]


def test_each_cloud_of_a_stack_has_its_own_picture(tmp_path: Path) -> None:
    account = "azure-native:storage:StorageAccount"
    there = samples.resource("there", {}, type=account, urn=f"urn:pulumi:dev::shop::{account}::there")
    cluster = component("cluster", token="shop:aws:Cluster")
    pod = samples.resource(
        "pod", {}, type="kubernetes:core/v1:Pod", urn="urn:pulumi:dev::shop::pod::pod", parent=cluster["urn"]
    )
    report = report_of(tmp_path, samples.resource("here", {}), there, cluster, pod)
    assert [(picture.cloud, picture.resources) for picture in pictures(report)] == [("aws", 2), ("azure", 1)]


def test_two_runs_draw_the_same(tmp_path: Path) -> None:
    rows = shop(6, 5)
    first, second = report_of(tmp_path, *rows), report_of(tmp_path, *rows)
    assert pictures(first) == pictures(dataclasses.replace(second, findings=tuple(reversed(second.findings))))
