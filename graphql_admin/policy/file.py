"""Parses policy files, and reports all problems with their lines."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.policy.grants import ANYONE, FOR_ANYONE, Given, Policy, is_listed
from graphql_admin.policy.sight import ALL, with_brought
from graphql_admin.policy.tables import SETTING, Names, Table, make_tables
from graphql_admin.policy.toml_lines import Path, find_lines

_SYNTAX = re.compile(
    r"(?P<what>.*) \(at (line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL
)
"""The messages of tomllib."""

_BYTE_ORDER_MARK = "\ufeff"
"""Editors on Windows may write it at the start of a file in UTF-8. To Unicode it is no part of the
text there; tomllib takes it for a key."""


class InvalidPolicy(Exception):
    """A policy file is invalid.

    Args:
        problems: All problems, in the order of their lines; each starts with its line.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_policy(text: str, *, for_anyone: frozenset[Action] = FOR_ANYONE) -> Policy:
    """Parse a policy file.

    Args:
        text: The contents of the file.
        for_anyone: The actions that every signed-in user can be given.

    Raises:
        InvalidPolicy: With all problems; if the file is not TOML, with the first.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = tomllib.loads(text)
        lines = find_lines(text)
    except RecursionError as error:
        raise InvalidPolicy(["the file nests arrays or tables too deeply"]) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidPolicy([_put(error, text)]) from error
    problems = _Problems(lines)
    _check(document, make_tables(for_anyone), problems)
    problems.raise_if_any()
    return _make(document, for_anyone)


def _put(error: tomllib.TOMLDecodeError, text: str) -> str:
    found = _SYNTAX.fullmatch(str(error))
    if found is None:
        return f"cannot read this: {error}"
    last = text.rstrip().count("\n") + 1
    return f"line {found['line'] or last}: cannot read this: {found['what']}"


class _Problems:
    """The problems of a file, each with its line."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def add(self, path: Path, problem: str) -> None:
        self._found.append((self.line_of(path), problem))

    def line_of(self, path: Path) -> int:
        """Return the line of the value at `path`; 0 for the file as a whole."""
        return self._lines[path] if path else 0

    def raise_if_any(self) -> None:
        if self._found:
            raise InvalidPolicy(
                [
                    f"line {line}: {problem}" if line else problem
                    for line, problem in sorted(self._found, key=lambda found: found[0])
                ]
            )


def _check(document: Mapping[str, Any], tables: Mapping[str, Table], problems: _Problems) -> None:
    if not {"groups", "scopes"} & document.keys():
        problems.add((), "there must be a table [groups], with a list of actions for each group")
    for name, content in document.items():
        if name in tables:
            _check_table(name, tables[name], content, problems)
        else:
            known = ", ".join(f"[{each}]" for each in tables)
            problems.add((name,), f"there is no table {name!r}; the tables are {known}")
    _check_protected(document, problems)
    _check_writes(document, problems)
    _check_masks(document, problems)


def _check_table(name: str, table: Table, content: object, problems: _Problems) -> None:
    if not isinstance(content, dict):
        problems.add((name,), f"[{name}] must be a table")
        return
    if not content and not table.may_be_empty:
        problems.add((name,), f"[{name}] must hold a list of actions for each of its names")
    for key, names in content.items():
        path = (name, key)
        expected = table.lists.get(key, table.others)
        if expected is None:
            known = " and ".join(table.lists)
            problems.add(path, f"[{name}] has no {key!r}; it has {known}")
            continue
        if key not in table.lists and table.key and not re.fullmatch(table.key.pattern, key):
            what = "an empty name" if not key.strip() else f"{key!r}, which is not {table.key.what}"
            problems.add(path, f"[{name}] has {what}")
        _check_names(path, expected, names, problems)


def _check_names(
    path: tuple[str, str], expected: Names, names: object, problems: _Problems
) -> None:
    table, key = path
    if not isinstance(names, list) or not (names or expected.may_be_empty):
        problems.add(path, f"[{table}] {key!r} must have a list, such as {expected.example}")
        return
    # Unknown names on one line are reported together, with the known names once.
    unknown: dict[int, list[tuple[Path, str]]] = {}
    for index, name in enumerate(names):
        place = (*path, index)
        if name == ALL:
            continue
        if isinstance(name, str) and name in expected.refused:
            problems.add(place, f"[{table}] {key!r}: {expected.refused[name]}")
        elif expected.word is None and (not isinstance(name, str) or name not in expected.choices):
            unknown.setdefault(problems.line_of(place), []).append((place, repr(name)))
        elif expected.word is not None and not (
            isinstance(name, str) and re.fullmatch(expected.word.pattern, name)
        ):
            problems.add(place, f"[{table}] {key!r}: {name!r} is not {expected.word.what}")
    for found in unknown.values():
        listed, known = ", ".join(name for _, name in found), ", ".join(expected.choices)
        problems.add(
            found[0][0],
            f"[{table}] {key!r}: there is no action {listed}; the actions are {known}",
        )


def _check_protected(document: Mapping[str, Any], problems: _Problems) -> None:
    protected = frozenset(name for *_, name in _strings(document.get("protected"), "groups"))
    for key, index, name in _strings(document.get("grants")):
        if is_listed(name, protected):
            what = "every group, and all are protected" if name == ALL else "a protected group"
            problem = f"{name!r} is {what}, which no caller may give or take"
            problems.add(("grants", key, index), f"[grants] {key!r}: {problem}")


def _check_writes(document: Mapping[str, Any], problems: _Problems) -> None:
    writes = document.get("writes")
    named = writes.keys() if isinstance(writes, dict) else ()
    for table in ("groups", "scopes"):
        given = list(_strings(document.get(table)))
        of_everything = {key for key, _, label in given if label == ALL}
        for key, index, label in given:
            if label in SETTING and key not in of_everything and key not in named:
                problem = f"{label!r} requires a line in [writes], with the attributes to set"
                problems.add((table, key, index), f"[{table}] {key!r}: {problem}")


def _check_masks(document: Mapping[str, Any], problems: _Problems) -> None:
    """Find what is both seen and masked for one group."""
    for key, index, name in _strings(document.get("masks")):
        read = frozenset(each for *_, each in _strings(document.get("reads"), key))
        if name == ALL and read:
            problem = "[reads] gives attributes whole, so not all can be masked"
        elif is_listed(name, with_brought(read)):
            problem = f"[reads] gives {name!r} whole, so it cannot be masked"
        else:
            continue
        problems.add(("masks", key, index), f"[masks] {key!r}: {problem}")


def _strings(table: object, only: str | None = None) -> Iterator[tuple[str, int, str]]:
    """Yield the strings in a table's lists, with their keys and indices."""
    for key, names in table.items() if isinstance(table, dict) else ():
        if only in {None, key} and isinstance(names, list):
            for index, name in enumerate(names):
                if isinstance(name, str):
                    yield key, index, name


def _make(document: Mapping[str, Any], for_anyone: frozenset[Action]) -> Policy:
    """Return the policy of a valid document."""
    groups, scopes = document.get("groups"), document.get("scopes")
    protected = document.get("protected", {})
    everything = frozenset(Action)
    return Policy(
        groups={
            group: _read_given(labels, for_anyone if group == ANYONE else everything)
            for group, labels in (groups or {}).items()
        },
        scopes=scopes and {name: _read_given(scopes[name], everything) for name in scopes},
        grants=_read_lists(document.get("grants")),
        writes=_read_lists(document.get("writes")),
        reads=_read_lists(document.get("reads")),
        masks=_read_lists(document.get("masks")),
        protected_groups=frozenset(protected.get("groups", ())),
        protected_users=frozenset(sub.lower() for sub in protected.get("users", ())),
    )


def _read_lists(table: Mapping[str, list[str]] | None) -> Mapping[str, frozenset[str]] | None:
    return None if table is None else {name: frozenset(table[name]) for name in table}


def _read_given(labels: list[str], everything: frozenset[Action]) -> Given:
    if ALL in labels:
        return Given(everything, is_everything=True)
    return Given(frozenset(Action.labelled(label) for label in labels))
