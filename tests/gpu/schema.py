"""The JSON schema of ``%gpu_check --json``, made from the annotations of the facts.

``python -m tests.gpu.schema`` writes it into the package.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

from colabmagic.gpu.check import SCHEMA
from colabmagic.gpu.facts import GpuFacts
from colabmagic.report.model import Finding, Unknown

FILE = Path(__file__).parents[2] / "colabmagic/data/gpu_check.schema.json"
_PLAIN = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the schema of an annotated type; classes go into `definitions`."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    parts = typing.get_args(kind)
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return {"anyOf": [schema_of(part, definitions) for part in parts]}
    if typing.get_origin(kind) is tuple:
        return _array(parts, definitions)
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return _object(kind, definitions)


def _array(parts: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a tuple."""
    if parts[-1] is Ellipsis:
        return {"type": "array", "items": schema_of(parts[0], definitions)}
    items = [schema_of(part, definitions) for part in parts]
    size = len(items)
    return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return a reference to the schema of a dataclass."""
    if kind is Unknown:
        name, fields = "Unknown", {"unknown": {"type": "string"}}
    else:
        name = kind.__name__
        if name in definitions:
            return {"$ref": f"#/$defs/{name}"}
        definitions[name] = {}  # a place in the order, before its parts
        hints = typing.get_type_hints(kind)
        fields = {
            field.name: schema_of(hints[field.name], definitions)
            for field in dataclasses.fields(kind)
        }
    definitions[name] = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"$ref": f"#/$defs/{name}"}


def schema() -> dict[str, Any]:
    """Return the schema of the whole document."""
    definitions: dict[str, Any] = {}
    fields = {
        "schema": {"const": SCHEMA},
        "ok": {"type": "boolean"},
        "device": {"type": "string"},
        "headline": {"type": "string"},
        "reason": {"type": "string"},
        "elapsed_ms": {"type": ["integer", "null"]},
        "findings": {"type": "array", "items": schema_of(Finding, definitions)},
        "facts": schema_of(GpuFacts, definitions),
        "bench": {"type": ["object", "null"]},
        "deep": {"type": ["object", "null"]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The answer of colabmagic's gpu_check",
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
        "$defs": definitions,
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
