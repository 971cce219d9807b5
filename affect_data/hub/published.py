"""``affectkit.json``: the description that a published repository has of itself, for `rebuild`, `verify` and the next `publish`."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.bounds import parse_json
from affect_data.databases.licence import Reading, Tier
from affect_data.errors import DataError

PUBLISHED: Final = "affectkit.json"
CARD: Final = "README.md"
CROISSANT: Final = "croissant.json"
RECIPE: Final = "recipe.yaml"
LOCK: Final = "dataset.lock.json"
STATISTICS: Final = "statistics.json"

FORMAT: Final = "affectkit-published"
FORMAT_VERSION: Final = 1

DEFAULT: Final = "default"
AUDIT: Final = "audit"


class FileFacts(BaseModel):
    """A file of a repository.

    Attributes:
        bytes: its size.
        sha256: of its bytes.
        rows: of a table; None for other files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str
    rows: int | None = None


class Config(BaseModel):
    """One configuration of ``datasets.load_dataset``.

    Attributes:
        group: the column group that it holds; empty for pictures and labels, and for the findings of audits.
        splits: paths of its tables by split, in row order.
        columns: Arrow types of its columns by name.
        half: columns that the dataset stores as half floats; they are published as float32, which every reader supports.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = ""
    splits: dict[str, list[str]]
    columns: dict[str, str]
    half: tuple[str, ...] = ()

    def patterns(self) -> dict[str, str]:
        """By split, a pattern that matches its tables and no other file."""
        return {split: f"{files[0].rpartition('/')[0]}/*.parquet" for split, files in self.splits.items()}


class Source(BaseModel):
    """What users of a published dataset must know of one of its databases.

    Attributes:
        title, homepage, citation: of the database.
        clause, publishes, url, reading: of its licence, as in `affect_data.databases.licence.Licence`.
        drawn: whether its faces were drawn by `affect-data demo`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    homepage: str
    citation: str
    clause: str
    publishes: Tier
    url: str
    reading: Reading
    drawn: bool


class Description(BaseModel):
    """What a published repository says of itself, in ``affectkit.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def text(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=1) + "\n"


class Published(Description):
    """The content of ``affectkit.json``.

    Attributes:
        format, format_version: `FORMAT` and `FORMAT_VERSION`.
        affectkit_version: that published it.
        name: of the repository in the card.
        tier: what it holds.
        fingerprints: of the dataset: pictures, labels, people.
        rows: of the dataset by split.
        sources: its databases by name.
        configs: by name; none at tier recipe.
        provenance: what made each published column group, as ``dataset.json`` says.
        left_out: column groups that were not published, and why.
        files: every file except this one and those that are written from it, the card and ``croissant.json``.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    affectkit_version: str
    name: str
    tier: Tier
    fingerprints: dict[str, str]
    rows: dict[str, int]
    sources: dict[str, Source]
    configs: dict[str, Config]
    provenance: dict[str, dict[str, Any]]
    left_out: dict[str, str]
    files: dict[str, FileFacts]


def read_published(data: bytes, where: str) -> Published:
    """The description in a repository.

    Args:
        data: bytes of its ``affectkit.json``.
        where: names the repository in errors.

    Raises:
        DataError: this version of affectkit cannot read it.
    """
    try:
        values = parse_json(data, PUBLISHED)
    except ValueError as error:
        raise DataError(f"{where}: {PUBLISHED} cannot be read ({error}). Publish the dataset again") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    if not isinstance(values, dict) or values.get("format") != FORMAT or version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        remedy = "Update affectkit" if newer else "Publish the dataset again"
        raise DataError(
            f"{where}: {PUBLISHED} has format {version}, this affectkit reads {FORMAT_VERSION} of {FORMAT}. {remedy}"
        )
    try:
        return Published.model_validate(values)
    except ValidationError as error:
        at = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(
            f"{where}: {PUBLISHED} does not validate ({at}: {error.errors()[0]['msg']}). Publish the dataset again"
        ) from None
