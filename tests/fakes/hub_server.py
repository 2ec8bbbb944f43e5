"""A hub on the loopback that speaks the protocols of Hugging Face and ModelScope, and can be made to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from blob import Blob

COMMIT = "5e" * 20
LARGE = 1000  # bytes from which a file is in LFS at Hugging Face: listed with its SHA-256, served from elsewhere


class Asked(NamedTuple):
    """A request for bytes of a file: its path in the repository, where it began, the host and the login it was for."""

    path: str
    start: int
    host: str
    login: str | None


class FakeHub:
    """One repository and its files, and what goes wrong.

    `refuse` is a status for every listing, `refuse_files` one for every file. `altered` are files whose bytes come
    wrong, `cut` those whose connection breaks once after so many bytes, `stalled` those that stop there and stay open.
    With `portal` a page of the network comes instead of every listing, without `ranges` files only come whole.
    A `kind` other than "dataset" is "model"; of one, `about` is what both hubs add to its description.
    """

    def __init__(
        self, repository: str, files: dict[str, Any], kind: str = "dataset", about: dict[str, Any] | None = None
    ) -> None:
        self.repository, self.kind, self.about = repository, kind, about or {}
        self.files: dict[str, bytes] = files
        self.refuse = self.refuse_files = 0
        self.portal, self.ranges = False, True
        self.altered: set[str] = set()
        self.cut: dict[str, int] = {}
        self.stalled: dict[str, int] = {}
        self.stalling = threading.Event()
        self.released = threading.Event()
        self.asked: list[Asked] = []
        self.url = ""

    @contextmanager
    def serve(self) -> Iterator[FakeHub]:
        server = Server(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return handler(self)

    def ranges_of(self, path: str) -> list[int]:
        return [asked.start for asked in self.asked if asked.path == path]

    def listed_for_huggingface(self) -> dict[str, Any]:
        siblings = []
        for path, content in self.files.items():
            sibling: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_name(content)}
            if len(content) >= LARGE:
                sibling["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 130}
            siblings.append(sibling)
        return {"id": self.repository, "sha": COMMIT, "private": False, "downloads": 0, "likes": 0, "tags": [],
                "siblings": siblings} | self.about  # fmt: skip

    def listed_for_modelscope(self, page: int, size: int) -> dict[str, Any]:
        entries = [
            {"Path": path, "Name": path.rpartition("/")[2], "Type": "blob", "Size": len(content),
             "Sha256": sha256(content), "Revision": COMMIT}
            for path, content in self.files.items()
        ]  # fmt: skip
        if self.kind == "model":  # whose listing has no pages
            return {"Code": 200, "Success": True, "Message": "", "Data": {"Files": entries}}
        of_page = entries[(page - 1) * size : page * size]
        return {"Code": 200, "Success": True, "Message": "", "Data": {"Files": of_page}}


class Server(ThreadingHTTPServer):
    """Clients that go away in the middle are what it is for: no word about them."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def sha256(content: bytes | Blob) -> str:
    return content.sha256 if isinstance(content, Blob) else hashlib.sha256(content).hexdigest()


def git_name(content: bytes | Blob) -> str:
    """Of a large file the hub lists the name of its pointer; what it is does not matter here."""
    if isinstance(content, Blob):
        return hashlib.sha1(content.sha256.encode()).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def as_of_a_dataset(parts: list[str]) -> list[str]:
    """The address of a model as that of a data set: they differ in one word, or in that it is left out."""
    if "models" in parts[:3]:
        return ["datasets" if part == "models" else part for part in parts]
    return ["datasets", *parts] if parts[2:3] == ["resolve"] else parts


def handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            parts = [unquote(part) for part in address.path.strip("/").split("/")]
            match parts if hub.kind == "dataset" else as_of_a_dataset(parts):
                case ["openapi", "v1", "datasets", owner, name]:
                    self.listing(f"{owner}/{name}", {"success": True, "data": {"id": hub.repository} | hub.about})
                case ["api", "v1", "datasets", owner, name, "repo", "files"] if hub.kind == "model":
                    self.listing(f"{owner}/{name}", hub.listed_for_modelscope(1, 0))
                case ["api", "datasets", owner, name, *_]:
                    self.listing(f"{owner}/{name}", hub.listed_for_huggingface())
                case ["datasets", owner, name, "resolve", _, *path]:
                    self.resolve(f"{owner}/{name}", "/".join(path))
                case ["cdn", *path]:
                    self.send_file("/".join(path))
                case ["api", "v1", "datasets", owner, name, "repo", "tree"]:
                    page = hub.listed_for_modelscope(int(query["PageNumber"]), int(query["PageSize"]))
                    self.listing(f"{owner}/{name}", page)
                case ["api", "v1", "datasets", owner, name, "repo"]:
                    if self.known(f"{owner}/{name}", hub.refuse_files):
                        self.send_file(query["FilePath"])
                case _:
                    self.refuse(404)

        def known(self, repository: str, refused: int) -> bool:
            if refused or repository != hub.repository:
                self.refuse(refused or 404)
                return False
            return True

        def listing(self, repository: str, listed: dict[str, Any]) -> None:
            if hub.portal:
                self.send_body(200, b"<html>Please log in to this network.</html>", {"Content-Type": "text/html"})
            elif self.known(repository, hub.refuse):
                self.send_json(200, listed)

        def resolve(self, repository: str, path: str) -> None:
            if not self.known(repository, hub.refuse_files):
                return
            if path not in hub.files:
                self.send_json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
                return
            if len(hub.files[path]) < LARGE:
                self.send_file(path)
                return
            self.send_response(302)
            elsewhere = hub.url.replace("127.0.0.1", "localhost")  # another host, as far as a client can tell
            self.send_header("Location", f"{elsewhere}/cdn/{path}")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{sha256(hub.files[path])}"')
            self.send_header("X-Linked-Size", str(len(hub.files[path])))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def refuse(self, status: int) -> None:
            codes = {401: "RepoNotFound", 403: "GatedRepo", 404: "RepoNotFound"}
            body = {"error": "refused", "Code": 10_010_205_001, "Message": "refused", "Success": False}
            self.send_json(status, body, {"X-Error-Code": codes[status]} if status in codes else {})

        def send_json(self, status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> None:
            self.send_body(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

        def send_body(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, content in headers.items():
                self.send_header(name, content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def send_file(self, path: str) -> None:
            content = hub.files[path]
            if path in hub.altered:
                content = bytes([content[0] ^ 1]) + content[1:]
            wanted = self.headers.get("Range") if hub.ranges else None
            start, end = 0, len(content)
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last) + 1, len(content)) if last else len(content)
            host = self.headers["Host"].partition(":")[0]
            hub.asked.append(Asked(path, start, host, self.headers.get("Authorization")))
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.end_headers()
            if self.command != "GET":
                return
            if (broken := hub.cut.pop(path, None)) is not None:
                self.wfile.write(content[start:broken])
                self.close_connection = True
            elif (broken := hub.stalled.pop(path, None)) is not None:
                self.wfile.write(content[start:broken])
                self.wfile.flush()
                hub.stalling.set()
                hub.released.wait()
                self.close_connection = True
            else:
                self.wfile.write(content[start:end])

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
