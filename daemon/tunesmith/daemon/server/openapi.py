"""The route table as an OpenAPI 3.1 document; msgspec makes the schemas."""

from __future__ import annotations

import http
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tunesmith.daemon.api.requests import API_VERSION, HOST, VERSION_HEADER
from tunesmith.daemon.server.endpoint import Endpoint, Nothing, Refusal
from tunesmith.recipes.errors import ErrorBody

REFERENCE = "#/components/schemas/{name}"
OF_EVERY_ROUTE = (
    Refusal(400, "bad_request", "a parameter or the body is not as described, or the request is no HTTP/1.1"),
    Refusal(403, "foreign_request", "it has an Origin or a Referer, or its Host is not `tunesmith`"),
    Refusal(408, "too_slow", "it did not arrive whole in time"),
    Refusal(413, "too_large", "its body is larger than 1 MB"),
    Refusal(429, "too_many_connections", "as many clients as the daemon takes are connected already"),
    Refusal(500, "internal", "the daemon made a mistake; its log has it"),
)
OTHER_VERSION = Refusal(409, "version_mismatch", f"its {VERSION_HEADER} is not the daemon's")
NOT_JSON = Refusal(415, "content_type", "it has a body that is not `application/json`")


def encoded(endpoints: Sequence[Endpoint]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document(endpoints)))


def refusals(endpoint: Endpoint) -> list[Refusal]:
    """All that `endpoint` may answer with beside its reply, by status."""
    found = [*OF_EVERY_ROUTE, *endpoint.refusals]
    if not endpoint.any_version:
        found.append(OTHER_VERSION)
    if endpoint.request is not None:
        found.append(NOT_JSON)
    return sorted(found, key=lambda one: one.status)


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    schemas = _Schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tunesmith's daemon",
            "version": str(API_VERSION),
            "description": "HTTP over the Unix socket of one user's daemon.",
        },
        "servers": [{"url": f"http://{HOST}"}],
        "paths": paths,
        "components": {"schemas": schemas.shared},
    }


class _Schemas:
    """The schema of every type the table names, those of structs shared by name."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        types: list[Any] = [ErrorBody]
        for one in endpoints:
            types += [kind for kind in (one.request, one.reply, one.stream, one.error) if kind is not None]
        found, self.shared = msgspec.json.schema_components(types, ref_template=REFERENCE)
        self._of = list(zip(types, found, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        return next(schema for other, schema in self._of if other == kind)


def parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Path, query and header parameters as OpenAPI has them."""
    found: list[dict[str, Any]] = []
    if "{id}" in endpoint.path:
        schema = {"type": "integer", "minimum": 1}
        found.append({"name": "id", "in": "path", "required": True, "schema": schema, "description": "A job's number."})
    for place, kind in (("query", endpoint.query), ("header", endpoint.headers)):
        if kind is Nothing:
            continue
        (_,), shared = msgspec.json.schema_components([kind])
        for name, schema in shared[kind.__name__]["properties"].items():
            described = dict(schema)
            text = described.pop("description", "")
            found.append({"name": name, "in": place, "required": False, "schema": described, "description": text})
    return found


def _operation(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.handler.__name__,
        "parameters": parameters(endpoint),
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.request is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": schemas.of(endpoint.request)}}}
    return operation


def _responses(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.reply is not None:
        content["application/json"] = {"schema": schemas.of(endpoint.reply)}
    if endpoint.stream is not None:
        # OpenAPI 3.1 has no word for what each event carries.
        content["text/event-stream"] = {"x-data": schemas.of(endpoint.stream)}
    found: dict[str, Any] = {
        str(status): {"description": http.HTTPStatus(status).phrase, "content": content} for status in endpoint.statuses
    }
    for status in dict.fromkeys(one.status for one in refusals(endpoint)):
        cases = "; ".join(f"{one.code}: {one.when}" for one in refusals(endpoint) if one.status == status)
        kinds = [schemas.of(kind) for kind in dict.fromkeys((endpoint.error, ErrorBody))]
        error = {"application/json": {"schema": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}}
        found[str(status)] = {"description": cases, "content": error}
    return found
