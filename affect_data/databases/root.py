"""The folder of one database.

Every annotation file is read through it, so that each row knows its line, and each contradiction is recorded with its line.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from affect_data.bounds import ANNOTATION_BYTES, JSON_BYTES, LINE_BYTES, BoundError, Limit, read_file, read_lines_file
from affect_data.databases.delimited import after_lines, quoted_rows, stripped
from affect_data.databases.listing import ListedFolder
from affect_data.databases.named_pictures import NamedPictures
from affect_data.databases.refusal import PLACE, literal, row_defects
from affect_data.databases.spelling import numbers, plain
from affect_data.errors import Defect

FAILURE_SCHEMA: Final = pl.Schema(
    {"source_file": pl.String(), "source_line": pl.Int32(), "image": pl.String(), "reason": pl.String()}
)
BOX: Final = ("left", "top", "right", "bottom")
FARTHEST_PIXEL: Final = 100_000
NO_SUCH_LINE: Final = "no such line"
EXCLUDED: Final = "excluded by the recipe"

FIX_LINE: Final = "correct the line, or name it under `exclude` in the recipe"
FIX_FILE: Final = "replace the file by the official one"


class DatabaseRoot(ListedFolder):
    """Reads the files of one database, and records what was read, what failed and what contradicts the documentation.

    Args:
        path: the folder that the user names.
        exclude: annotation lines ``path:line`` (relative to the folder) to drop.
        follow_links: whether symbolic links may lead out of the folder.
        line_by_line: whether plain files too are read by the strict reader (`databases.typed`), as they are if lines are dropped.
    """

    def __init__(
        self, path: Path, exclude: Iterable[str] = (), *, follow_links: bool = False, line_by_line: bool = False
    ) -> None:
        super().__init__(path, follow_links=follow_links)
        self.defects: list[Defect] = []
        self.annotation_files: set[str] = set()
        self.notes: list[str] = []
        self.counts: dict[str, int] = {}
        self.losses: list[str] = []
        self._failures: list[pl.DataFrame] = []
        self._exclude = dict.fromkeys(exclude, False)
        self.line_by_line = line_by_line or bool(self._exclude)

    def numbered(self, folder: str, pattern: re.Pattern[str], kind: str) -> dict[int, str]:
        """The names inside a folder by their number; two names with one number are a defect.

        Args:
            folder: relative to the root.
            pattern: of the whole name, with the number as its first group; other names are left out.
            kind: of the files, for messages, such as ``picture``.
        """
        files: dict[int, str] = {}
        for name in sorted(self.entries(folder)):
            match = pattern.fullmatch(name)
            if match is None:
                continue
            number = int(match[1])
            if number in files:
                self.defect(
                    folder, 0, f"two {kind}s of number {number}: {files[number]} and {name}", f"one {kind} for each frame",
                    "remove one of them",
                )  # fmt: skip
            files.setdefault(number, name)
        return files

    # ---------------------------------------------------------------- reading

    def read_bytes(self, path: str, limit: Limit = ANNOTATION_BYTES) -> bytes:
        """The bytes of an annotation file, which is recorded as read.

        Raises:
            OutsideError: the path leaves the folder.
            BoundError: the file is larger than the limit.
        """
        self.confined.check(path)
        data = read_file(self.path / path, limit, path)
        self.annotation_files.add(path)
        return data

    def read_text(self, path: str) -> str:
        """The text of an annotation file, with Unix line ends and without a byte-order mark.

        A file that is not UTF-8, or exceeds the limits of files and lines, is a defect and reads as empty.
        """
        self.confined.check(path)
        try:
            data = read_lines_file(self.path / path, path)
        except BoundError as error:
            self.defect(path, 0, error.found, error.expected, error.remedy)
            return ""
        self.annotation_files.add(path)
        return self._decoded(path, data)

    def read_document(self, path: str) -> str:
        """The text of an annotation file that is no list of lines, such as JSON; errors are defects as in `read_text`."""
        try:
            return self._decoded(path, self.read_bytes(path, JSON_BYTES))
        except BoundError as error:
            self.defect(path, 0, error.found, error.expected, error.remedy)
            return ""

    def _decoded(self, path: str, data: bytes) -> str:
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            self.defect(
                path,
                0,
                f"a byte that is not UTF-8 at offset {error.start}",
                "a text file",
                FIX_FILE,
            )
            return ""

    def first_line(self, path: str) -> str:
        """The first line of a text file, without line end and byte-order mark; a very long line is cut. Empty for an empty file."""
        self.confined.check(path)
        with (self.path / path).open("rb") as source:
            return source.readline(LINE_BYTES.value()).decode("utf-8-sig", errors="replace").strip()

    def table(
        self,
        paths: str | Sequence[str],
        columns: Sequence[str],
        *,
        separator: str = ",",
        skip_lines: int = 0,
        quoted: bool = False,
    ) -> pl.DataFrame:
        """The lines of one or many delimited files as one frame, in the order of the paths.

        The columns are `columns` (strings), ``source_file`` and ``source_line`` (1-based line in the file). A line with another number of fields is a
        defect. Excluded lines are dropped and counted. Blank lines at the end of a file are ignored; others are defects.

        Args:
            paths: relative to the root.
            columns: one name for each field.
            separator: one character; a blank stands for any number of blanks and tabs, and those at the ends of a line do not count.
            skip_lines: header lines at the top of every file.
            quoted: whether fields may be quoted with ``"``.
        """
        names = [paths] if isinstance(paths, str) else list(paths)
        texts = [after_lines(self.read_text(name).rstrip("\n"), skip_lines) for name in names]
        filled = [(name, text) for name, text in zip(names, texts, strict=True) if text]
        counts = [text.count("\n") + 1 for _, text in filled]
        lines = (
            pl.Series(["\n".join(text for _, text in filled)] if filled else [], dtype=pl.String)
            .str.split("\n")
            .explode()
        )
        frame = pl.DataFrame({"line": lines}).with_columns(
            pl.Series("source_file", [name for name, _ in filled], dtype=pl.String).gather(
                np.repeat(np.arange(len(filled)), counts)
            ),
            pl.Series(
                "source_line", np.concatenate([np.arange(0), *map(np.arange, counts)]) + skip_lines + 1, dtype=pl.Int32
            ),
        )
        frame = self.drop_excluded(frame)
        if quoted:
            rows = quoted_rows(frame["line"], separator, len(columns))
            widths = pl.Series([count for count, _ in rows], dtype=pl.UInt32)
        else:
            even = stripped(frame["line"], separator, len(columns))
            widths = even.str.count_matches(separator, literal=True) + 1
        expected = literal(f"{len(columns)} field(s): {separator.join(columns)}")
        found = "{count} field(s): {line!r}"
        self.refuse(frame.with_columns(count=widths), pl.col("count") != len(columns), found, expected)
        fits = widths == len(columns)
        # Only lines of the right width are split into fields: a line of separators alone would become millions of fields.
        if quoted:
            fields = pl.Series([row for _, row in rows if row is not None], dtype=pl.List(pl.String))
        else:
            fields = even.filter(fits).str.split(separator)
        split = fields.list.to_struct(fields=list(columns)).struct.unnest()
        return split.with_columns(frame.filter(fits)["source_file", "source_line"].get_columns())

    def drop_excluded(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame without the lines that the recipe excludes, which are recorded as failures; `table` already does this."""
        if not self._exclude:
            return frame
        key = pl.format("{}:{}", "source_file", "source_line")
        dropped = frame.filter(key.is_in(list(self._exclude)))
        self._exclude.update(dict.fromkeys(dropped.select(key).to_series(), True))
        self.fail(dropped, EXCLUDED)
        return frame.filter(~key.is_in(list(self._exclude)))

    # ---------------------------------------------------------------- values

    def integers(
        self, frame: pl.DataFrame, columns: Sequence[str], allowed: Collection[int], missing: Collection[int] = ()
    ) -> pl.DataFrame:
        """The frame with string columns parsed to Int8; a missing code becomes null, any other value is a defect.

        Args:
            frame: with ``source_file`` and ``source_line``.
            columns: string columns.
            allowed: the documented values.
            missing: the documented codes for "not annotated".
        """
        known = {str(value): value for value in allowed} | {str(value): None for value in missing}
        texts = {column: plain(frame[column], known) for column in columns}
        wrong = {column: ~text.is_in(list(known)) for column, text in texts.items()}
        self._refuse_values(frame, wrong, f"one of {', '.join(known)}")
        return frame.with_columns(
            text.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Int8).alias(column)
            for column, text in texts.items()
        )

    def numbers(
        self, frame: pl.DataFrame, columns: Sequence[str], low: float, high: float, missing: Collection[float] = ()
    ) -> pl.DataFrame:
        """The frame with string columns parsed to Float64; a missing code becomes null, any other value outside of [low, high] is a defect."""
        values = pl.DataFrame([numbers(frame[column]) for column in columns])
        is_missing = pl.all().is_in(pl.Series(missing, dtype=pl.Float64).implode()).fill_null(value=False)
        in_range = pl.all().is_between(low, high).fill_null(value=False)
        codes = f", or {', '.join(f'{code:g}' for code in missing)} for missing" if missing else ""
        wrong = values.select(~(is_missing | in_range)).to_dict()
        self._refuse_values(frame, wrong, f"a number in [{low:g}, {high:g}]{codes}")
        return frame.with_columns(values.select(pl.when(in_range & ~is_missing).then(pl.all()).name.keep()))

    def classes(self, frame: pl.DataFrame, column: str, names: Mapping[str, str | None]) -> pl.DataFrame:
        """The frame with a column of native codes turned into class names; null if the code means "missing"; an unknown code is a defect.

        Args:
            frame: with ``source_file`` and ``source_line``.
            column: string column of native codes.
            names: native code to a name of the vocabulary, or to None.
        """
        text = plain(frame[column], names)
        self._refuse_values(frame, {column: ~text.is_in(list(names))}, f"one of the codes {', '.join(names)}")
        return frame.with_columns(
            text.replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String).alias(column)
        )

    def boxes(self, frame: pl.DataFrame, remedy: str = FIX_LINE) -> pl.DataFrame:
        """The frame with its string columns left, top, right and bottom as Float32, in pixels.

        A side that is no number, and a box without area, are defects.

        Args:
            frame: with ``source_file`` and ``source_line``.
            remedy: for a box without area.
        """
        frame = self.numbers(frame, BOX, -FARTHEST_PIXEL, FARTHEST_PIXEL)
        flat = (pl.col("left") >= pl.col("right")) | (pl.col("top") >= pl.col("bottom"))
        found = ", ".join(f"{side} = {{{side}:g}}" for side in BOX)
        self.refuse(frame, flat, found, "left < right and top < bottom", remedy)
        return frame.with_columns(pl.col(BOX).cast(pl.Float32))

    def _refuse_values(self, frame: pl.DataFrame, wrong: Mapping[str, pl.Series], expected: str) -> None:
        """Records the wrong values of all columns together, so that one mistake in many columns is one finding."""
        cells = [
            frame.filter(where.fill_null(value=True)).select(*PLACE, column=pl.lit(column), value=column)
            for column, where in wrong.items()
        ]
        if cells:
            self.refuse(pl.concat(cells), pl.lit(value=True), "{column} = {value!r}", expected)

    # ---------------------------------------------------------------- refusing

    def refuse(
        self, rows: pl.DataFrame, wrong: pl.Expr | pl.Series, found: str, expected: str, remedy: str = FIX_LINE
    ) -> pl.DataFrame:
        """The rows that are not wrong; each wrong row is recorded as a defect of its line, or many together as one.

        Args:
            rows: with ``source_file`` and ``source_line``.
            wrong: which rows contradict the documentation; null means that a row does not.
            found: what the row says, with its columns as in ``"face = {face!r}"``.
            expected: what the documentation says, with columns likewise.
            remedy: what to do.
        """
        is_wrong = wrong.fill_null(value=False)
        refused = rows.filter(is_wrong)
        self.defects += row_defects(refused, found, expected, remedy)
        return rows.filter(~is_wrong) if len(refused) else rows

    def refuse_repeated(
        self, rows: pl.DataFrame, key: str | Sequence[str], found: str, expected: str, remedy: str = FIX_LINE
    ) -> pl.DataFrame:
        """The first row of each key; every later one is a defect. A row without a key stays.

        Args:
            rows: with ``source_file`` and ``source_line``.
            key: columns.
            found: as for `refuse`; ``{first_file}`` and ``{first_line}`` are those of the first row.
            expected: as for `refuse`.
            remedy: what to do.
        """
        columns = [key] if isinstance(key, str) else list(key)
        again = pl.struct(columns).is_first_distinct().not_() & pl.all_horizontal(pl.col(columns).is_not_null())
        later = rows.filter(again)
        if later.is_empty():
            return rows
        first = rows.unique(columns, keep="first").select(*columns, first_file="source_file", first_line="source_line")
        self.refuse(later.join(first, on=columns, maintain_order="left"), pl.lit(value=True), found, expected, remedy)
        return rows.filter(~again)

    def refuse_empty(self, path: str, rows: pl.DataFrame, found: str, expected: str) -> None:
        """Records an annotation file without a single row as a defect, unless its own defects say why."""
        if rows.is_empty() and not any(defect.path.startswith(path) for defect in self.defects):
            self.defect(path, 0, found, expected, FIX_FILE)

    # ---------------------------------------------------------------- recording

    def defect(self, path: str, line: int, found: str, expected: str, remedy: str) -> None:
        """Records a contradiction to the documentation; the arguments are the attributes of `Defect`."""
        self.defects.append(Defect(path, line, found, expected, remedy))

    def note(self, text: str) -> None:
        """Records what was found, for `affect-data check`."""
        self.notes.append(text)

    def count(self, what: str, number: int) -> None:
        """Records how many of something the files list (0 too), for comparison with what the release is known to hold."""
        self.counts[what] = number

    def lose(self, what: str) -> None:
        """Records a part that a complete copy has and this one lacks. Its labels are missing, but nothing is contradicted."""
        self.losses.append(what)

    def lose_unread(self, folder: str, names: Sequence[str], example: str) -> None:
        """Records label files of a recognised folder that are named like none of the official ones, so that nothing of them is read."""
        if names:
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            self.lose(f"{folder}/{names[0]}{more}: not read, the official names are like {example}")

    def fail(self, frame: pl.DataFrame, reason: str) -> None:
        """Records lines that give no row for a documented reason.

        The frame needs ``source_file`` and ``source_line``; ``image`` is kept if it exists.
        """
        if len(frame):
            image = pl.col("image") if "image" in frame.columns else pl.lit("")
            self._failures.append(
                frame.select("source_file", "source_line", image.alias("image"), pl.lit(reason).alias("reason")).cast(
                    FAILURE_SCHEMA
                )
            )

    def failures(self) -> pl.DataFrame:
        """All recorded failures with the columns of `FAILURE_SCHEMA`; an exclusion that names no line becomes a defect."""
        for line, used in self._exclude.items():
            if not used:
                path, _, number = line.rpartition(":")
                self.defect(
                    path or line,
                    int(number) if number.isdigit() else 0,
                    NO_SUCH_LINE,
                    "an annotation line that `exclude` can drop",
                    "remove it from `exclude` in the recipe",
                )
        self._exclude = dict.fromkeys((), False)
        return pl.concat([pl.DataFrame(schema=FAILURE_SCHEMA), *self._failures])

    def missing_images(self, images: pl.Series) -> pl.Series:
        """Whether there is no file at each of the relative image paths."""
        return NamedPictures.of(images).absent(self.confined)
