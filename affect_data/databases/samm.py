"""Reads SAMM: micro-expressions filmed at 200 frames a second, with their action units and an emotion."""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.action_unit_columns import ALTERNATIVES, string_mapping
from affect_data.databases.action_unit_strings import Coding
from affect_data.databases.base import Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.micro_expressions import ACTION_UNITS, EMOTION, MicroExpressionDatabase
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.vocabulary import ACTION_UNITS as ALL_ACTION_UNITS

WORKBOOK: Final = "SAMM_Micro_FACS_Codes_v2.xlsx"
MICRO: Final = "Micro - 1/2"
REAL: Final = f"{WORKBOOK}, read whole in a public repository"


class Samm(MicroExpressionDatabase):
    """SAMM: 159 micro-expressions of 29 people, filmed at 200 frames a second, with action units and an emotion.

    Official layout::

        SAMM_Micro_FACS_Codes_v2.xlsx      13 rows of preamble; then Subject, Filename, Inducement Code, Onset Frame, Apex Frame, Offset Frame,
                                           Duration, Micro, Action Units, Estimated Emotion, Objective Classes, Notes
        SAMM/006/006_1_2/006_05562.jpg     frames; the number behind the person's is the frame's (also without the folder SAMM)

    Traps:
        - Labels hold for the clip from onset to offset; frames outside of it are not read.
        - Action units are a string such as ``4+R12A or R14A``, with letters of intensity, place and unevenness, alternatives and remarks. What is
          left open between alternatives is masked, never chosen.
        - A letter of intensity is rare. Where none stands there is no intensity, not 0.
        - ``?`` behind an action unit says that its end is unclear (the workbook's legend); it is present.
        - The apex of 028_4_1 and of 032_3_1 is not between onset and offset; such an apex is left out.
        - An action unit that no clip names counts as not coded, not as absent.
        - The inducement code and the notes are not read. Long videos (SAMM Long Videos) are another release, and not read.
    """

    name = "samm"
    title = "SAMM"
    homepage = "http://www2.docm.mmu.ac.uk/STAFF/M.Yap/dataset.php"
    citation = """@article{davison2018samm,
  title = {{SAMM}: A Spontaneous Micro-Facial Movement Dataset},
  author = {Davison, Adrian K. and Lansley, Cliff and Costen, Nicholas and Tan, Kevin and Yap, Moi Hoon},
  journal = {IEEE Transactions on Affective Computing},
  volume = {9},
  number = {1},
  pages = {116--129},
  year = {2018},
  doi = {10.1109/TAFFC.2016.2573832}
}"""
    licence = Licence(
        "on request by a signed agreement; research only; no redistribution, as reported",
        publishes=Tier.RECIPE,
        url="http://www2.docm.mmu.ac.uk/STAFF/M.Yap/dataset.php",
    )
    source_family = "samm"
    signs = (WORKBOOK,)
    releases = ("v2",)
    totals = MappingProxyType({"v2": Totals({"clips": 159, "people": 29}, REAL)})
    action_units = ALL_ACTION_UNITS
    action_unit_intensities = ALL_ACTION_UNITS
    action_unit_sides = ALL_ACTION_UNITS
    expressions = ("anger", "other", "happiness", "surprise", "contempt", "disgust", "fear", "sadness")
    marks_are_doubts = False
    frame_names = re.compile(r"(?:\d{1,4}_)?(\d{1,9})\.(?:jpe?g|png|bmp)", re.IGNORECASE)
    mapping = (
        *(NativeValue(EMOTION, name.capitalize(), name) for name in expressions),
        *string_mapping(ACTION_UNITS, intensities=True),
        NativeValue(ACTION_UNITS, "12?", "present; its end is unclear"),
        *ALTERNATIVES,
    )
    evidence = (
        Evidence("the preamble, the columns, the emotions, and a subject that is text such as 006", Grade.SEEN, REAL),
        Evidence(
            "strings have letters of intensity, A, T and B for places, ref(), or, /, brackets and words",
            Grade.SEEN,
            REAL,
        ),
        Evidence(
            "L and R are one side, A is uneven, / is or, ? is an unclear end", Grade.DOCUMENTED, f"the legend in {REAL}"
        ),
        Evidence(
            "Duration is the number of frames from onset to offset in every row",
            Grade.SEEN,
            f"{REAL}; another number is a defect",
        ),
        Evidence(
            "the action units that are coded are those that some clip names",
            Grade.ASSUMED,
            "an absence that no coder looked for would contradict it",
        ),
        Evidence(
            "folders and names of frames",
            Grade.ASSUMED,
            "no real folder was seen; frames of other names make every clip a failure",
        ),
    )

    def workbook(self, root: DatabaseRoot) -> str:
        """The workbook in the root."""
        found = root.one_of(WORKBOOK)
        if found is None:
            raise self.not_found(root, because=f"there is no {WORKBOOK}")
        return found

    def subject_name(self, number: int) -> str:
        """Such as 006."""
        return f"{number:03d}"

    def folder_of_clips(self, root: DatabaseRoot) -> str:
        """The folder SAMM, or the root itself."""
        return root.one_of("SAMM") or ""

    def refuse_more(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
        """The micro-expressions whose file belongs to their person."""
        other = ~pl.col("filename").str.starts_with(pl.col("subject") + "_")
        clips = root.refuse(
            clips, other, "Filename = {filename!r} of person {subject}", "a name that begins with the person's number"
        )
        return root.refuse(clips, pl.col("micro").str.strip_chars() != MICRO, "Micro = {micro!r}", MICRO)

    def coded_units(self, codings: Sequence[Coding]) -> tuple[int, ...]:
        """The action units that some clip names."""
        named = frozenset[int]().union(*(coding.units for coding in codings))
        return tuple(unit for unit in self.action_units if unit in named)
