"""The values that tables show, looked up in the code by name."""

import ast
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from graphql.validation import validation_context
from graphql.validation.rules import overlapping_fields_can_be_merged

from graphql_admin.settings import Settings

PACKAGE = "graphql_admin"


class Value:
    """A value that formats itself with the unit that a row gives: bytes, s or %."""

    def __init__(self, value: float, setting: str | None = None) -> None:
        self._value = value
        self._setting = setting

    def __format__(self, unit: str) -> str:
        text = to_text(self._value, unit)
        return f"`{self._setting.upper()}` ({text})" if self._setting else text


def to_text(value: float, unit: str = "") -> str:
    """Return a number as people read it."""
    if unit == "%":
        return f"{value:.0%}"
    if unit == "s":
        if value < 1:
            return f"{value * 1000:g} ms"
        return f"{value / 3600:g} h" if value >= 3600 else f"{value:g} s"
    if unit == "bytes":
        for power, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value >= power and value % power == 0:
                return f"{value // power:,} {name}"
        return f"{value:,} bytes"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


class Room:
    """The constants of a room, and the defaults of its classes' parameters, as attributes.

    Args:
        name: The room's.
        used: Gets the names that are asked for.
    """

    def __init__(self, name: str, used: set[tuple[str, str]]) -> None:
        self._name = name
        self._used = used

    def __getattr__(self, name: str) -> "Value | Parameters":
        """Return the constant or class called `name`, with or without a leading underscore.

        Raises:
            LookupError: No module of the room defines it, or two do and differ.
        """
        values = {module[name] for module in definitions_of(self._name) if name in module}
        if len(values) != 1:
            raise LookupError(f"{self._name} has {len(values)} values of {name}")
        (value,) = values
        self._used.add((self._name, name))
        return Parameters(value) if isinstance(value, type) else Value(value)


class Parameters:
    """The defaults of a class's parameters, as attributes."""

    def __init__(self, class_: type[Any]) -> None:
        self._parameters = inspect.signature(class_).parameters

    def __getattr__(self, name: str) -> Value:
        return Value(self._parameters[name].default)


class SettingsRoom:
    """The settings' defaults, as attributes."""

    def __getattr__(self, name: str) -> Value:
        return Value(Settings.model_fields[name].default, setting=name)


class GraphQLCore:
    """The budgets of graphql-core's validation, as the server sets them."""

    @property
    def comparisons(self) -> Value:
        """Comparisons of fields, of which each takes two of the budget."""
        return Value(overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET // 2)

    @property
    def fragments(self) -> Value:
        """Visits of fragments that operations share."""
        return Value(validation_context.MAX_FRAGMENT_WORK)


@cache
def definitions_of(room: str) -> tuple[Mapping[str, Any], ...]:
    """Return what each module of a room defines, by its name without a leading underscore."""
    package = import_module(f"{PACKAGE}.{room}")
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return tuple(map(_definitions, (package, *(import_module(each.name) for each in found))))


def _definitions(module: ModuleType) -> Mapping[str, Any]:
    names: list[str] = []
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.Assign(targets=targets):
                names += [target.id for target in targets if isinstance(target, ast.Name)]
    return {name.removeprefix("_"): vars(module)[name] for name in names if name in vars(module)}
