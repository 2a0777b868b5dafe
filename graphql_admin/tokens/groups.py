"""The groups that a claim of a token contains.

Cognito's own claim is a list. Others come from an identity provider, through an attribute of the
user or a Lambda trigger, in forms that are not documented alike. What is in none of the forms below
gives no groups: to guess could make a group out of a part of another's name.
"""

from typing import Any

import orjson
import structlog

from graphql_admin.tokens.caller import RESERVED_GROUP

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

COGNITO_GROUPS = "cognito:groups"
"""The claim with the user's groups in the pool."""

OTHER_CLAIMS = frozenset(
    {
        "aud",
        "auth_time",
        "client_id",
        "cognito:username",
        "event_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "nonce",
        "origin_jti",
        "scope",
        "sub",
        "token_use",
        "username",
        "version",
    }
)
"""Claims of Cognito that mean something else. Clients choose some of them, such as `nonce`."""

MAX_GROUPS = 100
"""Groups in another claim than Cognito's; Cognito allows as many for a user."""

MAX_NAME_LENGTH = 128
"""Characters of the name of a group, as in Cognito."""


def read_groups(value: Any) -> frozenset[str]:
    """Return the groups in the value of another claim than Cognito's.

    - A JSON list of strings, or a string that contains one: each is a name as it stands.
    - Any other string: names between commas, without the spaces around them. Square brackets around
      all of them are left out; so Cognito writes a list of an identity provider into an attribute.

    Spaces do not separate names, since names have spaces. A string with a quotation mark or a
    backslash may have quoted or escaped commas, and is in none of the forms. Such a value, or one
    with more than `MAX_GROUPS` names, gives no groups; a name that is too long is left out. Both
    are logged, without the value.
    """
    names = _parse(value)
    if names is None:
        log.info("groups of a token not read", reason="not in a form that is read")
        return frozenset()
    if len(names) > MAX_GROUPS:
        log.info("groups of a token not read", reason=f"more than {MAX_GROUPS}")
        return frozenset()
    short = frozenset(name for name in names if len(name) <= MAX_NAME_LENGTH)
    if len(short) < len(names):
        log.info("groups of a token not read", reason=f"above {MAX_NAME_LENGTH} characters")
    return short - {RESERVED_GROUP}


def _parse(value: Any) -> frozenset[str] | None:
    """Return the names in a value; None if it is in none of the forms."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith('["'):
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError:
                return None
        else:
            return _split(text)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return frozenset(value) - {""}


def _split(text: str) -> frozenset[str] | None:
    if text.startswith("[") != text.endswith("]") or not {'"', "\\"}.isdisjoint(text):
        return None
    if text.startswith("["):
        text = text[1:-1]
    return frozenset(name.strip() for name in text.split(",")) - {""}
