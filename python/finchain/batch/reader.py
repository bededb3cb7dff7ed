"""Rows of a delimited file, one after the other, with the bytes they were made of and where those lie.

A row that cannot be read is given with its fault and never raised, dropped or repaired; memory does not grow with the
file. Rows end with LF, CRLF or a bare CR, also mixed. Quoting is that of RFC 4180 and nothing else: a quote opens a
field only at its very beginning. Where quoting is broken the row ends at its first line end, so that one stray quote
costs its own line and not the rest of the file.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from finchain.errors import NotFound

ROW_BYTES_MAX: Final = 131_072
"""Longest row: what Python's csv module takes as one field, and a hundred times what an order line has."""

BLOCK_BYTES: Final = 1 << 20
"""Bytes read at once; with the row limit it bounds what a reader holds."""

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


class Fault(NamedTuple):
    """Why a row is rejected: a word that stays the same, and a sentence for a person."""

    code: str
    reason: str


class Row(NamedTuple):
    """One row of a file.

    Attributes:
        number: From 1, which is the header. A row of several lines counts once, an empty line counts and is not given.
        offset: Where its bytes begin in the file.
        raw: Its bytes without the line end; of a row that is too long, the first `ROW_BYTES_MAX`.
        fields: Its fields; empty where there is a fault.
    """

    number: int
    offset: int
    raw: bytes
    fields: list[str]
    fault: Fault | None


class HashedFile:
    """A file that is read once from its beginning to its end, and hashed on the way. A context manager.

    Raises:
        NotFound: There is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._hash = hashlib.sha256()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise NotFound(f"{path} cannot be read: {error.strerror}") from None

    def read(self, size: int) -> bytes:
        """At most `size` bytes more; none at the end."""
        block = self._file.read(size)
        self._hash.update(block)
        return block

    @property
    def digest(self) -> str:
        """SHA-256 of what was read so far, in hex."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read_rows(source: HashedFile, *, delimiter: str, encoding: str) -> Iterator[Row]:
    """The rows of a file, the header among them.

    Args:
        source: The file, at its beginning.
        delimiter: One ASCII character.
        encoding: An encoding in which delimiter, quote, CR and LF are single bytes that occur in no other character.
    """
    reader = _Reader(source, delimiter, encoding)
    reader.skip_mark()
    number = 0
    while (span := reader.next_span()) is not None:
        number += 1
        offset, raw, fault = span
        if fault is not None:
            yield Row(number, offset, raw, [], fault)
        elif raw:
            yield reader.row(number, offset, raw)


class _Reader:
    """A buffer that holds at least one whole row, or the end of the file."""

    def __init__(self, source: HashedFile, delimiter: str, encoding: str) -> None:
        self._source, self._delimiter, self._encoding = source, delimiter, encoding
        comma = re.escape(delimiter.encode("ascii"))
        field = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n' + comma + rb"]*+)"
        self._record = re.compile(field + rb"(?:" + comma + field + rb")*+(?=[\r\n]|\Z)")
        self._buffer = b""
        self._at = 0
        self._before = 0
        self._ended = False

    def _fill(self) -> None:
        """Reads on until a row of the longest kind, its line end and one byte more would be there."""
        while not self._ended and len(self._buffer) - self._at < ROW_BYTES_MAX + 3:
            block = self._source.read(BLOCK_BYTES)
            self._ended = not block
            self._before += self._at
            self._buffer, self._at = self._buffer[self._at :] + block, 0

    def skip_mark(self) -> None:
        """Passes over a byte order mark."""
        self._fill()
        if self._encoding == "utf-8" and self._buffer.startswith(_BOM):
            self._at = len(_BOM)

    def next_span(self) -> tuple[int, bytes, Fault | None] | None:
        """Offset, bytes and fault of the next row; `None` at the end."""
        self._fill()
        start = self._at
        if start == len(self._buffer):
            return None
        offset = self._before + start
        found = self._record.match(self._buffer, start)
        if found is not None and found.end() - start <= ROW_BYTES_MAX:
            return offset, self._take(found.end()), None
        line_end = _LINE_END.search(self._buffer, start)
        end = line_end.start() if line_end is not None else len(self._buffer)
        if end - start <= ROW_BYTES_MAX:
            return offset, self._take(end), Fault("row.quoting", "a quote inside a field, or one that is not closed")
        raw = self._buffer[start : start + ROW_BYTES_MAX]
        self._skip_line()
        return offset, raw, Fault("row.length", f"the row is longer than {ROW_BYTES_MAX} bytes")

    def _take(self, end: int) -> bytes:
        """The bytes up to `end`, passing over them and over the line end that follows."""
        raw = self._buffer[self._at : end]
        line_end = _LINE_END.match(self._buffer, end)
        self._at = end if line_end is None else line_end.end()
        return raw

    def _skip_line(self) -> None:
        while (line_end := _LINE_END.search(self._buffer, self._at)) is None and not self._ended:
            self._at = len(self._buffer)
            self._fill()
        if line_end is None:
            self._at = len(self._buffer)
            return
        self._at = line_end.start()
        self._fill()
        self._take(self._at)

    def row(self, number: int, offset: int, raw: bytes) -> Row:
        """The row of well quoted bytes."""
        if b"\0" in raw:
            return Row(number, offset, raw, [], Fault("row.nul", f"byte {raw.index(0)} of the row is NUL"))
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            reason = f"byte {error.start} of the row is no {self._encoding}"
            return Row(number, offset, raw, [], Fault("row.encoding", reason))
        if '"' not in text:
            return Row(number, offset, raw, text.split(self._delimiter), None)
        return Row(number, offset, raw, next(csv.reader([text], delimiter=self._delimiter, strict=True)), None)
