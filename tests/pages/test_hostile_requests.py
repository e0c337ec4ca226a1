"""The explorer's server among hostile clients: answers, and nothing but answers."""

import contextlib
import random
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hostile import model

from exact2vec.pages import serve

PAGE = b"<!doctype html>page" * 1000
OWN = "Host: 127.0.0.1:{port}\r\n"
REQUESTS = {  # what is sent, and the status that comes
    "page": (f"GET / HTTP/1.1\r\n{OWN}\r\n", 200),
    "head": (f"HEAD / HTTP/1.0\r\n{OWN}\r\n", 200),
    "own script": (f"GET / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: same-origin\r\n\r\n", 200),
    "typed": (f"GET / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: none\r\n\r\n", 200),
    "link beside": (
        f"GET / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\n\r\n",
        200,
    ),
    "unseen word": (f"GET /composed?word=sunny HTTP/1.1\r\n{OWN}\r\n", (200, 404)),
    "long word": (f"GET /composed?word={'sun' * 9000} HTTP/1.1\r\n{OWN}\r\n", 404),
    "odd word": (f"GET /composed?word=%ff%00%ed%a0%80%0a HTTP/1.1\r\n{OWN}\r\n", (200, 404)),
    "many fields": (f"GET /?{'a=b&' * 99} HTTP/1.1\r\n{OWN}\r\n", 400),
    "other site": (f"GET / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: cross-site\r\n\r\n", 403),
    "script beside": (f"GET / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: same-site\r\n\r\n", 403),
    "other site's word": (
        f"GET /composed?word=sunny HTTP/1.1\r\n{OWN}Sec-Fetch-Site: cross-site\r\n\r\n",
        403,
    ),
    "other host": ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 403),
    "two hosts": (f"GET / HTTP/1.1\r\n{OWN}Host: evil.example\r\n\r\n", 400),
    "proxy": (f"GET http://evil.example/ HTTP/1.1\r\n{OWN}\r\n", 403),
    "bad address": (f"GET http://[ HTTP/1.1\r\n{OWN}\r\n", 403),
    "path": (f"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n{OWN}\r\n", 404),
    "post": (f"POST / HTTP/1.1\r\n{OWN}Content-Length: 30000\r\n\r\n" + "a" * 30_000, 405),
    "other site's post": (f"POST / HTTP/1.1\r\n{OWN}Sec-Fetch-Site: cross-site\r\n\r\n", 403),
    "unknown method": (f"BREW / HTTP/1.1\r\n{OWN}\r\n", 405),
    "old": ("GET /\r\n\r\n", 403),
    "new": (f"GET / HTTP/2.0\r\n{OWN}\r\n", 400),
    "version": (f"GET / HTTP/one\r\n{OWN}\r\n", 400),
    "one word": ("GET\r\n\r\n", 400),
    "empty line": ("\r\n\r\n", 400),
    "signs": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "long line": (f"GET /{'a' * 70_000} HTTP/1.1\r\n{OWN}\r\n", 400),
    "long header": (f"GET / HTTP/1.1\r\n{OWN}A: {'a' * 70_000}\r\n\r\n", 400),
    "many headers": (f"GET / HTTP/1.1\r\n{OWN}" + "A: b\r\n" * 200 + "\r\n", 400),
    "no header": (f"GET / HTTP/1.1\r\n{OWN}nonsense\r\n\r\n", 400),
}
RUDE = ("leaves", "resets", "half a request", "says nothing")  # and get no answer


@pytest.fixture(scope="module")
def server():
    server = serve.loopback_server(PAGE, model(epochs=0).wv, 19765)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=20)


def status_of(server, request):
    with connected(server) as connection:
        with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
            connection.sendall(request.format(port=server.server_port).encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.0 "), (request[:60], answer[:60])
    status = int(answer[9:12])
    assert status == 200 or PAGE not in answer
    return status


def be_rude(server, how):
    connection = connected(server)
    if how == "resets":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "half a request":
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127")
    elif how != "says nothing":
        connection.sendall(
            OWN.join(["GET / HTTP/1.1\r\n", "\r\n"]).format(port=server.server_port).encode()
        )
    connection.close()


@pytest.mark.parametrize("name", REQUESTS)
def test_each_request_has_its_answer(server, name):
    request, expected = REQUESTS[name]
    assert status_of(server, request) in (expected if isinstance(expected, tuple) else (expected,))


def many_requests(server, size):
    """So many requests by eight clients, a fifth of them by rude ones; the wrong answers."""
    chosen = random.Random(1).choices([*REQUESTS, *RUDE * 2], k=size)

    def ask(name):
        if name in RUDE:
            return be_rude(server, name)
        request, expected = REQUESTS[name]
        status = status_of(server, request)
        right = status in (expected if isinstance(expected, tuple) else (expected,))
        return None if right else (name, status)

    with ThreadPoolExecutor(8) as clients:
        return [wrong for wrong in clients.map(ask, chosen) if wrong]


def is_at_rest(server):
    until = time.monotonic() + serve.SECONDS + 5
    while server._since and time.monotonic() < until:
        time.sleep(0.05)
    return not server._since and not server._heard


@pytest.mark.parametrize("size", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_hostile_requests_among_others_get_nothing_but_answers(server, capfd, size):
    before = threading.active_count()
    assert many_requests(server, size) == []
    assert is_at_rest(server)
    assert status_of(server, REQUESTS["page"][0]) == 200
    time.sleep(0.2)
    assert threading.active_count() <= before + 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("idle", [20, 2 * serve.CONNECTIONS])
def test_idle_clients_neither_stop_others_nor_stay(server, monkeypatch, idle):
    monkeypatch.setattr(serve, "SECONDS", 1.0)
    monkeypatch.setattr(serve.Handler, "timeout", 1.0)
    silent = [connected(server) for _ in range(idle)]
    began = time.monotonic()
    assert status_of(server, REQUESTS["page"][0]) == 200
    assert len(server._since) <= serve.CONNECTIONS
    for connection in silent:
        assert connection.recv(1) == b""
        connection.close()
    assert time.monotonic() - began < 15
    assert is_at_rest(server)


def test_a_client_that_sends_a_letter_now_and_then_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(serve, "SECONDS", 1.0)
    with connected(server) as connection, contextlib.suppress(ConnectionError):
        connection.settimeout(0.05)
        for sign in b"GET / HTTP/1.1\r\nA: " + b"a" * 200:
            connection.sendall(bytes([sign]))
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1) == b""
                break
        else:
            pytest.fail("it was let send on")
    assert is_at_rest(server)


def test_a_fault_of_the_server_is_one_line_and_no_traceback(server, monkeypatch, capfd):
    def broken(vectors, word):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(serve, "unseen_word", broken)
    with connected(server) as connection:
        connection.sendall(REQUESTS["unseen word"][0].format(port=server.server_port).encode())
        connection.recv(1)
    assert capfd.readouterr().err == "exact2vec: a request failed: ZeroDivisionError('a bug')\n"
