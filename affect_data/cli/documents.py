"""What commands of ``affect-data`` print with ``--json``: one definition each, from which schemas and the page docs/json-output.md are made."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from affect_data.errors import UnknownNameError
from affect_data.recipe_reference import recipe_schema

VerdictWord = Literal["whole", "incomplete", "broken"]


class Document(BaseModel):
    """A part of what a command prints; it holds nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class Failure(Document):
    """Why a command failed."""

    code: str = Field(description="the kind of error, which never changes")
    message: str = Field(description="what was found, where, and what to do")
    exit_status: int = Field(description="1: the data or a check is at fault; 2: the call is at fault")


class ErrorDocument(Document):
    """What every command prints when it fails."""

    error: Failure


class MaskedLabels(Document):
    """Labels in the files that are not used."""

    task: str = Field(description="au, expression, va, ...")
    reason: str = Field(description="why they are not used")
    rows: int = Field(description="how many rows they concern")


class FoundDefect(Document):
    """What contradicts the documentation."""

    path: str = Field(description="the file, relative to the database's folder")
    line: int = Field(description="from 1; 0 for the whole file")
    found: str = Field(description="what the file says")
    expected: str = Field(description="what the documentation says")
    remedy: str = Field(description="what to do")
    count: int = Field(description="how many lines have the same defect")
    also: list[str] = Field(description="some of the other lines")


class CheckedDatabase(Document):
    """What a check found in a database."""

    database: str = Field(description="its name in the recipe")
    release: str = Field(description="empty if there is one release only, or if it was not recognised")
    headline: str = Field(description="the verdict in a sentence")
    verdict: VerdictWord = Field(description="of the copy")
    clean: bool = Field(description="whether a build would take it")
    accepted: bool = Field(description="whether the recipe accepts an incomplete copy")
    problem: str = Field(description="why it could not be read at all; empty if it could")
    notes: list[str] = Field(description="what was found")
    expected: str = Field(description="the official layout")
    lines: int = Field(description="annotated faces that the files list")
    rows: int = Field(description="faces that a build would take")
    failures: dict[str, int] = Field(description="lines without a row, by reason")
    masked: list[MaskedLabels] = Field(description="labels that would not be used")
    defects: list[FoundDefect] = Field(description="contradictions to the documentation")
    losses: list[str] = Field(description="parts that the copy lacks")
    broken_rules: list[str] = Field(description="what breaks a rule, with `--full`")


class CheckDocument(Document):
    """The result of ``affect-data check``."""

    clean: bool = Field(description="whether a build would take all of them")
    verdict: VerdictWord = Field(description="the worst of the databases'")
    databases: list[CheckedDatabase]


class BuildDocument(Document):
    """The result of ``affect-data build``."""

    dataset: str = Field(description="the folder")
    fingerprint: str = Field(description="a hash of pictures, labels and people")
    unchanged: bool = Field(description="whether the folder was this dataset already")
    shards: int = Field(description="files of rows")
    shards_reused: int = Field(description="those that an interrupted build had left")
    rows: dict[str, int] = Field(description="by split")
    leaks: list[dict[str, Any]] = Field(description="people, videos and pictures in two splits")
    decisions: dict[str, Any] | None = Field(
        description="how many decisions of the recipe were applied; null without any"
    )
    groups_kept: list[str] = Field(description="column groups of the dataset before that still fit")
    groups_lost: list[str] = Field(description="those that do not")
    parts: list[dict[str, Any]] = Field(description="files kept and written, by database")
    databases: dict[str, dict[str, Any]] = Field(
        description="lines, rows, failures and masked labels, as dataset.lock.json has them"
    )


class NumberedPart(Document):
    """Which part of a build."""

    number: int = Field(description="from 1")
    of: int = Field(description="how many parts there are")


class PartDocument(Document):
    """The result of ``affect-data build --part``."""

    part: NumberedPart
    shards: int = Field(description="files of rows that are this part's")
    reused: int = Field(description="those that were packed before")
    of: int = Field(description="files of rows of the whole dataset")
    left: list[int] = Field(description="the parts that are not finished; `--finish` may run when there is none")


class AuditedCheck(Document):
    """The findings of one check, counted."""

    check: str = Field(description="its name")
    findings: int = Field(description="all of them")
    rows: int = Field(description="different rows that they name")
    error: int = Field(description="findings that are errors")
    warning: int = Field(description="findings that are warnings")
    review: int = Field(description="findings to look at")
    highest: float | None = Field(description="the highest score; null without findings")


class AuditDocument(Document):
    """The result of ``affect-data audit``."""

    dataset: str = Field(description="the folder")
    file: str = Field(description="the findings themselves, a Parquet file in it")
    has_errors: bool = Field(description="whether one is an error; the command then ends with 1")
    checks: list[AuditedCheck]
    skipped: dict[str, str] = Field(description="checks that did not run, with the reason")
    fiftyone_samples: int = Field(0, description="written for FiftyOne, with --fiftyone")


class ProposedDatabase(Document):
    """A database that was recognised."""

    root: str = Field(description="its folder")
    own_data: bool = Field(description="whether it is a table of one's own")


class InitDocument(Document):
    """The result of ``affect-data init``."""

    recipe: str = Field(description="the file")
    databases: dict[str, ProposedDatabase] = Field(description="by name in the recipe")
    to_decide: dict[str, list[str]] = Field(description="what a person has to decide before a build, by database")
    passed_over: list[str] = Field(description="folders in which nothing is known")
    next: list[str] = Field(description="the commands that come next")


class EnvironmentDocument(Document):
    """The result of ``affect-data env`` and ``affect-train env``."""

    affectkit: str = Field(description="version")
    python: str = Field(description="version")
    system: str = Field(
        description="kind and version of the operating system, and kind of processor; no name of the machine"
    )
    processors: int = Field(description="that this process may use")
    packages: dict[str, str] = Field(description="versions; `not installed` where an extra is not")
    caches: dict[str, str] = Field(description="folders, by the variable that moves each")
    settings: dict[str, str] = Field(description="variables that are set, and change what affectkit does")
    devices: dict[str, str] = Field({}, description="that torch can compute on; of `affect-train` alone")


class WrittenReport(Document):
    """The result of ``affect-data report``."""

    report: str = Field(description="the file")
    bytes: int = Field(description="its size")


DOCUMENTS: Final[Mapping[str, type[Document]]] = {
    "init": InitDocument,
    "check": CheckDocument,
    "build": BuildDocument,
    "build --part": PartDocument,
    "audit": AuditDocument,
    "report": WrittenReport,
    "env": EnvironmentDocument,
    "error": ErrorDocument,
}
"""By command; ``error`` is what every command prints when it fails."""


def document_schema(command: str, documents: Mapping[str, type[Document]]) -> dict[str, Any]:
    """The JSON Schema of what a command prints with ``--json``.

    Raises:
        UnknownNameError: no schema is stated for this command.
    """
    if command not in documents:
        raise UnknownNameError("output", command, documents)
    return recipe_schema(documents[command], f"output of {command}")
