"""Routes on EC2: route tables, their places and their routes, inside the table or as resources of their own."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.aws.answers import code, present, unless_gone
from localcloud.aws.calls import tag_map
from localcloud.aws.ec2 import arn, described, filters, first, retag, with_tags
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# --- routes, alone and inside a route table

# property → the API's name of what it leads to; other targets have no kinds yet
_TARGETS = {"gatewayId": "GatewayId"}
# property of a route → the API's name of where it leads; a table's own routes say cidrBlock and ipv6CidrBlock
_DESTINATIONS = {"destinationCidrBlock": "DestinationCidrBlock", "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock"}
_INLINE = {"cidrBlock": "destinationCidrBlock", "ipv6CidrBlock": "destinationIpv6CidrBlock"}


def _arguments(route: Properties) -> dict[str, str]:
    return {part: route[name] for name, part in {**_DESTINATIONS, **_TARGETS}.items() if route.get(name)}


def _destination(route: Properties) -> str:
    return next(str(route[name]) for name in _DESTINATIONS if route.get(name))


def _live_routes(table: dict[str, Any]) -> list[Properties]:
    """The routes that somebody made: not the VPC's own, not those that gateway endpoints put there."""
    return [
        {name: route[part] for name, part in {**_DESTINATIONS, **_TARGETS}.items() if route.get(part)}
        for route in table["Routes"]
        if route.get("Origin") == "CreateRoute" and not str(route.get("GatewayId", "")).startswith("vpce-")
    ]


def _make_route(account: Account, table: str, route: Properties) -> None:
    try:
        account.client("ec2").create_route(RouteTableId=table, **_arguments(route))
    except ClientError as error:
        if code(error) != "RouteAlreadyExists":
            raise
        # left by a creation that was cut off
        account.client("ec2").replace_route(RouteTableId=table, **_arguments(route))


def _drop_route(account: Account, table: str, route: Properties) -> None:
    where = {part: route[name] for name, part in _DESTINATIONS.items() if route.get(name)}
    unless_gone(lambda: account.client("ec2").delete_route(RouteTableId=table, **where))


def _route_id(table: str, destination: str) -> str:
    """`r-TABLE` and the CRC-32 of the destination, as the real provider makes it."""
    return f"r-{table}{zlib.crc32(destination.encode())}"


def _create_route(account: Account, inputs: Properties, _tags: Tags) -> str:
    _make_route(account, inputs["routeTableId"], inputs)
    return _route_id(inputs["routeTableId"], _destination(inputs))


def _table_of(account: Account, table: str) -> dict[str, Any] | None:
    return first(account, "describe_route_tables", "RouteTables", RouteTableIds=[table])


def _read_route(account: Account, route: str, inputs: Properties) -> Properties | None:
    table, destination = _route_parts(route, inputs)
    found = _table_of(account, table)
    for live in _live_routes(found) if found else []:
        if _destination(live) == destination:
            return {**live, "routeTableId": table, "origin": "CreateRoute", "state": "active"}
    return None


def _route_parts(route: str, inputs: Properties) -> tuple[str, str]:
    """Table and destination, from the inputs or from an import's `TABLE_DESTINATION`."""
    if inputs.get("routeTableId"):
        return str(inputs["routeTableId"]), _destination(inputs)
    table, _, destination = route.partition("_")
    return table, destination


def _update_route(account: Account, _route: str, _old: Properties, new: Properties) -> None:
    account.client("ec2").replace_route(RouteTableId=new["routeTableId"], **_arguments(new))


def _delete_route(account: Account, _route: str, inputs: Properties) -> None:
    _drop_route(account, inputs["routeTableId"], inputs)


def _find_route(account: Account, inputs: Properties) -> str | None:
    found = _read_route(account, "", inputs)
    return _route_id(inputs["routeTableId"], _destination(inputs)) if found else None


ROUTE = Kind(
    token="aws:ec2/route:Route",
    create=_create_route,
    read=_read_route,
    update=_update_route,
    delete=_delete_route,
    find=_find_route,
    read_back=frozenset({"routeTableId", *_DESTINATIONS, *_TARGETS}),
    replaces=frozenset({"routeTableId", *_DESTINATIONS}),
    delete_before_replace=True,
)


# --- RouteTable


def _alone(route: Properties) -> Properties:
    """A table's own route, named as a route that stands alone."""
    return {_INLINE.get(name, name): value for name, value in route.items() if value}


def _inline(route: Properties) -> Properties:
    back = {name: inline for inline, name in _INLINE.items()}
    return {back.get(name, name): value for name, value in route.items()}


def _set_routes(account: Account, table: str, old: Properties, new: Properties) -> None:
    before = {_destination(_alone(route)): _alone(route) for route in old.get("routes") or []}
    after = {_destination(_alone(route)): _alone(route) for route in new.get("routes") or []}
    for destination, route in before.items():
        if not same(after.get(destination), route):
            _drop_route(account, table, route)
    for destination, route in after.items():
        if not same(before.get(destination), route):
            _make_route(account, table, route)


def _create_route_table(account: Account, inputs: Properties, tags: Tags) -> str:
    created = account.client("ec2").create_route_table(
        VpcId=inputs["vpcId"], TagSpecifications=with_tags("route-table", tags)
    )
    table = str(created["RouteTable"]["RouteTableId"])
    _set_routes(account, table, {}, inputs)
    return table


def _read_route_table(account: Account, table: str, _inputs: Properties) -> Properties | None:
    found = _table_of(account, table)
    if found is None:
        return None
    return present(
        arn=arn(account, f"route-table/{table}"),
        vpcId=found["VpcId"],
        ownerId=found.get("OwnerId"),
        routes=[_inline(route) for route in _live_routes(found)],
        tags=tag_map(found.get("Tags") or []),
    )


def _update_route_table(account: Account, table: str, old: Properties, new: Properties) -> None:
    if "routes" in new:
        _set_routes(account, table, old, new)
    retag(account, table, old, new)


def _delete_route_table(account: Account, table: str, _inputs: Properties) -> None:
    unless_gone(lambda: account.client("ec2").delete_route_table(RouteTableId=table))


def _list_route_tables(account: Account) -> list[tuple[str, Tags]]:
    """Every route table but the main one that each VPC brings along."""
    found = described(account, "describe_route_tables", "RouteTables")
    return [
        (table["RouteTableId"], tag_map(table.get("Tags") or []))
        for table in found
        if not any(place.get("Main") for place in table["Associations"])
    ]


ROUTE_TABLE = Kind(
    token="aws:ec2/routeTable:RouteTable",
    create=_create_route_table,
    read=_read_route_table,
    update=_update_route_table,
    delete=_delete_route_table,
    list=_list_route_tables,
    read_back=frozenset({"vpcId", "routes", "tags"}),
    # where no routes are declared, resources of their own make them
    computed=frozenset({"routes"}),
    replaces=frozenset({"vpcId"}),
    unordered=frozenset({"routes"}),
    tagged=True,
)


# --- RouteTableAssociation


def _places(account: Account) -> Iterable[dict[str, Any]]:
    for table in described(account, "describe_route_tables", "RouteTables"):
        yield from (place for place in table["Associations"] if not place.get("Main"))


def _create_association(account: Account, inputs: Properties, _tags: Tags) -> str:
    arguments = present(SubnetId=inputs.get("subnetId"), GatewayId=inputs.get("gatewayId"))
    created = account.client("ec2").associate_route_table(RouteTableId=inputs["routeTableId"], **arguments)
    return str(created["AssociationId"])


def _read_association(account: Account, association: str, _inputs: Properties) -> Properties | None:
    query = filters(**{"association.route_table_association_id": association})
    table = first(account, "describe_route_tables", "RouteTables", Filters=query)
    for place in table["Associations"] if table else []:
        if place["RouteTableAssociationId"] == association:
            return present(
                routeTableId=place["RouteTableId"], subnetId=place.get("SubnetId"), gatewayId=place.get("GatewayId")
            )
    return None


def _delete_association(account: Account, association: str, _inputs: Properties) -> None:
    unless_gone(lambda: account.client("ec2").disassociate_route_table(AssociationId=association))


def _list_associations(account: Account) -> list[tuple[str, Tags]]:
    return [(place["RouteTableAssociationId"], {}) for place in _places(account)]


def _find_association(account: Account, inputs: Properties) -> str | None:
    names = {"routeTableId": "RouteTableId", "subnetId": "SubnetId", "gatewayId": "GatewayId"}
    for place in _places(account):
        if all(place.get(part) == inputs.get(name) for name, part in names.items()):
            return str(place["RouteTableAssociationId"])
    return None


ROUTE_TABLE_ASSOCIATION = Kind(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    create=_create_association,
    read=_read_association,
    delete=_delete_association,
    list=_list_associations,
    find=_find_association,
    read_back=frozenset({"routeTableId", "subnetId", "gatewayId"}),
    # the real provider re-points the association, which gives it another id; a new one says the same
    replaces=frozenset({"routeTableId", "subnetId", "gatewayId"}),
    # a subnet has one route table at a time
    delete_before_replace=True,
)

KINDS: tuple[Kind, ...] = (ROUTE_TABLE, ROUTE_TABLE_ASSOCIATION, ROUTE)
