"""Writes the label files of databases of videos and clips: a file for each track, or for each frame of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from affect_data.databases.afew_va import HIGHEST
from affect_data.databases.bp4d.coded_sequences import CODED_INTENSITIES, CODED_UNITS
from affect_data.databases.bp4d.labels import NOT_CODED
from affect_data.databases.ck_plus.reader import CkPlus
from affect_data.databases.dfew import HEADER, Dfew
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.unbc.facts import HIGHEST as UNBC_HIGHEST
from affect_data.databases.unbc.sequences import HIGHEST_OF, SEQUENCE_LABELS
from affect_data.exporting.forms import NO_CODE, NO_ROW, NativeFile, NativeForm, codes_of, lists
from affect_data.vocabulary import unit_name

DERIVED: Final = "an occurrence that was corrected without its intensity: the files hold intensities alone"
COLUMNS_OF_BP4D: Final = range(1, 100)


def _disfa(rows: pl.DataFrame) -> Iterator[NativeFile]:
    for (subject,), own in rows.sort("track", "frame").group_by("track", maintain_order=True):
        folder = PurePosixPath(own["source_file"][0]).parent
        for unit in Disfa.action_units:
            coded = own.select("frame", level=_level(unit)).drop_nulls()
            if len(coded):
                text = "".join(f"{frame},{level}\r\n" for frame, level in coded.iter_rows())
                yield NativeFile(str(folder / f"{subject}_au{unit}.txt"), text)


def _bp4d(columns: Sequence[int], intensities: str) -> Callable[[pl.DataFrame], Iterator[NativeFile]]:
    """Writes a file of occurrences for each sequence, and one of intensities for each of its action units that has any.

    Args:
        columns: the action units of the columns after the first.
        intensities: path of a file, from ``{unit:02d}`` and ``{track}``.
    """
    cells = {unit: pl.col(unit_name(unit)).fill_null(NOT_CODED) for unit in CODED_UNITS}
    codes = [cells.get(unit, pl.lit(NOT_CODED)).cast(pl.String) for unit in columns]
    line = pl.concat_str(pl.col("frame").cast(pl.String), *codes, separator=",")
    header = ",".join(map(str, (0, *columns)))

    def files(rows: pl.DataFrame) -> Iterator[NativeFile]:
        for (track,), own in rows.sort("track", "frame").group_by("track", maintain_order=True):
            coded = own.filter(pl.any_horizontal(pl.col(unit_name(unit)).is_not_null() for unit in CODED_UNITS))
            if len(coded):
                lines = [header, *coded.select(line.alias("line"))["line"]]
                yield NativeFile(f"AUCoding/AU_OCC/{track}.csv", "".join(f"{text}\r\n" for text in lines))
            for unit in CODED_INTENSITIES:
                levels = own.select("frame", level=_level(unit))
                if levels["level"].count():
                    written = levels.with_columns(pl.col("level").fill_null(NOT_CODED)).iter_rows()
                    text = "".join(f"{frame},{level}\r\n" for frame, level in written)
                    yield NativeFile(intensities.format(unit=unit, track=track), text)

    return files


def _level(unit: int) -> pl.Expr:
    """The intensity of an action unit as a whole number; null where there is none."""
    return pl.col(f"{unit_name(unit)}_intensity").cast(pl.Int8)


def _unbc(rows: pl.DataFrame) -> Iterator[NativeFile]:
    yield from _sequence_labels(rows)
    levels = {unit: _level(unit).alias(str(unit)) for unit in UNBC_HIGHEST}
    for subject, track, source, score, *own in rows.select(
        "subject", "track", "source_file", "pspi", *levels.values()
    ).iter_rows():
        place = f"{subject}/{track}/{PurePosixPath(source).name}"
        if any(level is not None for level in own):
            listed = [(unit, level, 0, 0) for unit, level in zip(levels, own, strict=True) if level]
            yield NativeFile(f"Frame_Labels/FACS/{place}", "".join(map(_matlab, listed)))
        if score == score:
            yield NativeFile(f"Frame_Labels/PSPI/{place}", _matlab((score,)))


def _sequence_labels(rows: pl.DataFrame) -> Iterator[NativeFile]:
    """A file of each kind for each sequence."""
    for kind in HIGHEST_OF:
        labelled = rows.filter(pl.col(kind.lower()).is_not_nan()).unique(
            ["subject", "track"], keep="first", maintain_order=True
        )
        for subject, track, score in labelled.select("subject", "track", kind.lower()).iter_rows():
            yield NativeFile(f"{SEQUENCE_LABELS}/{kind}/{subject}/{track}.txt", _matlab((score,)))


def _matlab(numbers: tuple[float, ...]) -> str:
    """A line of numbers as MATLAB saves them."""
    return "".join(f"{number:16.7e}" for number in numbers) + "\n"


def _ck_plus(rows: pl.DataFrame) -> Iterator[NativeFile]:
    codes = codes_of(CkPlus.mapping, "emotion")
    # First frames that the recipe made neutral have the file of the peak as their source, and no file of their own.
    peak = pl.format("_{}_", pl.col("frame").cast(pl.String).str.zfill(8))
    for row in rows.filter(pl.col("source_file").str.contains(peak, literal=True)).iter_rows(named=True):
        place = f"{row['subject']}/{row['track'][-3:]}/{row['track']}_{row['frame']:08d}"
        present = {unit: row[unit_name(unit)] for unit in CkPlus.action_units}
        # What a file does not list is absent: without a label for each, there is no file.
        if None not in present.values():
            levels = {unit: row[f"{unit_name(unit)}_intensity"] or 0 for unit, code in present.items() if code}
            yield NativeFile(f"FACS/{place}_facs.txt", "".join(map(_matlab, levels.items())))
        if row["expression"] in codes:
            yield NativeFile(f"Emotion/{place}_emotion.txt", _matlab((int(codes[row["expression"]]),)))


def _afew_va(rows: pl.DataFrame) -> Iterator[NativeFile]:
    native = [(pl.col(name).cast(pl.Float64) * HIGHEST).round().alias(name) for name in ("arousal", "valence")]
    for (path,), own in rows.sort("track", "frame").group_by("source_file", maintain_order=True):
        frames = {
            f"{frame:05d}": {"arousal": arousal, "landmarks": [], "valence": valence}
            for frame, arousal, valence in own.select("frame", *native).iter_rows()
        }
        labels = {"actor": own["subject"][0], "frames": frames, "video_id": own["track"][0]}
        yield NativeFile(str(path), json.dumps(labels, indent=4, sort_keys=True))


def _dfew(rows: pl.DataFrame) -> Iterator[NativeFile]:
    code = pl.col("expression").replace_strict(codes_of(Dfew.mapping, "label"), default=None, return_dtype=pl.String)
    line = pl.concat_str(pl.col("track").cast(pl.Int32).cast(pl.String), code, separator=",")
    return lists(rows.filter(pl.col("expression").is_not_null()), line, ",".join(HEADER) + "\n")


TRACK_FORMS: Final[Mapping[str, NativeForm]] = {
    "afew_va": NativeForm(_afew_va, ("landmarks, for which an empty list stands",)),
    "bp4d": NativeForm(
        _bp4d(COLUMNS_OF_BP4D, "AU Intensity Codes3.0/AU{unit:02d}/{track}.csv"),
        (
            NO_ROW,
            "columns of action units that BP4D does not code, and of occlusion, for which 9 stands",
            "a line of 9 alone in a file of occurrences or of intensities",
            "the folders: those of the first release are written",
        ),
    ),
    "bp4d_plus": NativeForm(
        _bp4d(CODED_UNITS, "AUCoding/AU_INT/AU{unit:02d}/{track}_AU{unit:02d}.csv"),
        (NO_ROW, "a line of 9 alone in a file of occurrences or of intensities"),
    ),
    "ck_plus": NativeForm(
        _ck_plus,
        (
            NO_ROW,
            NO_CODE,
            "action units that are not coded",
            "the order of action units, and those that stand twice",
            "action units of a frame of which a decision took one away: what is not listed would count as absent",
            "the folders: those without the archives' names are written",
        ),
    ),
    "dfew": NativeForm(
        _dfew,
        (
            NO_ROW,
            "classes that the votes contradict",
            "the lists of the other folds",
            "the workbook of the votes",
        ),
    ),
    "disfa": NativeForm(_disfa, (NO_ROW, DERIVED)),
    "unbc": NativeForm(
        _unbc,
        (NO_ROW, DERIVED, "the third and the fourth number of a line, and AU27", "the folders: they are not nested"),
        side=("pspi", *map(str.lower, HIGHEST_OF)),
    ),
}
