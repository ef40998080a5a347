"""`results.xml`: JUnit's form, for the pages on which a build shows its tests.

A suite a stack, a case a finding: a failure where it fails, an error where it is undetermined, skipped where it is
waived. What keeps the whole run from passing is a suite of its own.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from policies.check import Report, counts
from policies.finding import Finding
from policies.graph import Graph

# What XML 1.0 cannot hold (its production Char).
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ELEMENTS = {"fail": "failure", "undetermined": "error", "waived": "skipped"}


def render(report: Report) -> str:
    """The document, with its declaration."""
    root = Xml.Element("testsuites", {"name": "policies"})
    suites = [_suite(report, graph) for graph in report.graphs]
    if report.errors:
        suites.append(_errors(report))
    root.extend(suites)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    Xml.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, graph: Graph) -> Xml.Element:
    findings = report.of(graph)
    number = counts(findings)
    suite = Xml.Element(
        "testsuite",
        {
            "name": _text(f"{graph.project}/{graph.stack}"),
            "tests": str(len(findings)),
            "failures": str(number["fail"]),
            "errors": str(number["undetermined"]),
            "skipped": str(number["waived"]),
        },
    )
    suite.extend(_case(report, finding) for finding in findings)
    return suite


def _case(report: Report, finding: Finding) -> Xml.Element:
    policy = report.policies[finding.policy]
    path = f" ({finding.path})" if finding.path else ""
    case = Xml.Element("testcase", {"classname": _text(policy.id), "name": _text(finding.urn + path)})
    if finding.file:
        case.set("file", _text(finding.file))
        case.set("line", str(finding.line))
    if name := ELEMENTS.get(finding.status):
        waiver = finding.waiver
        message = f"waived until {waiver.expires}: {waiver.reason}" if waiver else finding.message
        answer = Xml.SubElement(case, name, {"message": _text(message)})
        if name != "skipped":
            answer.set("type", f"{policy.level} {policy.severity}")
            answer.text = _text(f"{policy.title}\n{finding.file}:{finding.line}\n{finding.message}\n{policy.mend}")
    return case


def _errors(report: Report) -> Xml.Element:
    number = str(len(report.errors))
    suite = Xml.Element("testsuite", {"name": "the run itself", "tests": number, "failures": "0", "errors": number})
    suite.set("skipped", "0")
    for index, error in enumerate(report.errors, 1):
        case = Xml.SubElement(suite, "testcase", {"classname": "run", "name": f"error {index}"})
        Xml.SubElement(case, "error", {"message": _text(error), "type": "run"})
    return suite


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
