"""Order of resources, and work in parallel along a graph."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.book import Entry
from localcloud.ledger import Ledger, in_parallel
from localcloud.snapshot import in_order
from localcloud.state import Resource, Snapshot, StateFile


def row(name: str, *needs: str) -> Resource:
    urns = tuple(f"urn:pulumi:s::p::t::{one}" for one in needs)
    return Resource(f"urn:pulumi:s::p::t::{name}", "t", custom=True, id=name, dependencies=urns)


@given(st.permutations(list(range(8))), st.data())
def test_each_resource_follows_what_it_needs(order: list[int], data: st.DataObject) -> None:
    edges = {n: data.draw(st.lists(st.integers(0, n - 1), unique=True)) if n else [] for n in range(8)}
    rows = [row(str(n), *map(str, edges[n])) for n in order]
    placed = [int(one.name) for one in in_order(rows)]
    assert sorted(placed) == list(range(8))
    for n, needed in edges.items():
        assert all(placed.index(m) < placed.index(n) for m in needed)


def test_an_order_that_is_right_already_stays() -> None:
    rows = [row("b"), row("a"), row("c", "a")]
    assert in_order(rows) == rows


def test_old_copies_under_the_same_name_are_all_kept() -> None:
    rows = [row("a"), row("a"), row("b", "a")]
    assert len(in_order(rows)) == 3


def test_work_runs_in_parallel_and_after_what_it_waits_for() -> None:
    rows = [row("a"), row("b"), row("c")]
    together = threading.Barrier(2, timeout=5)
    done: list[str] = []

    def work(one: Resource) -> None:
        if one.name != "c":
            together.wait()
        done.append(one.name)

    in_parallel(rows, lambda one: (0, 1) if one.name == "c" else (), work, 4)
    assert done[-1] == "c"


def test_the_first_error_stops_what_has_not_begun_and_lets_the_rest_end() -> None:
    rows = [row("bad"), row("slow"), row("later")]
    ended: list[str] = []

    def work(one: Resource) -> None:
        if one.name == "bad":
            raise ValueError("no")
        time.sleep(0.05)
        ended.append(one.name)

    with pytest.raises(ValueError, match="no"):
        in_parallel(rows, lambda one: (1,) if one.name == "later" else (), work, 4)
    assert ended == ["slow"]


def test_a_circle_is_no_hang_and_an_old_copy_goes_first() -> None:
    """An old copy bears its successor's URN, so that what depends on the successor seems to depend on the copy."""
    done: list[str] = []
    rows = [replace(row("a"), delete=True), row("b"), row("c")]
    after = {"a": (1,), "b": (0, 2), "c": (1,)}
    in_parallel(rows, lambda one: after[one.name], lambda one: done.append(one.name), 2)
    assert done == ["a", "c", "b"]


def test_ten_thousand_resources_in_a_row_are_done_in_a_moment() -> None:
    done: list[str] = []
    rows = [row(str(number)) for number in range(10_000)]
    begun = time.process_time()
    in_parallel(rows, lambda one: (int(one.name) - 1,) if one.name != "0" else (), lambda one: done.append(one.name), 4)
    assert done == [one.name for one in rows]
    assert time.process_time() - begun < 6  # a quadratic one took minutes


def test_what_is_gone_is_linked_to_by_nothing_in_the_state() -> None:
    user = replace(row("user", "gone", "there"), deleted_with=row("gone").urn)
    saved = Ledger(Snapshot([row("there"), user]), None).snapshot().resources[1]
    assert saved.dependencies == (row("there").urn,)
    assert saved.needs == {row("there").urn}


def test_what_was_renamed_is_renamed_in_those_that_need_it() -> None:
    old, user = row("old"), row("user", "old")
    ledger = Ledger(Snapshot([old, user]), None)
    ledger.claim([old.urn], row("new").urn)
    assert ledger.snapshot().resources[1].dependencies == (row("new").urn,)


def test_what_began_is_on_disk_before_it_goes_on_and_one_write_serves_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StateFile(tmp_path / "state.json")
    append, writes, held = StateFile.append, [0], threading.Event()

    def slow(self: StateFile, entries: Sequence[Entry]) -> bool:
        writes[0] += 1
        held.wait(0.05)
        return append(self, entries)

    monkeypatch.setattr(StateFile, "append", slow)
    ledger = Ledger(Snapshot(), file)
    missing = []

    def work(number: int) -> None:
        row = Resource(f"urn:pulumi:dev::demo::test:index:Thing::t{number}", "test:index:Thing", custom=True)
        ledger.begin("creating", row)
        if row.urn not in {one.resource.urn for one in StateFile(file.path).load().operations}:
            missing.append(row.urn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing
    assert writes[0] <= 5
