"""Reads BP4D-Spontaneous: 41 people in eight tasks, action units and the intensity of five coded frame by frame."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from pydantic import Field

from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.bp4d.coded_sequences import CodedSequences, CodedSequencesOptions
from affect_data.databases.bp4d.facts import EVIDENCE, MAPPING
from affect_data.databases.bp4d.files import SequenceNames
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

FOLDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "part1": (
            "F001", "F002", "F008", "F009", "F010", "F016", "F018", "F023",
            "M001", "M004", "M007", "M008", "M012", "M014",
        ),
        "part2": (
            "F003", "F005", "F011", "F013", "F020", "F022",
            "M002", "M005", "M010", "M011", "M013", "M016", "M017", "M018",
        ),
        "part3": (
            "F004", "F006", "F007", "F012", "F014", "F015", "F017", "F019", "F021",
            "M003", "M006", "M009", "M015",
        ),
    }
)  # fmt: skip
"""The subject-disjoint parts of the literature's threefold cross-validation; which fold tests which part differs between papers."""

SUBJECTS: Final[tuple[str, ...]] = tuple(sorted(subject for part in FOLDS.values() for subject in part))
SEQUENCES: Final[tuple[str, ...]] = tuple(f"{subject}_T{task}" for subject in SUBJECTS for task in range(1, 9))


class Bp4dOptions(CodedSequencesOptions):
    """What a data recipe may say of BP4D."""

    frame_offset: Literal[-1, 0] | None = Field(
        None,
        description="what is added to a frame's number to get its picture's; by default 0, refused where -1 would fit more frames",
    )
    keep_occluded: bool = Field(
        default=False, description="use the codes of frames that column 99 marks as occluded; else they are failures"
    )


class Bp4d(CodedSequences):
    """BP4D-Spontaneous: 41 people in eight tasks that elicit emotions, those action units coded that each file says, five of them with intensity.

    Official layout::

        AUCoding/AU_OCC/F001_T1.csv              header 0,1,...,99; then frame, and column n is action unit n: 0, 1, or 9 (not coded)
        AU Intensity Codes3.0/AU06/F001_T1.csv   frame,intensity (no header; 0 to 5, or 9: not coded); and AU10 AU12 AU14 AU17
        Sequences(2D+3D)/F001/T1/2440.jpg        the number is the frame's; 4 digits, 3 for M009 to M018
        also: AUCoding/F001_T1.csv; AUCoding/AU_INT/AU06/F001_T1_AU06.csv; Sequences_2D+3D or BP4D-training for the pictures

    Traps:
        - 9 is neither absent nor present: the action unit is not coded there. AU25 and AU26 are 9 in every file.
        - Occurrence and intensity were coded apart. Neither is derived from the other, so they may contradict each other.
        - Some releases name the action units in the header and have no other columns: ``1,1,2,4,5,...``, the first cell being the frame's.
        - OpenFace's loader takes 1 in column 99 for an occluded face; such frames are failures unless the recipe keeps them.
        - Only the most expressive 20 seconds or so of a sequence are coded; all other pictures have no label.
        - The task says which emotion was elicited (T1 happiness, T2 sadness, T3 surprise, T4 embarrassment, T5 fear, T6 pain, T7 anger,
          T8 disgust), not which expression a frame shows: it is no label.
        - BP4D+ gives the same names, F001 and so on, to other people, and counts its pictures from 0.
    """

    name = "bp4d"
    title = "BP4D-Spontaneous"
    homepage = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html"
    citation = """@article{zhang2014bp4d,
  title = {{BP4D}-Spontaneous: A High-Resolution Spontaneous {3D} Dynamic Facial Expression Database},
  author = {Zhang, Xing and Yin, Lijun and Cohn, Jeffrey and Canavan, Shaun and Reale, Michael and Horowitz, Andy and Liu, Peng and Girard, Jeffrey},
  journal = {Image and Vision Computing},
  volume = {32},
  number = {10},
  pages = {692--706},
  year = {2014},
  doi = {10.1016/j.imavis.2014.06.002}
}"""
    licence = Licence(
        "signed agreement with Binghamton University; research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    )
    source_family = "bp4d"
    aliases = ("BP4D",)
    lookalikes = MappingProxyType(
        {
            f"{folder}/{person}_t*.csv": "BP4D+"
            for folder in ("aucoding/au_occ", "au_occ")
            for person in ("f0[3-9]?", "m0[2-5]?")
        }
        | {"2d+3d/[fm][0-9][0-9][0-9]": "BP4D+"}
    )
    signs = ("aucoding/au_occ/[fm][0-9][0-9][0-9]_t*.csv", "aucoding/[fm][0-9][0-9][0-9]_t*.csv", "au?intensity?codes*")
    totals = MappingProxyType(
        {
            "": Totals(
                {"people": len(SUBJECTS), "occurrence files": len(SEQUENCES), "coded frames": 146_847},
                "lists made from the official files",
            )
        }
    )
    sequences = SequenceNames(
        frozenset(SEQUENCES),
        "one of F001 to F023 and M001 to M018, with T1 to T8",
        "remove the file; where these are the files of BP4D+, whose people have the same names but are others, name its folder elsewhere",
    )
    containers = ("Sequences(2D+3D)", "Sequences_2D+3D", "Sequences (2D+3D)", "Sequences", "BP4D-training", "")
    usual_offset = 0
    mapping = MAPPING
    evidence = EVIDENCE
    literature_folds = FOLDS
    Options: ClassVar[type[DatabaseOptions]] = Bp4dOptions
    options: Bp4dOptions

    @property
    def keeps_occluded(self) -> bool:
        """Whether the recipe keeps the frames that column 99 marks."""
        return self.options.keep_occluded

    def recognises(self, root: DatabaseRoot) -> bool:
        """Whether a folder looks like BP4D's; that of BP4D+ has files of the same names."""
        return super().recognises(root) and not any(root.holds(sign) for sign in self.lookalikes)
