"""What Cognito replied."""

from collections.abc import Mapping
from typing import Any


class Reply(dict[str, Any]):
    """A reply, as JSON has it. Several may have it: it is not to be changed.

    Args:
        members: What is in it.
        size: Bytes that it came in.
    """

    __slots__ = ("size",)

    def __init__(self, members: Mapping[str, Any], size: int = 0) -> None:
        super().__init__(members)
        self.size = size
