"""The dashboard: what callers feel, what the service makes of it, and how good its model is. Pure."""

import pulumi

from infra.azure import queries


def body(of: queries.Subject) -> pulumi.Output[str]:
    """A workbook of charts over the logs of a day, two in a row."""
    titles = [title for title, _ in queries.charts(of)]
    asked = pulumi.Output.all(*[query for _, query in queries.charts(of)])
    items = asked.apply(lambda found: [_chart(title, query) for title, query in zip(titles, found, strict=True)])
    return pulumi.Output.json_dumps(
        {"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [of.log], "$schema": SCHEMA}
    )


SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"


def _chart(title: str, query: str) -> dict[str, object]:
    return {
        "type": 3,  # a query
        "name": title,
        "customWidth": "50",
        "content": {
            "version": "KqlItem/1.0",
            "title": title,
            "query": query,
            "size": 0,
            "timeContext": {"durationMs": 24 * 60 * 60 * 1000},
            "queryType": 0,  # of a workspace of logs
            "resourceType": "microsoft.operationalinsights/workspaces",
            "visualization": "timechart",
        },
    }


def link(workbook: pulumi.Output[str], tenant: str) -> pulumi.Output[str]:
    """Where people find it."""
    return pulumi.Output.concat("https://portal.azure.com/#@", tenant, "/resource", workbook, "/workbook")
