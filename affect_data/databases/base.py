"""The base class of all readers of databases.

A reader is one module that subclasses `Database`: class attributes state facts (labels, coded action units, class names, licence, citation),
and `Database.scan` turns the official files into a polars frame with any of the columns in `ROW_COLUMNS`. A missing value is a null there; the fills
and the masks of the schema are made in one place, `affect_data.build.harmonise`.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from affect_data.bounds import PICTURE_BYTES, read_file
from affect_data.databases.facts import Evidence, NativeValue
from affect_data.databases.licence import Licence as Licence
from affect_data.databases.licence import Tier as Tier
from affect_data.databases.named_pictures import NamedPictures
from affect_data.databases.refusal import combined
from affect_data.databases.root import EXCLUDED, DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.video_rows import missing_videos, open_references
from affect_data.databases.videos import VideoLayout
from affect_data.errors import DatabaseNotFoundError, Defect

IMAGE_MISSING = "image file missing"

SPLITS = ("train", "validation", "test")

Task = Literal["au", "expression", "va"]
TASKS: tuple[Task, ...] = ("au", "expression", "va")

WORDS_OF_PEOPLE: Final = ("age_band", "sex", "ethnicity")
"""Facts about people for which each database has words of its own."""

ROW_COLUMNS = """
image                        str, path of the image file relative to the root (always); of a clip, its middle frame
source_file, source_line     str, int: the annotation line that the row comes from (always)
subject, track               str
frame, face                  int
label_scope                  str: "clip" where the labels hold for a whole clip, else a frame's; see `databases.clips`
clip_frames                  pl.List(pl.String): paths of a clip's frames, in order
face_box                     pl.Array(pl.Float32, 4) or list: x0 y0 x1 y1 in pixels of the source image
split                        str: the official split of the row; or, where splits are per task, any of
split_au, split_expression, split_va
au_<number>                  int: 0 absent, 1 present
au_intensity_<number>        float: 0..5
expression                   str: a name of `vocabulary.EXPRESSIONS`
compound_expression          str: a name of `vocabulary.COMPOUND_EXPRESSIONS`
votes_<expression>           float: share of the annotators
valence, arousal             float in [-1, 1]
age, age_band, sex, ethnicity   float, str, str, str: what `Database.people` declares
side_<number>                str: one of `vocabulary.SIDES`, for the action units of `Database.action_unit_sides`
native_expression            str: one of `Database.native_expressions`
raters                       pl.List(pl.Struct) of `rater` (str) and what `Database.rater_labels` declares: expression, valence, arousal, au_<number>
timestamp                    float: seconds, where `Database.has_timestamps`
score_<name>                 float: one of `Database.scores`
au_masked, expression_masked, va_masked     str: why a label that stands in the files is not used (counted by reason)
"""


class DatabaseOptions(BaseModel):
    """The options that every database has in a data recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    release: str | None = Field(None, description="the release profile; by default recognised from the files")
    root: str | None = Field(None, description="the folder; --root and AFFECT_ROOT_<NAME> come first")
    exclude: tuple[str, ...] = Field((), description="annotation lines `path:line` to drop, counted as failures")
    incomplete: Literal["refused", "accepted"] = Field(
        "refused", description="whether a copy that has lost a part of the release is built as it is; the lock says so"
    )
    holdout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of the groups (subject, else track, else image) that become validation where no official split exists",
    )


@dataclass(frozen=True)
class Scan:
    """What a reader found under a root.

    Attributes:
        rows: one row for each face or clip, with columns of `ROW_COLUMNS`.
        failures: `source_file, source_line, image, reason`: lines of the annotation files that gave no row.
        defects: what contradicts the documentation; a dataset is never built while there is one.
        annotation_files: relative paths of all annotation files that were read.
        lines: number of annotated faces in the files: `len(rows) + len(failures)`.
        notes: what was found, for `affect-data check`.
        counts: numbers of what the files list, by word, from `DatabaseRoot.count`.
        losses: missing parts, from `DatabaseRoot.lose`.
        missing_pictures: number of lines that failed because their picture is missing.
        excluded: number of lines that the recipe excludes.
    """

    rows: pl.DataFrame
    failures: pl.DataFrame
    defects: tuple[Defect, ...]
    annotation_files: tuple[str, ...]
    lines: int
    notes: tuple[str, ...] = field(default=())
    counts: Mapping[str, int] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    missing_pictures: int = 0
    excluded: int = 0


class Database(ABC):
    """One facial-affect database.

    Subclasses state facts as class attributes. The first line of their docstring describes the database; the block after ``Official layout::`` is
    shown when files are not found.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    homepage: ClassVar[str]
    citation: ClassVar[str]
    """BibTeX entry."""
    licence: ClassVar[Licence]
    source_family: ClassVar[str]
    """Databases of one family share pictures or people (Aff-Wild within Aff-Wild2, DISFA+ within DISFA): splits and leak checks group by it."""
    reader_version: ClassVar[int] = 1
    """To be raised whenever the same files would give other rows."""
    evidence: ClassVar[tuple[Evidence, ...]] = ()
    """The facts that the reader relies on, and how well each is known."""
    mapping: ClassVar[tuple[NativeValue, ...]] = ()
    """What becomes of every native value, with the default options."""

    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names in use, besides those that differ only in case or punctuation."""
    signs: ClassVar[tuple[str, ...]] = ()
    """Relative paths, for `DatabaseRoot.holds`; a folder of this database has at least one of them."""
    lookalikes: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Databases whose folders are easily taken for those of this one, by relative paths as in `signs` that only they have."""
    totals: ClassVar[Mapping[str, Totals]] = MappingProxyType({})
    """What a whole copy holds, by release, if that was published or counted in official files."""
    counted_as: ClassVar[str] = "faces"
    """The word for a line of the annotations in `Scan.counts`; empty if they are not counted, because a recipe decides which are read."""
    tolerated_missing_pictures: ClassVar[float] = 0.01
    """The largest share of rows without a picture in a whole copy."""
    picture_reasons: ClassVar[tuple[str, ...]] = (IMAGE_MISSING,)
    """The reasons of failures that mean that a picture is missing."""

    releases: ClassVar[tuple[str, ...]] = ()
    release_aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The release by each of its other names."""
    action_units: ClassVar[tuple[int, ...]] = ()
    """AUs whose occurrence is coded in any release."""
    action_unit_intensities: ClassVar[tuple[int, ...]] = ()
    expressions: ClassVar[tuple[str, ...]] = ()
    """Names of the classes in native order; the position is the native code, if the database has codes."""
    compound_expressions: ClassVar[tuple[str, ...]] = ()
    has_expression_votes: ClassVar[bool] = False
    has_clips: ClassVar[bool] = False
    """Whether labels hold for whole clips, as in `databases.clips.ClipDatabase`."""
    annotators: ClassVar[int | None] = None
    """How many people voted on the expression of each face; None if that is unknown or differs between faces."""
    people: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Facts about people in the files: ``age`` (in years, no words), and the database's own words for ``age_band``, ``sex`` and ``ethnicity``."""
    action_unit_sides: ClassVar[tuple[int, ...]] = ()
    """AUs for which the files give the side of the face."""
    native_expressions: ClassVar[tuple[str, ...]] = ()
    """The database's own words for its classes, if `expressions` merges or loses some of them."""
    rater_labels: ClassVar[tuple[Task, ...]] = ()
    """The tasks for which the files give the labels of each annotator."""
    has_timestamps: ClassVar[bool] = False
    """Whether the files give times, besides or instead of frame numbers."""
    scores: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Numbers of a face that the schema does not have: the meaning of each, by the name of the column group that holds it."""
    valence_arousal: ClassVar[str] = ""
    """The native range, for example "-10..10 integers"; empty if VA is not labelled."""
    literature_folds: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """The subjects of each part of the cross-validation that papers share, by the name of the part; empty if there is none."""
    tool_regions: ClassVar[Mapping[str, tuple[float, float, float, float]]] = MappingProxyType({})
    """What the annotation tool offered for an expression: valence above the first number to the second, arousal from the third to the fourth."""
    videos: ClassVar[VideoLayout | None] = None
    """Where videos lie, if the reader reads frames that `affect-data frames` extracts from them; `labelled_frames` says which."""
    Options: ClassVar[type[DatabaseOptions]] = DatabaseOptions

    def __init__(self, options: DatabaseOptions | None = None) -> None:
        self.options = options if options is not None else self.Options()

    @abstractmethod
    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """The rows of the official files under `root`, with columns of `ROW_COLUMNS`.

        Contradictions are recorded by `root.defect`, lines without a row by `root.fail`; neither stops the scan, so a check lists everything at once.

        Raises:
            DatabaseNotFoundError: nothing under the root looks like this database.
        """

    @property
    def reads_videos(self) -> bool:
        """Whether the recipe wants rows to name frames of videos instead of holding pictures."""
        return False

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The numbers of all labels by video: `video` (str), `frame` (int), as the database counts; only of readers that declare `videos`.

        Raises:
            DatabaseNotFoundError: there are no annotations under the root.
        """
        raise NotImplementedError(f"{type(self).__name__} declares no videos")

    def release_of(self, root: DatabaseRoot) -> str:  # noqa: ARG002 - readers that recognise a release look at the files
        """The release profile of the files under `root`; by default the recipe's, or the only one that exists."""
        return self.options.release or (self.releases[-1] if self.releases else "")

    def default_root(self) -> Path | None:
        """The folder of the files if no root is named; None for a database that has to be requested from its owners."""
        return None

    def follows_links(self, path: Path) -> bool:  # noqa: ARG002 - only some folders are of somebody whose links can be trusted
        """Whether symbolic links may lead out of a folder because a program of ours made them, such as the Hub's cache."""
        return False

    def read(self, root: DatabaseRoot) -> Scan:
        """Everything that was found under `root`: rows, failures, defects.

        A row whose image file does not exist becomes a failure with the reason ``image file missing``.

        Raises:
            DatabaseNotFoundError: the root is missing, empty, or holds something else.
        """
        if not root.path.is_dir():
            because = "it is a file, not a folder" if root.path.is_file() else "the folder does not exist"
            raise DatabaseNotFoundError(self.name, root.path, self.layout(), because=because)
        if not any(root.path.iterdir()):
            raise DatabaseNotFoundError(self.name, root.path, self.layout(), because="the folder is empty")
        self._refuse_lookalike(root)
        found = self.scan(root)
        # Looked for first: that lists every folder of pictures once, and the links in it are then known.
        absent = self.missing_images(root, found["image"])
        inside = _has_image_inside(root, found)
        if not inside.all():
            found, absent = found.filter(inside), absent.filter(inside)
        rows = _drop_rows_without_image(root, found, absent)
        failures = root.failures()
        return Scan(
            rows,
            failures,
            tuple(combined(root.defects)),
            tuple(sorted(root.annotation_files)),
            len(rows) + len(failures),
            tuple(root.notes),
            ({self.counted_as: len(rows) + len(failures)} if self.counted_as else {}) | root.counts,
            tuple(root.losses),
            int(failures["reason"].is_in(list(self.picture_reasons)).sum()),
            int((failures["reason"] == EXCLUDED).sum()),
        )

    def _refuse_lookalike(self, root: DatabaseRoot) -> None:
        """Refuses the folder of a database that is easily taken for this one, in one sentence instead of a defect for each file.

        Raises:
            DatabaseNotFoundError: names the other database, and what shows it.
        """
        own = {sign.lower().partition("/")[0] for sign in self.signs}
        for sign, other in self.lookalikes.items():
            # Both may lie in one folder, but not in the same folder of it.
            if root.holds(sign) and (sign.partition("/")[0] in own or not self.recognises(root)):
                because = f"it holds {other} (files such as {sign}), which has a layout of its own"
                raise self.not_found(root, because=because)

    def recognises(self, root: DatabaseRoot) -> bool:
        """Whether a folder looks like one of this database, by a few names in it."""
        return any(root.holds(sign) for sign in self.signs)

    def missing_images(self, root: DatabaseRoot, images: pl.Series) -> pl.Series:
        """Whether each image does not exist; by default an image is a file under the root."""
        return missing_videos(root, images) if self.reads_videos else root.missing_images(images)

    def open_images(self, path: Path) -> Callable[[str], bytes]:
        """A function from a row's ``image`` to its bytes, as found; overridden by databases whose pictures are not single files.

        It is called in worker processes, once for each shard, with the root's path.
        """
        if self.reads_videos and self.videos is not None:
            return open_references(path, self.videos)
        return lambda image: read_file(path / image, PICTURE_BYTES, image)

    def not_found(self, root: DatabaseRoot, because: str) -> DatabaseNotFoundError:
        """The error that shows the expected layout; readers raise it when nothing under the root looks like their database."""
        return DatabaseNotFoundError(self.name, root.path, self.layout(), because=because)

    @classmethod
    def description(cls) -> str:
        """The first line of the class docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def layout(cls) -> str:
        """The official layout, from the block after ``Official layout::`` in the class docstring."""
        _, found, block = (inspect.getdoc(cls) or "").partition("Official layout::\n")
        if not found:
            raise TypeError(f"{cls.__name__}: the class docstring lacks the block 'Official layout::'")
        lines: list[str] = []
        for line in block.splitlines():
            if line.strip() and not line.startswith("    "):
                break
            lines.append(line)
        return "\n".join(lines).strip("\n")

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        """Which of AU, expression and VA the database labels."""
        labelled = {
            "au": bool(cls.action_units or cls.action_unit_intensities),
            "expression": bool(cls.expressions or cls.compound_expressions),
            "va": bool(cls.valence_arousal),
        }
        return tuple(task for task in TASKS if labelled[task])


def _has_image_inside(root: DatabaseRoot, rows: pl.DataFrame) -> pl.Series:
    """Whether the image of each row lies inside the root; one outside is a defect."""
    outside = NamedPictures.of(rows["image"]).outside(root.confined)
    for because in sorted(set(outside.values())):
        names = [image for image, found in outside.items() if found == because]
        remedy = root.confined.remedy(names[0])
        quoted = because.replace("{", "{{").replace("}", "}}")
        is_named = pl.col("image").is_in(names)
        root.refuse(rows, is_named, "{image!r}, which " + quoted, "a file inside the root", remedy)
    return ~rows["image"].is_in(list(outside))


def _drop_rows_without_image(root: DatabaseRoot, rows: pl.DataFrame, absent: pl.Series) -> pl.DataFrame:
    """The rows whose image exists; the others are failures, and a track or a class of which none is left is a loss."""
    if not absent.any():
        return rows
    root.fail(rows.filter(absent), IMAGE_MISSING)
    left = rows.filter(~absent)
    for column in ("track", "expression", "compound_expression"):
        if column in rows.columns:
            _lose_without_picture(root, column, rows, left)
    return left


def _lose_without_picture(root: DatabaseRoot, column: str, rows: pl.DataFrame, left: pl.DataFrame) -> None:
    """Records the tracks or classes of which no row has a picture."""
    listed, kept = (set(frame[column].drop_nulls().unique()) for frame in (rows, left))
    if lost := sorted(listed - kept):
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        root.lose(
            f"no picture of {len(lost)} of {len(listed)} {column.replace('_', ' ')}s: {', '.join(lost[:5])}{more}"
        )
