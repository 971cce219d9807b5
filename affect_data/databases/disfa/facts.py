"""What the label files of DISFA say, value by value, and how well each fact about them is known."""

from typing import Final

from affect_data.databases.disfa.dense import STRONGEST
from affect_data.databases.facts import Evidence, Grade, NativeValue, intensities

THRESHOLD: Final = 2
"""The lowest intensity that counts as present, in nearly all of the literature."""
NO_FILE: Final = "label file of {} missing"
NO_LINE: Final = "frame not in the label file of {}"

MAPPING: Final = (
    *intensities("intensity", STRONGEST, THRESHOLD),
    NativeValue("intensity", "no label file of the action unit", masked=NO_FILE.format("AU<n>")),
    NativeValue("intensity", "no line of the frame", masked=NO_LINE.format("AU<n>")),
)
EVIDENCE: Final = (
    Evidence("lines are frame,intensity without a header, frames from 1", Grade.CODE, "every public loader"),
    Evidence("27 people; 4,845 frames each, SN010 4,844", Grade.SEEN, "two papers' lists of all 130,814 frames"),
    Evidence(
        "label frame 1 is the video's first frame",
        Grade.SEEN,
        "130,311 frames of two lists that count from 0 and from 1 agree so",
    ),
    Evidence("the three parts of the cross-validation", Grade.CODE, "the same lists in the code of five papers"),
    Evidence("present means an intensity of 2 or more", Grade.CODE, "eight projects; the option changes it"),
    Evidence(
        "extracted frames are numbered from 0 where a file number 0 exists, otherwise from 1",
        Grade.ASSUMED,
        "folders that begin later, or differ from each other, are a defect",
    ),
)
