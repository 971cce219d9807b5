"""Reads BP4D+: 140 people in ten tasks, four of them coded for action units frame by frame, five units with intensity."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.bp4d.coded_sequences import CodedSequences, CodedSequencesOptions
from affect_data.databases.bp4d.facts import MAPPING
from affect_data.databases.bp4d.files import SequenceNames
from affect_data.databases.facts import Evidence, Grade
from affect_data.databases.totals import Totals

FOLDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "part1": (
            "F003", "F004", "F005", "F006", "F009", "F017", "F022", "F028", "F029", "F031", "F032", "F033", "F038",
            "F044", "F047", "F048", "F052", "F053", "F055", "F061", "F063", "F067", "F068", "F074", "F075", "F076",
            "F081", "M003", "M005", "M006", "M009", "M012", "M019", "M025", "M026", "M028", "M031", "M036", "M037",
            "M040", "M046", "M047", "M049", "M051", "M054", "M056",
        ),
        "part2": (
            "F001", "F002", "F008", "F018", "F021", "F025", "F026", "F035", "F036", "F037", "F039", "F040", "F041",
            "F042", "F046", "F049", "F057", "F058", "F060", "F062", "F064", "F066", "F070", "F071", "F072", "F073",
            "F077", "F082", "M001", "M002", "M007", "M013", "M014", "M016", "M022", "M023", "M024", "M027", "M029",
            "M030", "M034", "M035", "M041", "M042", "M043", "M048", "M055",
        ),
        "part3": (
            "F007", "F010", "F011", "F012", "F013", "F014", "F015", "F016", "F019", "F020", "F023", "F024", "F027",
            "F030", "F034", "F043", "F045", "F050", "F051", "F054", "F056", "F059", "F065", "F069", "F078", "F079",
            "F080", "M004", "M008", "M010", "M011", "M015", "M017", "M018", "M020", "M021", "M032", "M033", "M038",
            "M039", "M044", "M045", "M050", "M052", "M053", "M057", "M058",
        ),
    }
)  # fmt: skip
"""The subject-disjoint parts on which rPPG-Toolbox tests (Split1 to Split3 of its BP4D_BigSmall_Subject_Splits)."""

SUBJECTS: Final[tuple[str, ...]] = tuple(sorted(subject for part in FOLDS.values() for subject in part))
TASKS: Final = (1, 6, 7, 8)
SEQUENCES: Final[tuple[str, ...]] = tuple(f"{subject}_T{task}" for subject in SUBJECTS for task in TASKS)
LOADER: Final = "the BP4D+ loader of rPPG-Toolbox"


class Bp4dPlus(CodedSequences):
    """BP4D+: 140 people in ten tasks that elicit emotions; four of the tasks are coded, 34 action units, five of them with intensity.

    Official layout::

        AUCoding/AU_OCC/F001_T1.csv             header: the frame, then the numbers of 34 action units; 0, 1, or 9 (not coded)
        AUCoding/AU_INT/AU06/F001_T1_AU06.csv   frame,intensity (no header; 0 to 5, or 9: not coded); and AU10 AU12 AU14 AU17
        2D+3D/F001/T1/000.jpg                   the number is the frame's less 1; 3 or 4 digits

    Traps:
        - Only T1, T6, T7 and T8 are coded.
        - Frames count from 1, pictures from 0: frame 1 is 000.jpg. If equal numbers would fit more frames, that is a defect.
        - Its people have the names of BP4D's people, and are others. It has a source family of its own.
        - 9 is neither absent nor present: the action unit is not coded there.
        - The first cell of a header may be 0, 1 or empty; it names the column of frames, not an action unit.
        - Other modalities (3D, thermal, physiology, features) are not read.
    """

    name = "bp4d_plus"
    title = "BP4D+"
    homepage = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html"
    citation = """@inproceedings{zhang2016multimodal,
  title = {Multimodal Spontaneous Emotion Corpus for Human Behavior Analysis},
  author = {Zhang, Zheng and Girard, Jeffrey M. and Wu, Yue and Zhang, Xing and Liu, Peng and Ciftci, Umur and Canavan, Shaun and others},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages = {3438--3446},
  year = {2016},
  doi = {10.1109/CVPR.2016.374}
}"""
    licence = Licence(
        "signed agreement with Binghamton University; research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    )
    source_family = "bp4d_plus"
    aliases = ("BP4D plus", "MMSE")
    lookalikes = MappingProxyType({"sequences*/[fm][0-9][0-9][0-9]": "BP4D", "aucoding/au_occ/*_t[2-5].csv": "BP4D"})
    signs = ("2d+3d/[fm][0-9][0-9][0-9]", "aucoding/au_occ/f0[3-9]?_t*.csv", "aucoding/au_occ/m0[2-5]?_t*.csv")
    totals = MappingProxyType({"": Totals({"people": len(SUBJECTS), "occurrence files": len(SEQUENCES)}, LOADER)})
    mapping = MAPPING
    evidence = (
        Evidence("folders, names of files, 140 people, four coded tasks, 34 action units", Grade.CODE, LOADER),
        Evidence(
            "a header that names action units is read from its second cell on", Grade.CODE, "the loader of py-feat"
        ),
        Evidence("9 is not coded; intensities have no header, 0 to 5 and 9", Grade.CODE, LOADER),
        Evidence(
            "picture n - 1 belongs to frame n",
            Grade.CODE,
            "one loader says to have verified it; py-feat takes equal numbers; equal numbers that fit more frames are a defect",
        ),
        Evidence("the people are not those of BP4D", Grade.ASSUMED, "140 against 41; nobody compared the faces"),
    )
    sequences = SequenceNames(
        frozenset(SEQUENCES),
        "one of F001 to F082 and M001 to M058, with T1, T6, T7 or T8",
        "remove the file; where these are the files of BP4D, whose people have the same names but are others, name its folder elsewhere",
    )
    containers = ("2D+3D", "2D_3D", "")
    usual_offset = -1
    literature_folds = FOLDS
    Options: ClassVar[type[DatabaseOptions]] = CodedSequencesOptions

    @property
    def keeps_occluded(self) -> bool:
        """No file of BP4D+ marks hidden faces."""
        return False
