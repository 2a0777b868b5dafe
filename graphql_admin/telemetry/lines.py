r"""Lines for logs and terminals, with every unprintable character escaped.

A string from a client may contain characters that control the display: an escape sequence that
rewrites the lines above, a mark that reverses the direction of the rest, a line separator that
makes two lines of one. Every character for which Python's `str.isprintable` is false is escaped.
So is every one that is usually not displayed, with which two names would look alike.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""The characters with Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt).
Python's `str.isprintable` is true for some, such as variation selectors and Hangul fillers."""


def to_json(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    r"""Return a value as JSON in one line, without a line end.

    Unprintable characters are written as JSON escapes, so that parsing the line returns the
    original string. Only lone surrogates, which UTF-8 cannot encode, become strings such as
    `\\ud800`.

    Args:
        value: A value that orjson serializes, if need be with `default`.
        default: Converts values that orjson does not serialize.

    Raises:
        orjson.JSONEncodeError: The value cannot be serialized.
    """
    try:
        line = orjson.dumps(value, default)
    except orjson.JSONEncodeError:
        line = orjson.dumps(_without_surrogates(value), default)
    if line.isascii():  # orjson escapes all control characters but DEL
        return line.replace(b"\x7f", b"\\u007f") if 0x7F in line else line
    text = line.decode()
    if _is_printable(text):
        return line
    return "".join(char if _is_printable(char) else _escape(char) for char in text).encode()


def printable(text: str) -> str:
    """Return a string for a terminal, with unprintable characters escaped as in `repr`."""
    if _is_printable(text):
        return text
    return "".join(char if _is_printable(char) else _escape_in_repr(char) for char in text)


def _is_printable(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _IGNORABLE.search(text))


def _escape_in_repr(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


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
