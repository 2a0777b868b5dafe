"""What must be in no log line, metric or error, and how it is found there."""

import re

from prometheus_client import REGISTRY, generate_latest

PASSWORD = "Correct-horse-1"
"""The password of every user who signs up in a test."""

_PATTERNS = {
    "a token": re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}"),
    "a password": re.compile(rf"{PASSWORD}|Development-0nly!"),
    "an e-mail address": re.compile(r"@(?<=[\w.+-]@)[\w-]+\.\w"),
    "a phone number": re.compile(r"\+(?<![\w.+-]\+)\d{8,15}\b"),
    "a secret key": re.compile(r"AWS4-HMAC-SHA256|PRIVATE KEY"),
}
"""Each begins with a character that is rare, since the log of every test is searched."""


def find_leaks(text: str) -> list[str]:
    """Return which secrets a string contains, without repeating them."""
    return [what for what, pattern in _PATTERNS.items() if pattern.search(text)]


def find_leaks_in_metrics() -> list[str]:
    """Return what there is in this process's metrics that should not be there."""
    return find_leaks(generate_latest(REGISTRY).decode())
