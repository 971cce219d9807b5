"""What the files of FER+ say, value by value, and how well each fact about them is known."""

from typing import Final

from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.ferplus.votes import EXPRESSIONS, NO_EXPRESSION
from affect_data.databases.voting import decision_rows

ANNOTATORS: Final = 10
NO_NAME: Final = "no image name"
NAME_AGAIN: Final = "image name used twice"
NO_FOLDER: Final = "picture folder missing"

COLUMNS: Final = ", ".join(EXPRESSIONS)

MAPPING: Final = (
    NativeValue(COLUMNS, f"0..{ANNOTATORS}", "a share of all votes on the face"),
    NativeValue(COLUMNS, "1", masked="a single vote is a slip: it counts in the shares alone"),
    *decision_rows(COLUMNS, NO_EXPRESSION),
    *(NativeValue(name, f"0..{ANNOTATORS}", "counted in the number of votes") for name in NO_EXPRESSION),
    NativeValue("Image name", "empty", masked=NO_NAME),
    NativeValue("Image name", "that of an earlier line", masked=NAME_AGAIN),
)
EVIDENCE: Final = (
    Evidence(
        "the ten columns of votes, and their order", Grade.SEEN, "fer2013new.csv of the authors, all 35,887 lines"
    ),
    Evidence("173 lines without a name, four names used twice, one line of nine votes", Grade.SEEN, "the same file"),
    Evidence("label.csv is name, box, votes, without a header", Grade.SEEN, "the authors' three files"),
    Evidence("the two files disagree on 1,319 names", Grade.SEEN, "the same files"),
    Evidence("a single vote is a slip, more than half must agree", Grade.DOCUMENTED, "the paper and the authors' code"),
    Evidence(
        "votes are of the picture in the same line of fer2013.csv",
        Grade.DOCUMENTED,
        "the authors' readme; FER2013's own labels must agree with them in most faces of every 500",
    ),
)
