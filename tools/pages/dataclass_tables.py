"""A module of dataclasses and enums as sections with tables: docstring, then one row for each field and its comment."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection
from enum import Enum
from types import ModuleType

from pages import markdown


def sections(module: ModuleType, first: type, leave_out: Collection[type] = ()) -> str:
    """`first`, then every other class of the module in the order of its source."""
    comments = markdown.trailing_comments(module)
    classes = [
        item for _name, item in inspect.getmembers(module, inspect.isclass) if item.__module__ == module.__name__ and item not in leave_out
    ]
    classes.sort(key=lambda item: (item is not first, inspect.getsourcelines(item)[1]))
    return "\n".join(
        f"## {item.__name__}\n\n{markdown.summary(item.__doc__)}\n\n{_table(item, comments.get(item.__name__, {}))}" for item in classes
    )


def _table(item: type, comments: dict[str, str]) -> str:
    if issubclass(item, Enum):
        return markdown.table(["value", "meaning"], [[f"`{member.value}`", comments.get(member.name, "")] for member in item])
    rows = [[f"`{field.name}`", f"`{_type(field)}`", _default(field), comments.get(field.name, "")] for field in dataclasses.fields(item)]
    return markdown.table(["field", "type", "default", "meaning"], rows)


def _type(field: dataclasses.Field[object]) -> str:
    return str(field.type).replace(" | Unknown", "").replace("Unknown | ", "")


def _default(field: dataclasses.Field[object]) -> str:
    """The default where it is one to read: a plain value that is not empty."""
    return f"`{field.default}`" if isinstance(field.default, (bool, int, float, str)) and field.default != "" else ""
