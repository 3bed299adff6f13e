"""Check Drive requests and responses against Google's own discovery document.

The document is the one that google-api-python-client ships (``drive.v3.json``),
so neither the fake server nor the client under test can drift from the real
interface without a test saying so. It needs no network.

What the document cannot say, this module cannot check: status 308, ``Range``
and ``Content-Range`` headers, error bodies, timing.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.drive.fields import Mask, MaskError, parse_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOAD_PREFIXES = ("/upload", "/resumable/upload")
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
INTEGER_TEXT = re.compile(r"-?\d+")
READ_ONLY = "Output only."


class ContractError(Exception):
    """The discovery document is missing or is not what it should be."""


@dataclass(frozen=True)
class Method:
    """One method of the discovery document and how its path is matched."""

    id: str
    http_method: str
    pattern: re.Pattern[str]
    spec: Mapping[str, Any]
    path_parameters: tuple[str, ...]

    @property
    def request_schema(self) -> str | None:
        """Name of the schema of the request body, if the method has one."""
        name: str | None = self.spec.get("request", {}).get("$ref")
        return name

    @property
    def response_schema(self) -> str | None:
        """Name of the schema of the JSON reply, if the method has one."""
        name: str | None = self.spec.get("response", {}).get("$ref")
        return name

    @property
    def takes_media(self) -> bool:
        """Whether the method may be called on an ``/upload`` address."""
        return "mediaUpload" in self.spec


@dataclass(frozen=True)
class Match:
    """A request path resolved to a method."""

    method: Method
    arguments: Mapping[str, str]
    is_upload: bool


def shipped_document() -> dict[str, Any]:
    """Return the drive.v3 document that google-api-python-client carries."""
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or spec.origin is None:
        message = (
            "google-api-python-client is not installed: tests.fakes.drive reads Google's "
            "discovery document from it. Install it for the tests."
        )
        raise ContractError(message)
    folder = Path(spec.origin).parent / "discovery_cache" / "documents"
    text = (folder / "drive.v3.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


class DriveContract:
    """The rules of one discovery document.

    Every ``check_*`` method returns a list of sentences, empty when all is well.
    """

    def __init__(self, document: Mapping[str, Any] | None = None) -> None:
        self.document = shipped_document() if document is None else document
        self.schemas: Mapping[str, Any] = self.document["schemas"]
        self.common_parameters: Mapping[str, Any] = self.document["parameters"]
        self._methods = sorted(
            _methods(self.document), key=lambda method: len(method.path_parameters)
        )

    def find(self, http_method: str, path: str) -> Match | None:
        """Return the method that a request addresses, or None."""
        bare, is_upload = path, False
        for prefix in UPLOAD_PREFIXES:
            if path.startswith(prefix + "/"):
                bare, is_upload = path.removeprefix(prefix), True
        for method in self._methods:
            found = method.pattern.fullmatch(bare)
            if found is None or method.http_method != http_method:
                continue
            if is_upload and not method.takes_media:
                continue
            arguments = dict(zip(method.path_parameters, found.groups(), strict=True))
            return Match(method, arguments, is_upload)
        return None

    def check_parameters(
        self, match: Match, params: Mapping[str, list[str]]
    ) -> list[str]:
        """Check names, types and limits of the query parameters."""
        known = {**self.common_parameters, **match.method.spec.get("parameters", {})}
        problems: list[str] = []
        for name, values in params.items():
            if match.is_upload and name in {"uploadType", "upload_id"}:
                continue
            spec = known.get(name)
            if spec is None or spec.get("location") != "query":
                problems.append(f"unknown query parameter {name!r}")
                continue
            if len(values) > 1 and not spec.get("repeated"):
                problems.append(f"query parameter {name!r} given {len(values)} times")
            for value in values:
                problems += _check_parameter(name, value, spec)
        problems += [
            f"required query parameter {name!r} is missing"
            for name, spec in known.items()
            if spec.get("required")
            and spec.get("location") == "query"
            and name not in params
        ]
        schema = match.method.response_schema
        if "fields" in params and schema is not None:
            problems += self.check_mask(params["fields"][0], schema)
        elif "Required: The `fields` parameter" in match.method.spec["description"]:
            problems.append("the fields parameter is required for this method")
        return problems

    def check_request_body(self, method: Method, body: object) -> list[str]:
        """Check a JSON request body, also for read-only properties in it."""
        if method.request_schema is None:
            return [f"{method.id} takes no body"] if body not in (None, {}) else []
        schema = self.schemas[method.request_schema]
        problems = self.check_value(body, {"$ref": method.request_schema})
        if isinstance(body, dict):
            problems += [
                f"{name!r} is read-only"
                for name in body
                if schema["properties"]
                .get(name, {})
                .get("description", "")
                .startswith(READ_ONLY)
            ]
        return problems

    def check_response(self, method: Method, body: object) -> list[str]:
        """Check the JSON body of a successful reply."""
        if method.response_schema is None:
            return [f"{method.id} returns no body"] if body else []
        return self.check_value(body, {"$ref": method.response_schema})

    def check_mask(self, mask: str, schema: str) -> list[str]:
        """Check that a ``fields`` mask names only properties that exist."""
        try:
            parsed = parse_mask(mask)
        except MaskError as error:
            return [str(error)]
        return self._check_mask(parsed, {"$ref": schema}, "")

    def _check_mask(
        self, mask: Mask, schema: Mapping[str, Any], where: str
    ) -> list[str]:
        schema = self._resolve(schema)
        if schema.get("type") == "array":
            schema = self._resolve(schema["items"])
        problems: list[str] = []
        for name, inner in mask.items():
            if name == "*":
                continue
            here = f"{where}/{name}".lstrip("/")
            child = schema.get("properties", {}).get(name)
            child = schema.get("additionalProperties") if child is None else child
            if child is None:
                problems.append(f"invalid field selection {here}")
            elif inner is not None:
                problems += self._check_mask(inner, child, here)
        return problems

    def check_value(
        self, value: object, schema: Mapping[str, Any], where: str = ""
    ) -> list[str]:
        """Check a JSON value against a schema of the document.

        Unknown properties are errors; absent ones are not, since a ``fields``
        mask may leave any of them out.
        """
        schema = self._resolve(schema)
        kind = schema.get("type")
        here = where or "body"
        if kind == "object":
            return self._check_object(value, schema, where)
        if kind == "array":
            if not isinstance(value, list):
                return [f"{here}: expected a list, got {value!r:.60}"]
            return [
                problem
                for index, item in enumerate(value)
                for problem in self.check_value(
                    item, schema["items"], f"{where}[{index}]"
                )
            ]
        return [f"{here}: {problem}" for problem in _check_scalar(value, schema)]

    def _check_object(
        self, value: object, schema: Mapping[str, Any], where: str
    ) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where or 'body'}: expected an object, got {value!r:.60}"]
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        problems: list[str] = []
        for name, item in value.items():
            here = f"{where}.{name}".lstrip(".")
            child = properties.get(name, rest)
            if child is None:
                problems.append(f"{here}: unknown property")
            else:
                problems += self.check_value(item, child, here)
        return problems

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        return schema


def _methods(node: Mapping[str, Any], service_path: str = "") -> list[Method]:
    """Collect the methods of a document or resource, also of nested resources."""
    service_path = node.get("servicePath", service_path)
    found: list[Method] = []
    for spec in node.get("methods", {}).values():
        parts = re.split(r"\{\+?(\w+)\}", "/" + service_path + spec["path"])
        pattern = "".join(
            "([^/:]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
        found.append(
            Method(
                id=spec["id"],
                http_method=spec["httpMethod"],
                pattern=re.compile(pattern),
                spec=spec,
                path_parameters=tuple(parts[1::2]),
            )
        )
    for resource in node.get("resources", {}).values():
        found += _methods(resource, service_path)
    return found


def _check_parameter(name: str, value: str, spec: Mapping[str, Any]) -> list[str]:
    """Check one query parameter, which is always text on the wire."""
    kind = spec.get("type")
    problem = ""
    if kind == "boolean" and value not in {"true", "false"}:
        problem = "is not true or false"
    elif kind == "integer" and not INTEGER_TEXT.fullmatch(value):
        problem = "is not an integer"
    elif kind == "integer" and int(value) < int(spec.get("minimum", value)):
        problem = f"is below {spec['minimum']}"
    elif kind == "integer" and int(value) > int(spec.get("maximum", value)):
        problem = f"is above {spec['maximum']}"
    elif "enum" in spec and value not in spec["enum"]:
        problem = f"is not one of {spec['enum']}"
    elif "pattern" in spec and not re.search(spec["pattern"], value):
        problem = f"does not match {spec['pattern']}"
    return [f"query parameter {name}={value!r} {problem}"] if problem else []


def _check_scalar(value: object, schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type")
    expected = {"string": str, "boolean": bool, "integer": int}.get(kind or "")
    if kind == "number":
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif kind == "integer":
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = expected is None or isinstance(value, expected)
    if not good:
        return [f"expected {kind}, got {value!r:.60}"]
    if isinstance(value, str):
        form = schema.get("format")
        if form in {"int64", "uint64"} and not INTEGER_TEXT.fullmatch(value):
            return [f"{value!r:.60} is not {form} as text"]
        if form == "date-time" and not DATE_TIME.fullmatch(value):
            return [f"{value!r:.60} is not an RFC 3339 time"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r:.60} is not one of {schema['enum']}"]
    return []
