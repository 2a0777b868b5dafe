"""Marks for some of a test's cases, where the others stand for them in `make test`."""

from collections.abc import Iterator
from typing import Any

import pytest


def slow(*values: object) -> Iterator[Any]:
    """Yield values of a parameter, marked as slow."""
    return (pytest.param(value, marks=pytest.mark.slow) for value in values)
