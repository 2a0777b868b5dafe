"""Checks of descriptions, passwords and attributes, by what Cognito accepts."""

import re
from unicodedata import category

from graphql_admin.errors import BadUserInput
from graphql_admin.policy.tables import SETTABLE

MAX_DESCRIPTION = 2048
"""Characters; botocore's model of cognito-idp, DescriptionType."""

MAX_PASSWORD = 256
"""Characters; botocore's model of cognito-idp, PasswordType."""

MAX_ATTRIBUTE_NAME = 32
"""Characters; botocore's model of cognito-idp, AttributeNameType."""

MAX_ATTRIBUTE_VALUE = 2048
"""Bytes in UTF-8; botocore's model of cognito-idp, AttributeValueType, which does not say of what
they are, and Cognito's developer guide."""


def check_attribute_name(name: str) -> str:
    """Return `name` if it can be the name of an attribute that is set.

    Raises:
        BadUserInput: It cannot; the field is `attributes`, with the name if it can be one.
    """
    if is_settable(name):
        return name
    if not 1 <= len(name) <= MAX_ATTRIBUTE_NAME or not name.isprintable() or " " in name:
        raise BadUserInput(
            f"A `name` must be 1 to {MAX_ATTRIBUTE_NAME} characters without spaces or control "
            "characters.",
            field="attributes",
        )
    raise BadUserInput("This attribute cannot be set.", field=f"attributes.{name}")


def is_settable(name: str) -> bool:
    """Tell whether `name` can be the name of an attribute that is set."""
    return re.fullmatch(SETTABLE.pattern, name) is not None and _is_unicode(name)


def check_attribute_value(text: str, field: str) -> str:
    """Return `text` if it can be the value of an attribute.

    Raises:
        BadUserInput: It cannot.
    """
    if "\0" in text or not _is_unicode(text) or len(text.encode("utf-8")) > MAX_ATTRIBUTE_VALUE:
        raise BadUserInput(
            f"The value must be at most {MAX_ATTRIBUTE_VALUE} bytes in UTF-8.", field=field
        )
    return text


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
