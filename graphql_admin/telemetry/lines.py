r"""Lines for logs and terminals, in which everything can be seen.

A text that a client made up may hold what is not printed but obeyed: an escape sequence that
rewrites the lines above, a mark that turns the direction of the rest, a line separator that makes
two lines of one. Where Python's `str.isprintable` says no, the character is written as its escape.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson


def to_json(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    r"""Return a value as JSON in one line, without its end.

    What is not printable is escaped as JSON has it, so that who reads the line has the very text
    that was given; only lone surrogates, which UTF-8 cannot have, become `\\ud800` and the like.

    Args:
        value: What orjson takes, or takes after `default`.
        default: Turns what orjson does not take into what it does.

    Raises:
        orjson.JSONEncodeError: It does not take it all the same.
    """
    try:
        line = orjson.dumps(value, default)
    except orjson.JSONEncodeError:
        line = orjson.dumps(_without_surrogates(value), default)
    if line.isascii():  # orjson has escaped the control characters, all but one
        return line.replace(b"\x7f", b"\\u007f") if b"\x7f" in line else line
    text = line.decode()
    if text.isprintable():
        return line
    return "".join(char if char.isprintable() else _escape(char) for char in text).encode()


def printable(text: str) -> str:
    """Return a text for a terminal, with what is not printable as Python's `repr` shows it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {
            _without_surrogates(name): _without_surrogates(each) for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_surrogates(each) for each in value]
    return value
