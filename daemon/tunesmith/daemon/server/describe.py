"""The route table as docs/api.md: `python -m tunesmith.daemon.server.describe > docs/api.md`."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tunesmith.daemon.api import images
from tunesmith.daemon.api.requests import API_VERSION, HOST, VERSION_HEADER
from tunesmith.daemon.server import acceptor, broadcast, connection, guard, openapi, tcp
from tunesmith.daemon.server.endpoint import Endpoint, Refusal
from tunesmith.daemon.serving import engines

CURL = "curl --unix-socket ~/.local/share/tunesmith/run/daemon.sock"
INTRODUCTION = f"""\
# The daemon's API

<!-- Made by `python -m tunesmith.daemon.server.describe > docs/api.md` from the route table in
daemon/tunesmith/daemon/server/app.py; a test compares them. -->

HTTP/1.1 and JSON over a Unix socket that only its own user can reach; the wizard and every command use nothing else.
`GET /v1/openapi.json` has the same description as an OpenAPI 3.1 document.

## Rules of every route

- **Who may ask.** The socket lies in a folder of mode 0700, has mode 0600, and whoever connects must be of the same
  user. Nothing listens on TCP, but for the OpenAI routes when asked ([serve.md](serve.md)). The Host is `{HOST}`; a
  request with an Origin, a Referer or another Host is refused.
- **Version.** Every reply has the header `{VERSION_HEADER}: {API_VERSION}`. A request may have it too; another number
  is refused with `version_mismatch`, except where a route says that it answers every version.
- **Strict.** Unknown fields, unknown or repeated query parameters, wrong types and bodies where none belongs are
  refused. A body is JSON with `Content-Type: application/json`; without one every field is as it is by default.
- **Errors** are JSON, `{{"code": ..., "message": ..., "hint": ...}}`: the code is stable, the message says what and
  where, the hint what to do next. A status of 429 has a Retry-After.
- **Numbers.** Times are seconds since the epoch, durations seconds, sizes bytes.

## Bounds

| what | at most |
|---|---|
{{bounds}}

## Event streams

`GET /v1/jobs/{{{{id}}}}/events` is a stream of server-sent events, each with one JSON object in `data`. A job's events
are numbered 1, 2, 3 without a gap, in `id`. Ask with `Last-Event-ID` for those that follow the last one seen: they are
read from the disk, however many they are, and then the stream goes on live. It ends after the job's last event.

- `gauged` says how the machine does. It has no `id`, is no part of the history, and a slow reader gets the newest only.
- `gap` has no `id` either. It is sent to a reader that was live and then fell too far behind: the events `from` to `to`
  are left out, and the stream goes on after them. Nothing is lost: come back with `Last-Event-ID: <from - 1>` for all
  of them, or take the job's view (`GET /v1/jobs/{{{{id}}}}`), which has them folded in.
- A line that begins with a colon is a sign of life, at least every ten seconds.
"""


def markdown(endpoints: Sequence[Endpoint]) -> str:
    bounds = "\n".join(f"| {what} | {most} |" for what, most in _bounds())
    text = INTRODUCTION.replace("{bounds}", bounds).replace("{{id}}", "{id}")
    document = openapi.document(endpoints)
    parts = [text, "## Routes\n", *itertools.chain.from_iterable(_route(one, document) for one in endpoints)]
    parts += ["## Errors of every route\n", _refusals(openapi.OF_EVERY_ROUTE), "", "## Structures\n"]
    parts.append("A field with a default may be left out. Events and requests refuse what is not listed.\n")
    parts += itertools.chain.from_iterable(
        _structure(name, schema) for name, schema in sorted(document["components"]["schemas"].items())
    )
    return "\n".join(parts).rstrip() + "\n"


def _bounds() -> Iterator[tuple[str, str]]:
    yield "a request's body", f"{guard.BODY_LIMIT_BYTES:,} bytes, {guard.DEPTH_LIMIT} levels of JSON"
    yield "one of a chat, where images may go with it", f"{images.REQUEST_BYTES:,} bytes, {images.IMAGES} images"
    yield "a request's head", f"{connection.HEAD_LIMIT_BYTES:,} bytes"
    yield "time for a request to arrive", f"{connection.REQUEST_WITHIN_S} s"
    yield "time for a reply to be read", f"{connection.READ_WITHIN_S} s without progress"
    yield "connections", f"{acceptor.CONNECTIONS}, fewer where the system gives fewer descriptors"
    yield "event streams", f"{broadcast.STREAMS}, or five sixths of the connections"
    yield "what a live reader may be behind", f"{broadcast.WINDOW_BYTES:,} bytes of events, then a `gap`"
    yield "connections over TCP", f"{tcp.CONNECTIONS}"
    yield "questions under way or waiting for an answer", f"{engines.WAITING}"
    yield "models in memory", f"{engines.KEPT}, fewer where they do not fit"
    yield "jobs that wait", "200"


def _route(endpoint: Endpoint, document: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {endpoint.method} {endpoint.path}\n"
    yield endpoint.summary + (" Answers clients of every version.\n" if endpoint.any_version else "\n")
    if described := openapi.parameters(endpoint):
        yield "| parameter | in | type | meaning |\n|---|---|---|---|"
        for one in described:
            schema = one["schema"]
            yield f"| `{one['name']}` | {one['in']} | {_type(schema)}{_default(schema)} | {one['description']} |"
        yield ""
    responses = document["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    content = responses[str(endpoint.statuses[0])]["content"]
    carried = _carried(content)
    if endpoint.request is not None:
        yield f"Takes [`{endpoint.request.__name__}`](#{endpoint.request.__name__.lower()})."
    yield f"{carried}, with status {' or '.join(map(str, endpoint.statuses))}.\n"
    yield f"```bash\n{_curl(endpoint)}\n```\n"
    if endpoint.refusals:
        yield _refusals(endpoint.refusals) + "\n"


def _carried(content: Mapping[str, Any]) -> str:
    """`Gives X`, `Streams Y`, or `Gives X or streams Y`."""
    gives = [f"gives {_type(one['schema'])}" for one in content.values() if "schema" in one]
    streams = [f"streams {_type(one['x-data'])}" for one in content.values() if "x-data" in one]
    text = " or ".join([*gives, *streams])
    return text[0].upper() + text[1:]


def _curl(endpoint: Endpoint) -> str:
    command = [CURL]
    if endpoint.stream is not None:
        command.append("-N")
    if endpoint.method != "GET":
        command.append(f"-X {endpoint.method}")
    if endpoint.request is not None:
        command.append(f"-H 'Content-Type: application/json' -d '{endpoint.example}'")
    return " ".join([*command, f"http://{HOST}{endpoint.path.replace('{id}', '1')}"])


def _refusals(refusals: Sequence[Refusal]) -> str:
    rows = [f"| {one.status} | `{one.code}` | {one.when} |" for one in refusals]
    return "\n".join(["| status | code | when |", "|---|---|---|", *rows])


def _structure(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if text := schema.get("description"):
        yield re.sub(r"\s+", " ", text) + "\n"
    fields = {key: kind for key, kind in schema.get("properties", {}).items() if key != "type"}
    if (tag := schema.get("properties", {}).get("type", {}).get("enum")) is not None:
        yield f"`type` is `{tag[0]}`.\n"
    if fields:
        yield "| field | type |\n|---|---|"
        for key, kind in fields.items():
            yield f"| `{key}` | {_type(kind)}{_default(kind)} |"
        yield ""


def _default(schema: Mapping[str, Any]) -> str:
    match schema.get("default", ...):
        case value if value is ...:
            return ""
        case list() | dict() as value if value:
            return ", has a default"
        case value:
            return f", default `{msgspec.json.encode(value).decode()}`"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    match schema.get("type"):
        case "array" if schema.get("items"):
            return f"list of {_type(schema['items'])}"
        case "object" if schema.get("additionalProperties"):
            return f"object of {_type(schema['additionalProperties'])}"
        case None:
            return "anything"
        case kind:
            return str(kind)


if __name__ == "__main__":
    from tunesmith.daemon.server.app import ENDPOINTS

    sys.stdout.write(markdown(ENDPOINTS))
