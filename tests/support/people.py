"""People whom the explorer offers to be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A ready person."""

    role: str = "admin"
    username: str = "alice"
    token: str = "a.good.token"
    may: str = "do everything"
