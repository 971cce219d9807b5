"""The cropped faces of Aff-Wild2, and how they match the annotation lines."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.databases.affwild2.layout import CROP_FOLDERS
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.videos import VideoLayout
from affect_data.video.clocks import FrameClock

WHOLE_FRAMES: Final = "frames"
"""The folder of whole frames, as `affect-data frames` writes them."""

VIDEOS: Final = VideoLayout(
    folders=("videos/batch*", "videos", "videos/*", "batch*", "*_set/videos/*", ""),
    names=re.compile(r"(?P<video>.+)\.(?:mp4|avi)", re.IGNORECASE),
    frames=f"{WHOLE_FRAMES}/{{video}}",
    clock=FrameClock(first=1),
)

TWO_PEOPLE: Final = "the whole frame shows two people, and nothing says whose face the label is for"
NO_TRACK_FOLDER: Final = "no cropped face for any frame of this track"
NO_CROP: Final = "no cropped face for this frame"
NO_VIDEO: Final = "no video of this track"

_BATCH: Final = re.compile(r"batch_?\d+", re.IGNORECASE)
_FRAME_NAME: Final = r"^(\d{5,})\.jpg$"
_FRAMES_SCHEMA: Final = pl.Schema({"track": pl.String(), "frame": pl.Int32(), "image": pl.String()})
_DIGITS: Final = 5
_ENDING: Final = b".jpg"
_NAME_LENGTH: Final = _DIGITS + len(_ENDING)
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
    """The folders of cropped faces, of all archives of one kind, also inside of `batch1` and `batch2`; None if there are none.

    Args:
        root: of the database; a track in two archives or batches is recorded as a defect.
        preferred: ``cropped_aligned`` or ``cropped``; by default the first of them that exists.
    """
    for names in [CROP_FOLDERS[preferred]] if preferred else CROP_FOLDERS.values():
        archives = _archives(root, "", names, depth=2)
        # Crops that are not aligned are also unpacked as batches beside the annotations, where others keep their videos.
        batches = sorted(name for name in root.entries() if _BATCH.fullmatch(name)) if "cropped" in names else []
        tracks = _tracks_in(root, [*batches, *archives])
        if archives or tracks:
            return Crops([*archives, *batches][0], tracks)
    return None


def _archives(root: DatabaseRoot, above: str, names: Sequence[str], depth: int) -> list[str]:
    """The folders that hold tracks, each before those that are unpacked in it."""
    found = []
    for entry in sorted(root.entries(above)):
        if entry.lower() in names or (above and _BATCH.fullmatch(entry)):
            path = f"{above}/{entry}" if above else entry
            found += [path, *(_archives(root, path, names, depth - 1) if depth else ())]
    return found


def _tracks_in(root: DatabaseRoot, archives: Sequence[str]) -> dict[str, str]:
    tracks: dict[str, str] = {}
    for parent in archives:
        for track in sorted(root.entries(parent)):
            if track.startswith(".") or f"{parent}/{track}" in archives or VIDEOS.names.fullmatch(track):
                continue
            if track in tracks:
                root.defect(
                    f"{parent}/{track}",
                    0,
                    f"the track '{track}', whose crops are also in {tracks[track]}",
                    "one folder of crops for each track",
                    "remove one of the folders",
                )
            else:
                tracks[track] = f"{parent}/{track}"
    return tracks


def find_whole_frames(root: DatabaseRoot) -> Crops | None:
    """The folders of whole frames, one for each video; None if there are none."""
    folder = root.one_of(WHOLE_FRAMES)
    if folder is None:
        return None
    return Crops(folder, {name: f"{folder}/{name}" for name in sorted(root.entries(folder)) if name[0] != "."})


def video_of(track: pl.Expr) -> pl.Expr:
    """The name of a track's video, which two people may share."""
    return track.str.replace(r"_(left|right)$", "")


def one_person_rows(root: DatabaseRoot, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of videos that show one labelled person; those of the others are failures, since nothing in a whole frame tells two people apart."""
    tracks = rows.select("track", video=video_of(pl.col("track"))).unique()
    shared = tracks.filter((pl.col("track") != pl.col("video")) | (pl.len().over("video") > 1))["track"].sort()
    is_shared = pl.col("track").is_in(shared.implode())
    root.fail(rows.filter(is_shared), TWO_PEOPLE)
    if len(shared):
        root.lose(
            f"{len(shared)} tracks of videos that show two people, such as {shared[0]}: only the official crops tell them apart"
        )
    return rows.filter(~is_shared)


def list_frames(root: DatabaseRoot, crops: Crops, tracks: Iterable[str]) -> pl.DataFrame:
    """The cropped faces of the given tracks: `track, frame, image`. A file whose name is no frame number from 00001 is a defect of its folder."""
    parts = [pl.DataFrame(schema=_FRAMES_SCHEMA)]
    for track in (track for track in tracks if track in crops.tracks):
        folder = crops.tracks[track]
        names = root.confined.names(folder)
        found = _usual_frames(folder, names)
        if found is None:
            found = _unusual_frames(root, folder, names)
        parts.append(found.select(pl.lit(track).alias("track"), "frame", "image"))
    return pl.concat(parts)


def _usual_frames(folder: str, names: Sequence[bytes]) -> pl.DataFrame | None:
    """The cropped faces of a folder whose files are all named by five digits, as the official crops are; None if any is not."""
    if set(map(len, names)) - {_NAME_LENGTH}:
        return None
    letters = np.frombuffer(b"".join(names), np.uint8).reshape(-1, _NAME_LENGTH)
    digits = letters[:, :_DIGITS] - np.uint8(ord("0"))
    if (digits > 9).any() or (letters[:, _DIGITS:] != np.frombuffer(_ENDING, np.uint8)).any():
        return None
    numbers = np.zeros(len(names), np.int32)
    for place in range(_DIGITS):
        numbers = numbers * 10 + digits[:, place]
    if not (numbers > 0).all():
        return None
    order = np.argsort(numbers)
    return pl.DataFrame({"frame": numbers[order], "image": _paths(folder, letters[order])})


def _paths(folder: str, letters: npt.NDArray[np.uint8]) -> pl.Series:
    """The paths of files in a folder, whose names are all of one length."""
    above = np.frombuffer(f"{folder}/".encode(), np.uint8)
    paths = np.hstack([np.broadcast_to(above, (len(letters), len(above))), letters])
    ends = np.arange(len(letters) + 1, dtype=np.int64) * paths.shape[1]
    texts = pa.LargeStringArray.from_buffers(len(letters), pa.py_buffer(ends), pa.py_buffer(paths.reshape(-1)))
    return pl.Series("image", texts)


def _unusual_frames(root: DatabaseRoot, folder: str, names: Iterable[bytes]) -> pl.DataFrame:
    """The cropped faces of a folder; names that are no frame number from 00001 become a defect of the folder."""
    texts = sorted(name for name in map(os.fsdecode, names) if not name.startswith(".") and name not in _IGNORED_NAMES)
    listing = pl.DataFrame({"name": texts}, {"name": pl.String})
    frame = pl.col("name").str.extract(_FRAME_NAME, 1).cast(pl.Int32, strict=False)
    listing = listing.with_columns(pl.when(frame > 0).then(frame).alias("frame"))
    unnumbered = listing.filter(pl.col("frame").is_null())
    if len(unnumbered):
        root.defect(
            folder,
            0,
            f"{len(unnumbered)} file(s) such as '{unnumbered['name'][0]}'",
            "frames 00001.jpg, 00002.jpg, ... numbered from 1 as the lines of the annotations are",
            "use the official crops; frames that were extracted anew and are numbered otherwise do not fit the labels",
        )
    return listing.drop_nulls("frame").with_columns(pl.format("{}/{}", pl.lit(folder), "name").alias("image"))


def match_images(
    root: DatabaseRoot, crops: Crops, rows: pl.DataFrame, frames: pl.DataFrame, labelled: pl.Series
) -> tuple[pl.DataFrame, pl.Series]:
    """All rows with `image`, and which of them are labelled and have a cropped face.

    Labelled rows without one become failures, with a reason by whether their track has any face.
    """
    if len(found := _with_images(rows, frames)) != len(rows):
        # Two crops have one number, so that there are more rows now.
        found = _with_images(rows.filter(labelled), frames)
        labelled = pl.repeat(value=True, n=len(found), dtype=pl.Boolean, eager=True)
    has_image = found["image"].is_not_null()
    lost = found.filter(labelled & ~has_image)
    named = pl.format("{}/{}/{}.jpg", pl.lit(crops.folder), "track", pl.col("frame").cast(pl.String).str.zfill(_DIGITS))
    lost = lost.with_columns(named.alias("image"))
    in_track = pl.col("track").is_in(frames["track"].unique().implode())
    root.fail(lost.filter(~in_track), NO_TRACK_FOLDER)
    root.fail(lost.filter(in_track), NO_CROP)
    return found, labelled & has_image


def filtered(columns: list[pl.Series], keep: pl.Series) -> pl.DataFrame:
    """The rows to keep. Empties the list on the way, so that no second copy of millions of rows is needed."""
    columns.reverse()
    return pl.DataFrame([columns.pop().filter(keep) for _ in range(len(columns))])


def _with_images(rows: pl.DataFrame, frames: pl.DataFrame) -> pl.DataFrame:
    """The rows with `image`, null where there is no crop of their track and frame."""
    codes = {track: code for code, track in enumerate(frames["track"].unique(maintain_order=True))}
    known, asked = (_places(frame, codes) for frame in (frames, rows))
    if not len(known) or (np.diff(known) <= 0).any():
        return rows.join(frames, on=["track", "frame"], how="left", maintain_order="left")
    places = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    found = pl.Series(pa.array(places, mask=known[places] != asked))
    return rows.with_columns(frames["image"].gather(found))


def _places(frame: pl.DataFrame, codes: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """A number for the track and frame of each row, rising with both."""
    code = frame["track"].replace_strict(codes, default=-1, return_dtype=pl.Int64)
    places: npt.NDArray[np.int64] = (code.to_numpy() << 32) + frame["frame"].to_numpy()
    return places


def lose_tracks(root: DatabaseRoot, tracks: Sequence[str], frames: pl.DataFrame) -> None:
    """Records the labelled tracks without a single cropped face."""
    if lost := sorted(set(tracks) - set(frames["track"].unique())):
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        root.lose(f"no cropped face of {len(lost)} of {len(tracks)} tracks: {', '.join(lost[:5])}{more}")


def lose_videos(root: DatabaseRoot, rows: pl.DataFrame) -> None:
    """Makes failures of rows without a video, and records their videos as lost."""
    root.fail(rows.with_columns(image=video_of(pl.col("track"))), NO_VIDEO)
    if len(lost := rows.select(video_of(pl.col("track")).unique().sort()).to_series()):
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        root.lose(f"no video of {len(lost)} labelled track(s): {', '.join(lost[:5])}{more}")


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
    longest = dict(files.group_by("track").agg(pl.col("lines").max()).iter_rows())
    lines = pl.col("track").replace_strict(longest, default=None, return_dtype=pl.Int32)
    beyond = frames.filter(pl.col("frame") > lines)
    if len(beyond):
        root.note(
            f"{len(beyond):,} crop(s) of {beyond['track'].n_unique():,} track(s) lie beyond the last label line and are not used"
        )
