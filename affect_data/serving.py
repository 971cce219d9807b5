"""Serves a page to browsers on this machine: on the loopback address only, behind a secret token in the URL.

Starlette answers and uvicorn speaks HTTP; here is what makes them safe beside faces: who may ask, how much, and for how long nothing may come.
"""

import asyncio
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final, Self

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from affect_data.bounds import SOCKET_TIMEOUT
from affect_data.errors import AffectError, UsageError
from affect_data.interrupts import interrupt_handled

LOOPBACK: Final = "127.0.0.1"
LARGEST_REQUEST: Final = 1 << 21
"""Bytes; a decision about many rows names each, and the decision about it that the page showed."""

LONGEST_HEADERS: Final = 1 << 16
MOST_CONNECTIONS: Final = 200
GRACE: Final = 1
"""Seconds that answers under way have when the server ends."""

CHECK: Final = 0.2
"""Seconds after which the main thread looks for a Ctrl-C."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KINDS: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class Asked:
    """What a browser asks.

    Attributes:
        path: the parameters of the route.
        query: what stands behind the question mark.
        body: of a POST.
    """

    path: Mapping[str, Any]
    query: QueryParams
    body: bytes = b""


class RefusedError(AffectError):
    """A request that is not answered, with the status of HTTP that says why."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


Answer = Callable[[Asked], Any]
"""Answers with a `Response`, or with a document that becomes JSON. It runs in a thread; several may run at once."""


def route(path: str, answer: Answer, *, post: bool = False) -> Route:
    """A route of the page.

    Args:
        path: as Starlette writes it, after the token.
        answer: makes the answer; our own errors become status 400 with their message.
        post: whether it is a POST with a body; else it is a GET.
    """

    async def respond(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_body(request), SOCKET_TIMEOUT) if post else b""
            found = await run_in_threadpool(answer, Asked(request.path_params, request.query_params, body))
        except TimeoutError:
            return refusal(408, "the request did not arrive in time")
        except RefusedError as error:
            return refusal(error.status, str(error))
        except (AffectError, ValidationError, ValueError, IndexError, KeyError, ClientDisconnect) as error:
            return refusal(400, str(error))
        except Exception as error:
            # The page says so, and the terminal stays readable.
            return refusal(
                500, f"unexpected {type(error).__name__}: {error}; this is a defect of affectkit, please report it"
            )
        return found if isinstance(found, Response) else as_json(found)

    return Route(path, respond, methods=["POST" if post else "GET"])


def assets(folder: Traversable) -> list[Route]:
    """Routes for the files of a page; ``index.html`` is the page itself."""
    routes = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _KINDS:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            kind = f"{_KINDS[suffix]}; charset=utf-8"
            routes.append(route(path, _sends(file, kind)))
    return routes


def _sends(file: Traversable, kind: str) -> Answer:
    return lambda _: Response(file.read_bytes(), media_type=kind)


def as_json(document: object, status: int = 200) -> Response:
    """An answer of JSON."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status, media_type="application/json; charset=utf-8")


def refusal(status: int, message: str) -> Response:
    """An answer that says why there is none."""
    return as_json({"error": message}, status)


def guarded(routes: Sequence[Route], token: str, port: int, command: str) -> ASGIApp:
    """An application that answers only its own page, on this machine and at a port, below a token; `LocalServer` says more."""
    pages = Starlette(routes=list(routes), exception_handlers={HTTPException: _nothing_here})
    pages.router.redirect_slashes = False
    return _Guard(pages, token, port, command)


class LocalServer:
    """An HTTP server for the browsers of this machine.

    Args:
        routes: of the page, below the token.
        port: 0 lets the system choose.
        command: names what prints the address, for who comes without the token.

    Raises:
        UsageError: the port is taken.
    """

    def __init__(self, routes: Sequence[Route], port: int, command: str) -> None:
        self.token = secrets.token_urlsafe(24)
        self._socket = _listening(port)
        self.address: tuple[str, int] = self._socket.getsockname()
        self.app = guarded(routes, self.token, self.address[1], command)
        config = uvicorn.Config(
            self.app,
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,  # a request line holds the token
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LONGEST_HEADERS,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)
        # In a thread of its own, so that uvicorn leaves signals to us.
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def url(self) -> str:
        """The URL of the page; everybody who knows it may decide."""
        return f"http://{LOOPBACK}:{self.address[1]}/{self.token}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def wait(self) -> None:
        """Waits for Ctrl-C, which is the ordinary end of the server."""
        try:
            # In steps: the system may hand the signal to another thread, and the main one then has to look.
            while self._thread.is_alive():
                self._thread.join(CHECK)
        except KeyboardInterrupt:
            interrupt_handled()


class _Guard:
    """Lets only requests through that come from this page on this machine; every path begins with the token."""

    def __init__(self, app: ASGIApp, token: str, port: int, command: str) -> None:
        self.app, self.token, self.command = app, token, command
        self.names = (f"{LOOPBACK}:{port}", f"localhost:{port}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if message["status"] >= 400:
                    # The body of a refused request may not have been read.
                    headers["Connection"] = "close"
            await send(message)

        await (self._refused(scope) or self.app)(_without_token(scope), receive, send_with_headers)

    def _refused(self, scope: Scope) -> Response | None:
        # A page of another site can reach a loopback address under its own host name, so only our names are served.
        headers = Headers(scope=scope)
        if headers.get("host") not in self.names:
            return refusal(403, "this server answers on the loopback address only")
        if headers.get("origin") not in (None, *(f"http://{name}" for name in self.names)):
            return refusal(403, "this server answers its own page only")
        if not hmac.compare_digest(scope["path"].split("/")[1].encode(), self.token.encode()):
            return refusal(404, f"nothing here; use the address that `{self.command}` printed")
        return None


class _Impatient(H11Protocol):
    """Ends a connection on which no whole request head has come for `SOCKET_TIMEOUT` seconds."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_again()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_again()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _wait_again(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(SOCKET_TIMEOUT, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        # Already here, so that a browser that is quicker than the thread waits.
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port}: {error.strerror}; leave it out to have a free one chosen") from None
    return listening


def _without_token(scope: Scope) -> Scope:
    rest = scope["path"].split("/", 2)
    return {**scope, "path": "/" + (rest[2] if len(rest) > 2 else ""), "root_path": ""}


def _nothing_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, "nothing here" if error.status_code == 404 else error.detail)


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_REQUEST:
            raise RefusedError(413, f"a request has at most {LARGEST_REQUEST} bytes")
    if not body:
        raise RefusedError(400, "the request is empty")
    return body
