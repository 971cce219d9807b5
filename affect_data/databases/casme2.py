"""Reads CASME II: micro-expressions filmed at 200 frames a second, with their action units and an emotion."""

import re
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from pydantic import Field

from affect_data.databases.action_unit_columns import ALTERNATIVES, MARKED, string_mapping
from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.clips import ClipOptions
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.micro_expressions import ACTION_UNITS, EMOTION, MicroExpressionDatabase
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

WORKBOOK: Final = re.compile(r"casme2-coding-(?P<year>\d{4})\d*\.xlsx", re.IGNORECASE)
FOLDERS: Final = {"cropped": "Cropped", "raw": "CASME2_RAW_selected"}
REAL: Final = "CASME2-coding-20190701.xlsx, read whole in a public repository"


class Casme2Options(ClipOptions):
    """What a data recipe may say of CASME II."""

    images: Literal["cropped", "raw"] = Field("cropped", description="frames cut to the face, or whole frames")


class Casme2(MicroExpressionDatabase):
    """CASME II: 255 micro-expressions of 26 people, filmed at 200 frames a second, with action units and an emotion.

    Official layout::

        CASME2-coding-20190701.xlsx                       Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Action Units,
                                                          Estimated Emotion, Objective Classes
        Cropped/sub01/EP02_01f/reg_img46.jpg              frames cut to the face; the number is the frame's
        CASME2_RAW_selected/sub01/EP02_01f/img46.jpg      whole frames (recipe option images: raw)
        also: CASME2-coding-20140508.xlsx, without Objective Classes

    Traps:
        - Labels hold for the clip from onset to offset; frames outside of it are not read.
        - Action units are a string such as ``4+L12``; one of them alone is a number in the workbook.
        - ``?`` stands in the older workbook where something was not named: what it does not name is then masked, not absent.
        - An apex of ``/`` is unknown.
        - ``repression`` and ``others`` are both `other`; the database's own word is kept beside it.
        - The emotion was estimated from action units, the film that was shown and what people said of themselves.
        - A clip's middle frame stands for its picture; the apex is a number beside the labels.
    """

    name = "casme2"
    title = "CASME II"
    homepage = "http://casme.psych.ac.cn/casme/e2"
    citation = """@article{yan2014casme,
  title = {{CASME II}: An Improved Spontaneous Micro-Expression Database and the Baseline Evaluation},
  author = {Yan, Wen-Jing and Li, Xiaobai and Wang, Su-Jing and Zhao, Guoying and Liu, Yong-Jin and Chen, Yu-Hsin and Fu, Xiaolan},
  journal = {PLoS ONE},
  volume = {9},
  number = {1},
  pages = {e86041},
  year = {2014},
  doi = {10.1371/journal.pone.0086041}
}"""
    licence = Licence(
        "on request by a signed agreement; research only; no redistribution, as reported",
        publishes=Tier.RECIPE,
        url="http://casme.psych.ac.cn/casme/e2",
    )
    source_family = "casme2"
    aliases = ("CASME2",)
    signs = ("casme2-coding-*.xlsx",)
    releases = ("2014", "2019")
    totals = MappingProxyType({"2019": Totals({"clips": 255, "people": 26}, REAL)})
    action_units = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 24, 25, 26, 38)
    action_unit_sides = action_units
    expressions = ("happiness", "disgust", "surprise", "other", "sadness", "fear")
    native_expressions = ("happiness", "disgust", "surprise", "repression", "others", "sadness", "fear")
    marks_are_doubts = True
    frame_names = re.compile(r"(?:reg_)?img(\d{1,9})\.(?:jpe?g|png|bmp)", re.IGNORECASE)
    mapping = (
        *(NativeValue(EMOTION, word, word) for word in ("happiness", "disgust", "surprise", "sadness", "fear")),
        NativeValue(EMOTION, "repression", "other"),
        NativeValue(EMOTION, "others", "other"),
        *string_mapping(ACTION_UNITS, intensities=False),
        NativeValue(ACTION_UNITS, "12?", masked=MARKED),
        *ALTERNATIVES,
    )
    evidence = (
        Evidence(
            "the columns, their types and titles, the emotions, and a subject that is text such as 01", Grade.SEEN, REAL
        ),
        Evidence("strings are [LR]?number joined by +; one apex is /", Grade.SEEN, REAL),
        Evidence(
            "the action units that are coded are those that occur",
            Grade.ASSUMED,
            f"counted in {REAL}; an absence that no coder looked for would contradict it",
        ),
        Evidence(
            "the older workbook has the same columns but the last, numbers for subjects, and ? in strings",
            Grade.CODE,
            "OpenGraphAU and other loaders",
        ),
        Evidence("folders and names of frames", Grade.CODE, "OpenGraphAU and other loaders"),
        Evidence("labels hold from onset to offset", Grade.DOCUMENTED, "the paper"),
    )
    Options: ClassVar[type[DatabaseOptions]] = Casme2Options
    options: Casme2Options

    def workbook(self, root: DatabaseRoot) -> str:
        """The workbook of the recipe's release, by default the newest."""
        found = {match["year"]: name for name in sorted(root.entries()) if (match := WORKBOOK.fullmatch(name))}
        release = self.options.release or max(found, default="2019")
        if release not in found:
            raise self.not_found(root, because=f"there is no workbook CASME2-coding-{release}....xlsx")
        others = [name for year, name in found.items() if year != release]
        if others:
            root.note(f"{', '.join(others)}: not read, because {found[release]} is (`release` in the recipe chooses)")
        return found[release]

    def release_of(self, root: DatabaseRoot) -> str:
        """The year in the name of the workbook."""
        years = [match["year"] for name in root.entries() if (match := WORKBOOK.fullmatch(name))]
        return self.options.release or max(years, default=self.releases[-1])

    def subject_name(self, number: int) -> str:
        """Such as sub01."""
        return f"sub{number:02d}"

    def folder_of_clips(self, root: DatabaseRoot) -> str:
        """The folder of the recipe's kind of frames."""
        named = FOLDERS[self.options.images]
        folder = root.one_of(named)
        if folder is None:
            remedy = "unpack the archive there, or set `images` in the recipe"
            root.defect(named, 0, "no such folder", f"the {self.options.images} frames", remedy)
        return folder or named
