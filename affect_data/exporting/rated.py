"""Writes the label files of databases of videos whose files have a line for each frame, or for each moment."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from affect_data.databases.disfa_plus import DisfaPlus
from affect_data.databases.ratings import RATED
from affect_data.databases.sewa import COLUMNS
from affect_data.exporting.forms import NO_ROW, NativeFile, NativeForm, number
from affect_data.vocabulary import unit_name

NO_LABEL: Final = "nan"
NO_LABEL_LOSS: Final = (
    f"labels of frames without a picture, for which {NO_LABEL} stands, and lines after the last label"
)
COMMENT: Final = "# written by affectkit\n# frame      intensity\n"


def _rated(path: str, first: int, line: pl.Expr) -> Callable[[pl.DataFrame], Iterator[NativeFile]]:
    """Writes a file of valence and one of arousal for each track.

    Args:
        path: of a file, from ``{label}`` and ``{track}``.
        first: the number of a video's first frame.
        line: from the columns frame and value (text).
    """

    def files(rows: pl.DataFrame) -> Iterator[NativeFile]:
        for (track,), own in rows.sort("track", "frame").group_by("track", maintain_order=True):
            labelled = own.drop_nulls(RATED)
            last = labelled["frame"].max()
            # A line has no number of its own: one for every frame, so that none moves.
            frames = pl.DataFrame(
                {"frame": range(first, int(str(last)) + 1) if len(labelled) else []}, {"frame": pl.Int32}
            )
            values = frames.join(labelled, on="frame", how="left", maintain_order="left")
            for label in RATED:
                text = values.with_columns(value=number(label).fill_null(NO_LABEL)).select(line.alias("line"))["line"]
                yield NativeFile(path.format(label=label, track=track), "".join(f"{one}\n" for one in text))

    return files


def _sewa(rows: pl.DataFrame) -> Iterator[NativeFile]:
    for (track,), own in rows.sort("track", "frame").group_by("track", maintain_order=True):
        lines = [
            f"'{track}';" + ";".join(f"{value:.6f}" for value in values)
            for values in own.drop_nulls(RATED).select("timestamp", "arousal", "valence", "liking").iter_rows()
        ]
        yield NativeFile(own["source_file"][0], "".join(f"{line}\n" for line in (";".join(COLUMNS), *lines)))


def _disfa_plus(rows: pl.DataFrame) -> Iterator[NativeFile]:
    for (_, source), own in rows.sort("track", "frame").group_by(
        "track", pl.col("source_file").str.replace(r"/[^/]+$", ""), maintain_order=True
    ):
        for unit in DisfaPlus.action_units:
            coded = own.select("frame", pl.col(f"{unit_name(unit)}_intensity").cast(pl.Int8)).drop_nulls()
            if len(coded):
                lines = "".join(f"{frame:03d}.jpg      {level}\n" for frame, level in coded.iter_rows())
                yield NativeFile(str(PurePosixPath(str(source)) / f"AU{unit}.txt"), COMMENT + lines)


RATED_FORMS: Final[Mapping[str, NativeForm]] = {
    "affwild": NativeForm(_rated("annotations/train/{label}/{track}.txt", 1, pl.col("value")), (NO_LABEL_LOSS,)),
    "disfa_plus": NativeForm(
        _disfa_plus,
        (
            NO_ROW,
            "an occurrence that was corrected without its intensity: the files hold intensities alone",
            "the comments, and names of pictures of other than three digits",
        ),
    ),
    "sewa": NativeForm(_sewa, (NO_ROW, "whether a file has a header: all have one"), side=("time", "liking")),
    "veatic": NativeForm(
        _rated("rating_averaged/{track}_{label}.csv", 0, pl.format("{},{}", "frame", "value")),
        (NO_LABEL_LOSS, "the first column, for which the number of the frame stands"),
    ),
}
