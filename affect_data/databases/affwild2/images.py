"""The cropped faces of Aff-Wild2, and how they match the annotation lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from affect_data.databases.affwild2.layout import CROP_FOLDERS
from affect_data.databases.root import DatabaseRoot

NO_TRACK_FOLDER: Final = "no cropped face for any frame of this track"
NO_CROP: Final = "no cropped face for this frame"

_BATCH: Final = re.compile(r"batch_?\d+", re.IGNORECASE)
_FRAME_NAME: Final = r"^(\d{5,})\.jpg$"
_IGNORED_NAMES: Final = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Crops:
    """The folders of cropped faces.

    Attributes:
        folder: relative to the root.
        tracks: from each track to its folder, relative to the root.
    """

    folder: str
    tracks: Mapping[str, str]


def find_crops(root: DatabaseRoot, preferred: str | None) -> Crops | None:
    """The folders of cropped faces, also inside of `batch1` and `batch2`; None if there are none.

    Args:
        root: of the database; a track in two batches is recorded as a defect.
        preferred: ``cropped_aligned`` or ``cropped``; by default the first of them that exists.
    """
    folder = root.one_of(*([preferred] if preferred else CROP_FOLDERS))
    if folder is None:
        return None
    batches = sorted(name for name in root.entries(folder) if _BATCH.fullmatch(name))
    tracks: dict[str, str] = {}
    for parent in [folder, *(f"{folder}/{batch}" for batch in batches)]:
        for track in sorted(root.entries(parent) - set(batches)):
            if track in tracks:
                root.defect(
                    f"{parent}/{track}",
                    0,
                    f"the track '{track}', whose crops are also in {tracks[track]}",
                    "one folder of crops for each track",
                    "remove one of the folders",
                )
            elif not track.startswith("."):
                tracks[track] = f"{parent}/{track}"
    return Crops(folder, tracks)


def list_frames(root: DatabaseRoot, crops: Crops, tracks: Iterable[str]) -> pl.DataFrame:
    """The cropped faces of the given tracks: `track, frame, image`. A file whose name is no frame number from 00001 is a defect of its folder."""
    folders = [(track, crops.tracks[track]) for track in tracks if track in crops.tracks]
    listing = pl.DataFrame(
        [(track, folder, sorted(root.entries(folder))) for track, folder in folders],
        schema={"track": pl.String, "folder": pl.String, "name": pl.List(pl.String)},
        orient="row",
    ).explode("name", empty_as_null=False)
    listing = listing.filter(~pl.col("name").str.starts_with("."), ~pl.col("name").is_in(_IGNORED_NAMES))
    frame = pl.col("name").str.extract(_FRAME_NAME, 1).cast(pl.Int32, strict=False)
    listing = listing.with_columns(pl.when(frame > 0).then(frame).alias("frame"))
    unnumbered = listing.filter(pl.col("frame").is_null()).group_by("folder", maintain_order=True)
    for folder, name, count in unnumbered.agg(pl.col("name").first(), pl.len().alias("count")).iter_rows():
        root.defect(
            folder,
            0,
            f"{count} file(s) such as '{name}'",
            "frames 00001.jpg, 00002.jpg, ... numbered from 1 as the lines of the annotations are",
            "use the official crops; frames that were extracted anew and are numbered otherwise do not fit the labels",
        )
    numbered = listing.filter(pl.col("frame").is_not_null())
    return numbered.select("track", "frame", pl.format("{}/{}", "folder", "name").alias("image"))


def match_images(root: DatabaseRoot, crops: Crops, rows: pl.DataFrame, frames: pl.DataFrame) -> pl.DataFrame:
    """The rows that have a cropped face, with `image`; the others become failures, with a reason by whether their track has any face."""
    rows = rows.join(frames, on=["track", "frame"], how="left", maintain_order="left")
    named = pl.format("{}/{}/{}.jpg", pl.lit(crops.folder), "track", pl.col("frame").cast(pl.String).str.zfill(5))
    lost = rows.filter(pl.col("image").is_null()).with_columns(named.alias("image"))
    in_track = pl.col("track").is_in(frames["track"].unique().implode())
    root.fail(lost.filter(~in_track), NO_TRACK_FOLDER)
    root.fail(lost.filter(in_track), NO_CROP)
    return rows.filter(pl.col("image").is_not_null())


def lose_tracks(root: DatabaseRoot, tracks: Sequence[str], frames: pl.DataFrame) -> None:
    """Records the labelled tracks without a single cropped face."""
    if lost := sorted(set(tracks) - set(frames["track"])):
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        root.lose(f"no cropped face of {len(lost)} of {len(tracks)} tracks: {', '.join(lost[:5])}{more}")


def check_lengths(root: DatabaseRoot, files: pl.DataFrame, frames: pl.DataFrame, tolerance: int) -> None:
    """Records a defect for each annotation file that ends more than `tolerance` frames before the last crop of its track.

    More label lines than crops are usual: no face was found in some frames. One or two crops more than lines are usual too, because video decoders
    disagree about the last frames. More than that means that lines or frames belong to something else.

    Args:
        root: records the defects, and a note on crops within the tolerance.
        files: `track, source_file, lines` of each annotation file.
        frames: `track, frame` of each crop.
        tolerance: frames.
    """
    last = frames.group_by("track").agg(pl.col("frame").max().alias("last"))
    short = files.join(last, on="track", maintain_order="left").filter(pl.col("last") - pl.col("lines") > tolerance)
    for path, count, image in short.select("source_file", "lines", "last").iter_rows():
        root.defect(
            path,
            0,
            f"{count:,} label line(s), but crops of the track up to {image:05d}.jpg",
            f"at most {tolerance} crops beyond the last label line",
            "restore the official file and the official crops; where both are official, raise `crops_beyond_labels` in the recipe",
        )
    longest = files.group_by("track").agg(pl.col("lines").max())
    beyond = frames.join(longest, on="track").filter(pl.col("frame") > pl.col("lines"))
    if len(beyond):
        root.note(
            f"{len(beyond):,} crop(s) of {beyond['track'].n_unique():,} track(s) lie beyond the last label line and are not used"
        )
