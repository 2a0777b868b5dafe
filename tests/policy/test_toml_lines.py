"""Where in a TOML document its keys and items are found."""

import re
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from graphql_admin.policy.toml_lines import find_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", {}),
        ("a = 1 # b = 2\n\nc = 3", {("a",): 1, ("c",): 3}),
        ("a = [\n 1, # ]\n 2\n,\n]\nb = 1", {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("b",): 6}),
        ("[a]\nb.c = 1\nb . 'd' = 2", {("a",): 1, ("a", "b"): 2, ("a", "b", "c"): 2}
         | {("a", "b", "d"): 3}),
        ("[ 'a' . b ]\n\"c\\u0041\\\"\" = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", 'cA"'): 2}),
        ("[a.b]\n[a]\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "c"): 3}),
        ("a = {b = [1], 'c.d'.e = {}}", dict.fromkeys(
            [("a",), ("a", "b"), ("a", "b", 0), ("a", "c.d"), ("a", "c.d", "e")], 1)),
        ('a = """\nb = 1\n\\"""\n"""""\nc = 2', {("a",): 1, ("c",): 5}),
        ("a = '''\nb = 1\n'''''\nc = 2", {("a",): 1, ("c",): 4}),
        ('a = """"""\nb = [\'\', "\\\\"]', {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2}),
        ("a = '#'\r\nb = \"[x]\"\r\nc = 1979-05-27 07:32:00\r\nd = -inf",
         {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 4}),
        ("[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3",
         {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "b"): 4}
         | {("a", 1, "c"): 5, ("a", 1, "c", "d"): 6}),
        ("[[a]]\n[[a.b]]\n[[a.b]]\nc = 1",
         {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 0, "b", 0): 2, ("a", 0, "b", 1): 3}
         | {("a", 0, "b", 1, "c"): 4}),
        ('"" = 1\n', {("",): 1}),
    ],
)  # fmt: skip
def test_lines(text: str, lines: dict[Any, int]) -> None:
    """Comments, strings that look like keys, and every way to write a key or a table."""
    tomllib.loads(text)
    assert find_lines(text) == lines


@pytest.mark.parametrize(
    "text", ["= 1", "a", "a = ", "[a", "a = ['' 2]", "a = {b = 1", 'a = "', "."]
)
def test_lines_invalid(text: str) -> None:
    """What is not TOML ends, and ends in an error."""
    with pytest.raises(ValueError, match="line 1 is not TOML"):
        find_lines(text)


def _quoted(name: str) -> str:
    escaped = "".join(
        f"\\U{ord(char):08x}" if ord(char) < 32 or ord(char) == 127 or char in '"\\' else char
        for char in name
    )
    return f'"{escaped}"'


_NAMES = st.text("ab.#=[]{},'\"\\\t\n é😀", max_size=5)
_KEYS = st.one_of(
    st.text("aB1_-", min_size=1, max_size=3).map(lambda name: (name, name)),
    _NAMES.map(lambda name: (name, _quoted(name))),
    st.text('ab.#=[]{}," \\é', max_size=4).map(lambda name: (name, f"'{name}'")),
)
_GAPS = st.sampled_from(["", " ", "\n", "\n# ] } \" ''' = x\n", "  #\n \t"])
_STRINGS = st.one_of(
    _NAMES.map(_quoted),
    st.sampled_from(
        ["''", "'# x = [1]'", '"""\nx = 1\n"""', '"""a\\\n  b"""""', "'''\n[x]\n'''", '""""""']
    ),
)
_SCALARS = st.one_of(
    _STRINGS, st.sampled_from(["1", "-0.5e3", "true", "1979-05-27 07:32:00Z", "inf", "0xf"])
)


@st.composite
def _arrays(draw: Any, values: Any) -> str:
    items = draw(st.lists(values, max_size=3))
    written = "[" + draw(_GAPS)
    for place, item in enumerate(items):
        comma = "," if place < len(items) - 1 or draw(st.booleans()) else ""
        written += item + draw(_GAPS) + comma + draw(_GAPS)
    return written + "]"


@st.composite
def _inline_tables(draw: Any, values: Any) -> str:
    pairs = draw(st.lists(st.tuples(_KEYS, values), max_size=3, unique_by=lambda pair: pair[0][0]))
    return "{" + ", ".join(f"{key[1]} = {value}" for key, value in pairs) + "}"


_VALUES = st.recursive(
    _SCALARS, lambda values: st.one_of(_arrays(values), _inline_tables(values)), max_leaves=8
)


@st.composite
def _documents(draw: Any) -> str:
    lines = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["pair", "pair", "dotted", "table", "tables", "comment"]))
        keys = [key[1] for key in draw(st.lists(_KEYS, min_size=1, max_size=3))]
        name = draw(st.sampled_from([".", " . "])).join(keys)
        match kind:
            case "pair":
                lines.append(f"{keys[0]} = {draw(_VALUES)}")
            case "dotted":
                lines.append(f"{name} = {draw(_VALUES)}")
            case "table":
                lines.append(f"[{name}]")
            case "tables":
                lines.append(f"[[ {name} ]]")
            case _:
                lines.append("# [x] y = 'z'")
    return draw(st.sampled_from(["\n", "\n\n", "\r\n"])).join(lines)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    return {path} - {()} | {
        found for name, item in members for found in _paths(item, (*path, name))
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(_documents())
def test_lines_are_those_of_what_tomllib_finds(text: str) -> None:
    """Every key and item that tomllib finds has a line, in the order of the text, and no other."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a key twice, say
    event(f"read, with {len(document)} keys")
    lines = find_lines(text)
    assert set(lines) == _paths(document)
    rows = text.replace("\r\n", "\n").split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str) and re.fullmatch(r"[A-Za-z0-9_-]+", path[-1]):
            assert path[-1] in rows[line - 1]


def test_lines_find_each_key_by_itself() -> None:
    """A key is found on its own line, however much looks like it before."""
    noise = "# mark = 1\nx = 'mark = 1'\ny = '''\nmark = 1\n'''\nz = [ # mark\n'mark']\n"
    assert find_lines(noise + "mark = 1\n")["mark",] == 8
