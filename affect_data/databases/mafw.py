"""Reads MAFW: clips of films, series and short videos, one of eleven expressions each."""

from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.clips import NUMBERED_FRAME, ClipDatabase, ClipOptions, frames_in
from affect_data.databases.facts import KEPT, Evidence, Grade, NativeValue, labels_of, reasons_of
from affect_data.databases.licence import Reading
from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.spelling import plain
from affect_data.databases.totals import Totals
from affect_data.databases.workbook import filled_sheets

FOLDS: Final = 5
PARTS: Final = ("train", "test")
SPLITS: Final = ("Train & Test Set", "Train_Test_Set", "split")
WORKBOOK: Final = "single-set.xlsx"
CLIP: Final = r"^(\d{5})\.mp4$"

CLASS: Final = "class"
NOT_UNIFIED: Final = "no expression of the vocabulary"
NATIVE: Final = f"{KEPT}native"
DIFFERS: Final = f"the list and {WORKBOOK} give different classes"


def _own(name: str) -> NativeValue:
    return NativeValue(CLASS, name, unified=NATIVE, masked=NOT_UNIFIED)


class MafwOptions(ClipOptions):
    """What a data recipe may say of MAFW."""

    fold: int = Field(
        1, ge=1, le=FOLDS, description="the official fold whose lists are read: what it trains on and what it tests on"
    )


class Mafw(ClipDatabase):
    """MAFW: clips of films, series and short videos from many countries, with one of eleven expressions each.

    Official layout::

        data/frames/00025/*.jpg                                      the frames of clip 25
        Train & Test Set/single/no_caption/set_1/train.txt           00025.mp4 anger   (a blank, no header); a folder for each of five folds
        Train & Test Set/single/no_caption/set_1/test.txt
        labels/single-set.xlsx                                       clip, ..., single_label: 1..11; it is compared with the lists (optional)

    Traps:
        - Anxiety, helplessness and disappointment are no expressions of the vocabulary. They are masked as expression, and kept by their names.
        - All five folds list the same clips: the recipe's `fold` says which of them are for testing. There is no validation split.
        - The class stands in the lists and in a workbook. If they differ, the clip stays, and its class is masked.
        - Of clips that are videos (`data/clips/00025.mp4`), the frames must have been extracted, a folder each.
        - Frames are in the order of the last number in their names: a list by name would put 10 before 9.
        - Not read: lists of several expressions at once (`compound`), whose 32 classes are not published; the numbers in `annotation.xlsx`, which
          nobody describes; sentences about clips; sex and landmarks, which are a program's (`labels(auto)`).
        - Which film a clip is from, and who is shown, is in no file: the same face may be in train and test.
    """

    name = "mafw"
    title = "MAFW"
    homepage = "https://mafw-database.github.io/MAFW/"
    citation = """@inproceedings{liu2022mafw,
  title = {{MAFW}: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression Recognition in the Wild},
  author = {Liu, Yuanyuan and Dai, Wei and Feng, Chuanxu and Wang, Wenbin and Yin, Guanghao and Zeng, Jiabei and Shan, Shiguang},
  booktitle = {ACM International Conference on Multimedia},
  pages = {24--32},
  year = {2022},
  doi = {10.1145/3503161.3548190}
}"""
    licence = Licence(
        "signed agreement, university address; non-commercial research only; neither clips nor derived data may be passed on",
        publishes=Tier.RECIPE,
        url="https://github.com/MAFW-database/MAFW",
        reading=Reading("2026-11-30", "the terms in the README of MAFW-database/MAFW, not the agreement"),
    )
    source_family = "mafw"
    signs = tuple(f"{folder}/single/no_caption" for folder in SPLITS)
    counted_as = "clips"
    totals = MappingProxyType(
        {
            "2022": Totals(
                {"clips": 9_172, "train clips": 7_333, "test clips": 1_831},
                "counts of other people's copies of the five folds",
            )
        }
    )
    releases = ("2022",)
    native_expressions = (
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt",
        "anxiety", "helplessness", "disappointment",
    )  # fmt: skip
    mapping = (
        NativeValue(CLASS, "anger", "anger"),
        NativeValue(CLASS, "disgust", "disgust"),
        NativeValue(CLASS, "fear", "fear"),
        NativeValue(CLASS, "happiness", "happiness"),
        NativeValue(CLASS, "neutral", "neutral"),
        NativeValue(CLASS, "sadness", "sadness"),
        NativeValue(CLASS, "surprise", "surprise"),
        NativeValue(CLASS, "contempt", "contempt"),
        _own("anxiety"),
        _own("helplessness"),
        _own("disappointment"),
        NativeValue(
            f"single_label in {WORKBOOK}", "1..11", masked="compared with the class of the list, in this order"
        ),
        NativeValue(f"single_label in {WORKBOOK}", "another class than the list's", masked=DIFFERS),
    )
    expressions = tuple(row.unified for row in mapping if not row.masked)
    evidence = (
        Evidence(
            "a line is a clip, a blank and the name of its class; there is no header, and all folds list the same 9,172 clips",
            Grade.SEEN,
            "counts and lines of other people's copies; MAE-DFER and two more loaders read them so",
        ),
        Evidence("the names of the eleven classes", Grade.DOCUMENTED, "the README of MAFW-database/MAFW and the paper"),
        Evidence(
            f"single_label of {WORKBOOK} is 1..11 in the order of the names",
            Grade.CODE,
            "four loaders of the official workbook; classes that differ from the lists are masked, and noted",
        ),
        Evidence(
            "frames are in the order of the last number in their names",
            Grade.ASSUMED,
            "two frames of a clip with one number are a defect",
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = MafwOptions
    options: MafwOptions

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row for each line of the fold's two lists: track, frames, expression, native_expression, split.

        Raises:
            DatabaseNotFoundError: there is no list of the fold.
        """
        lists = _lists(root, self.options.fold)
        if not lists:
            wanted = f"{SPLITS[0]}/single/no_caption/set_{self.options.fold}/train.txt"
            raise self.not_found(root, because=f"there is no {wanted}")
        for part in PARTS:
            if part not in lists:
                root.lose(f"no {part} list of fold {self.options.fold}")
        clips = pl.concat([self._listed(root, part, path) for part, path in lists.items()])
        again = "clip {track} again (first at {first_file}:{first_line})"
        clips = root.refuse_repeated(clips, "track", again, "one line for each clip in the two lists of a fold")
        folder = _clip_folder(root)
        clips = clips.with_columns(frames_in(root, [f"{folder}/{track}" for track in clips["track"]], NUMBERED_FRAME))
        return self._compared(root, clips)

    def _listed(self, root: DatabaseRoot, part: str, path: str) -> pl.DataFrame:
        """The lines of a list: track, expression, native_expression, split, source_file and source_line."""
        clips = root.table(path, ("clip", CLASS), separator=" ")
        root.refuse_empty(path, clips, "no clip", "one line for each clip")
        root.count(f"{part} clips", len(clips))
        expected = "five digits and .mp4, such as 00025.mp4"
        clips = root.refuse(clips, ~clips["clip"].str.contains(CLIP), "clip = {clip!r}", expected)
        native = plain(clips[CLASS], self.native_expressions)
        clips = root.classes(clips, CLASS, labels_of(self.mapping, CLASS))
        reasons = reasons_of(self.mapping, CLASS)
        return clips.select(
            "source_file",
            "source_line",
            track=pl.col("clip").str.extract(CLIP),
            expression=CLASS,
            expression_masked=native.replace_strict(reasons, default=None, return_dtype=pl.String),
            native_expression=native,
            split=pl.lit(part),
        )

    def _compared(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
        """The clips without the classes that the workbook contradicts."""
        said = _workbook_classes(root, self.native_expressions)
        if said is None:
            return clips
        clips = clips.join(said, on="track", how="left", maintain_order="left")
        if without := clips["said"].null_count():
            root.note(f"{WORKBOOK} has no line for {without:,} listed clips")
        differs = (pl.col("said") != pl.col("native_expression")).fill_null(value=False)
        if found := len(clips.filter(differs)):
            root.note(f"{found:,} clips have another class in {WORKBOOK} than in the list")
        return clips.with_columns(
            expression=pl.when(~differs).then("expression"),
            expression_masked=pl.when(differs).then(pl.lit(DIFFERS)).otherwise("expression_masked"),
        ).drop("said")


def _lists(root: DatabaseRoot, fold: int) -> dict[str, str]:
    """The existing lists of a fold, by part."""
    folder = root.one_of(*SPLITS) or ""
    for name in ("single", "no_caption", f"set_{fold}"):
        found = root.one_of(name, under=folder)
        if found is None:
            return {}
        folder = found
    return {part: path for part in PARTS if (path := root.one_of(f"{part}.txt", under=folder))}


def _clip_folder(root: DatabaseRoot) -> str:
    """The folder that holds the folders of clips, relative to the root; a defect if there is none."""
    folder = root.one_of("frames", under=root.one_of("data") or "") or root.one_of("frames")
    if folder is None:
        remedy = "unpack the frames there, or extract those of each video into a folder with the video's number"
        root.defect("data/frames", 0, "no such folder", "the folders of the clips' frames", remedy)
    return folder or "data/frames"


def _workbook_classes(root: DatabaseRoot, names: tuple[str, ...]) -> pl.DataFrame | None:
    """The class that the workbook gives to each clip: track and said; None if there is no workbook."""
    labels = root.one_of("labels")
    path = (labels and root.one_of(WORKBOOK, "single_set.xlsx", under=labels)) or root.one_of(WORKBOOK)
    if not path:
        return None
    expected = "columns clip and single_label"
    cells = next(iter(filled_sheets(root, path, expected).values()), None)
    if cells is None:
        return None
    header = [str(cell).strip().lower() for cell in cells.row(0)]
    if any(header.count(name) != 1 for name in ("clip", "single_label")):
        root.defect(path, 1, f"the header {', '.join(header)[:120]!r}", expected, FIX_FILE)
        return None
    lines = cells.select(
        track=cells.to_series(header.index("clip"))
        .str.strip_chars()
        .str.extract(r"^(\d{1,5})(?:\.mp4)?$")
        .str.zfill(5),
        single_label=cells.to_series(header.index("single_label")),
        source_file=pl.lit(path),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
    )
    codes: dict[str, str | None] = {str(code): name for code, name in enumerate(names, start=1)}
    lines = root.classes(root.drop_excluded(lines.slice(1).drop_nulls("track")), "single_label", codes)
    lines = root.refuse_repeated(lines, "track", "clip {track} again (first in line {first_line})", "one line a clip")
    return lines.select("track", said="single_label")
