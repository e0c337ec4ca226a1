"""The explorer's server: this machine alone, one page, GET alone; its port is freed."""

import functools
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command_line import call
from hostile import PLAIN, model

import exact2vec as e2v
from exact2vec.errors import ResourceError
from exact2vec.pages import serve


@pytest.fixture(scope="module")
def server():
    server = serve.loopback_server(b"<!doctype html>page", model(epochs=0).wv, 18765)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server, path="/", method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host is not False:
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_and_its_headers(server):
    answer, body = ask(server)
    assert (answer.status, body) == (200, b"<!doctype html>page")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, host=f"localhost:{server.server_port}")[0].status == 200
    head, nothing = ask(server, method="HEAD")
    assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", "19")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:18765",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example",
        "",
        False,
    ],
)
@pytest.mark.parametrize("path", ["/", "/composed?word=sun"])
def test_another_host_or_none_is_forbidden(server, host, path):
    answer, body = ask(server, path, host=host or (False if host is False else " "))
    assert answer.status == 403
    assert b"page" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/index.html/",
        "/composed",
        "/composed?word=nosuchword",
        "/x",
    ],
)
def test_no_other_path_exists(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404
    assert b"root" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get(server, method):
    answer, _ = ask(server, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_trained_words_are_not_composed(server):
    assert serve.unseen_word(model(epochs=0).wv, PLAIN[0]) is None


def test_it_binds_loopback_alone_and_takes_the_next_free_port(server):
    assert server.server_address[0] == "127.0.0.1"
    other = serve.loopback_server(b"", None, server.server_port)
    assert other.server_port == server.server_port + 1
    other.server_close()


def test_no_free_port_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(serve, "PORTS_TRIED", 1)
    with (
        socket.create_server(("127.0.0.1", 0)) as held,
        pytest.raises(ResourceError, match=r"no port from .* is free; name another with --port"),
    ):
        serve.loopback_server(b"", None, held.getsockname()[1])


def test_the_command_serves_until_ctrl_c_and_frees_the_port():
    command = [sys.executable, "-m", "exact2vec", "explore", "--port", "18865"]
    environment = {**os.environ, "PYTHONPATH": str(Path(e2v.__file__).parents[1])}
    listening = functools.partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # a suite in the background ignores it, and so would its children
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=listening
    )
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stderr.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert b"What the loss does" in connection.getresponse().read()
        connection.close()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    again = serve.loopback_server(b"", None, port)
    assert again.server_port == port
    again.server_close()


def test_the_folder_is_not_replaced_without_force(tmp_path):
    command = ["explore", "-o", tmp_path / "play"]
    assert call(*command).exit_code == 0
    assert call(*command).exit_code == 2
    assert call(*command, "--force").exit_code == 0
    page = (tmp_path / "play" / "index.html").read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', page)[1]) == {
        "run": None,
        "kind": {"one": "word", "many": "words"},
    }
