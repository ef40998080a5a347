from __future__ import annotations

import math
import statistics
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import dataset
from app.dataset import DataError

GOOD = "".join(f"{i},{60 + i % 13},{110 + i}\n" for i in range(1, 31))


def table(header: str = "Index,Height(Inches),Weight(Pounds)", rows: str = GOOD) -> bytes:
    return f"{header}\n{rows}".encode()


def test_the_generated_table_has_the_published_statistics() -> None:
    people = dataset.generate()
    assert len(people) == 25_000
    found = people.statistics()
    published = {"height_mean": 67.99, "height_sd": 1.90, "weight_mean": 127.08, "weight_sd": 11.66, "correlation": 0.5}
    for name, value in published.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_the_generated_table_is_normal_in_its_tails_too() -> None:
    heights = dataset.generate().heights
    beyond_two_sd = sum(abs(height - 67.99) > 2 * 1.90 for height in heights) / len(heights)
    assert beyond_two_sd == pytest.approx(0.0455, abs=0.005)  # the normal distribution's share


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert dataset.generate(seed=5).to_csv() == dataset.generate(seed=5).to_csv()
    assert dataset.generate(seed=5).to_csv() != dataset.generate(seed=6).to_csv()


def test_the_generated_bytes_are_those_of_the_first_release() -> None:
    # A change of these bytes makes another data version of everybody's table: do it on purpose only.
    assert sha256(dataset.generate().to_csv()).hexdigest() == (
        "fb5907d17178aafe243a6eeb2cf81788a63d9c42424f9b204d425e36cbc488e6"
    )


def test_generating_takes_well_under_a_second() -> None:
    start = time.process_time()
    dataset.generate()
    assert time.process_time() - start < 0.3


def test_too_few_rows_are_not_generated() -> None:
    with pytest.raises(DataError, match="needs 20 rows or more"):
        dataset.generate(rows=19)


def test_a_table_survives_being_written_and_read() -> None:
    people = dataset.generate(100)
    assert dataset.parse_csv(people.to_csv(), "people.csv") == people


@pytest.mark.parametrize("rows", [20, 101, 25_000])
def test_the_split_holds_out_a_fifth_and_shares_no_row(rows: int) -> None:
    training, held_out = dataset.split(rows, seed=3)
    assert len(held_out) == rows // 5
    assert sorted(training + held_out) == list(range(rows))
    assert dataset.split(rows, seed=3) == (training, held_out)
    assert dataset.split(rows, seed=4) != (training, held_out)


def test_the_split_does_not_follow_the_order_of_the_rows() -> None:
    _, held_out = dataset.split(10_000, seed=1)
    assert sum(held_out) / len(held_out) == pytest.approx(5_000, abs=200)


@pytest.mark.parametrize(
    "header",
    [
        "Index,Height(Inches),Weight(Pounds)",
        "id,height,weight",
        "id,Height (in),Weight (lbs)",
        "\ufeffIndex,HEIGHT_INCHES,weight_lb",
        '"Index","Height(Inches)","Weight(Pounds)"',
    ],
)
def test_the_usual_headers_are_understood(header: str) -> None:
    people = dataset.parse_csv(table(header), "people.csv")
    assert people.heights[:2] == (61.0, 62.0)
    assert people.weights[:2] == (111.0, 112.0)


def test_metric_columns_are_converted() -> None:
    rows = "".join(f"{60 + i};{150 + i}\n" for i in range(25))
    people = dataset.parse_csv(table("Weight (kg);Height(cm)", rows), "people.csv")
    assert people.heights[0] == pytest.approx(150 / 2.54)
    assert people.weights[0] == pytest.approx(60 / 0.45359237)


def test_columns_may_stand_in_any_order_among_others_with_blank_lines_and_crlf() -> None:
    rows = "".join(f"{110 + i}\tx\t{60 + i % 9}\r\n\r\n" for i in range(25))
    people = dataset.parse_csv(table("weight\theight_rank\theight", rows), "people.csv")
    assert (people.heights[1], people.weights[1]) == (61.0, 111.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "p.csv is empty"),
        (b"\n\n \n", "p.csv is empty"),
        (b"\xef\xbb\xbf", "p.csv is empty"),
        (table(rows=""), "has 0 rows"),
        (table(rows="1,68,127\n"), "has 1 rows of people; at least 20"),
        (table(rows="".join(f"{i},68,{120 + i}\n" for i in range(30))), "column height: every value is the same"),
        (table(rows="".join(f"{i},{60 + i},127\n" for i in range(30))), "column weight: every value is the same"),
        (table(rows=GOOD + "31,tall,127\n"), r"p.csv, row 32, column Height\(Inches\): 'tall' is not a number"),
        (table(rows=GOOD + "31,68,NaN\n"), r"row 32, column Weight\(Pounds\): 'NaN' is not a number"),
        (table(rows=GOOD + "31,inf,127\n"), "'inf' is not a number"),
        (table(rows=GOOD + "31,1_0,127\n"), "'1_0' is not a number"),
        (table(rows=GOOD + "31,٦٨,127\n"), "is not a number"),
        (table(rows=GOOD + "31,1e999,127\n"), "is no height between 20 and 110 inches"),
        (table(rows=GOOD + "31,-68,127\n"), "is no height between"),
        (table(rows=GOOD + "31,172,127\n"), r"as in Height\(cm\)"),
        (table(rows=GOOD + "31,68,0\n"), "is no weight between"),
        (table(rows=GOOD + "31,68\n"), r"column Weight\(Pounds\): the value is missing"),
        (table(rows=GOOD + "31,,127\n"), "the value is missing"),
        (table(rows=GOOD + '31,"68,127\n'), "row 3[12]: "),
        (table(rows=GOOD + '31,"' + "6" * 200_000 + '",127\n'), "field larger than"),
        (table(rows=GOOD + "31,6\x008,127\n"), "is not a number|NUL"),
        (table("a,b,c"), "row 1: no column named height; the header says: a, b, c"),
        (table("height,height,weight"), "2 columns of height"),
        (table("Index,Height(Furlongs),Weight"), r"row 1, column Height\(Furlongs\): unit furlongs is none of in,"),
        ("Höhe,Gewicht\n".encode("latin-1"), "row 1: not UTF-8"),
        (table().decode().encode("utf-16"), "not UTF-8"),
        (table(rows=GOOD).replace(b"1,61,111", b"1,61\xff,111"), "row 2: not UTF-8"),
    ],
)
def test_a_bad_table_is_refused_with_a_sentence_that_says_where(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset.parse_csv(data, "p.csv")


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MAX_BYTES", 1_000)
    path = tmp_path / "huge.csv"
    path.write_bytes(b"x" * 10_000)
    data = dataset.read(path)
    assert len(data) == 1_001
    with pytest.raises(DataError, match="larger than"):
        dataset.parse_csv(data, "huge.csv")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        dataset.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        dataset.read(tmp_path)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_table_or_a_sentence(data: bytes) -> None:
    for content in (data, table(rows=GOOD) + data):
        sentence = ""
        try:
            people = dataset.parse_csv(content, "p.csv")
        except DataError as error:
            sentence = str(error)
        assert sentence.startswith("p.csv") or all(map(math.isfinite, people.heights + people.weights))


def test_a_taller_population_is_as_heavy_as_the_tall_among_the_published_people() -> None:
    usual, tall = dataset.generate(2_000), dataset.generate(2_000, taller=3.8, heavier=5.0)
    slope, intercept = statistics.linear_regression(usual.heights, usual.weights)
    found_slope, found = statistics.linear_regression(tall.heights, tall.weights)
    assert statistics.fmean(tall.heights) == pytest.approx(dataset.HEIGHT_MEAN + 3.8, abs=1e-4)
    assert found_slope == pytest.approx(slope, abs=1e-4)
    assert found == pytest.approx(intercept + 5.0, abs=0.01)


def test_an_order_by_hash_has_every_row_once_and_depends_on_the_seed() -> None:
    assert sorted(dataset.ranked(range(100), 1)) == list(range(100))
    assert dataset.ranked(range(100), 1) != dataset.ranked(range(100), 2)
    assert dataset.ranked([5, 3, 9], 1) == [row for row in dataset.ranked(range(10), 1) if row in (3, 5, 9)]
