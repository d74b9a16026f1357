"""RunPod's own document of its API, asked for single fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


class Document:
    """The schemas of the document, by the names that it gives them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def schema(self, name: str) -> Schema:
        """A schema of components."""
        return self._told["components"]["schemas"][name]

    def parts(self, schema: Schema) -> Iterator[Schema]:
        """The schema and all that it is put together from."""
        if "$ref" in schema:
            yield from self.parts(self.schema(schema["$ref"].rpartition("/")[2]))
        yield schema
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                yield from self.parts(part)

    def types(self, schema: Schema) -> set[str]:
        """What a value may be."""
        found: set[str] = set()
        for part in self.parts(schema):
            told = part.get("type", ())
            found.update([told] if isinstance(told, str) else told)
        return found

    def properties(self, schema: Schema) -> dict[str, Schema]:
        """The fields of an object."""
        return {name: field for part in self.parts(schema) for name, field in part.get("properties", {}).items()}

    def at(self, schema: Schema, path: str) -> Schema | None:
        """The schema of a field such as runtime.ports[].ip; None where the document has none of the name."""
        for step in path.split("."):
            name = step.removesuffix("[]")
            field = self.properties(schema).get(name)
            if field is None:
                return None
            schema = next(part["items"] for part in self.parts(field) if "items" in part) if step.endswith("[]") else field
        return schema

    def example(self, schema: Schema) -> Any:
        """A value with every field that there may be: of alternatives the first."""
        kind = next((kind for kind in ("object", "array", "string", "integer", "number", "boolean") if kind in self.types(schema)), "null")
        if kind == "object":
            return {name: self.example(field) for name, field in self.properties(schema).items()}
        if kind == "array":
            return [self.example(next(part["items"] for part in self.parts(schema) if "items" in part))]
        told = [value for part in self.parts(schema) for value in (*part.get("examples", ()), *part.get("enum", ())) if value is not None]
        return told[0] if told else {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}[kind]


class Read(dict[str, Any]):
    """An object that writes down which of its fields are read, as paths."""

    def __init__(self, told: Mapping[str, Any], paths: set[str], place: str = "") -> None:
        super().__init__({name: _read(value, paths, f"{place}{name}") for name, value in told.items()})
        self._paths = paths
        self._place = place

    def get(self, name: str, default: Any = None) -> Any:
        self._paths.add(self._place + name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self._paths.add(self._place + name)
        return super().__getitem__(name)


def _read(value: Any, paths: set[str], place: str) -> Any:
    if isinstance(value, list):
        return [_read(one, paths, f"{place}[]") for one in value]
    return Read(value, paths, f"{place}.") if isinstance(value, dict) else value
