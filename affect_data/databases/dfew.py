"""Reads DFEW: clips of films, one of seven expressions and the votes of ten annotators each."""

from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.clips import ClipDatabase, ClipOptions, frames_in
from affect_data.databases.facts import Evidence, Grade, NativeValue, labels_of, numbered
from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.spelling import whole_numbers
from affect_data.databases.totals import Totals
from affect_data.databases.workbook import filled_sheets

FOLDS: Final = 5
PARTS: Final = ("train", "test")
HEADER: Final = ("video_name", "label")
ANNOTATORS: Final = 10
CLIP: Final = "order"
"""The column of the workbook that numbers the clips."""

EXPRESSIONS: Final = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
CLASSES: Final = numbered("label", EXPRESSIONS, first=1)
NOT_MOST_VOTED: Final = "the list's class is not the most voted"


class DfewOptions(ClipOptions):
    """What a data recipe may say of DFEW."""

    fold: int = Field(
        1, ge=1, le=FOLDS, description="the official fold whose lists are read: what it trains on and what it tests on"
    )


class Dfew(ClipDatabase):
    """Dynamic Facial Expression in-the-Wild: clips of films with one of seven expressions each.

    Official layout::

        Clip/clip_224x224/00001/1.jpg                         the frames of clip 1, cut to the face
        EmoLabel_DataSplit/train(single-labeled)/set_1.csv    video_name,label (header); the label is 1..7; one list for each of five folds
        EmoLabel_DataSplit/test(single-labeled)/set_1.csv
        Annotation/annotation.xlsx                            1happy ... 7fear: how many of ten annotators chose each; order: the clip

    Traps:
        - Labels count from 1, in DFEW's own order, and hold for the whole clip.
        - Names of clips are numbers in the lists, and five digits with leading zeros as folders.
        - Frames are ordered by their number: a list by name would put 10 before 9. Numbers that are left out are frames without a face.
        - The lists hold the clips that more than six annotators agree on. Clips that the workbook alone has are not read.
        - All five folds list the same clips: the recipe's `fold` says which of them are for testing. There is no validation split.
        - A list whose class is not the most voted contradicts the workbook: the clip stays, its class is masked.
        - Which film a clip is from is in no file, and so are the people: the same face may be in train and test.
    """

    name = "dfew"
    title = "DFEW"
    homepage = "https://dfew-dataset.github.io/"
    citation = """@inproceedings{jiang2020dfew,
  title = {{DFEW}: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild},
  author = {Jiang, Xingxun and Zong, Yuan and Zheng, Wenming and Tang, Chuangao and Xia, Wanchuang and Lu, Cheng and Liu, Jiateng},
  booktitle = {ACM International Conference on Multimedia},
  pages = {2881--2889},
  year = {2020},
  doi = {10.1145/3394171.3413620}
}"""
    licence = Licence(
        "on request from an academic address; non-commercial research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://dfew-dataset.github.io/download.html",
    )
    source_family = "dfew"
    aliases = ("Dynamic Facial Expression in the Wild",)
    signs = ("EmoLabel_DataSplit", "clip/clip_224x224", "clip_224x224")
    counted_as = "clips"
    totals = MappingProxyType(
        {"2020": Totals({"clips": 11_697, "train clips": 9_356, "test clips": 2_336}, "the lists of the five folds")}
    )
    releases = ("2020",)
    expressions = EXPRESSIONS
    mapping = (
        *CLASSES,
        NativeValue("label", "a class that is not the most voted", masked=NOT_MOST_VOTED),
        NativeValue("1happy ... 7fear", f"0..{ANNOTATORS}", "a share of the votes on the clip"),
    )
    evidence = (
        Evidence(
            "labels 1..7 are in this order", Grade.DOCUMENTED, "names of the workbook's columns; public lists agree"
        ),
        Evidence("names in lists are numbers, folders have five digits", Grade.CODE, "preprocess/dfew.py of MAE-DFER"),
        Evidence("five folds of 11,697 clips", Grade.SEEN, "public lists of all folds (they count labels from 0)"),
        Evidence(
            "ten annotators voted on each clip", Grade.CODE, "preprocess/dfew.py of MAE-DFER; more votes are a defect"
        ),
        Evidence("frames are in the order of their numbers", Grade.CODE, "public loaders sort by number"),
    )
    has_expression_votes = True
    annotators = ANNOTATORS
    Options: ClassVar[type[DatabaseOptions]] = DfewOptions
    options: DfewOptions

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row for each line of the fold's two lists: track, frames, expression, the annotators' shares, split.

        Raises:
            DatabaseNotFoundError: there is no list of the fold.
        """
        lists = _lists(root, self.options.fold)
        if not lists:
            raise self.not_found(root, because=f"there is no list of fold {self.options.fold} in EmoLabel_DataSplit")
        for part in PARTS:
            if part not in lists:
                root.lose(f"no {part} list of fold {self.options.fold}")
        clips = pl.concat([self._listed(root, part, path) for part, path in lists.items()])
        again = "clip {track} again (first at {first_file}:{first_line})"
        clips = root.refuse_repeated(clips, "track", again, "one line for each clip in the two lists of a fold")
        folder = _clip_folder(root)
        paths = [f"{folder}/{track}" for track in clips["track"]]
        return self._with_votes(root, clips.with_columns(frames_in(root, paths)))

    def _listed(self, root: DatabaseRoot, part: str, path: str) -> pl.DataFrame:
        """The lines of a list: track, expression, split, source_file and source_line."""
        header = root.first_line(path)
        if tuple(header.split(",")) != HEADER:
            root.defect(path, 1, f"the header {header[:60]!r}", ",".join(HEADER), FIX_FILE)
        clips = root.table(path, HEADER, skip_lines=1)
        root.refuse_empty(path, clips, "no clip", "one line for each clip")
        root.count(f"{part} clips", len(clips))
        clips = _with_track(root, clips, "video_name")
        return root.classes(clips, "label", labels_of(CLASSES, "label")).select(
            "source_file",
            "source_line",
            "track",
            expression="label",
            split=pl.lit(part),
        )

    def _with_votes(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
        """The clips with the shares of their votes; a class that is not the most voted one is masked."""
        votes = _votes(root, self.expressions)
        clips = clips.join(votes, on="track", how="left", maintain_order="left")
        names = [f"votes_{name}" for name in self.expressions]
        without = clips[names[0]].null_count()
        if without and len(votes):
            root.note(f"{without:,} listed clips have no line of votes")
        most, own = (
            pl.max_horizontal(names),
            pl.coalesce(
                pl.when(pl.col("expression") == name).then(pl.col(f"votes_{name}")) for name in self.expressions
            ),
        )
        contradicts = (own < most).fill_null(value=False)
        return clips.with_columns(
            expression=pl.when(~contradicts).then("expression"),
            expression_masked=pl.when(contradicts).then(pl.lit(NOT_MOST_VOTED)),
        )


def _lists(root: DatabaseRoot, fold: int) -> dict[str, str]:
    """The existing lists of a fold, by part."""
    above = root.one_of("EmoLabel_DataSplit") or ""
    folders = {part: root.one_of(f"{part}(single-labeled)", under=above) for part in PARTS}
    found = {part: folder and root.one_of(f"set_{fold}.csv", under=folder) for part, folder in folders.items()}
    return {part: path for part, path in found.items() if path}


def _clip_folder(root: DatabaseRoot) -> str:
    """The folder that holds the folders of clips, relative to the root; a defect if there is none."""
    folder = root.one_of("clip_224x224", under=root.one_of("Clip") or "") or root.one_of("clip_224x224")
    if folder is None:
        remedy = "unpack the archive of the cut clips there"
        root.defect("Clip/clip_224x224", 0, "no such folder", "the folders of the clips' frames", remedy)
    return folder or "Clip/clip_224x224"


def _votes(root: DatabaseRoot, expressions: tuple[str, ...]) -> pl.DataFrame:
    """The shares of the votes by track: ``votes_<expression>``; without a workbook, which is recorded as a loss, it is empty."""
    names = [f"votes_{name}" for name in expressions]
    none = pl.DataFrame(schema={"track": pl.String, **dict.fromkeys(names, pl.Float64)})
    path = root.one_of("annotation.xlsx", under=root.one_of("Annotation") or "") or root.one_of("annotation.xlsx")
    if path is None:
        root.lose("no votes (no Annotation/annotation.xlsx)")
        return none
    lines = _vote_lines(root, path)
    if lines is None:
        return none
    columns = lines.columns[: len(expressions)]
    lines = root.integers(lines, columns, range(ANNOTATORS + 1)).drop_nulls(columns)
    total = pl.sum_horizontal(pl.col(column).cast(pl.Int32) for column in columns)
    lines = lines.with_columns(total=total)
    lines = root.refuse(lines, ~pl.col("total").is_between(1, ANNOTATORS), "{total} votes", f"1 to {ANNOTATORS} votes")
    if fewer := int((lines["total"] < ANNOTATORS).sum()):
        root.note(f"{path}: {fewer:,} clips with fewer than {ANNOTATORS} votes")
    lines = _with_track(root, lines, CLIP)
    again = "clip {track} again (first in line {first_line})"
    lines = root.refuse_repeated(lines, "track", again, "one line for each clip")
    root.note(f"{path}: votes on {len(lines):,} clips")
    shares = [(pl.col(column) / pl.col("total")).alias(name) for column, name in zip(columns, names, strict=True)]
    return lines.select("track", *shares)


def _with_track(root: DatabaseRoot, lines: pl.DataFrame, column: str) -> pl.DataFrame:
    """The lines with `track`, the clip's number as its folder has it; what is no number of a clip is a defect."""
    number = whole_numbers(lines[column])
    lines = lines.with_columns(number.cast(pl.String).str.zfill(5).alias("track"))
    wrong = ~number.is_between(0, 99_999).fill_null(value=False)
    return root.refuse(lines, wrong, f"{column} = {{{column}!r}}", "the number of a clip, at most five digits")


def _vote_lines(root: DatabaseRoot, path: str) -> pl.DataFrame | None:
    """The lines of the workbook as strings: votes in DFEW's order, `CLIP`, and their places; None, and a defect, if a column is missing."""
    expected = "columns 1happy, 2sad, 3neutral, 4angry, 5surprise, 6disgust, 7fear and " + CLIP
    sheets = filled_sheets(root, path, expected)
    if not sheets:
        return None
    cells = next(iter(sheets.values()))
    header = [str(cell).strip().lower() for cell in cells.row(0)]
    wanted = ["1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", CLIP]
    if any(header.count(name) != 1 for name in wanted):
        root.defect(path, 1, f"the header {', '.join(header)[:120]!r}", expected, FIX_FILE)
        return None
    lines = cells.select(
        *(cells.to_series(header.index(name)).alias(name) for name in wanted),
        source_file=pl.lit(path),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
    )
    lines = lines.slice(1).filter(~pl.all_horizontal(pl.col(wanted) == ""))
    return root.drop_excluded(lines)
