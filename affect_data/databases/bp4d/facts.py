"""What the code files of BP4D say, value by value, and how well each fact about them is known."""

from typing import Final

from affect_data.databases.bp4d.labels import HIGHEST, NOT_CODED, OCCLUDED
from affect_data.databases.facts import Evidence, Grade, NativeValue, intensities, occurrences

OCCURRENCE_NOT_CODED: Final = "an occurrence is 9, not coded"
INTENSITY_NOT_CODED: Final = "an intensity is 9, not coded"
FACE_OCCLUDED: Final = "marked as occluded"
NO_OCCURRENCES: Final = "occurrence file missing"
NO_OCCURRENCE: Final = "frame not in the occurrence file"
NO_COLUMN: Final = "{} has no column"
NOT_CODED_THERE: Final = "{} is not one of the coded action units"
NO_INTENSITIES: Final = "intensity file of {} missing"
NO_INTENSITY: Final = "frame not in the intensity file of {}"
NO_LABEL: Final = "no action unit is coded"
UNIT: Final = "AU<n>"

MAPPING: Final = (
    *occurrences("occurrence", {NOT_CODED: OCCURRENCE_NOT_CODED}),
    *intensities("intensity", HIGHEST, masked={NOT_CODED: INTENSITY_NOT_CODED}),
    NativeValue(f"column {OCCLUDED}", "1", masked=FACE_OCCLUDED),
    NativeValue(f"column {OCCLUDED}", f"0, {NOT_CODED}", "the frame is read"),
    NativeValue("occurrence", "no file of the sequence", masked=NO_OCCURRENCES),
    NativeValue("occurrence", "no line of the frame", masked=NO_OCCURRENCE),
    NativeValue("occurrence", "no column, where the header names action units", masked=NO_COLUMN.format(UNIT)),
    NativeValue("occurrence", "coded in a column of another action unit", masked=NOT_CODED_THERE.format(UNIT)),
    NativeValue("intensity", "no file of the sequence and action unit", masked=NO_INTENSITIES.format(UNIT)),
    NativeValue("intensity", "no line of the frame", masked=NO_INTENSITY.format(UNIT)),
    NativeValue("frame", "without any code but 9", masked=NO_LABEL),
)
EVIDENCE: Final = (
    Evidence(
        "column n of an occurrence file is action unit n",
        Grade.CODE,
        "three loaders; one prints the head of a real file",
    ),
    Evidence("9 is not coded", Grade.CODE, "loaders; AU25, AU26 and AU43 are 9 in all 328 files by a public count"),
    Evidence("intensity files have no header, 0 to 5 and 9", Grade.CODE, "the loader of OpenFace"),
    Evidence("41 people, 328 sequences, 146,847 coded frames", Grade.SEEN, "lists that two papers made from the files"),
    Evidence("the three parts of the cross-validation", Grade.CODE, "the same lists in the code of four papers"),
    Evidence(
        "picture n belongs to frame n",
        Grade.ASSUMED,
        "lists of papers map them so; pictures that fit one number lower better are a defect",
    ),
    Evidence(
        "what is coded is among the action units of BP4D+",
        Grade.ASSUMED,
        "a file that codes another one is masked there, with the reason",
    ),
    Evidence("1 in column 99 marks an occluded face", Grade.CODE, "the loader of OpenFace alone"),
)
