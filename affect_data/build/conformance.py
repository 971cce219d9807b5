"""What every copy of every database must do, whoever reads it: the rules that `affect-data check --full` and the tests of the readers apply.

A rule says what breaks it, as sentences; no sentence means that it holds.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from affect_data.bounds import BoundError, read_lines_file
from affect_data.build.packing import BOX_OUTSIDE, UNDECODABLE, in_threads
from affect_data.databases.base import SPLITS, Database, Scan
from affect_data.databases.root import FAILURE_SCHEMA, NO_SUCH_LINE, DatabaseRoot
from affect_data.databases.table.reader import TableDatabase
from affect_data.pictures import Examined, box_misses, examine

PLACE: Final = ("source_file", "source_line")
LINES_TRIED: Final = 20
"""Of how many lines it is proven that rows come from them."""
NOT_LINES: Final = (".npy", ".xlsx", ".json", ".parquet", ".arrow")
"""Files whose rows are not their lines, or that are no text."""
_SHEET: Final = re.compile(r"\[[^\]]*\]$")


@dataclass(frozen=True)
class Copy:
    """A copy of a database that was read without a defect.

    Attributes:
        database: its reader.
        root: its folder.
        scan: what the reader found.
        follow_links: whether symbolic links may lead out of the folder.
    """

    database: Database
    root: Path
    scan: Scan
    follow_links: bool = False


def broken_rules(copy: Copy) -> tuple[str, ...]:
    """What breaks a rule, as sentences; empty if the copy and its reader hold all of them."""
    return tuple(broken for rule in RULES for broken in rule(copy))


def rows_are_conserved(copy: Copy) -> Iterator[str]:
    """Every listed line is a row or a failure, and no row stands for two."""
    scan = copy.scan
    if scan.lines != len(scan.rows) + len(scan.failures):
        yield f"{scan.lines:,} lines are {len(scan.rows):,} rows and {len(scan.failures):,} failures"
    faces = [name for name in ("image", "face", "track", "frame") if name in scan.rows.columns]
    if twice := int(scan.rows.select(faces).is_duplicated().sum()):
        yield f"{twice:,} rows are of the same face of the same picture"


def lines_exist(copy: Copy) -> Iterator[str]:
    """Every row and failure names a file under the root, and a line that the file has."""
    places = pl.concat([frame.select(PLACE) for frame in (copy.scan.rows, copy.scan.failures)])
    for path, last in places.group_by("source_file").agg(pl.col("source_line").max()).sort("source_file").iter_rows():
        file = copy.root / _SHEET.sub("", path)
        if not file.exists():
            yield f"rows name the file {path}, which is not there"
        elif file.is_file() and not file.name.lower().endswith(NOT_LINES) and last > _lines(file, path):
            yield f"rows name line {last:,} of {path}, which it does not have"
    if (places["source_line"] < 1).any():
        yield "rows name a line before the first"


def paths_are_relative(copy: Copy) -> Iterator[str]:
    """No path of a row leaves the root, or depends on the machine."""
    rows = copy.scan.rows
    columns = [rows["image"], rows["source_file"]]
    if "clip_frames" in rows.columns:
        columns.append(rows["clip_frames"].explode())
    for column in columns:
        named = column.drop_nulls().unique().str
        for path in column.drop_nulls().unique().filter(named.contains(r"^([/~\\]|[A-Za-z]:)|(^|/)\.\.(/|$)")).head(1):
            yield f"{column.name} {path!r} is not a path below the root"


def splits_are_official(copy: Copy) -> Iterator[str]:
    """Splits are those of the schema, and every person is in a published part."""
    rows = copy.scan.rows
    for column in [name for name in rows.columns if name == "split" or name.startswith("split_")]:
        if others := sorted(set(rows[column].drop_nulls()) - set(SPLITS)):
            yield f"{column} {others[0]!r} is none of {', '.join(SPLITS)}"
    parts = copy.database.literature_folds
    named = [subject for part in parts.values() for subject in part]
    if len(named) != len(set(named)):
        yield "a person is in two parts of the published folds"
    if parts and (others := sorted(set(rows["subject"].drop_nulls()) - set(named))):
        yield f"{others[0]} is in no part of the published folds"


def terms_are_stated(copy: Copy) -> Iterator[str]:
    """The database says whose it is: licence, citation, source. Own data may be nobody's but the user's, so its recipe need not say it."""
    database = copy.database
    if isinstance(database, TableDatabase):
        return
    for what in ("title", "homepage", "citation", "source_family"):
        if not getattr(database, what, ""):
            yield f"the reader states no {what}"
    if not (database.licence.terms and database.licence.url):
        yield "the reader states no terms of a licence, or not where they stand"


def labels_are_found_again(copy: Copy) -> Iterator[str]:
    """Rows come from the lines that they name: without these lines they are not there, and all others are as before.

    The second reading is line by line, so it also shows that both ways of reading agree, and that reading again gives the same.
    """
    rows = copy.scan.rows
    if rows.is_empty():
        return
    # At most every other row: those that are left must be as before.
    distance = max(2, len(rows) // LINES_TRIED)
    tried = rows.gather_every(distance).head(LINES_TRIED).select(PLACE).unique(maintain_order=True)
    names = tuple(f"{path}:{line}" for path, line in tried.iter_rows())
    exclude = tuple(dict.fromkeys((*copy.database.options.exclude, *names)))
    reader = type(copy.database)(copy.database.options.model_copy(update={"exclude": exclude}))
    second = reader.read(DatabaseRoot(copy.root, exclude, follow_links=copy.follow_links))
    again = second.rows
    # A file without any line stands for its row, too; there is no line of it to leave out.
    none = [(defect.path, defect.line) for defect in second.defects if defect.found == NO_SUCH_LINE]
    tried = tried.filter(~pl.concat_str(*PLACE, separator=":").is_in([f"{path}:{line}" for path, line in none]))
    if tried.is_empty():
        yield f"none of {len(names)} lines, such as {names[0]}, can be left out"
        return
    key = [name for name in ("image", "face") if name in rows.columns]
    kept = rows.join(tried, on=list(PLACE), how="anti", maintain_order="left")
    left = again.join(kept.select(key), on=key, how="semi", nulls_equal=True, maintain_order="left")
    if still := len(again.join(tried, on=list(PLACE), how="semi")):
        yield f"{still:,} rows name lines, such as {names[0]}, that were left out: they do not come from there"
    common = [name for name in rows.columns if name in left.columns]
    if not kept.select(common).sort(key).equals(left.select(common).sort(key)):
        yield f"without {len(names)} lines, such as {names[0]}, rows of other lines are not as before"


RULES: Final[tuple[Callable[[Copy], Iterator[str]], ...]] = (
    rows_are_conserved,
    lines_exist,
    paths_are_relative,
    splits_are_official,
    terms_are_stated,
    labels_are_found_again,
)


def _lines(file: Path, path: str) -> int:
    try:
        data = read_lines_file(file, path)
    except BoundError:
        return 1
    return data.count(b"\n") + 1


def without_unusable(database: Database, root: Path, scan: Scan, threads: int) -> Scan:
    """The scan without rows that a build does not keep: they are failures, as of a build, and count as missing.

    Of these, no picture can be decoded, or the face box lies outside of the picture.

    Args:
        database: its reader.
        root: its folder.
        scan: what the reader found.
        threads: that decode pictures.
    """
    shown = [scan.rows["image"], *([scan.rows["clip_frames"].explode()] if database.has_clips else [])]
    images = pl.concat(shown).drop_nulls().unique(maintain_order=True).to_list()
    read = database.open_images(root)

    def seen(number: int) -> Examined:
        try:
            return examine(read(images[number]))
        except (OSError, BoundError) as error:
            return Examined(str(error))

    found = dict(zip(images, in_threads(seen, range(len(images)), threads), strict=True))
    because = {image: picture.because for image, picture in found.items() if picture.because}
    unseen = pl.col("image").is_in(list(because))
    if database.has_clips:
        unseen = pl.col("clip_frames").list.eval(pl.element().is_in(list(because))).list.all()
    note = f"all {len(images):,} pictures can be decoded"
    if because:
        image, why = next(iter(because.items()))
        note = f"{len(because):,} of {len(images):,} pictures cannot be decoded, such as {image}: {why}"
    scan = _with_failed(scan, scan.rows.select(unseen).to_series(), UNDECODABLE, note)
    if "face_box" not in scan.rows.columns:
        return scan
    outside = [
        box is not None and box_misses(box, found[image].width, found[image].height)
        for image, box in scan.rows.select("image", "face_box").iter_rows()
    ]
    if not any(outside):
        return scan
    first = scan.rows["image"][outside.index(True)]
    note = f"{sum(outside):,} face boxes lie outside of their pictures, such as that of {first}"
    return _with_failed(scan, pl.Series(outside), BOX_OUTSIDE, note)


def _with_failed(scan: Scan, lost: pl.Series, reason: str, note: str) -> Scan:
    """The scan whose lost rows are failures."""
    failed = scan.rows.filter(lost).select(*PLACE, "image", reason=pl.lit(reason)).cast(FAILURE_SCHEMA)
    return replace(
        scan,
        rows=scan.rows.filter(~lost),
        failures=pl.concat([scan.failures, failed]),
        notes=(*scan.notes, note),
        missing_pictures=scan.missing_pictures + len(failed),
    )
