"""What the gateway does with each call, as a policy of API Management. Pure.

Source of the form: Microsoft, "API Management policy reference" (ip-filter, validate-jwt, rate-limit-by-key).
"""

from ipaddress import IPv4Network, ip_network
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from infra.shape import Callers, Unsupported

WHO = '@(((Jwt)context.Variables["token"]).Subject)'
MINUTE = 60


def policy(callers: Callers, seconds: int) -> str:
    """Refuse who calls from elsewhere, then who has no token of the issuer, then who calls too often; pass on the rest.

    A call may take so many seconds. The token is not passed on: the app has no use for it.
    """
    policies = Element("policies")
    inbound = SubElement(policies, "inbound")
    SubElement(inbound, "base")
    _from_networks(inbound, callers.networks)
    token = SubElement(
        inbound,
        "validate-jwt",
        {
            "header-name": "Authorization",
            "require-scheme": "Bearer",
            "require-expiration-time": "true",
            "require-signed-tokens": "true",
            "failed-validation-httpcode": "401",
            "output-token-variable-name": "token",
        },
    )
    SubElement(token, "openid-config", url=f"{callers.issuer.rstrip('/')}/.well-known/openid-configuration")
    SubElement(SubElement(token, "audiences"), "audience").text = callers.audience
    SubElement(SubElement(token, "issuers"), "issuer").text = callers.issuer
    often = {"calls": str(callers.per_minute), "renewal-period": str(MINUTE), "counter-key": WHO}
    SubElement(inbound, "rate-limit-by-key", often)
    SubElement(inbound, "set-header", {"name": "Authorization", "exists-action": "delete"})
    SubElement(SubElement(policies, "backend"), "forward-request", timeout=str(seconds))
    for section in ("outbound", "on-error"):
        SubElement(SubElement(policies, section), "base")
    indent(policies)
    return tostring(policies, encoding="unicode")


def _from_networks(inbound: Element, networks: tuple[str, ...]) -> None:
    addresses = SubElement(inbound, "ip-filter", action="allow")
    for network in networks:
        known = ip_network(network)
        if not isinstance(known, IPv4Network):
            raise Unsupported(f"azure: callers come from {network}, and the gateway lets in IPv4 alone; leave it out.")
        SubElement(addresses, "address-range", {"from": str(known[0]), "to": str(known[-1])})
