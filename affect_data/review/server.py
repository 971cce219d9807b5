"""Serves a review to a browser on this machine: on the loopback address only, behind a secret token in the URL."""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affect_data.bounds import SOCKET_TIMEOUT
from affect_data.corrections.decisions import Labels
from affect_data.errors import AffectError, DataError, UsageError
from affect_data.review.session import DecidedMeanwhileError, ReviewSession
from affect_data.vocabulary import ACTION_UNIT_NAMES, COMPOUND_EXPRESSIONS, EXPRESSIONS

LOOPBACK: Final = "127.0.0.1"
LARGEST_REQUEST: Final = 1 << 16

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSETS: Final = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class _Choice(BaseModel):
    """The page's request to record a decision."""

    model_config = ConfigDict(extra="forbid")

    index: int
    action: str = Field(pattern="^(keep|change|skip)$")
    new: Labels = Labels()
    why: str = Field("", max_length=2000)
    seen: str = ""


class _Undo(BaseModel):
    """The page's request to take a decision back."""

    id: str


class ReviewServer(ThreadingHTTPServer):
    """An HTTP server for one review.

    Args:
        session: the review.
        port: 0 lets the system choose.

    Raises:
        UsageError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, session: ReviewSession, port: int = 0) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UsageError(f"--port {port}: {error.strerror}; leave it out to have a free one chosen") from None

    @property
    def url(self) -> str:
        """The URL of the page; everybody who knows it may decide."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. Every path begins with the token; others are not found."""

    server: ReviewServer
    server_version = "affectkit"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SOCKET_TIMEOUT

    def do_GET(self) -> None:
        """Sends the page, an item or a picture."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Takes a decision."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Says nothing: a request line holds the token."""

    def _answer(self, respond: Callable[[str, dict[str, list[str]]], None]) -> None:
        # A page of another site can reach a loopback address under its own host name, so only our names are served.
        port = self.server.server_address[1]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            self._send_error(HTTPStatus.FORBIDDEN, "this server answers on the loopback address only")
            return
        if origin not in (None, f"http://{LOOPBACK}:{port}", f"http://localhost:{port}"):
            self._send_error(HTTPStatus.FORBIDDEN, "this server answers its own page only")
            return
        url = urlsplit(self.path)
        token, _, path = url.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._send_error(HTTPStatus.NOT_FOUND, "nothing here; use the address that `affect-data review` printed")
            return
        try:
            respond(path, parse_qs(url.query))
        except DecidedMeanwhileError as error:
            self._send_error(HTTPStatus.CONFLICT, str(error))
        except (AffectError, ValidationError, ValueError, IndexError, KeyError) as error:
            self._send_error(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, path: str, query: dict[str, list[str]]) -> None:
        session = self.server.session
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            self._send((files("affect_data.review") / name).read_bytes(), kind)
        elif path == "overview":
            names = {"expressions": EXPRESSIONS, "compound_expressions": COMPOUND_EXPRESSIONS}
            self._send_json({**session.overview(), **names, "action_units": dict(ACTION_UNIT_NAMES)})
        elif path == "next":
            self._send_json({"next": session.next_open(int(query["after"][0]))})
        elif found := re.fullmatch(r"item/(\d+)", path):
            self._send_item(int(found[1]))
        elif found := re.fullmatch(r"picture/([a-z]+)/(\d+)/(\d+)", path):
            data = session.picture(found[1], int(found[2]), int(found[3]), whole="whole" in query)
            if data is None:
                self._send_error(HTTPStatus.NOT_FOUND, "the dataset holds no picture of this row")
            else:
                self._send(data, "image/jpeg")
        else:
            self._send_error(HTTPStatus.NOT_FOUND, "nothing here")

    def _post(self, path: str, _: dict[str, list[str]]) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LARGEST_REQUEST:
            raise DataError(f"a request has between 1 and {LARGEST_REQUEST} bytes")
        body = self.rfile.read(length)
        session = self.server.session
        if path == "decide":
            choice = _Choice.model_validate_json(body)
            if not 0 <= choice.index < len(session.queue):
                raise DataError("no such item")
            made = session.decide(choice.index, choice.action, choice.new, choice.why, choice.seen)
            self._send_json({"id": made.id, "next": session.next_open(choice.index)})
        elif path == "undo":
            undone = session.undo(_Undo.model_validate_json(body).id)
            self._send_json({"index": session.index_of(undone.uid, undone.split)})
        else:
            self._send_error(HTTPStatus.NOT_FOUND, "nothing here")

    def _send_item(self, index: int) -> None:
        if not 0 <= index < len(self.server.session.queue):
            self._send_error(HTTPStatus.NOT_FOUND, "no such item")
        else:
            self._send_json(self.server.session.item(index))

    def _send_json(self, document: Any) -> None:  # noqa: ANN401
        self._send(json.dumps(document, ensure_ascii=False).encode(), "application/json; charset=utf-8")

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        self._send(json.dumps({"error": message}).encode(), "application/json; charset=utf-8", status)

    def _send(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if status != HTTPStatus.OK:
            # Closed, because the body of a refused request was not read.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)
