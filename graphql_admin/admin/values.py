"""Checks of descriptions and passwords, by what Cognito accepts."""

from unicodedata import category

from graphql_admin.errors import BadUserInput

MAX_DESCRIPTION = 2048
"""Characters; botocore's model of cognito-idp, DescriptionType."""

MAX_PASSWORD = 256
"""Characters; botocore's model of cognito-idp, PasswordType."""


def check_description(text: str, field: str) -> str:
    """Return `text` if it can be a group's description.

    Raises:
        BadUserInput: It cannot.
    """
    if len(text) > MAX_DESCRIPTION or "\0" in text or not _is_unicode(text):
        raise BadUserInput(f"`{field}` must be at most {MAX_DESCRIPTION} characters.", field=field)
    return text


def check_password(text: str, field: str) -> str:
    r"""Return `text` if it can be a password.

    Cognito's pattern is `[\S]+`, where `\S` means ASCII. Control characters are rejected too, since
    they cannot be typed.

    Raises:
        BadUserInput: It cannot.
    """
    if (
        not 1 <= len(text) <= MAX_PASSWORD
        or " " in text
        or any(category(char) in {"Cc", "Cs"} for char in text)
    ):
        raise BadUserInput(
            f"`{field}` must be 1 to {MAX_PASSWORD} characters without spaces or control "
            "characters.",
            field=field,
        )
    return text


def _is_unicode(text: str) -> bool:
    """Tell whether a string has no lone surrogate."""
    return not any(category(char) == "Cs" for char in text)
