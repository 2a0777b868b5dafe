"""Files of users: what is written is read as it was, and what cannot be read is said."""

import csv
import io
import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_admin.cli.users.files import (
    MAX_ROW,
    CsvReader,
    InvalidRow,
    Writer,
    columns_of_export,
    format_of,
    make_harmless,
    read,
    undo_harmless,
)
from graphql_admin.cli.users.records import FIELDS, GROUPS, OWN_COLUMNS, Format, Record, check
from tests.support.started import ROOT

ATTRIBUTES = ("email", "phone_number", "name", "custom:note", "sub")

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
) | st.text("'=+-@\t\r\n \",;\u00a0\uff1da", min_size=1, max_size=6)

RECORDS = st.builds(
    Record,
    username=TEXT,
    attributes=st.dictionaries(st.sampled_from(ATTRIBUTES), TEXT),
    enabled=st.booleans(),
    groups=st.lists(
        st.text(st.characters(categories=["L", "M", "S", "N", "P"]), min_size=1, max_size=8),
        max_size=3,
        unique=True,
    ).map(tuple),
    others=st.dictionaries(st.sampled_from(["status", "createdAt"]), TEXT),
    created=st.booleans(),
)


def write(
    records: list[Record], format_: Format, *, plain: bool = False, report: bool = False
) -> bytes:
    columns = columns_of_export(ATTRIBUTES, groups=True)
    writer = Writer(format_, [*columns, *(["created", "error"] if report else [])], plain=plain)
    error = "failed" if report else None
    return writer.header() + b"".join(writer.row(record, error=error) for record in records)


def load(content: bytes, format_: Format = Format.CSV, *, plain: bool = False) -> list[Record]:
    """Return the records of a file; it has no problems."""
    found = []
    for row in read(io.BytesIO(content), format_, plain=plain):
        assert isinstance(row, Record), row
        found.append(row)
    return found


def problems(content: bytes, format_: Format = Format.CSV) -> list[str]:
    try:
        rows = list(read(io.BytesIO(content), format_, plain=False))
    except InvalidRow as problem:
        return [str(problem)]
    return [str(row) for row in rows if isinstance(row, InvalidRow)]


def values(record: Record) -> tuple[object, ...]:
    return (
        record.username,
        dict(record.attributes),
        record.enabled,
        record.groups,
        dict(record.others),
        record.created,
    )


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("plain", [False, True])
@given(records=st.lists(RECORDS, max_size=4))
@settings(deadline=None, max_examples=50)
def test_round_trip(format_: Format, plain: bool, records: list[Record]) -> None:
    """What is written is read as it was, whatever characters it has."""
    content = write(records, format_, plain=plain, report=True)
    assert list(map(values, load(content, format_, plain=plain))) == list(map(values, records))


@given(value=st.text())
def test_apostrophes_are_undone(value: str) -> None:
    """Every value is read from its cell as it was, apostrophes at its start too."""
    assert undo_harmless(make_harmless(value)) == value


@given(record=RECORDS)
def test_no_cell_is_a_formula(record: Record) -> None:
    """A spreadsheet gets no cell that it would take for a formula."""
    text = write([record], Format.CSV).decode()
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            assert not cell.lstrip(" \u00a0").startswith(
                ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
            )


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("+12025550111", "'+12025550111"),
        ("=1", "'=1"),
        ("'=1", "''=1"),
        ("'tis", "'tis"),
        ("a=1", "a=1"),
        (" =1", "' =1"),
        ("\tx", "'\tx"),
    ],
)
def test_cells(value: str, cell: str) -> None:
    """The rule, as the documentation has it."""
    assert make_harmless(value) == cell
    assert undo_harmless(cell) == value


def test_phone_number_as_others_write_it() -> None:
    """A number without an apostrophe, as in files for Cognito's own import, is read too."""
    (record,) = load(b"cognito:username,phone_number\nann,+12025550111\n")
    assert record.attributes == {"phone_number": "+12025550111"}


def test_header_of_cognito() -> None:
    """The header that Cognito gives for its own import is understood as it is."""
    header = (
        "name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,"
        "website,email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,"
        "phone_number_verified,address,updated_at,cognito:mfa_enabled,cognito:username"
    )
    row = ",Ann,,,,,,,,ann@example.com,TRUE,,02/01/1985,,,+12025550111,TRUE,,,TRUE,ann"
    (record,) = load(f"{header}\n{row}\n".encode())
    assert record.username == "ann"
    assert record.attributes["birthdate"] == "02/01/1985"
    assert record.others == {"cognito:mfa_enabled": "TRUE"}
    assert record.groups is None
    assert record.enabled
    assert not check(record)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(mark: bytes, end: bytes, last: bool) -> None:
    """Files of all programs are read; a line end in quotation marks is part of the value."""
    lines = [b"cognito:username,name", b'ann,"A' + end + b'B"', b"", b"bob,"]
    content = mark + end.join(lines) + (end if last else b"")
    ann, bob = load(content)
    assert ann.attributes["name"] == f"A{end.decode()}B"
    assert (ann.line, bob.line) == (2, 5)
    assert not bob.attributes


HEADER = b"cognito:username,name\n"

INVALID_CSV: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", "line 1: the file is empty"),
    "no username": (b"email\n", "line 1: the header has no column `cognito:username`"),
    "semicolons": (b"cognito:username;name\n", "separated by commas"),
    "a column twice": (b"cognito:username,a,a\n", "a column twice"),
    "too few cells": (HEADER + b"ann\n", "line 2: it has 1 cells, and the header has 2"),
    "too many cells": (HEADER + b"a,b\na,b,c\n", "line 3: it has 3 cells"),
    "no end of quotation": (HEADER + b'a,"b\n', "line 2: not CSV"),
    "text after quotation": (HEADER + b'a,"b"c\n', "line 2: not CSV"),
    "not UTF-8": (HEADER + b"a,\xff\n", "line 2: it is not UTF-8"),
    "UTF-16": ("\ufeffcognito:username\n".encode("utf-16-le"), "is the file UTF-16?"),
    "NUL": (HEADER + b"a,b\0\n", "line 2: it has a NUL"),
    "not a Boolean": (b"cognito:username,enabled\na,1\n", "`enabled` must be true or false"),
    "a row without an end": (HEADER + b'a,"' + b"b\n" * MAX_ROW, "line 2: not CSV: field larger"),
    "a line without an end": (HEADER + b"a" * 2 * MAX_ROW, "more than 524,288 bytes"),
}


@pytest.mark.parametrize("name", INVALID_CSV)
def test_invalid_csv(name: str) -> None:
    """What cannot be read is said once, with its line."""
    content, said = INVALID_CSV[name]
    (problem,) = problems(content)
    assert said in problem


INVALID_JSON: Mapping[str, tuple[bytes, str]] = {
    "not JSON": (b"{\n", "line 1: not JSON"),
    "a list": (b"[]\n", "must be an object"),
    "no username": (b"{}\n", "`username` must be a string"),
    "an unknown key": (b'{"username": "a", "email": "b"}\n', "unknown keys: 'email'"),
    "a key twice": (b'{"username": "a", "username": "b"}\n', "a key occurs twice"),
    "a number": (b'{"username": "a", "attributes": {"x": 1}}\n', "must be strings"),
    "NaN": (b'{"username": "a", "attributes": {"x": NaN}}\n', "not JSON"),
    "groups": (b'{"username": "a", "groups": "b"}\n', "list of names"),
    "enabled": (b'{"username": "a", "enabled": "no"}\n', "`enabled` must be"),
    "an escaped NUL": (b'{"username": "a\\u0000"}\n', "NUL"),
    "half a pair": (b'{"username": "a", "attributes": {"x": "\\ud800"}}\n', "surrogate"),
    "depth": (b"[" * 100_000 + b"\n", "line 1: "),
    "not UTF-8": (b"\n\xff\n", "line 2: it is not UTF-8"),
    "no end": (b'"' + b"a" * 2 * MAX_ROW, "more than 524,288 bytes"),
}


@pytest.mark.parametrize("name", INVALID_JSON)
def test_invalid_json(name: str) -> None:
    """What cannot be read is said once, with its line."""
    content, said = INVALID_JSON[name]
    (problem,) = problems(content, Format.JSONL)
    assert said in problem


def test_problems_do_not_hide_one_another() -> None:
    """All rows with a problem are told, not only the first."""
    assert len(problems(HEADER + b"a\nb,c\nd,e,f\n")) == 2


def test_values_are_in_no_problem_and_no_repr() -> None:
    """What people are called is in no message and no `repr`."""
    secret = b"Secretname"
    for content, format_ in (
        (HEADER + secret + b"\n", Format.CSV),
        (HEADER + b'a,"' + secret + b'"x\n', Format.CSV),
        (b'{"username": "' + secret + b'",}\n', Format.JSONL),
    ):
        (problem,) = problems(content, format_)
        assert "Secretname" not in problem
    (record,) = load(HEADER + secret + b"," + secret + b"\n")
    assert "Secretname" not in repr(record)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "csv"), ("a.JSONL", "jsonl"), ("a.ndjson", "jsonl"), ("a.txt", None), ("-", None)],
)
def test_format_of(name: str, expected: str | None) -> None:
    """The ending of a file's name tells its format."""
    format_ = format_of(name)
    assert (format_ and format_.value) == expected


def test_columns_are_no_attributes() -> None:
    """No own column has the name of an attribute, and the fields are those of the API."""
    schema = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    created = schema.partition("input CreateUserInput {")[2].partition("\n}")[0]
    fields = set(re.findall(r"^  (\w+):", created, re.MULTILINE))
    assert set(FIELDS.values()) == fields - {
        "username",
        "attributes",
        "temporaryPassword",
        "inviteBy",
    }
    assert not OWN_COLUMNS & FIELDS.keys()
    assert GROUPS in OWN_COLUMNS


def test_a_header_alone_has_no_users() -> None:
    """An export of no user is a header, and an import of it does nothing."""
    content = write([], Format.CSV)
    reader = CsvReader(io.BytesIO(content), plain=False)
    assert reader.attributes() == list(ATTRIBUTES)
    assert list(reader) == []


def test_json_lines_are_json() -> None:
    """Each line of JSON Lines is an object; what an export does not know is not in it."""
    (line,) = write([Record("ann")], Format.JSONL).splitlines()
    assert json.loads(line) == {"username": "ann", "enabled": True, "attributes": {}}
