"""The alerts that every cloud raises are few, and each says what to do."""

from infra.alerts import ALERTS, DRIFT, ERRORS, RETRAINING

RUNBOOK = "https://example.com/runbook"


def test_there_are_at_most_five_alerts_and_no_two_share_an_id() -> None:
    assert len({alert.id for alert in ALERTS}) == len(ALERTS) <= 5


def test_an_alert_names_owner_threshold_duration_and_its_chapter_of_the_runbook() -> None:
    text = ERRORS.text("ops@example.com", RUNBOOK)
    assert "over 0.01 for 10 minutes" in text
    assert "Owner: ops@example.com." in text
    assert text.endswith(f"{RUNBOOK}#errors")


def test_an_alert_that_needs_no_duration_names_none() -> None:
    assert "minutes" not in DRIFT.text("ops@example.com", RUNBOOK)
    assert "over" not in RETRAINING.text("ops@example.com", RUNBOOK).split(".")[0]


def test_every_alert_says_what_to_do_in_a_line_that_every_cloud_takes() -> None:
    for alert in ALERTS:
        text = alert.text("ml-platform@example.com", RUNBOOK)
        assert alert.act in text
        assert "\n" not in text
        assert len(text) <= 1024  # the description of an alarm on AWS and of an alert on Azure
