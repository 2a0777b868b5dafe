"""Where the token of a command comes from; it is in no argument, message or `repr`."""

import base64
import binascii
import json
import re
import shlex
import subprocess
import time
from typing import Protocol

import click

MARGIN = 60.0
"""Seconds before its end in which a token is no longer used, if there can be another."""

MAX_SIZE = 16_384
"""Characters of a token; a server takes less in a header."""

COMMAND_TIME = 120.0
"""Seconds that a command may take to print a token."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1."""


class InvalidToken(click.ClickException):
    """There is no token, or it cannot be one. The message does not have it."""


class TokenSource(Protocol):
    """Gives the token to send."""

    def current(self) -> str:
        """Return the token.

        Raises:
            InvalidToken: There is none.
        """

    def renew(self) -> bool:
        """Get another token in place of one that the server rejected; return whether there is one.

        Raises:
            InvalidToken: There is none.
        """


class FixedToken:
    """A token that was given once.

    Raises:
        InvalidToken: It cannot be one.
    """

    def __init__(self, text: str) -> None:
        self._token = _check(text)

    def current(self) -> str:
        """Return the token."""
        return self._token

    def renew(self) -> bool:
        """Return that there is no other."""
        return False


class TokenCommand:
    """A command that prints a token, run again before the token expires.

    Args:
        line: The command and its arguments, quoted as for a shell, which does not run it.
    """

    def __init__(self, line: str) -> None:
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise InvalidToken(f"--token-command cannot be read: {error}.") from error
        if not self._words:
            raise InvalidToken("--token-command is empty.")
        self._token: str | None = None

    def current(self) -> str:
        """Return a token that does not expire at once.

        Raises:
            InvalidToken: The command failed, or printed something else.
        """
        if self._token is None or _expires(self._token) < time.time() + MARGIN:
            self._token = self._run()
        return self._token

    def renew(self) -> bool:
        """Get another token.

        Raises:
            InvalidToken: The command failed, or printed something else.
        """
        self._token = self._run()
        return True

    def _run(self) -> str:
        # `from None`: the exceptions of `subprocess` have what the command printed.
        try:
            ended = subprocess.run(  # noqa: S603  # it is what the user asks for
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=COMMAND_TIME,
                check=False,
            )
        except OSError as error:
            raise InvalidToken(f"The token command cannot be run: {error.strerror}.") from None
        except subprocess.TimeoutExpired:
            raise InvalidToken(f"The token command took more than {COMMAND_TIME:.0f} s.") from None
        if ended.returncode:
            raise InvalidToken(f"The token command failed: exit code {ended.returncode}.")
        return _check(ended.stdout.decode("utf-8", "replace"))


def _check(text: str) -> str:
    token = text.strip().removeprefix("Bearer ").strip()
    if not token:
        raise InvalidToken("The token is empty.")
    if len(token) > MAX_SIZE or not _TOKEN.fullmatch(token):
        raise InvalidToken("That is not a token: it must be one line of letters, digits and -._~+/")
    return token


def _expires(token: str) -> float:
    """Return when a JWT expires, in seconds since 1970; it is not verified here.

    A token that does not say so is used until the server rejects it.
    """
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims["exp"])
    except (
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        binascii.Error,
    ):
        return float("inf")
