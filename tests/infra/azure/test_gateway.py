"""The policy of the gateway: in which order a call is refused, and why."""

from xml.etree.ElementTree import Element, fromstring

import pytest

from infra.azure.gateway import policy
from infra.shape import Callers, Unsupported

CALLERS = Callers(("10.0.0.0/8", "192.168.7.9/32"), "https://login.example.com/", 'a"<&', 600)


def inbound(callers: Callers = CALLERS) -> list[Element]:
    (found,) = fromstring(policy(callers, 30)).iter("inbound")
    return list(found)


def test_a_call_is_judged_by_where_it_comes_from_then_by_its_token_then_by_its_rate() -> None:
    names = [element.tag for element in inbound()]
    assert names == ["base", "ip-filter", "validate-jwt", "rate-limit-by-key", "set-header"]


def test_callers_come_from_their_networks_alone() -> None:
    _, addresses, *_ = inbound()
    assert addresses.get("action") == "allow"
    assert [(one.get("from"), one.get("to")) for one in addresses] == [
        ("10.0.0.0", "10.255.255.255"),
        ("192.168.7.9", "192.168.7.9"),
    ]


def test_a_token_is_signed_by_the_issuer_for_the_audience_and_has_an_end() -> None:
    token = inbound()[2]
    assert token.find("openid-config").get("url") == "https://login.example.com/.well-known/openid-configuration"  # type: ignore[union-attr] # or the test fails
    assert [one.text for one in token.iter("issuer")] == ["https://login.example.com/"]
    assert [one.text for one in token.iter("audience")] == ['a"<&']  # whatever it is, it stays text
    for asked in ("require-signed-tokens", "require-expiration-time"):
        assert token.get(asked) == "true"
    assert token.get("failed-validation-httpcode") == "401"


def test_each_caller_has_a_rate_of_its_own() -> None:
    often = inbound()[3]
    assert (often.get("calls"), often.get("renewal-period")) == ("600", "60")
    assert often.get("counter-key") == '@(((Jwt)context.Variables["token"]).Subject)'


def test_the_token_is_not_passed_on() -> None:
    assert inbound()[4].attrib == {"name": "Authorization", "exists-action": "delete"}


def test_a_network_that_the_gateway_does_not_know_is_refused_with_a_sentence() -> None:
    with pytest.raises(Unsupported, match=r"^azure: callers come from fd00::/8"):
        policy(Callers(("fd00::/8",), "https://login.example.com", "predict", 600), 30)
