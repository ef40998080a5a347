"""What one cloud promises the others keep too, or a reviewed row says why not; docs/parity.md says so."""

import pytest

from tests.plans.features import DOCUMENT, FEATURES, Feature, document, lacking, rows
from tests.plans.plans import CLOUDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_promise_is_kept_where_another_cloud_keeps_it_or_a_row_says_what_is_nearest(feature: Feature) -> None:
    reviewed = {cloud for cloud in CLOUDS if any(row.feature == feature.name for row in rows()[cloud])}
    assert lacking(feature) == reviewed


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_row_says_what_is_there_and_why_and_no_feature_twice(cloud: str) -> None:
    found = rows()[cloud]
    assert found
    assert len({row.feature for row in found}) == len(found)
    assert all(row.here and row.reason for row in found)


def test_the_document_is_what_the_plans_and_the_rows_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run make parity"
