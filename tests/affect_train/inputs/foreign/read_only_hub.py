"""A Hub of one read-only dataset on loopback: as much of the REST interface as `datasets` reads by."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = hashlib.sha1(b"the only commit").hexdigest()


@contextmanager
def hub(name: str, folder: Path, revision: str = "main") -> Iterator[str]:
    """The address of a Hub that holds the dataset `name`, whose files are those of a folder, at one branch."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._json([described(path) for path in wanted["paths"] if (folder / path).is_file()])

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            api, files = f"/api/datasets/{name}", f"/datasets/{name}/resolve/"
            if path.startswith(files):
                found_revision, _, file = path.removeprefix(files).partition("/")
                self._file(found_revision, folder / file)
            elif path in (api, *(f"{api}/revision/{known}" for known in (revision, COMMIT))):
                siblings = [
                    {"rfilename": str(file.relative_to(folder))} for file in sorted(folder.rglob("*")) if file.is_file()
                ]
                self._json(
                    {"id": name, "sha": COMMIT, "private": False, "siblings": siblings, "tags": [], "gated": False}
                )
            elif path.startswith((f"{api}/tree/{revision}", f"{api}/tree/{COMMIT}")):
                under = folder / path.split("/tree/")[1].partition("/")[2]
                self._json([described(str(file.relative_to(folder))) for file in sorted(under.rglob("*"))])
            elif path.startswith(f"{api}/revision/"):
                self._missing("RevisionNotFound")
            else:
                self._missing("RepoNotFound" if not path.startswith(api) else "EntryNotFound")

        def _json(self, document: object) -> None:
            self._bytes(json.dumps(document).encode(), {"Content-Type": "application/json"})

        def _file(self, found_revision: str, file: Path) -> None:
            if found_revision not in (revision, COMMIT):
                self._missing("RevisionNotFound")
            elif not file.is_file():
                self._missing("EntryNotFound")
            else:
                data = file.read_bytes()
                self._bytes(
                    data,
                    {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"},
                )

        def _bytes(self, data: bytes, headers: dict[str, str]) -> None:
            status, wanted = 200, self.headers.get("Range")
            if wanted:
                start, _, end = wanted.removeprefix("bytes=").partition("-")
                first, last = int(start), min(int(end or len(data) - 1), len(data) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                status, data = 206, data[first : last + 1]
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def described(path: str) -> dict[str, Any]:
        file = folder / path
        if file.is_dir():
            return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest()}
        oid = hashlib.sha1(file.read_bytes()).hexdigest()
        return {"type": "file", "path": path, "size": file.stat().st_size, "oid": oid}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
