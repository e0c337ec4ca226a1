"""A loopback server for one page: it answers this machine alone, and nothing but the page."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from exact2vec.errors import Exact2VecError, ResourceError
from exact2vec.vectors.vectors import Vectors

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 20
CONNECTIONS = 64  # at once; where more come, the one that was silent longest is closed
SECONDS = 10.0  # to send a request and to take the answer
LINGER_SECONDS, LINGER_BYTES = 0.5, 1 << 16  # what is read of a body that is not wanted
WORD_CHARACTERS = 1000  # of a word that is asked for
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"
WRONG_HOST = b"this server answers 127.0.0.1 alone\n"
OTHER_SITE = b"this server answers its own page, not those of other sites\n"


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


def loopback_server(page: bytes, vectors: Vectors | None, port: int) -> "Server":
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
    """Answers each connection in a thread of its own, so many at once, each for so long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = (
        os.name == "posix"
    )  # there it frees a port at once, and never shares one; elsewhere it would share

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._lock = threading.Lock()
        self._since: dict[Any, float] = {}  # connections, and when they began or were heard
        self._heard: set[Any] = set()  # those whose request has come
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._has_room():
            with contextlib.suppress(OSError):
                request.sendall(BUSY)
            return self.shutdown_request(request)
        with self._lock:
            self._since[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started now
            self.shutdown_request(request)

    def heard(self, request: Any) -> None:
        """The request of a connection has come; what follows has time of its own."""
        with self._lock:
            if request in self._since:
                self._since[request] = time.monotonic()
                self._heard.add(request)

    def service_actions(self) -> None:
        """Called twice a second: connections that take too long are closed."""
        with self._lock:
            for request, since in list(self._since.items()):
                if since < time.monotonic() - SECONDS:
                    self._wake(request)

    def _has_room(self) -> bool:
        """Whether one more connection can be taken: a full house loses the longest silent one."""
        with self._lock:
            if len(self._since) < CONNECTIONS:
                return True
            silent = [request for request in self._since if request not in self._heard]
            if silent:
                self._wake(min(silent, key=self._since.__getitem__))
            return bool(silent)

    def _wake(self, request: Any) -> None:
        """End the waiting of the thread that answers a connection."""
        self._forget(request)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def _forget(self, request: Any) -> None:
        self._since.pop(request, None)
        self._heard.discard(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection so that the client gets the answer, though it sent more than read."""
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            request.settimeout(LINGER_SECONDS)
            left, until = LINGER_BYTES, time.monotonic() + LINGER_SECONDS
            while left > 0 and time.monotonic() < until and (data := request.recv(left)):
                left -= len(data)
        with self._lock:
            self._forget(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no fault; another fault is one line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"exact2vec: a request failed: {error!r}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """Answers GET / with the page, GET /composed?word=W with what is known of an unseen word.

    Any other Host and other sites are 403, any other path 404, any other method 405, and what is
    no request 400.
    """

    page: bytes
    vectors: Vectors | None
    server_version, sys_version = "exact2vec", ""
    timeout = SECONDS

    def parse_request(self) -> bool:
        """Whether a request has come that is understood; it is answered otherwise."""
        if not self.raw_requestline.strip():
            self.send_error(400)
            return False
        if not super().parse_request():
            return False
        if self.headers.defects:
            self.send_error(400)
            return False
        cast(Server, self.server).heard(self.connection)
        return True

    def do_GET(self) -> None:
        if (refusal := self.refusal()) is not None:
            return self.answer(*refusal)
        try:
            address = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(address.query, max_num_fields=10)
        except ValueError:
            return self.answer(400, b"this is no address\n")
        if address.path in ("/", "/index.html"):
            return self.answer(200, self.page, "text/html; charset=utf-8")
        if address.path == "/composed" and self.vectors is not None:
            word = query.get("word", [""])[0]
            found = unseen_word(self.vectors, word) if len(word) <= WORD_CHARACTERS else None
            if found is not None:
                return self.answer(200, json.dumps(found).encode(), "application/json")
        return self.answer(404, b"there is no such page\n")

    do_HEAD = do_GET

    def refusal(self) -> tuple[int, bytes] | None:
        """Why a request is not answered: another Host, none, several, or another site."""
        port = cast(Server, self.server).server_port
        own = (f"{LOOPBACK}:{port}", f"localhost:{port}")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) > 1:
            return 400, b"one Host is wanted\n"
        asked = [*hosts, *_host_of(self.path)]
        if not hosts or any(host not in own for host in asked):
            return 403, WRONG_HOST
        site = self.headers.get("Sec-Fetch-Site", "none")
        visited = site == "same-site" and self.headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in ("none", "same-origin") and not visited:
            return 403, OTHER_SITE
        return None

    def __getattr__(self, name: str) -> Any:
        """The answer to any other method, known or not."""
        if name.startswith("do_"):
            return self.refuse
        raise AttributeError(name)

    def refuse(self) -> None:
        self.answer(*(self.refusal() or (405, b"only GET\n")))

    def answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.request_version = "HTTP/1.0"  # an answer has a status, whatever was asked
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS} | (
            {"Allow": "GET, HEAD"} if status == 405 else {}
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: Any = None, explain: Any = None) -> None:
        """What http.server finds wrong with a request, in our words."""
        self.close_connection, self.command, self.requestline = True, "", ""
        self.answer(400, b"this is no request that is understood\n")

    def log_message(self, format: str, *values: Any) -> None:
        pass


def _host_of(path: str) -> list[str]:
    """The host of an address that is written in full, as proxies are asked."""
    scheme, found, rest = path.partition("://")
    return [rest.split("/", 1)[0]] if found and scheme.isalpha() else []


def unseen_word(vectors: Vectors, word: str) -> dict[str, Any] | None:
    """What stands near a word (log p) and its neighbours (cosine).

    None but for a word that has a vector and was not trained.
    """
    if word in vectors.key_to_index or word not in vectors:
        return None
    try:
        log_p = vectors.log_probabilities(word)
        near = vectors.most_similar(word, topn=12)
    except Exact2VecError:
        return None
    top = (-log_p).argsort(kind="stable")[:12]
    return {
        "p": [[vectors.index_to_key[place], float(log_p[place])] for place in top],
        "neighbours": near,
    }
