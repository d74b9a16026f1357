"""The document that RunPod publishes of its API, and whether requests and answers are as it has them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

_FILE = "shared/reference/runpod-openapi-v2-overlay.json"


def path() -> Path | None:
    """Where the document lies: where FIRSTLIGHT_CONTRACT says, or beside the checkout."""
    told = os.environ.get("FIRSTLIGHT_CONTRACT")
    if told:
        return Path(told)
    return next((folder / _FILE for folder in Path(__file__).resolve().parents if (folder / _FILE).is_file()), None)


@functools.cache
def here() -> Contract | None:
    """The document, where it is; read once."""
    place = path()
    return Contract.read(place) if place else None


class Contract:
    """The document, its schemas compiled once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.operations: dict[str, tuple[str, str, Mapping[str, Any], list[Any]]] = {}
        for place, item in document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict) and "operationId" in operation:
                    parameters = [self._resolve(one) for one in [*item.get("parameters", ()), *operation.get("parameters", ())]]
                    self.operations[operation["operationId"]] = (method.upper(), place, operation, parameters)
        self._compiled: dict[Any, Any] = {}

    @classmethod
    def read(cls, place: Path) -> Contract:
        """Out of its file."""
        return cls(json.loads(place.read_text()))

    def _resolve(self, item: Mapping[str, Any]) -> Any:
        while "$ref" in item:
            found: Any = self._document
            for part in item["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            item = found
        return item

    def _errors(self, key: Any, schema: Mapping[str, Any], value: Any) -> list[str]:
        """Each violation; the schema is compiled at its first use."""
        if key not in self._compiled:
            whole = {"components": self._document["components"], "allOf": [schema]}
            self._compiled[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        validator = self._compiled[key]
        if validator.is_valid(value):
            return []
        return [
            f"{''.join(f'.{part}' for part in ['$', *error.instance_path])[1:]}: {error.message}" for error in validator.iter_errors(value)
        ]

    def request_errors(self, name: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> list[str]:
        """Where a request is not as the document has it. Parameters that it does not name are let pass, as the service does."""
        _, _, operation, parameters = self.operations[name]
        found = []
        for parameter in parameters:
            given = {"query": query, "header": headers}.get(parameter["in"])
            if given is None:
                continue
            value = given.get(parameter["name"])
            if value is not None:
                key = (name, parameter["in"], parameter["name"])
                found += [
                    f"{parameter['name']}{error[1:]}"
                    for error in self._errors(key, parameter["schema"], _typed(self._resolve(parameter["schema"]), value))
                ]
            elif parameter.get("required"):
                found.append(f"{parameter['name']} is missing")
        wanted = operation.get("requestBody")
        if wanted is None:
            return found if body is None else [*found, "$: a body is not taken here"]
        if body is None:
            return [*found, "$: a body is missing"] if wanted.get("required") else found
        return found + self._errors((name, "body"), wanted["content"]["application/json"]["schema"], body)

    def response_errors(self, name: str, status: int, media_type: str | None, body: bytes) -> list[str]:
        """Where an answer is not as the document has it."""
        responses = self.operations[name][2]["responses"]
        response = responses.get(str(status)) or responses.get("default")
        if response is None:
            return [f"the document has no answer {status} here"]
        content = self._resolve(response).get("content")
        if content is None:
            return ["$: the document has no body here"] if body else []
        media = content.get((media_type or "").partition(";")[0])
        if media is None:
            return [f"the document has no {media_type} here"]
        if "json" not in (media_type or ""):
            return []
        try:
            value = json.loads(body)
        except ValueError as error:
            return [f"$: {error}"]
        return self._errors((name, status, media_type), media["schema"], value)


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    """A parameter's text as the value that it stands for."""
    kind = schema.get("type")
    if kind == "array":
        return text.split(",")
    if kind in ("integer", "number", "boolean"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
