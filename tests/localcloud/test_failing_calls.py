"""A call of the provider that fails, at any step: the run ends in what the cloud said, and the next one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from localcloud.aws.provider import ProviderError
from tests.localcloud.clouds import World

FIRST = "a = Thing('a', value='1')\nThing('b', value=a.value, opts=Options(depends_on=[a]))"
SECOND = "a = Thing('a', value='2')\nThing('c', value=a.value)"
FAILURES = [
    ProviderError("Rate exceeded (ThrottlingException)."),
    ProviderError("We encountered an internal error (InternalError)."),
    ReadTimeoutError(endpoint_url="https://127.0.0.1:1"),
]


@pytest.mark.parametrize("call", ["update a", "create c", "read a", "read c", "delete b"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_run_whose_call_fails_says_so_and_the_next_one_ends_what_it_began(
    tmp_path: Path, call: str, failure: Exception
) -> None:
    made = World(tmp_path)
    made.program(FIRST)
    made.up()
    made.program(SECOND)
    made.cloud.fail[call] = failure
    with pytest.raises(type(failure), match=r"exceeded|internal error|timeout"):
        made.up()
    made.up()
    assert sorted(made.cloud.resources) == ["a-1", "c-3"], "nothing is made twice, nothing is left"
    assert {row["inputs"]["value"] for row in made.cloud.resources.values()} == {"2"}
    assert "pending_operations" not in made.project().state_file.read_text()
    assert made.preview().changes == 0
