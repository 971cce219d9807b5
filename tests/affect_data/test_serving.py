"""The server of pages: who is answered, how much is read, how long anything is waited for, and how it ends."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from starlette.testclient import TestClient

from affect_data import serving
from affect_data.errors import DataError, UsageError
from affect_data.serving import Asked, LocalServer, assets, route


def echo(asked: Asked) -> dict[str, Any]:
    return {"number": asked.path.get("number"), "query": asked.query.multi_items(), "body": asked.body.decode()}


def fail(asked: Asked) -> None:
    raise {"data": DataError("the data"), "number": ValueError("a number")}.get(asked.query["why"], RuntimeError("why"))


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    routes = [route("/echo/{number:int}", echo), route("/take", echo, post=True), route("/fail", fail)]
    with LocalServer([*assets(files("affect_data.viewing") / "page"), *routes], 0, "affect-data view") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> TestClient:
    return TestClient(server.app, base_url=server.url)


def test_the_page_and_its_answers_come_with_a_policy(client: TestClient) -> None:
    page = client.get("")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (page.headers["cache-control"], page.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert client.get("main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("echo/7?a=1&a=2").json() == {"number": 7, "query": [["a", "1"], ["a", "2"]], "body": ""}
    assert client.post("take", content=b"text").json()["body"] == "text"


@pytest.mark.parametrize("path", ["nothing", "echo/x", "main.py", "../echo/1", "echo/1/"])
def test_what_is_not_there_is_said_in_json(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": answer.json()["error"]})


def test_mistakes_are_answers_and_defects_are_said(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    assert (client.get("fail?why=data").status_code, client.get("fail?why=data").json()["error"]) == (400, "the data")
    assert client.get("fail?why=number").status_code == 400
    defect = client.get("fail?why=other")
    assert (defect.status_code, "unexpected RuntimeError: why" in defect.json()["error"]) == (500, True)
    assert client.post("echo/1").status_code == 405
    assert capfd.readouterr() == ("", "")


def test_a_request_of_more_than_two_megabytes_is_refused(client: TestClient) -> None:
    assert client.post("take", content=b"x" * (1 << 21)).status_code == 200
    assert client.post("take", content=b"x" * ((1 << 21) + 1)).status_code == 413
    assert client.post("take", content=b"").status_code == 400


def test_a_port_that_is_taken_is_a_usage_error(server: LocalServer) -> None:
    with pytest.raises(UsageError, match=f"--port {server.address[1]}: Address already in use; leave it out"):
        LocalServer([], server.address[1], "affect-data view")


@pytest.mark.parametrize(
    "sent", ["", "GET /", "POST /{token}/take HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 50\r\n\r\n{{"]
)
def test_who_stops_in_the_middle_is_not_waited_for(
    server: LocalServer, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    assert serving.SOCKET_TIMEOUT == 30
    monkeypatch.setattr(serving, "SOCKET_TIMEOUT", 0.2)
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(sent.format(token=server.token, port=server.address[1]).encode())
        assert connection.recv(100)[:12] in (b"", b"HTTP/1.1 408")


def test_a_browser_that_leaves_during_an_answer_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    left, sent = threading.Event(), threading.Event()

    def slow(_: Asked) -> dict[str, str]:
        left.wait(10)
        sent.set()
        return {"much": "x" * 1_000_000}

    with LocalServer([route("/slow", slow), route("/echo/{number:int}", echo)], 0, "affect-data view") as running:
        with socket.create_connection(running.address) as connection:
            head = f"GET /{running.token}/slow HTTP/1.1\r\nHost: 127.0.0.1:{running.address[1]}\r\n\r\n"
            connection.sendall(head.encode())
            time.sleep(0.1)
        left.set()
        assert sent.wait(10)
        connection = http.client.HTTPConnection(*running.address, timeout=10)
        connection.request("GET", f"/{running.token}/echo/1")
        assert json.loads(connection.getresponse().read())["number"] == 1
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_ends_a_server_in_time_although_browsers_stay(tmp_path: Path) -> None:
    program = (
        "from affect_data.entry import run_entry_point\nfrom affect_data.serving import LocalServer\n"
        "def serve():\n    with LocalServer([], 0, 'x') as server:\n        print(server.url, flush=True)\n        server.wait()\n"
        "    print('ended')\nrun_entry_point(serve)\n"
    )
    with Popen([sys.executable, "-c", program], stdout=PIPE, stderr=PIPE, text=True, env=dict(os.environ)) as running:
        assert running.stdout is not None
        port = int(running.stdout.readline().split("/")[2].split(":")[1])
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"GET /")
            time.sleep(0.2)
            running.send_signal(signal.SIGINT)
            out, log = running.communicate(timeout=20)
    assert (running.returncode, out, log) == (0, "ended\n", "")
