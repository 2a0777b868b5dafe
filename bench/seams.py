"""Seams: named functions and classes of the server that the bench replaces at start-up.

The server does not know about them. So each is looked up by name, and a name that no longer exists
is an error rather than a meaningless figure.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType, SimpleNamespace
from typing import Any

import graphql_admin

_PACKAGE = graphql_admin.__name__


class SeamNotFound(Exception):
    """The server has no such name."""


def load_all() -> None:
    """Import every module of the server, so that each name is bound wherever it ever will be."""
    for module in pkgutil.walk_packages(graphql_admin.__path__, f"{_PACKAGE}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def find(seam: str) -> tuple[ModuleType | type, str]:
    """Return the module or class that has what a seam names, and its name there.

    Args:
        seam: `module:name` or `module:Class.name`, without the package's name.

    Raises:
        SeamNotFound: There is no such thing.
    """
    module_name, _, path = seam.partition(":")
    *classes, name = path.split(".")
    try:
        owner: Any = importlib.import_module(f"{_PACKAGE}.{module_name}")
        for class_ in (*classes, name):
            parent, owner = owner, vars(owner)[class_]
    except (ImportError, KeyError) as error:
        raise SeamNotFound(seam) from error
    return parent, name


class Seams:
    """Puts other things in place of the server's own.

    Args:
        is_traced: Whether the first use of each of them leaves a line on standard error, which is
            for tests: a seam may exist and yet be unused.
    """

    def __init__(self, *, is_traced: bool = False) -> None:
        self._is_traced = is_traced

    def replace(self, seam: str, make: Callable[[Any], Any]) -> None:
        """Replace a function, a class, a method, or a module that another one imports.

        A function or class is replaced in all modules that have imported it.

        Args:
            seam: `module:name` or `module:Class.name`, without the package's name.
            make: Returns what stands in its place, given what stands there.

        Raises:
            SeamNotFound: There is no such thing.
        """
        owner, name = find(seam)
        original = vars(owner)[name]
        replacement = make(original)
        if self._is_traced:
            replacement = _traced(seam, replacement)
        if isinstance(owner, type) or isinstance(original, ModuleType):
            setattr(owner, name, replacement)
            return
        for each in list(sys.modules.values()):
            if each.__name__.partition(".")[0] == _PACKAGE:
                for bound, value in list(vars(each).items()):
                    if value is original:
                        setattr(each, bound, replacement)


def used(seam: str) -> str:
    """The line that a traced seam leaves."""
    return f"The seam {seam} is in use."


def _traced(seam: str, value: Any) -> Any:
    """Return the same, with a line on standard error when it is first called."""
    if isinstance(value, property):
        return property(_traced(seam, value.fget))
    if isinstance(value, SimpleNamespace):
        return SimpleNamespace(**{name: _traced(seam, each) for name, each in vars(value).items()})
    if isinstance(value, type):
        note = _traced(seam, lambda: None)

        class Traced(value):  # type: ignore[misc]  # whichever class it is
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                note()
                super().__init__(*args, **kwargs)

        return Traced
    is_new = True

    @wraps(value)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal is_new
        if is_new:
            is_new = False
            print(used(seam), file=sys.stderr, flush=True)
        return value(*args, **kwargs)

    return call
