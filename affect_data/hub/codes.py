"""The defects that `verify` can find, each with a permanent code, a sentence, and a remedy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

REBUILD: Final = "build the dataset again"
AGAIN: Final = "find out which of both changed; if it was the sources, build the dataset again with `--overwrite`"
REPUBLISH: Final = "publish the dataset again"


@dataclass(frozen=True)
class Code:
    """The meaning of a code.

    Attributes:
        sentence: what is wrong, in general.
        remedy: what to do.
    """

    sentence: str
    remedy: str


CODES: Final[Mapping[str, Code]] = {
    "D101": Code(
        "a column group is not the one that the manifest names, or lacks a file", f"write the group again, or {REBUILD}"
    ),
    "D102": Code("a column group has another number of rows than its split", f"write the group again, or {REBUILD}"),
    "D103": Code("the columns of a group are not those of the dataset's layout", REBUILD),
    "D104": Code("fingerprints in the manifest contradict one another", REBUILD),
    "D105": Code("the lock is of another dataset than the manifest", REBUILD),
    "D106": Code("a column group has no provenance, or an unreadable one", "write the group again"),
    "D107": Code(
        "the videos of the dataset are not those of which its rows name frames", f"{REBUILD} with `--overwrite`"
    ),
    "D201": Code("stored values do not have their fingerprint", REBUILD),
    "D202": Code("a picture does not have its digest", REBUILD),
    "D203": Code("a row breaks a rule of the schema", REBUILD),
    "D204": Code("a video does not have its digest", f"{REBUILD} with `--overwrite`"),
    "D301": Code("labels are not those of the sources", AGAIN),
    "D302": Code("a picture is not that of the sources", AGAIN),
    "D303": Code("the sources hold other rows than those of the dataset", AGAIN),
    "R101": Code("a file is missing", REPUBLISH),
    "R102": Code("a file does not have the stated size or digest", REPUBLISH),
    "R103": Code("a table is not listed, but would be loaded", "delete it, or publish the dataset again"),
    "R104": Code("a table cannot be read", REPUBLISH),
    "R105": Code("a table does not have the stated number of rows", REPUBLISH),
    "R106": Code("a configuration does not have one row for each row of the dataset", REPUBLISH),
    "R107": Code("a table does not have the stated columns", REPUBLISH),
    "R108": Code("a table with pictures has large row groups or no page index, which viewers need", REPUBLISH),
    "R109": Code("the configurations in the header of the card are not those of the tables", REPUBLISH),
    "R110": Code("the card contradicts the files", REPUBLISH),
    "R111": Code("croissant.json contradicts the files", REPUBLISH),
    "R112": Code("the lock contradicts affectkit.json", REPUBLISH),
    "R113": Code(
        "a table holds what its tier must not publish", "make the repository private, delete the table and its history"
    ),
    "R114": Code("anybody can read what a licence forbids to publish", "make the repository private"),
    "R201": Code(
        "a document or a table holds what must not be published",
        "make the repository private, publish again and squash its history",
    ),
    "R202": Code("a picture does not have its digest", REPUBLISH),
    "R203": Code("a configuration names a face that the dataset does not have, or one twice", REPUBLISH),
}
"""D: of dataset folders, R: of repositories; 1xx: found from metadata alone, 2xx: found by `--deep`; 3xx: found by comparing it
with the databases that it was built from. A code never changes its meaning."""


@dataclass(frozen=True, order=True)
class Finding:
    """A defect.

    Attributes:
        code: of `CODES`.
        where: file, group or split.
        found: what exactly is wrong.
    """

    code: str
    where: str
    found: str

    def __str__(self) -> str:
        return (
            f"{self.code} {self.where}: {self.found} ({CODES[self.code].sentence}). To fix: {CODES[self.code].remedy}"
        )

    def to_json(self) -> dict[str, str]:
        """The finding with the sentence and the remedy of its code."""
        return {**vars(self), "sentence": CODES[self.code].sentence, "remedy": CODES[self.code].remedy}


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        name: of the dataset or repository.
        kind: ``dataset`` or ``repository``.
        deep: whether all values were read.
        rows: by split.
        files: how many were checked.
        findings: all defects.
    """

    name: str
    kind: str
    deep: bool
    rows: Mapping[str, int]
    files: int
    findings: Sequence[Finding]

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "name": self.name,
            "kind": self.kind,
            "deep": self.deep,
            "rows": dict(self.rows),
            "files": self.files,
            "right": not self.findings,
            "findings": [finding.to_json() for finding in self.findings],
        }
