"""Reads FERV39k: clips of twenty-two kinds of scenes, one of seven expressions each."""

from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import Licence, Tier
from affect_data.databases.clips import NUMBERED_FRAME, ClipDatabase, frames_in
from affect_data.databases.facts import Evidence, Grade, NativeValue, labels_of
from affect_data.databases.licence import Reading
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

CLIPS: Final = "2_ClipsforFaceCrop"
SETUPS: Final = "4_setups"
LISTS: Final = MappingProxyType({"train": "train_All.csv", "test": "test_All.csv"})
SCENES: Final = 22
CLIP: Final = r"^([^/\s]+)/([^/\s]+)/(\d+)$"

FIELD: Final = "expression"


class Ferv39k(ClipDatabase):
    """FERV39k: clips of films, programmes and recordings of twenty-two kinds of scenes, with one of seven expressions each.

    Official layout::

        2_ClipsforFaceCrop/Interview/Happy/0118/*.jpg    the frames of a clip, cut to the face
        4_setups/All_scenes/train_All.csv                Interview/Happy/0118 Happy   (a blank, no header; 31,088 lines)
        4_setups/All_scenes/test_All.csv                 the same, 7,847 lines

    Traps:
        - The number of a clip is unique only within its scene and expression: the track is all three, `Interview/Happy/0118`.
        - The expression stands twice, as a folder and as the label. If they differ, one of them is wrong, and the line is a defect.
        - There is no validation split. Who is shown, and which film a clip is from, is in no file: the same face may be in train and test.
        - The lists by scene beside `All_scenes` list the same clips; they are not read.
        - Frames are in the order of the last number in their names: a list by name would put 10 before 9.
    """

    name = "ferv39k"
    title = "FERV39k"
    homepage = "https://wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html"
    citation = """@inproceedings{wang2022ferv39k,
  title = {{FERV39k}: A Large-Scale Multi-Scene Dataset for Facial Expression Recognition in Videos},
  author = {Wang, Yan and Sun, Yixuan and Huang, Yiwen and Liu, Zhongying and Gao, Shuyong and Zhang, Wei and Ge, Weifeng and Zhang, Wenqiang},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages = {20922--20931},
  year = {2022}
}"""
    licence = Licence(
        "on request from a university address; non-commercial research only; no portion may be copied, published or passed on",
        publishes=Tier.RECIPE,
        url="https://github.com/wangyanckxx/FERV39k",
        reading=Reading("2026-11-30", "the terms in the README of wangyanckxx/FERV39k"),
    )
    source_family = "ferv39k"
    aliases = ("FERV",)
    signs = (CLIPS, f"{SETUPS}/all_scenes", *(f"*/{name}" for name in LISTS.values()))
    counted_as = "clips"
    totals = MappingProxyType(
        {
            "2022": Totals(
                {"clips": 38_935, "train clips": 31_088, "test clips": 7_847, "scenes": SCENES},
                "public copies of the official lists",
            )
        }
    )
    releases = ("2022",)
    mapping = (
        NativeValue(FIELD, "Happy", "happiness"),
        NativeValue(FIELD, "Sad", "sadness"),
        NativeValue(FIELD, "Neutral", "neutral"),
        NativeValue(FIELD, "Angry", "anger"),
        NativeValue(FIELD, "Surprise", "surprise"),
        NativeValue(FIELD, "Disgust", "disgust"),
        NativeValue(FIELD, "Fear", "fear"),
    )
    expressions = tuple(row.unified for row in mapping)
    evidence = (
        Evidence(
            "a line is scene/expression/number, a blank, and the expression; there is no header",
            Grade.CODE,
            "five loaders of the official lists, two of which lose the first line to a header that is none",
        ),
        Evidence(
            "the expression is that of the clip's folder in all 38,935 lines",
            Grade.SEEN,
            "lists of zengqunzhao/Former-DFER, made from the official ones; a line where they differ is a defect",
        ),
        Evidence("folders are scene/expression/number of a clip", Grade.CODE, "four loaders of the official folders"),
        Evidence(
            "frames are in the order of the last number in their names",
            Grade.ASSUMED,
            "two frames of a clip with one number are a defect",
        ),
    )

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row for each line of the two lists: track, frames, expression, split.

        Raises:
            DatabaseNotFoundError: there is neither list.
        """
        folder = root.one_of("All_scenes", under=root.one_of(SETUPS) or "") or root.one_of("All_scenes") or ""
        lists = {part: path for part, name in LISTS.items() if (path := root.one_of(name, under=folder))}
        if not lists:
            raise self.not_found(root, because=f"there is no {SETUPS}/All_scenes/{LISTS['train']}")
        for part in LISTS.keys() - lists.keys():
            root.lose(f"no {part} list")
        taken = set(lists.values())
        if others := [name for name in root.label_files(folder) if f"{folder}/{name}".lstrip("/") not in taken]:
            root.note(f"not read in {folder or 'the root'}: {', '.join(others)}")
        clips = pl.concat([self._listed(root, part, path) for part, path in lists.items()])
        again = "clip {track} again (first at {first_file}:{first_line})"
        clips = root.refuse_repeated(clips, "track", again, "one line for each clip in the two lists")
        scenes = clips["track"].str.extract(CLIP, 1)
        root.count("scenes", scenes.n_unique())
        place = _clip_folder(root)
        return clips.with_columns(frames_in(root, [f"{place}/{track}" for track in clips["track"]], NUMBERED_FRAME))

    def _listed(self, root: DatabaseRoot, part: str, path: str) -> pl.DataFrame:
        """The lines of a list: track, expression, split, source_file and source_line."""
        clips = root.table(path, ("track", FIELD), separator=" ")
        root.refuse_empty(path, clips, "no clip", "one line for each clip")
        root.count(f"{part} clips", len(clips))
        expected = "scene, expression and number, such as Interview/Happy/0118"
        clips = root.refuse(clips, ~clips["track"].str.contains(CLIP), "clip = {track!r}", expected)
        clips = root.classes(clips.with_columns(label=FIELD), FIELD, labels_of(self.mapping, FIELD))
        differs = (pl.col("track").str.extract(CLIP, 2) != pl.col("label")) & pl.col(FIELD).is_not_null()
        clips = root.refuse(clips, differs, "{label} for clip {track}", "the expression of the clip's folder")
        return clips.select("source_file", "source_line", "track", FIELD, split=pl.lit(part))


def _clip_folder(root: DatabaseRoot) -> str:
    """The folder that holds the folders of scenes, relative to the root; a defect if there is none."""
    folder = root.one_of(CLIPS)
    if folder is None:
        root.defect(
            CLIPS, 0, "no such folder", "the folders of the scenes", "unpack the archive of the cut clips there"
        )
    return folder or CLIPS
