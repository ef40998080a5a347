"""Which cases of a sampled test a run takes."""

from typing import cast

import pytest

from tests.conftest import left_out


class Case:
    """What `left_out` asks of an item."""

    def __init__(self, test: str, number: int, of: int | None, *marks: str) -> None:
        self.nodeid, self._of, self._marks = f"{test}[{number}]", of, marks or ("sampled",)

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return pytest.Mark(name, (self._of,), {}, _ispytest=True) if self._of and name in self._marks else None


def kept(cases: list[Case], seed: int) -> set[str]:
    items = cast("list[pytest.Item]", cases)
    return {item.nodeid for item in items} - {item.nodeid for item in left_out(items, seed)}


CASES = [Case("test_a", number, 4) for number in range(100)]


def test_one_case_in_so_many_is_taken_the_same_in_each_process_of_a_run() -> None:
    assert len(kept(CASES, 1)) == 25
    assert kept(CASES, 1) == kept(CASES[::-1], 1) != kept(CASES, 2)


def test_every_case_is_taken_by_some_seed() -> None:
    assert set.union(*(kept(CASES, seed) for seed in range(60))) == {case.nodeid for case in CASES}


def test_each_test_has_cases_of_its_own_and_one_at_least() -> None:
    others = [Case("test_b", number, 4) for number in range(100)]
    drawn = kept(CASES + others, 1)
    assert len(drawn) == 50
    assert {node.removeprefix("test_a") for node in drawn if "test_a" in node} != {
        node.removeprefix("test_b") for node in drawn if "test_b" in node
    }
    assert kept(CASES[:1], 1) == {"test_a[0]"}


def test_what_is_not_sampled_is_taken_whole() -> None:
    whole = [Case("test_c", number, None) for number in range(9)]
    assert kept(whole, 1) == {case.nodeid for case in whole}


def test_of_a_costly_file_a_part_of_the_slow_tests_is_taken_and_all_the_others() -> None:
    slow = [Case(f"test_file.py::test_{name}", 0, 2, "drawn", "slow") for name in "abcdef"]
    fast = [Case("test_file.py::test_fast", 0, 2, "drawn")]
    drawn = kept(slow + fast, 1)
    assert len(drawn) == 4
    assert "test_file.py::test_fast[0]" in drawn
