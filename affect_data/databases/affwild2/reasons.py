"""Why labels that stand in the files of Aff-Wild2 are not used, and lines give no row."""

from typing import Final

NOT_ANNOTATED: Final = "not annotated"
HALF_ANNOTATED: Final = "valence or arousal not annotated"
PARTLY_ANNOTATED: Final = "some action units not annotated"
ROW_REFUSED: Final = "an action unit of the row is not annotated"
REPEATED: Final = "repeats the frame of an earlier line"
NO_LABEL: Final = "no label in any task"
