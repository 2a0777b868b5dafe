"""What Cognito accepts as the name of a user or group."""

from unicodedata import category

from graphql_admin.errors import BadUserInput

MAX_LENGTH = 128
"""Characters; botocore's model of cognito-idp, UsernameType and GroupNameType."""


def check_name(name: str, field: str) -> str:
    r"""Return `name` if it can be the name of a user or group.

    Cognito's pattern is `[\p{L}\p{M}\p{S}\p{N}\p{P}]+`: no white space, no control characters.

    Raises:
        BadUserInput: It cannot be such a name.
    """
    if not 1 <= len(name) <= MAX_LENGTH or not _is_sound(name):
        raise BadUserInput(
            f"`{field}` must be 1 to {MAX_LENGTH} characters without spaces or control characters.",
            field=field,
        )
    return name


def _is_sound(name: str) -> bool:
    # The pattern matches exactly the printable ASCII characters other than the space.
    if name.isascii():
        return name.isprintable() and " " not in name
    return all(category(char)[0] in "LMSNP" for char in name)
