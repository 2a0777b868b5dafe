"""A reply from Cognito."""

from collections.abc import Mapping
from typing import Any


class Reply(dict[str, Any]):
    """A reply, as parsed JSON. It may be shared: it must not be modified.

    Args:
        members: The members of the JSON object.
        size: Its size in bytes.
    """

    __slots__ = ("size",)

    def __init__(self, members: Mapping[str, Any], size: int = 0) -> None:
        super().__init__(members)
        self.size = size
