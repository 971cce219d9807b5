"""What the files of Aff-Wild2 say, value by value, and how well each fact about them is known."""

from typing import Final

from affect_data.databases.affwild2.layout import EXPRESSIONS
from affect_data.databases.affwild2.reasons import (
    HALF_ANNOTATED,
    NO_LABEL,
    NOT_ANNOTATED,
    PARTLY_ANNOTATED,
    ROW_REFUSED,
)
from affect_data.databases.facts import Evidence, Grade, NativeValue, numbered, occurrences

NO_CODE: Final = -1
NO_VALUE: Final = -5

MAPPING: Final = (
    *numbered("expression", EXPRESSIONS),
    NativeValue("expression", str(NO_CODE), masked=NOT_ANNOTATED),
    *occurrences("action unit", {NO_CODE: NOT_ANNOTATED}),
    *(
        row
        for field, other in (("valence", "arousal"), ("arousal", "valence"))
        for row in (
            NativeValue(field, "-1..1", "the same number"),
            NativeValue(field, str(NO_VALUE), masked=NOT_ANNOTATED),
            NativeValue(field, f"-1..1 where {other} is {NO_VALUE}", masked=HALF_ANNOTATED),
        )
    ),
    NativeValue("action units of a line", f"{NO_CODE} for some of them", masked=PARTLY_ANNOTATED),
    NativeValue("action units of a line", "the same with `partial_action_units: false`", masked=ROW_REFUSED),
    NativeValue("line", "without a label of any task", masked=NO_LABEL),
)
EVIDENCE: Final = (
    Evidence(
        "line n after the header belongs to image n", Grade.CODE, "the datasets of two entries to the competition"
    ),
    Evidence(
        "headers, codes and values of each edition",
        Grade.CODE,
        "writers of submissions and readers; no label file is public",
    ),
    Evidence(
        "the files of the ninth and the tenth edition have the columns of the eighth",
        Grade.ASSUMED,
        "folders of the tenth and a test list of the ninth were seen; headers name units and classes, and others are a defect",
    ),
    Evidence(
        "the table of the eleventh edition has the columns and classes of the seventh",
        Grade.ASSUMED,
        "two teams say that its data are s-Aff-Wild2, as before; another number of columns or an unknown code is a defect",
    ),
    Evidence("-5 is no valence and arousal; -1 no expression, no action unit", Grade.CODE, "loaders of four teams"),
    Evidence(
        "videos have up to two frames fewer than label lines",
        Grade.SEEN,
        "318 tracks of which a team lists both counts",
    ),
    Evidence("_left and _right distinguish two people of a video", Grade.SEEN, "548 names of videos, 561 of tracks"),
    Evidence("a track may be train in one task and validation in another", Grade.SEEN, "86 tracks that a team lists"),
    Evidence("in ABAW5 crops of 50 videos became an archive of their own", Grade.CODE, "ten public loaders"),
    Evidence(
        "tracks whose names differ in their last number alone show the same people",
        Grade.ASSUMED,
        "no file says who is shown",
    ),
)
