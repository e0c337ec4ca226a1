"""A loopback server for one page: it answers this machine alone, and nothing but the page."""

import json
import os
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from exact2vec.errors import ResourceError, UnknownWordError, UsageError
from exact2vec.vectors.vectors import Vectors

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 20
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def serve(
    page: bytes,
    vectors: Vectors | None = None,
    *,
    port: int = 8765,
    ready: Callable[[str], None] = print,
) -> None:
    """Answer until interrupted; `ready` is told the address.

    A port in use gives way to the next free one.
    """
    server = loopback_server(page, vectors, port)
    try:
        ready(f"http://{LOOPBACK}:{server.server_port}/")
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def loopback_server(page: bytes, vectors: Vectors | None, port: int) -> ThreadingHTTPServer:
    """A server bound to 127.0.0.1 at `port` or the next free of 20; ResourceError for none."""
    handler = type("PageHandler", (Handler,), {"page": page, "vectors": vectors})
    for number in range(port, min(port + PORTS_TRIED, 65536)):
        try:
            return Server((LOOPBACK, number), handler)
        except OSError:
            continue
    raise ResourceError(
        f"no port from {port} to {port + PORTS_TRIED - 1} is free; name another with --port"
    )


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = (
        os.name == "posix"
    )  # there it frees a port at once, and never shares one; elsewhere it would share


class Handler(BaseHTTPRequestHandler):
    """Answers GET / with the page, GET /composed?word=W with what is known of an unseen word.

    Any other Host is 403, any other path 404, any other method 405.
    """

    page: bytes
    vectors: Vectors | None
    server_version, sys_version = "exact2vec", ""

    def do_GET(self) -> None:
        port = cast(Server, self.server).server_port
        if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            return self.answer(403, b"this server answers 127.0.0.1 alone\n")
        address = urllib.parse.urlsplit(self.path)
        if address.path in ("/", "/index.html"):
            return self.answer(200, self.page, "text/html; charset=utf-8")
        if address.path == "/composed" and self.vectors is not None:
            word = urllib.parse.parse_qs(address.query).get("word", [""])[0]
            if (found := unseen_word(self.vectors, word)) is not None:
                return self.answer(200, json.dumps(found).encode(), "application/json")
        return self.answer(404, b"there is no such page\n")

    do_HEAD = do_GET

    def refuse(self) -> None:
        self.answer(405, b"only GET\n")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = refuse

    def answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS} | (
            {"Allow": "GET, HEAD"} if status == 405 else {}
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        pass


def unseen_word(vectors: Vectors, word: str) -> dict[str, Any] | None:
    """What stands near a word (log p) and its neighbours (cosine).

    None but for a word that has a vector and was not trained.
    """
    if word in vectors.key_to_index or word not in vectors:
        return None
    try:
        log_p = vectors.log_probabilities(word)
        near = vectors.most_similar(word, topn=12)
    except (UnknownWordError, UsageError):
        return None
    top = (-log_p).argsort(kind="stable")[:12]
    return {
        "p": [[vectors.index_to_key[place], float(log_p[place])] for place in top],
        "neighbours": near,
    }
