"""Reads Aff-Wild2, as released by the editions of the ABAW competition."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from affect_data.databases.affwild2.facts import EVIDENCE, MAPPING
from affect_data.databases.affwild2.images import (
    NO_CROP,
    NO_TRACK_FOLDER,
    NO_VIDEO,
    TWO_PEOPLE,
    VIDEOS,
    WHOLE_FRAMES,
    Crops,
    check_lengths,
    filtered,
    find_crops,
    find_whole_frames,
    list_frames,
    lose_tracks,
    lose_videos,
    match_images,
    one_person_rows,
    video_of,
)
from affect_data.databases.affwild2.labels import (
    Labelled,
    label_columns,
    read_labels,
    task_columns,
)
from affect_data.databases.affwild2.layout import (
    ACTION_UNITS_12,
    EXPRESSIONS,
    JOIN_ORDER,
    MULTI_TASK_FILES,
    MULTI_TASK_FOLDERS,
    RELEASES,
    TASK_FOLDERS,
    Annotations,
    choose_annotations,
    find_annotations,
)
from affect_data.databases.affwild2.reasons import NO_LABEL, ROW_REFUSED
from affect_data.databases.affwild2.totals import EDITION_ALIASES, LABEL_NAMES, TOTALS
from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.licence import Reading
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.video_rows import images_in_videos
from affect_data.databases.videos import find_videos


class AffWild2Options(DatabaseOptions):
    """What a data recipe may say of Aff-Wild2."""

    partial_action_units: bool = Field(
        default=True,
        description="keep the annotated action units of a line that has -1 for others; false refuses the whole line, as the competition does",
    )
    crops: Literal["cropped_aligned", "cropped", "frames"] | None = Field(
        None,
        description="which folder to use; by default cropped_aligned where it exists, else cropped, else frames, which holds whole pictures",
    )
    crops_beyond_labels: int = Field(
        2, ge=0, description="how many crops of a track may lie beyond the last label line; more is a defect"
    )
    frames: Literal["files", "video"] = Field(
        "files",
        description="whether rows hold crops or extracted frames, or name frames of the videos, which the dataset then keeps once (docs/faces.md)",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.frames == "video" and self.crops is not None:
            raise ValueError(
                f"`frames: video` reads no folder of pictures: leave out `crops: {self.crops}`, or `frames`"
            )
        return self


class AffWild2(Database):
    """Aff-Wild2: faces in web videos, frame by frame, with action units, expressions, valence and arousal.

    Official layout::

        cropped_aligned/<track>/00001.jpg ...          or cropped/, also with batch1/ and batch2/ between; or
        frames/<video>/00001.jpg ...                   whole frames, as `affect-data frames` extracts them from videos/; or
        videos/batch1/<video>.mp4 ...                  the videos themselves, for `frames: video`; also flat, or batch1/ beside the annotations
        <annotations>/                                 Third ABAW Annotations, 6th_ABAW_Annotations, annotations, or the root itself
            VA_Estimation_Challenge/                   or VA_Set
                Train_Set/<track>.txt                  or Training_Set
                Validation_Set/<track>.txt
            EXPR_Classification_Challenge/             or EXPR_Recognition_Challenge, EXPR_Set, Expression_Set: the same two folders
            AU_Detection_Challenge/                    or AU_Set: the same two folders
        or, for the multi-task challenges (s-Aff-Wild2):
        <annotations>/MTL_Challenge/train_set.txt and validation_set.txt
        <annotations>/training_set_annotations.txt and validation_set_annotations.txt

    A per-task file has a header and a line for each frame: line n after the header belongs to image n (``00001.jpg`` and so on), so that
    `frame` counts from 1. Frames without a detected face have lines but no image. The three tasks are joined on (track, frame);
    the source of a row is its first line in the order VA, expression, AU. A track may be train in one task and validation in another,
    so there is a split for each task.

    ``_left`` and ``_right`` at the end of a track distinguish two people of one video. Aff-Wild2 publishes no identities: `subject` is a
    group of tracks that must stay in one split, the name without that ending and without the number of a part (``video45`` for
    ``video45_5``).

    Whole frames are read where there are no crops. Those of a video with two labelled people do not say whose face a label is for: its
    rows are failures. Videos have up to two frames fewer than label lines.

    Lists and examples of test sets are never read: the examples of ABAW6 hold dummy labels.
    """

    name = "affwild2"
    title = "Aff-Wild2"
    homepage = "https://ibug.doc.ic.ac.uk/resources/aff-wild2/"
    citation = """@article{kollias2019expression,
  title = {Expression, Affect, Action Unit Recognition: Aff-Wild2, Multi-Task Learning and ArcFace},
  author = {Kollias, Dimitrios and Zafeiriou, Stefanos},
  journal = {arXiv preprint arXiv:1910.04855},
  year = {2019}
}"""
    licence = Licence(
        "academic research only, by an agreement that a permanent academic signs; no redistribution in any form",
        publishes=Tier.RECIPE,
        url="https://ibug.doc.ic.ac.uk/resources/aff-wild2/",
        reading=Reading(
            "2026-11-30",
            "the project's page, not the agreement; what that says of passing on is reported by others",
        ),
    )
    source_family = "affwild"
    aliases = ("Aff-Wild 2", "ABAW")
    signs = tuple(
        f"{above}{folder}"
        for above in ("", "*annotation*/", "*annotation*/*annotation*/")
        for folder in (
            *(f"{name}/{split}*" for names in TASK_FOLDERS.values() for name in names for split in ("train", "val")),
            *MULTI_TASK_FOLDERS,
            *(name for files in MULTI_TASK_FILES for name in files[:2]),
        )
    )
    totals = TOTALS
    counted_as = "frames"
    # Frames without a detected face have lines but no crop: 2 % of the lines with an expression in official copies.
    tolerated_missing_pictures = 0.05
    picture_reasons = (NO_TRACK_FOLDER, NO_CROP, NO_VIDEO, TWO_PEOPLE)
    videos = VIDEOS
    releases = tuple(RELEASES)
    release_aliases = EDITION_ALIASES
    action_units = tuple(sorted({*ACTION_UNITS_12, 20}))
    mapping = MAPPING
    evidence = EVIDENCE
    expressions = EXPRESSIONS
    valence_arousal = "-1..1"
    Options: ClassVar[type[DatabaseOptions]] = AffWild2Options
    options: AffWild2Options

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled frame that has a cropped face; with `frames: video`, whose video is there.

        Raises:
            DatabaseNotFoundError: there are no annotations, or no faces for any of them.
            UsageError: there are several releases and the recipe names none, or the named release is missing.
        """
        annotations, release = self._annotations(root)
        crops = None if self.reads_videos else self._crops(root, annotations)
        root.defects.extend(annotations.defects)
        labelled = read_labels(
            root, annotations, RELEASES[release], partial_action_units=self.options.partial_action_units
        )
        _note_annotations(root, annotations, release, labelled)
        _lose_unread(root, annotations)
        _count(root, annotations, release, labelled)
        if crops is None or crops.folder == WHOLE_FRAMES:
            labelled = _of_one_person(root, labelled)
        frames = pl.DataFrame() if crops is None else self._frames(root, crops, labelled)
        rows, unlabelled = labelled.rows, labelled.rows.select(_unlabelled(release)).to_series()
        root.fail(rows.filter(unlabelled), NO_LABEL)
        # Nobody else may hold the rows: their columns are freed while they are filtered.
        del labelled
        if crops is None:
            found = self._in_videos(root, rows.filter(~unlabelled))
        else:
            rows, keep = match_images(root, crops, rows, frames, ~unlabelled)
            columns = rows.get_columns()
            del rows, frames
            found = filtered(columns, keep)
        return found.with_columns(_people_of_track().alias("subject"))

    def _frames(self, root: DatabaseRoot, crops: Crops, labelled: Labelled) -> pl.DataFrame:
        """The crops or extracted frames of the labelled tracks: `track, frame, image`."""
        tracks = sorted({*labelled.rows["track"].unique(), *labelled.files["track"]})
        if tracks and not any(root.confined.names(crops.tracks[track]) for track in tracks if track in crops.tracks):
            because = f"none of the {len(tracks):,} labelled tracks, such as '{tracks[0]}', has a folder with frames in {crops.folder}"
            raise self.not_found(root, because=because)
        frames = list_frames(root, crops, tracks)
        lose_tracks(root, tracks, frames)
        check_lengths(root, labelled.files, frames, self.options.crops_beyond_labels)
        _note_crops(root, crops, tracks)
        return frames

    def _in_videos(self, root: DatabaseRoot, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows whose video is there, with the frame's name as `image`; whether the video has the frame is found when it is decoded."""
        videos = find_videos(root, VIDEOS)
        if not videos:
            because = f"`frames: video` needs the videos, and none is in {', '.join(filter(None, VIDEOS.folders))}"
            raise self.not_found(root, because=because)
        has_video = video_of(pl.col("track")).str.to_lowercase().is_in(list(videos))
        there = rows.filter(has_video)
        lose_videos(root, rows.filter(~has_video))
        root.note(f"frames of {there['track'].n_unique():,} videos, of {len(videos):,} that are there")
        return there.with_columns(images_in_videos(root, VIDEOS, there, video_of(pl.col("track"))))

    @property
    def reads_videos(self) -> bool:
        """Whether rows name frames of the videos."""
        return self.options.frames == "video"

    def release_of(self, root: DatabaseRoot) -> str:
        """The release, from the names of folders and the headers of files; a release that the recipe names must fit them.

        Raises:
            DatabaseNotFoundError: there are no annotations.
            UsageError: as for `scan`.
        """
        return self._annotations(root)[1]

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The frames with a label of any task, and their videos; two tracks may share one. Raises what `scan` raises."""
        annotations, release = self._annotations(root)
        partial = self.options.partial_action_units
        rows = read_labels(root, annotations, RELEASES[release], partial_action_units=partial).rows
        labelled = rows.filter(~_unlabelled(release))
        return labelled.select(video_of(pl.col("track")).alias("video"), "frame").unique(maintain_order=True)

    def missing_images(self, root: DatabaseRoot, images: pl.Series) -> pl.Series:  # noqa: ARG002
        """None: the scan takes images and videos from the listings of folders, so all of them exist."""
        return pl.repeat(value=False, n=len(images), dtype=pl.Boolean, eager=True)

    def _crops(self, root: DatabaseRoot, annotations: Annotations) -> Crops:
        wanted = self.options.crops
        found = None if wanted == WHOLE_FRAMES else find_crops(root, wanted)
        if found is None and wanted in (None, WHOLE_FRAMES):
            found = find_whole_frames(root)
        if found is not None:
            return found
        folders = wanted or "cropped_aligned or cropped"
        because = f"there are annotations ({annotations}) but no folder {folders} with the faces"
        if wanted in (None, WHOLE_FRAMES) and (videos := find_videos(root, VIDEOS)):
            extract = "`affect-data frames affwild2 --root affwild2=PATH`"
            because += f"; there are {len(videos)} video(s), whose whole frames {extract} extracts, or `frames: video` in the recipe reads"
        raise self.not_found(root, because=because)

    def _annotations(self, root: DatabaseRoot) -> tuple[Annotations, str]:
        found = find_annotations(root)
        if not found:
            aliases = ", ".join(folder for folders in TASK_FOLDERS.values() for folder in folders[:1])
            raise self.not_found(root, because=f"no annotation files in {aliases} or under another of their names")
        return choose_annotations(root, found, self.options.release)


def _unlabelled(release: str) -> pl.Expr:
    """Whether a line has no label of any task."""
    return pl.all_horizontal(pl.col(label_columns(RELEASES[release])).is_null())


def _lose_unread(root: DatabaseRoot, annotations: Annotations) -> None:
    """Records label files beside the tracks' that are named otherwise."""
    read = {path for splits in annotations.tasks.values() for paths in splits.values() for path in paths}
    for folder in sorted({path.rpartition("/")[0] for path in read}):
        unread = [name for name in root.label_files(folder) if f"{folder}/{name}" not in read]
        root.lose_unread(folder, unread, "<track>.txt")


def _of_one_person(root: DatabaseRoot, labelled: Labelled) -> Labelled:
    """The labels whose videos show one labelled person."""
    rows = one_person_rows(root, labelled.rows)
    return Labelled(rows, labelled.files.filter(pl.col("track").is_in(rows["track"].unique().implode())))


def _people_of_track() -> pl.Expr:
    """Tracks that may show the same people: the name without the side and the number of a part."""
    return (
        video_of(pl.col("track")).str.replace(r"^(video\d+)_\d+$", "$1").str.replace(r"^(\d+-\d+-\d+x\d+) ?-\d+$", "$1")
    )


def _note_annotations(root: DatabaseRoot, annotations: Annotations, release: str, labelled: Labelled) -> None:
    where = annotations.folder or "the root"
    alternatives = [name for name in annotations.possible if name != release]
    unsure = f" (the files fit {', '.join(alternatives)} as well: name it under `release`)" if alternatives else ""
    root.note(f"release {release} in {where}{unsure}")
    if annotations.multi_task:
        root.note(
            f"{len(labelled.rows):,} frames of {labelled.rows['track'].n_unique():,} tracks in {', '.join(annotations.multi_task.values())}"
        )
        return
    for task in JOIN_ORDER:
        counts = [
            f"{len(part):,} {split} tracks with {part['lines'].sum():,} lines"
            for split in ("train", "validation")
            if len(part := labelled.files.filter(pl.col("task") == task, pl.col("split") == split))
        ]
        root.note(f"{task}: {', '.join(counts) or 'no annotations, masked in all rows'}")


def _count(root: DatabaseRoot, annotations: Annotations, release: str, labelled: Labelled) -> None:
    """Counts tracks and labelled frames by task and split; a task that the edition codes but the files lack is recorded as lost."""
    for task in JOIN_ORDER:
        labelled_here = pl.any_horizontal(pl.col(task_columns(task, RELEASES[release])).is_not_null())
        refused = (pl.col(f"{task}_masked") == ROW_REFUSED).fill_null(value=False)
        labels = labelled.rows.filter(labelled_here | refused)[f"split_{task}"]
        for split in ("train", "validation"):
            root.count(f"{split} frames with {LABEL_NAMES[task]}", int((labels == split).sum()))
            if not annotations.multi_task:
                files = labelled.files.filter(pl.col("task") == task, pl.col("split") == split)
                root.count(f"{split} tracks with {LABEL_NAMES[task]}", len(files))
        if not annotations.multi_task and task not in annotations.tasks:
            root.lose(f"no annotations of {LABEL_NAMES[task]} (no folder such as {TASK_FOLDERS[task][0]})")


def _note_crops(root: DatabaseRoot, crops: Crops, tracks: Sequence[str]) -> None:
    unlabelled = len(crops.tracks.keys() - set(tracks))
    root.note(f"faces from {crops.folder}; {unlabelled:,} of its entries have no labels (test tracks) and are not read")
