"""What the label files of UNBC-McMaster say, value by value, and how well each fact about them is known."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from affect_data.databases.facts import ABSENT, Evidence, Grade, NativeValue, intensities
from affect_data.databases.unbc.labels import HIGHEST_SCORE
from affect_data.databases.unbc.sequences import HIGHEST_OF

HIGHEST: Final[Mapping[int, int]] = MappingProxyType({4: 5, 6: 5, 7: 5, 9: 5, 10: 5, 12: 5, 20: 5, 25: 5, 26: 5, 43: 1})
"""The coded action units with the highest intensity of each."""
NOT_USED: Final = (27,)
THRESHOLD: Final = 1

NO_FACS: Final = "FACS file missing"
AU27_LISTED: Final = "AU27 is not one of the coded action units"

MAPPING: Final = (
    *intensities("intensity", max(HIGHEST.values()), THRESHOLD),
    NativeValue("action unit", ", ".join(map(str, HIGHEST)), "its intensity"),
    NativeValue("action unit", "not listed in a file that is there", f"intensity 0, {ABSENT}"),
    NativeValue("action unit", ", ".join(map(str, NOT_USED)), masked=AU27_LISTED),
    NativeValue("action unit", "no FACS file of the frame", masked=NO_FACS),
    NativeValue("pain score", f"0..{HIGHEST_SCORE}", "kept in group pspi"),
    *(NativeValue(kind, f"0..{highest}", f"kept in group {kind.lower()}") for kind, highest in HIGHEST_OF.items()),
)
EVIDENCE: Final = (
    Evidence(
        "a line is four numbers: action unit, intensity, and two more",
        Grade.CODE,
        "the loader of OpenFace; three others",
    ),
    Evidence("what the third and the fourth number mean", Grade.ASSUMED, "nothing: they are not read"),
    Evidence(
        "a file without a line says that no action unit is present", Grade.CODE, "all loaders; pain scores check it"
    ),
    Evidence("25 people by the names of their folders", Grade.CODE, "lists of two projects; another name is a defect"),
    Evidence("200 sequences, 48,398 frames", Grade.DOCUMENTED, "the owners' description"),
    Evidence(
        "the pain score is AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43",
        Grade.DOCUMENTED,
        "the paper; a frame whose files contradict it is a defect",
    ),
    Evidence(
        "Sequence_Labels has a folder of AFF, OPR, SEN and VAS, with a file of one number for each sequence",
        Grade.CODE,
        "two public loaders",
    ),
    Evidence("VAS is 0 to 10, OPR 0 to 5, AFF and SEN at most 15", Grade.ASSUMED, "a larger number is a defect"),
    Evidence("AU43 has no intensities but 0 and 1", Grade.DOCUMENTED, "the paper; another one is a defect"),
)
