"""Finds the lines of the keys and items of a TOML document, which tomllib does not provide."""

import re
import tomllib
from bisect import bisect_left
from itertools import count
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead to a value, from the root of the document."""

_SKIPPED = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BLANKS = re.compile(r"[ \t]*")
_BASIC = r'"(?:\\.|[^"\\\n])*"'
_LITERAL = r"'[^'\n]*'"
_KEY = re.compile(rf"{_BASIC}|{_LITERAL}|[A-Za-z0-9_-]+")
# A multi-line string may end in one or two quotation marks of its own.
_SCALAR = re.compile(
    rf'"""(?:\\[\s\S]|[^\\])*?"{{3,5}}'
    rf"|'''[\s\S]*?'{{3,5}}"
    rf"|{_BASIC}|{_LITERAL}"
    r"|[^,\]}#\n\"']+"  # a number, a boolean, or a date with a space in it
)


def find_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which each key, table and item is written first.

    Args:
        text: A document that tomllib parses; tables within arrays have an index in their paths.

    Raises:
        ValueError: It is not TOML. (Not all that is wrong is noticed; tomllib does that.)
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.lines


class _Scanner:
    """Scans a document once, from start to end."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._last_of: dict[Path, int] = {}
        """The index of the latest table in each array of tables."""

    def scan(self) -> None:
        table: Path = ()
        while True:
            self._match(_SKIPPED)
            if self._at == len(self._text):
                return
            if self._take("[["):
                table = self._read_header(is_item=True)
                self._expect("]]")
            elif self._take("["):
                table = self._read_header(is_item=False)
                self._expect("]")
            else:
                self._read_pair(table)

    def _read_header(self, *, is_item: bool) -> Path:
        line = self._line()
        *before, name = self._read_key()
        path: Path = ()
        for each in before:
            path = self._enter((*path, each), line)
        path = (*path, name)
        if is_item:
            self._last_of[path] = self._last_of.get(path, -1) + 1
        return self._enter(path, line)

    def _enter(self, path: Path, line: int) -> Path:
        """Record a table; return its path, or that of the latest one in an array."""
        self.lines.setdefault(path, line)
        if path in self._last_of:
            path = (*path, self._last_of[path])
            self.lines.setdefault(path, line)
        return path

    def _read_pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for name in self._read_key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._match(_BLANKS)
        self._read_value(path)

    def _read_key(self) -> list[str]:
        """Return the parts of a key, which dots join."""
        names = []
        while True:
            self._match(_BLANKS)
            written = self._match(_KEY)
            # Escapes in a quoted key are those of a string.
            is_quoted = written[0] in "\"'"
            names.append(tomllib.loads(f"it = {written}")["it"] if is_quoted else written)
            self._match(_BLANKS)
            if not self._take("."):
                return names

    def _read_value(self, path: Path) -> None:
        if self._take("["):
            for index in count():
                self._match(_SKIPPED)
                if self._take("]"):
                    return
                item = (*path, index)
                self.lines[item] = self._line()
                self._read_value(item)
                if self._is_at_end("]"):
                    return
        elif self._take("{"):
            while True:
                self._match(_SKIPPED)
                if self._take("}"):
                    return
                self._read_pair(path)
                if self._is_at_end("}"):
                    return
        else:
            self._match(_SCALAR)

    def _is_at_end(self, bracket: str) -> bool:
        self._match(_SKIPPED)
        if self._take(bracket):
            return True
        self._expect(",")
        return False

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._line()} is not TOML")
        self._at = match.end()
        return match[0]

    def _take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ValueError(f"line {self._line()} is not TOML")
