"""Fields that need no guard are those that cannot get at more than their object."""

from typing import Any

import pytest

from graphql_admin.engine.fields import shown


async def waits(self: Any) -> str:
    return str(self)


def looks_around(self: Any, info: Any) -> str:
    return f"{self} {info}"


@pytest.mark.parametrize("method", [waits, looks_around])
def test_method_that_takes_more(method: Any) -> None:
    """A method that waits, or takes anything but its object, is refused when it is written."""
    with pytest.raises(TypeError, match=method.__name__):
        shown("What it shows.")(method)
