"""What must not be published, as it looks in text and between other bytes. Python and RE2, which searches columns, read the expressions alike."""

import getpass
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from affect_data.databases.licence import Tier

_SHORT: Final = 4
COMMON: Final = frozenset(
    {"root", "user", "admin", "data", "test", "train", "ubuntu", "runner", "docker", "localhost", "build", "default"}
)
"""Names of users and machines that say nothing, and that stand in any text."""

_TOP: Final = (
    "home", "Users", "root", "tmp", "var", "mnt", "data", "media", "opt", "srv", "scratch", "work", "workspace", "workspaces", "private",
    "Volumes", "net", "nfs", "gpfs", "lustre", "cluster", "storage", "afs", "export", "project", "projects", "raid", "usr", "etc",
    "content", "kaggle", "dbfs", "teamspace", "shared", "vol", "hdd", "ssd", "nvme", "cygdrive",
)  # fmt: skip
"""Folders at the top of a file system. A path below one of them is told from other text by its beginning alone."""

_PART: Final = r"[^\x00-\x20/\\:;,\"'`<>(){}\[\]|*?]{1,255}"
"""A folder's or file's name, in any script."""

_APART: Final = r"(?:^|[^A-Za-z0-9])"
"""Before a word: the underscore parts words, as in ``teacher_anna``."""


_ROOTS: Final = "|".join(_TOP)


class Scope(IntEnum):
    """Where a pattern is safe to look for: everywhere from its own place in this list on."""

    BYTES = 0
    """Between arbitrary bytes."""
    NAMES = 1
    """In names and texts of programs, where a slash parts the layers of a network."""
    PROSE = 2
    """In texts that people read."""


@dataclass(frozen=True)
class Pattern:
    """What a leak looks like.

    Attributes:
        kind: as reports call it.
        expression: regular expression; the leak is its group ``leak``.
        hints: bytes of which one is in every leak; where none of them is, nothing else is looked at.
        begins: the same as an expression that begins with a fixed byte, which is found fast; empty if there are hints.
        scope: where it may be looked for.
        secret: whether what was found is not to be shown.
        in_pictures: whether it may not stand in the metadata of a picture either, whose other words are its database's.
        binary: whether it is about bytes alone, never text.
    """

    kind: str
    expression: str
    hints: Sequence[bytes] = ()
    begins: str = ""
    scope: Scope = Scope.BYTES
    secret: bool = False
    in_pictures: bool = False
    binary: bool = False

    def may_be_in(self, data: bytes) -> bool:
        """Whether bytes have a hint of it; far faster than to look for the leak itself."""
        if self.begins:
            return re.search(self.begins.encode(), data) is not None
        return any(hint in data for hint in self.hints)


def patterns(tier: Tier, repository: str = "", user: str | None = None, host: str | None = None) -> list[Pattern]:
    """What is looked for.

    Args:
        tier: that is to be published.
        repository: its name, whose words are no secret: many people are called the same here and on the Hub.
        user: name of the user; by default of who runs this.
        host: name of the machine; by default of this one.
    """
    return [*_paths(), *_secrets(), *_names(repository, user, host), *(_pictures() if tier is not Tier.FULL else ())]


def _paths() -> list[Pattern]:
    kind, share = "absolute path", r"(?i:smb|cifs|nfs|afp|sftp|ssh|scp)"
    return [
        # An option of one letter may come right before it: -I/home/...
        Pattern(
            kind, rf"(?:^|[^\w/.~-]|\s-[A-Za-z])(?P<leak>/(?:{_ROOTS})/{_PART}(?:/{_PART})*)", begins=rf"/(?:{_ROOTS})/"
        ),
        # Slashes as some writers of JSON and of addresses escape them.
        Pattern(kind, rf"(?P<leak>\\/(?:{_ROOTS})\\/{_PART})", begins=rf"/(?:{_ROOTS})\\"),
        Pattern(kind, rf"(?P<leak>%2[Ff](?:{_ROOTS})%2[Ff]{_PART})", [b"%2F", b"%2f"]),
        Pattern(kind, r"(?P<leak>(?:file|File|FILE):/[^\s\"'<>]+)", [b"file:/", b"File:/", b"FILE:/"]),
        Pattern(kind, rf"(?P<leak>{share}://[^\s\"'<>]+)", [b"://"]),
        Pattern(kind, r"(?:^|\W)(?P<leak>(?:[A-Za-z]:\\|\\\\)[\w.$ -]+\\[\w.$ \\-]+)", scope=Scope.NAMES),
        Pattern(kind, r"(?:^|\W)(?P<leak>[A-Z]:\\{1,2}\w[\w.$ -]+)", scope=Scope.NAMES),
        Pattern(kind, r"(?:^|[^\w/.<~-])(?P<leak>/(?:[\w.~-]+/)+[\w.~-]+)", scope=Scope.PROSE),
        Pattern(kind, r"(?:^|[\s\"'(=])(?P<leak>//[\w.-]+/[\w.$-]+)", scope=Scope.PROSE),
        Pattern("home folder", r"(?:^|[\s\"'(=:,])(?P<leak>~\w*/[\w.-]+)", scope=Scope.NAMES),
    ]


_PREFIXES: Final = (
    "sk", "ghp", "gho", "ghs", "ghu", "ghr", "github_pat", "glpat", "xoxa", "xoxb", "xoxp", "xoxr", "xoxs", "xapp", "npm", "pypi", "dop_v1",
    "shpat", "KGAT",
)  # fmt: skip
"""With which tokens of well-known services begin; a minus or an underscore follows."""


def _secrets() -> list[Pattern]:
    long = r"[A-Za-z0-9_-]{16,}"
    words = {
        r"hf_[A-Za-z0-9]{16,}": ["hf_"],
        rf"(?:{'|'.join(_PREFIXES)})[-_]{long}": [prefix + mark for prefix in _PREFIXES for mark in "-_"],
        r"(?:AKIA|ASIA)[0-9A-Z]{16}": ["AKIA", "ASIA"],
        r"AIza[A-Za-z0-9_-]{35}": ["AIza"],
        rf"ya29\.{long}": ["ya29."],
        rf"eyJ{long}\.eyJ{long}\.[A-Za-z0-9_-]+": [".eyJ"],
        r"(?:[Bb]earer|BEARER) [A-Za-z0-9._~+/-]{20,}": ["earer ", "BEARER "],
    }
    found = {rf"{_APART}(?P<leak>{word})": hints for word, hints in words.items()}
    found[r"(?P<leak>://[^\s/:@\"'<>]{1,99}:[^\s/@\"'<>]{1,99}@)"] = ["://"]
    found[rf"(?P<leak>hooks\.slack\.com/services/{_PART})"] = ["hooks.slack.com/"]
    key = r"(?P<leak>-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d)"
    return [
        *(_secret("token", expression, hints) for expression, hints in found.items()),
        _secret("private key", key, ["PRIVATE KEY", "PuTTY-User-Key"]),
    ]


def _secret(kind: str, expression: str, hints: Sequence[str]) -> Pattern:
    return Pattern(kind, expression, [hint.encode() for hint in hints], secret=True, in_pictures=True)


def _names(repository: str, user: str | None, host: str | None) -> list[Pattern]:
    known = {*COMMON, *re.split(r"\W+", repository.lower()), *repository.lower().split("/")}
    found = []
    for kind, name in (("name of this user", user or _user()), ("name of this machine", host or socket.gethostname())):
        for word in dict.fromkeys((name, name.partition(".")[0])):
            if len(word) >= _SHORT and word.lower() not in known:
                # Machines have no case, people do: a word of a sentence may be somebody's name.
                written = f"(?i:{re.escape(word)})" if kind.endswith("machine") else re.escape(word)
                expression = rf"{_APART}(?P<leak>{written})(?:$|[^A-Za-z0-9])"
                found.append(Pattern(kind, expression, scope=Scope.NAMES, in_pictures=True))
    return found


def _pictures() -> list[Pattern]:
    """Pictures in text, and files of pictures by signatures that are too long to come about by chance."""
    base64 = r"/9j/[24][A-Za-z0-9+/]{8}|iVBORw0KGgo|R0lGODdh|R0lGODlh|UklGR[A-Za-z0-9+/]{5,6}V0VCU"
    jpeg = r"\xff\xd8\xff(?:\xe0..JFIF\x00|\xe1..Exif\x00|\xdb\x00\x43)"
    begin = [b"JFIF", b"Exif", b"\xff\xd8\xff\xdb", b"\x89PNG", b"GIF8", b"WEBPVP8"]
    others = r"\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBPVP8"
    return [
        Pattern("picture", rf"(?P<leak>data:image/|{base64})", scope=Scope.NAMES),
        Pattern("picture", r"(?P<leak>(?i:ffd8ff(?:e[01]|db)[0-9a-f]{16}|89504e470d0a1a0a))", scope=Scope.NAMES),
        Pattern("picture", rf"(?s:(?P<leak>{jpeg}|{others}))", begin, secret=True, binary=True),
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A process whose user has no name in this system, as in a container.
        return ""
