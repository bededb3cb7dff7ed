"""Rows as they come out of delimited files: every line end, every fault with its place, and no byte lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finchain.batch import reader
from finchain.batch.reader import HashedFile, Row, read_rows
from finchain.errors import NotFound


def rows_of(folder: Path, content: bytes, *, delimiter: str = ",", encoding: str = "utf-8") -> list[Row]:
    path = folder / "rows.csv"
    path.write_bytes(content)
    with HashedFile(path) as file:
        return list(read_rows(file, delimiter=delimiter, encoding=encoding))


def faults_of(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.number, row.fault.code) for row in rows if row.fault is not None]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_ends_a_row_and_the_last_row_needs_none(tmp_path: Path, end: bytes, last: bool) -> None:
    rows = rows_of(tmp_path, end.join([b"a,b", b"1,2", b"3,4"]) + (end if last else b""))
    assert [(row.number, row.fields) for row in rows] == [(1, ["a", "b"]), (2, ["1", "2"]), (3, ["3", "4"])]
    assert [row.offset for row in rows] == [0, 3 + len(end), 6 + 2 * len(end)]


def test_line_ends_may_be_mixed_and_stand_inside_quotes(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b'a\r\n"1\r2\n3"\rb\n\n"say ""no"""\r\n')
    assert [row.fields for row in rows] == [["a"], ["1\r2\n3"], ["b"], ['say "no"']]
    # The empty line counts, so that a row has the number that it has in the file.
    assert [row.number for row in rows] == [1, 2, 3, 5]
    assert rows[1].raw == b'"1\r2\n3"'


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, b"\xef\xbb\xbfa,b\n")
    assert (row.fields, row.offset) == (["a", "b"], 3)


def test_a_file_of_nothing_has_no_rows(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"") == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"missing\.csv"):
        HashedFile(tmp_path / "missing.csv")


def test_bytes_that_are_no_text_cost_their_row_only(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"a\nb\xff\nc\0\nd\n")
    assert faults_of(rows) == [(2, "row.encoding"), (3, "row.nul")]
    assert [row.raw for row in rows] == [b"a", b"b\xff", b"c\0", b"d"]
    assert "byte 1" in str(rows[1].fault) and "byte 1" in str(rows[2].fault)


@pytest.mark.parametrize("bad", [b'5" pipe,x', b'"a"b,x', b'"never closed,x'])
def test_a_stray_quote_costs_its_own_line_and_not_the_rest(tmp_path: Path, bad: bytes) -> None:
    rows = rows_of(tmp_path, b"a,b\r" + bad + b"\r1,2\r3,4")
    assert faults_of(rows) == [(2, "row.quoting")]
    assert [row.raw for row in rows] == [b"a,b", bad, b"1,2", b"3,4"]


def test_the_longest_row_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    longest = b"x" * reader.ROW_BYTES_MAX
    rows = rows_of(tmp_path, longest + b"\r\n" + longest + b"y\r\n" + b"z" * 3_000_000 + b"\nend")
    assert faults_of(rows) == [(2, "row.length"), (3, "row.length")]
    assert rows[0].fields == [longest.decode()]
    assert rows[1].raw == longest
    assert (rows[3].raw, rows[3].number, rows[3].offset) == (b"end", 4, 2 * len(longest) + 5 + 3_000_001)


def test_a_quoted_row_has_the_same_limit(tmp_path: Path) -> None:
    text = b"x" * (reader.ROW_BYTES_MAX - 3)
    rows = rows_of(tmp_path, b'"' + text + b'\n"\n"' + text + b'\nx"\nend')
    assert rows[0].fault is None
    # The longer one is taken for a quote that is not closed: two lines, each judged for itself.
    assert faults_of(rows) == [(2, "row.quoting"), (3, "row.quoting")]
    assert rows[-1].fields == ["end"]


def test_chinese_and_western_exports_are_read_in_their_own_encodings(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "电脑,1\n".encode("gb18030"), encoding="gb18030")[0].fields == ["电脑", "1"]
    assert rows_of(tmp_path, "Zürich\t1\n".encode("cp1252"), encoding="cp1252", delimiter="\t")[0].fields[0] == "Zürich"


FIELDS = st.lists(st.text(st.sampled_from('ab",;\r\n é电'), max_size=8), min_size=2, max_size=4)


def spelled(field: str) -> str:
    """A field as RFC 4180 writes it: in quotes where it must be, and here and there where it need not."""
    needs = any(sign in field for sign in '",\r\n') or field.startswith("a")
    return '"{}"'.format(field.replace('"', '""')) if needs else field


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(FIELDS, min_size=1, max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_was_written_by_the_rfc_is_read_back(tmp_path: Path, table: list[list[str]], end: str) -> None:
    content = end.join(",".join(map(spelled, fields)) for fields in table).encode()
    rows = rows_of(tmp_path, content)
    assert [row.fields for row in rows] == table
    assert all(content[row.offset :].startswith(row.raw) for row in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(st.sampled_from([b"a", b",", b'"', b"\r", b"\n", b"\0", b"\xff", "é".encode()])).map(b"".join))
def test_any_bytes_are_read_and_only_line_ends_lie_between_rows(tmp_path: Path, content: bytes) -> None:
    """The same with a buffer so small that every row crosses its edge."""
    with pytest.MonkeyPatch.context() as patched:
        whole = rows_of(tmp_path, content)
        patched.setattr(reader, "BLOCK_BYTES", 3)
        patched.setattr(reader, "ROW_BYTES_MAX", 1_000)
        assert rows_of(tmp_path, content) == whole
    at = 0
    for row in whole:
        assert not content[at : row.offset].strip(b"\r\n")
        assert content[row.offset :].startswith(row.raw)
        at = row.offset + len(row.raw)
    assert not content[at:].strip(b"\r\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 40)), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_rows_around_the_limit_keep_their_places(tmp_path: Path, lengths: list[int], end: bytes) -> None:
    lines = [b"x" * length for length in lengths]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "BLOCK_BYTES", 7)
        patched.setattr(reader, "ROW_BYTES_MAX", 20)
        rows = rows_of(tmp_path, end.join(lines))
    expected = [
        (number, line[:20], len(line) > 20) for number, line in enumerate(lines, 1) if line
    ]  # fmt: skip
    assert [(row.number, row.raw, row.fault is not None) for row in rows] == expected
