"""A Hub on loopback: as much of the protocol of huggingface.co as its clients use to publish and to read, in memory, with faults on request.

The real ``huggingface_hub`` and ``datasets`` clients talk to it over HTTP: ``HF_ENDPOINT`` is its address and ``HF_HUB_DISABLE_XET=1`` is set.
Repositories are private unless somebody asks for a public one. Tokens are words; each belongs to a user and may write, or only read::

    with LoopbackHub({"hf_writer": Account("anna", writes=True)}) as hub:
        hub.faults.append(Fault("PUT", "/lfs/", drops_after=1000))      # the next upload breaks off
        HfApi(hub.endpoint, token="hf_writer").create_repo("anna/faces", repo_type="dataset")

What it answers: whoami, create, validate-yaml, info, tree, paths-info, preupload, commit, commits, refs, super-squash, LFS batch and PUT,
lists of LFS objects and their deletion, resolve with ranges. A commit whose
parent is not the head is refused with 412, a repository that exists with 409, what a token may not see with 404 and ``X-Error-Code``.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

LARGE = (".parquet", ".safetensors", ".onnx", ".arrow")
"""Files that are stored as LFS objects."""
WHEN = "2026-01-01T00:00:00.000Z"
"""When everything here happened."""


@dataclass(frozen=True)
class Account:
    """Whose token it is, and whether it may write."""

    name: str
    writes: bool = False


@dataclass
class Fault:
    """What goes wrong with the next requests that fit.

    Attributes:
        method: of the request.
        path: regular expression that the path contains.
        status: that is answered, unless `drops_after` is given.
        headers: of the answer.
        drops_after: bytes of the body after which the connection is closed without an answer.
        times: how many requests it meets.
    """

    method: str
    path: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    drops_after: int | None = None
    times: int = 1


@dataclass(frozen=True)
class File:
    """A file of a commit."""

    data: bytes
    large: bool

    def described(self, path: str) -> dict[str, Any]:
        """As the tree lists it."""
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n"
        entry = {"type": "file", "path": path, "size": len(self.data), "oid": git_oid(self.data)}
        if self.large:
            entry |= {
                "oid": git_oid(pointer.encode()),
                "lfs": {"oid": self.sha256, "size": len(self.data), "pointerSize": len(pointer)},
            }
        return entry

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass
class Repository:
    """A repository with its history, oldest first: oid, title and the files by path; tags, and the LFS objects that were sent to it."""

    kind: str
    name: str
    private: bool
    commits: list[tuple[str, str, dict[str, File]]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    @property
    def files(self) -> dict[str, File]:
        return self.commits[-1][2]

    def add(self, title: str, files: dict[str, File]) -> str:
        """Adds a commit; returns its oid."""
        content = "".join(f"{path} {file.sha256}\n" for path, file in sorted(files.items()))
        oid = hashlib.sha1(f"{len(self.commits)} {title}\n{content}".encode()).hexdigest()
        self.commits.append((oid, title, files))
        return oid

    def squash(self, title: str) -> None:
        """Leaves one commit, with the files of the newest."""
        files = self.files
        self.commits.clear()
        self.add(title, files)

    def forget(self, objects: set[str]) -> None:
        """Takes LFS objects out, and out of every commit that has them."""
        self.objects -= objects
        commits, self.commits = self.commits, []
        for _, title, files in commits:
            self.add(
                title, {path: file for path, file in files.items() if not file.large or file.sha256 not in objects}
            )

    def at(self, revision: str) -> tuple[str, dict[str, File]] | None:
        """Oid and files of a revision; None where there is none."""
        if revision == "main":
            return self.head, self.files
        return next(((oid, files) for oid, _, files in self.commits if oid == revision), None)


def git_oid(data: bytes) -> str:
    """What git calls a file with these bytes."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class LoopbackHub:
    """The server; it runs while it is entered.

    Attributes:
        repositories: by kind (``dataset``, ``model``) and name.
        objects: LFS objects by sha256.
        faults: what goes wrong next.
        uploaded: bytes of LFS objects and of files in commits that arrived, by path or sha256.
        requests: how often each ``METHOD path`` was asked for.
    """

    def __init__(self, accounts: dict[str, Account]) -> None:
        self.accounts = accounts
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.uploaded: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def endpoint(self) -> str:
        """Its address, as ``HF_ENDPOINT`` takes it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault that meets a request, if any."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    # An answer is one packet: written in pieces, each would wait for the client's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    hub: LoopbackHub

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        self.path_only = unquote(urlsplit(self.path).path)
        self.hub.requests[f"{self.command} {self.path_only}"] += 1
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.hub.fault_for(self.command, self.path_only)
        if fault is not None and fault.drops_after is not None:
            self.rfile.read(min(length, fault.drops_after))
            self.close_connection = True
            self.connection.close()
            return
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        body = self._chunked() if chunked else self.rfile.read(length)
        if body is None or (not chunked and len(body) < length):
            # The client is gone: half a request is none.
            self.close_connection = True
            return
        self.body = body
        if fault is not None:
            self._answer({"error": "a fault that a test asked for"}, fault.status, fault.headers)
            return
        try:
            with self.hub.lock:
                self._route()
        except _RefusedError as refusal:
            headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            self._answer({"error": refusal.message}, refusal.status, headers)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - the names that the base class calls

    def _chunked(self) -> bytes | None:
        """The body; None where it breaks off."""
        parts = []
        while size := int(self.rfile.readline().strip() or b"-1", 16):
            parts.append(self.rfile.read(max(size, 0)))
            if size < 0 or len(parts[-1]) < size:
                return None
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(document).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # ------------------------------------------------------------ who asks

    def _account(self) -> Account | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in self.hub.accounts:
            raise _RefusedError(401, "Invalid credentials in Authorization header")
        return self.hub.accounts.get(token)

    def _writer(self) -> Account:
        account = self._account()
        if account is None:
            raise _RefusedError(401, "Invalid username or password.")
        if not account.writes:
            raise _RefusedError(403, "You don't have the rights to write: your token may only read")
        return account

    def _repository(self, kind: str, name: str) -> Repository:
        repository = self.hub.repositories.get((kind, name))
        account = self._account()
        if repository is None or (repository.private and (account is None or account.name != name.partition("/")[0])):
            raise _RefusedError(404 if account else 401, "Repository not found", "RepoNotFound")
        return repository

    # ------------------------------------------------------------ what is asked

    def _route(self) -> None:
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, self.path_only)
            if found and self.command in method:
                answer(self, **found.groupdict())
                return
        raise _RefusedError(404, f"the loopback Hub does not know {self.command} {self.path_only}")

    def _whoami(self) -> None:
        account = self._account()
        if account is None:
            raise _RefusedError(401, "Invalid username or password.")
        role = "write" if account.writes else "read"
        self._answer(
            {
                "type": "user",
                "name": account.name,
                "orgs": [],
                "auth": {"accessToken": {"displayName": "t", "role": role}},
            }
        )

    def _create(self) -> None:
        account, asked = self._writer(), json.loads(self.body)
        name, kind = f"{asked.get('organization') or account.name}/{asked['name']}", asked.get("type") or "model"
        url = f"{self.hub.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if name.partition("/")[0] != account.name:
            raise _RefusedError(403, "You don't have the rights to create a repository under this namespace")
        if (kind, name) in self.hub.repositories:
            self._answer({"error": "You already created this repo", "url": url}, 409)
            return
        repository = Repository(kind, name, private=asked.get("visibility", "private") != "public")
        repository.add("initial commit", {".gitattributes": File(b"*.parquet filter=lfs\n", large=False)})
        self.hub.repositories[kind, name] = repository
        self._answer({"url": url})

    def _valid_yaml(self) -> None:
        self._answer({"errors": [], "warnings": []})

    def _info(self, kind: str, name: str, revision: str = "main") -> None:
        repository = self._repository(kind, name)
        oid, files = self._at(repository, revision)
        self._answer(
            {
                "id": name,
                "sha": oid,
                "private": repository.private,
                "tags": [],
                "siblings": [{"rfilename": path} for path in sorted(files)],
            }
        )

    def _at(self, repository: Repository, revision: str) -> tuple[str, dict[str, File]]:
        found = repository.at(revision)
        if found is None:
            raise _RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def _tree(self, kind: str, name: str, revision: str, path: str = "") -> None:
        _, files = self._at(self._repository(kind, name), revision)
        below = f"{path.strip('/')}/" if path.strip("/") else ""
        own = {file: files[file] for file in sorted(files) if file.startswith(below)}
        deep = "recursive=true" in self.path.lower() or "recursive=1" in self.path
        entries, folders = [], set()
        for file, found in own.items():
            parts = file.removeprefix(below).split("/")
            folders |= {
                below + "/".join(parts[:depth]) for depth in range(1, len(parts) if deep else min(2, len(parts)))
            }
            if deep or len(parts) == 1:
                entries.append(found.described(file))
        if below and not own:
            raise _RefusedError(404, f"{path} does not exist", "EntryNotFound")
        listed = [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in sorted(folders)]
        self._answer([*listed, *entries])

    def _paths(self, kind: str, name: str, revision: str) -> None:
        _, files = self._at(self._repository(kind, name), revision)
        asked = json.loads(self.body)["paths"]
        found = [files[path].described(path) for path in asked if path in files]
        folders = [path for path in asked if path not in files and any(file.startswith(f"{path}/") for file in files)]
        self._answer([*found, *({"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders)])

    def _preupload(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        _, files = self._at(self._repository(kind, name), revision)
        answer = []
        for entry in json.loads(self.body)["files"]:
            known = files.get(entry["path"])
            mode = "lfs" if entry["path"].endswith(LARGE) else "regular"
            oid = None if known is None else known.sha256 if known.large else git_oid(known.data)
            answer.append({"path": entry["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer({"files": answer})

    def _batch(self, kind: str, name: str) -> None:
        self._writer()
        repository = self._repository(kind, name)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            repository.objects.add(asked["oid"])
            href = f"{self.hub.endpoint}/lfs/{asked['oid']}"
            known = asked["oid"] in self.hub.objects
            objects.append({**asked, **({} if known else {"actions": {"upload": {"href": href, "header": {}}}})})
        self._answer({"transfer": "basic", "objects": objects})

    def _put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _RefusedError(400, "the bytes are not those that were announced")
        self.hub.objects[oid] = self.body
        self.hub.uploaded[oid] += len(self.body)
        self._answer({})

    def _commit(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        repository = self._repository(kind, name)
        files, title = dict(repository.files), ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, repository.head):
                    raise _RefusedError(412, "A commit has happened since. Please refresh and try again.")
            elif entry["key"] == "file":
                data = base64.b64decode(value["content"])
                files[value["path"]] = File(data, large=False)
                self.hub.uploaded[value["path"]] += len(data)
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise _RefusedError(400, f"no LFS object {value['oid']}")
                files[value["path"]] = File(self.hub.objects[value["oid"]], large=True)
            else:
                below = value["path"].rstrip("/") + ("/" if entry["key"] == "deletedFolder" else "")
                gone = [path for path in files if path == below or (below.endswith("/") and path.startswith(below))]
                if not gone:
                    raise _RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
                for path in gone:
                    del files[path]
        oid = repository.add(title, files)
        self._answer({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}"})

    def _commits(self, kind: str, name: str, revision: str) -> None:
        repository = self._repository(kind, name)
        self._at(repository, revision)
        self._answer(
            [
                {"id": oid, "title": title, "message": "", "authors": [{"user": "anna"}], "date": WHEN}
                for oid, title, _ in reversed(repository.commits)
            ]
        )

    def _refs(self, kind: str, name: str) -> None:
        repository = self._repository(kind, name)
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head}
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": repository.head} for tag in repository.tags]
        self._answer({"branches": [main], "tags": tags, "converts": [], "pullRequests": []})

    def _squash(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        repository = self._repository(kind, name)
        self._at(repository, revision)
        repository.squash(json.loads(self.body)["message"])
        self._answer({})

    def _objects(self, kind: str, name: str) -> None:
        self._writer()
        here = sorted(self._repository(kind, name).objects & set(self.hub.objects))
        sizes = {oid: len(self.hub.objects[oid]) for oid in here}
        self._answer(
            [{"fileOid": oid, "filename": oid[:8], "oid": oid, "pushedAt": WHEN, "size": sizes[oid]} for oid in here]
        )

    def _forget(self, kind: str, name: str) -> None:
        self._writer()
        repository, asked = self._repository(kind, name), json.loads(self.body)["deletions"]
        if not asked["rewriteHistory"]:
            raise _RefusedError(400, "the loopback Hub only deletes objects together with what points to them")
        gone = set(asked["sha"]) & repository.objects
        repository.forget(gone)
        for oid in gone - set().union(*(other.objects for other in self.hub.repositories.values())):
            self.hub.objects.pop(oid, None)
        self._answer({})

    def _resolve(self, name: str, revision: str, path: str, kind: str = "model") -> None:
        oid, files = self._at(self._repository(kind, name), revision)
        if path not in files:
            raise _RefusedError(404, "Entry not found", "EntryNotFound")
        file = files[path]
        etag = file.sha256 if file.large else git_oid(file.data)
        headers = {"X-Repo-Commit": oid, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(file.data))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            self._send(file.data, 200, headers)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(file.data) - 1), len(file.data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(file.data)}"
        self._send(file.data[first : last + 1], 206, headers)


def _of_kind(answer: Any) -> Any:
    """The same with the kind of a repository as it is called elsewhere: ``datasets`` in paths is ``dataset``."""
    return lambda handler, kind, **found: answer(handler, kind=kind.removesuffix("s"), **found)


_API = r"/api/(?P<kind>datasets|models)/(?P<name>[^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", r"/api/whoami-v2", _Handler._whoami),
    ("POST", r"/api/repos/create", _Handler._create),
    ("POST", r"/api/validate-yaml", _Handler._valid_yaml),
    ("GET", _API, _of_kind(_Handler._info)),
    ("GET", _API + r"/revision/(?P<revision>[^/]+)", _of_kind(_Handler._info)),
    ("GET", _API + r"/tree/(?P<revision>[^/]+)(?P<path>/.*)?", _of_kind(lambda handler, path, **found: handler._tree(path=path or "", **found))),
    ("POST", _API + r"/paths-info/(?P<revision>[^/]+)", _of_kind(_Handler._paths)),
    ("POST", _API + r"/preupload/(?P<revision>[^/]+)", _of_kind(_Handler._preupload)),
    ("POST", _API + r"/commit/(?P<revision>[^/]+)", _of_kind(_Handler._commit)),
    ("GET", _API + r"/commits/(?P<revision>[^/]+)", _of_kind(_Handler._commits)),
    ("GET", _API + r"/refs", _of_kind(_Handler._refs)),
    ("POST", _API + r"/super-squash/(?P<revision>[^/]+)", _of_kind(_Handler._squash)),
    ("GET", _API + r"/lfs-files", _of_kind(_Handler._objects)),
    ("POST", _API + r"/lfs-files/batch", _of_kind(_Handler._forget)),
    ("POST", r"/(?P<kind>datasets)/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _of_kind(_Handler._batch)),
    ("POST", r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", lambda handler, name: handler._batch("model", name)),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler._put),
    ("GET HEAD", r"/(?P<kind>datasets)/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _of_kind(_Handler._resolve)),
    ("GET HEAD", r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler._resolve),
)  # fmt: skip
