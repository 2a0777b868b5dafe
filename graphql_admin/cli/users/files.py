r"""Users in files: CSV and JSON Lines, a row at a time.

CSV is RFC 4180 in UTF-8, with or without a byte order mark, with any line ends. A spreadsheet takes
a cell that starts with `=`, `+`, `-` or `@` for a formula, which may call programs or send cells
away. So `write` puts an apostrophe before it, and `read` takes it off. The rule can be inverted,
since it counts the apostrophes that a cell has before:

    value    =1   +1555…   '=1    'tis
    cell    '=1  '+1555…  ''=1    'tis
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import IO, Any

from graphql_admin.cli.users.records import (
    CREATED,
    CREATED_AT,
    ENABLED,
    ERROR,
    GROUPS,
    MFA,
    OWN_COLUMNS,
    READ_ONLY,
    STATUS,
    UPDATED_AT,
    USERNAME,
    Format,
    Record,
    read_bool,
)

MAX_ROW = 512 * 1024
"""Bytes of a row. 70 attributes of 2,048 bytes are a third of it."""

_FORMULA = re.compile("'*[ \u00a0]*[\t\r\n=+\\-@\uff1d\uff0b\uff0d\uff20]")
"""What spreadsheets may take for a formula, after apostrophes: https://owasp.org/www-community/
attacks/CSV_Injection, which has the full-width forms too."""

_JSON_KEYS = frozenset({"username", "attributes", ENABLED, GROUPS, CREATED, ERROR, *READ_ONLY})


class InvalidRow(Exception):
    """A row that cannot be read.

    Args:
        line: Its line in the file, from 1 on.
        reason: What is wrong with it, without its values.
        ends: Whether nothing after it can be read either.
    """

    def __init__(self, line: int, reason: str, *, ends: bool = False) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason
        self.ends = ends


def format_of(name: str) -> Format | None:
    """Return the format that the ending of a file's name says; None if it says none."""
    ending = Path(name).suffix.lower()
    return {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}.get(ending)


def make_harmless(value: str) -> str:
    """Return the cell for a value, so that no spreadsheet takes it for a formula."""
    return f"'{value}" if _FORMULA.match(value) else value


def undo_harmless(cell: str) -> str:
    """Return the value for a cell: the inverse of `make_harmless`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class CsvReader:
    """Reads CSV.

    Args:
        file: The file, open for reading bytes.
        plain: Whether cells are values as they are, without apostrophes before formulas.

    Attributes:
        columns: The names in the header.

    Raises:
        InvalidRow: The header cannot be read.
    """

    def __init__(self, file: IO[bytes], *, plain: bool) -> None:
        self._plain = plain
        self._lines = _Lines(file)
        self._rows = csv.reader(self._lines, strict=True)
        header = next(self._read(), None)
        if header is None:
            raise InvalidRow(1, "the file is empty: there must be a header", ends=True)
        self.columns = header[1]
        _check_header(self.columns)

    def attributes(self) -> list[str]:
        """Return the columns that are attributes."""
        return [name for name in self.columns if name not in OWN_COLUMNS]

    def __iter__(self) -> Iterator[Record | InvalidRow]:
        try:
            for line, cells in self._read():
                try:
                    yield self._record(line, cells)
                except ValueError as error:
                    yield InvalidRow(line, str(error))
        except InvalidRow as problem:
            yield problem

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that are not blank, each with its first line."""
        while True:
            line = self._lines.number + 1
            self._lines.start_row()
            try:
                cells = next(self._rows, None)
            except csv.Error as error:
                raise InvalidRow(line, f"not CSV: {error}", ends=True) from None
            if cells is None:
                return
            if cells:
                yield line, cells

    def _record(self, line: int, cells: list[str]) -> Record:
        if len(cells) != len(self.columns):
            raise ValueError(f"it has {len(cells)} cells, and the header has {len(self.columns)}")
        values = cells if self._plain else [undo_harmless(cell) for cell in cells]
        row = dict(zip(self.columns, values, strict=True))
        groups = row.get(GROUPS)
        return Record(
            username=row[USERNAME],
            attributes={
                name: value for name, value in row.items() if value and name not in OWN_COLUMNS
            },
            enabled=_read_cell(row, ENABLED, default=True),
            groups=None if groups is None else tuple(groups.split()),
            others={name: row[name] for name in (*READ_ONLY, MFA) if row.get(name)},
            created=_read_cell(row, CREATED, default=False),
            line=line,
        )


def _read_cell(row: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = row.get(name)
    if not text:
        return default
    try:
        return read_bool(text)
    except ValueError as error:
        raise ValueError(f"`{name}` {error}") from None


def _check_header(columns: Sequence[str]) -> None:
    if USERNAME not in columns:
        hint = ""
        if len(columns) == 1 and re.search("[;\t]", columns[0]):
            hint = "; the cells must be separated by commas"
        raise InvalidRow(1, f"the header has no column `{USERNAME}`{hint}", ends=True)
    if len(set(columns)) < len(columns) or "" in columns:
        raise InvalidRow(1, "the header has a column twice, or one without a name", ends=True)


class JsonReader:
    """Reads JSON Lines.

    Args:
        file: The file, open for reading bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = _Lines(file)

    def attributes(self) -> list[str]:
        """Return nothing: each line names its own attributes."""
        return []

    def __iter__(self) -> Iterator[Record | InvalidRow]:
        try:
            while True:
                self._lines.start_row()
                text = next(self._lines, None)
                if text is None:
                    return
                line = self._lines.number
                if not text.strip():
                    continue
                try:
                    yield _record_of(line, text)
                except (ValueError, RecursionError) as error:
                    told = "not JSON" if isinstance(error, json.JSONDecodeError) else error
                    yield InvalidRow(line, str(told) or "not JSON")
        except InvalidRow as problem:
            yield problem


def _record_of(line: int, text: str) -> Record:
    row = json.loads(text, object_pairs_hook=_once, parse_constant=_reject_constant)
    if not isinstance(row, dict):
        raise ValueError("it must be an object")  # noqa: TRY004  # of the file, not of this code
    if unknown := row.keys() - _JSON_KEYS:
        raise ValueError(f"unknown keys: {', '.join(map(repr, sorted(unknown)))}")
    username, attributes, groups = row.get("username"), row.get("attributes", {}), row.get(GROUPS)
    if not isinstance(username, str):
        raise ValueError("`username` must be a string")  # noqa: TRY004
    if not isinstance(attributes, dict):
        raise ValueError("`attributes` must be an object")  # noqa: TRY004
    if groups is not None and not (
        isinstance(groups, list) and all(isinstance(each, str) and each for each in groups)
    ):
        raise ValueError("`groups` must be a list of names")
    others = {name: row[name] for name in READ_ONLY if row.get(name) is not None}
    if not all(isinstance(each, str) for each in others.values()):
        raise ValueError(f"{', '.join(READ_ONLY)} must be strings")
    _check_text([username, *attributes, *(groups or ()), *others.values()])
    return Record(
        username=username,
        attributes=dict(_read_attributes(attributes)),
        enabled=_read_member(row, ENABLED, default=True),
        groups=None if groups is None else tuple(groups),
        others=others,
        created=_read_member(row, CREATED, default=False),
        line=line,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key occurs twice")
    return made


def _reject_constant(_: str) -> None:
    raise ValueError("not JSON")


def _read_attributes(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        match value:
            case None | "":
                continue
            case bool():
                yield name, str(value).lower()
            case str():
                _check_text([value])
                yield name, value
            case _:
                raise ValueError("values of `attributes` must be strings, as in Cognito")


def _read_member(row: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = row.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be true or false")  # noqa: TRY004
    return value


def _check_text(values: Sequence[str]) -> None:
    """Check that strings are Unicode without NUL: escapes in JSON can make others.

    Raises:
        ValueError: One is not.
    """
    for value in values:
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("it has a NUL, or half of a surrogate pair")


class _Lines(Iterator[str]):
    """The lines of a file in UTF-8, of which those of one row have a bounded size.

    Args:
        file: The file, open for reading bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_ROW
        self.number = 0
        """Of lines that were read."""

    def start_row(self) -> None:
        """Record that the following lines are of another row."""
        self._left = MAX_ROW

    def __next__(self) -> str:
        line = self._file.readline(self._left + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._left -= len(line)
        if self._left < 0:
            raise InvalidRow(
                self.number,
                f"the row has more than {MAX_ROW:,} bytes; is a quotation mark not closed?",
                ends=True,
            )
        if b"\0" in line:
            raise InvalidRow(
                self.number, "it has a NUL; is the file UTF-16? Save it as UTF-8", ends=True
            )
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InvalidRow(self.number, "it is not UTF-8", ends=True) from None


def read(file: IO[bytes], format_: Format, *, plain: bool) -> CsvReader | JsonReader:
    """Return what reads the users of a file.

    Args:
        file: The file, open for reading bytes.
        format_: Its format.
        plain: Whether cells of CSV are values as they are.

    Raises:
        InvalidRow: Its header cannot be read.
    """
    return CsvReader(file, plain=plain) if format_ is Format.CSV else JsonReader(file)


class Writer:
    """Makes the bytes of a file.

    Args:
        format_: The format.
        columns: The columns, in order; they matter to CSV alone.
        plain: Whether cells are values as they are.
    """

    def __init__(self, format_: Format, columns: Sequence[str], *, plain: bool) -> None:
        self._format = format_
        self._plain = plain
        self.columns = list(columns)

    def header(self) -> bytes:
        """Return what the file starts with."""
        return _join(self.columns) if self._format is Format.CSV else b""

    def row(self, record: Record, *, error: str | None = None) -> bytes:
        """Return a user's row.

        Args:
            record: The user.
            error: Why they were not imported, in a report.
        """
        if self._format is Format.JSONL:
            return _to_line(record, error)
        cells = _cells_of(record, error)
        values = [cells.get(name, "") for name in self.columns]
        return _join(values if self._plain else map(make_harmless, values))


def _join(cells: Iterable[str]) -> bytes:
    buffer = StringIO()
    # With \r\n as the line end, cells with either of them are quoted.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().encode()


def _cells_of(record: Record, error: str | None) -> dict[str, str]:
    # Names of groups have no spaces: Cognito's pattern for them is [\p{L}\p{M}\p{S}\p{N}\p{P}]+.
    own = {
        USERNAME: record.username,
        ENABLED: str(record.enabled).lower(),
        GROUPS: " ".join(record.groups or ()),
        CREATED: "true" if record.created else "",
        ERROR: error or "",
    }
    return {**record.attributes, **record.others, **own}


def _to_line(record: Record, error: str | None) -> bytes:
    row: dict[str, Any] = {
        "username": record.username,
        ENABLED: record.enabled,
        **{name: record.others[name] for name in READ_ONLY if name in record.others},
        "attributes": dict(record.attributes),
    }
    if record.groups is not None:
        row[GROUPS] = list(record.groups)
    if error is not None:
        row |= {CREATED: record.created, ERROR: error}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def columns_of_export(attributes: Sequence[str], *, groups: bool) -> list[str]:
    """Return the columns of an export.

    Args:
        attributes: The attributes, in order.
        groups: Whether there are groups.
    """
    own = [ENABLED, STATUS, CREATED_AT, UPDATED_AT]
    return [USERNAME, *attributes, *own, *([GROUPS] if groups else [])]
