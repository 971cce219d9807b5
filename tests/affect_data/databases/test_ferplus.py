import io
import os
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.ferplus.fer2013_csv import EMOTIONS
from affect_data.databases.ferplus.reader import FerPlus, FerPlusOptions
from affect_data.databases.ferplus.votes import CANDIDATES, EXPRESSIONS, decide, shares
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import ferplus as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
NOT_A_FACE = "0,0,0,0,0,0,0,0,0,10"
HAPPY = "1,9,0,0,0,0,0,0,0,0"
SAD = "2,0,0,8,0,0,0,0,0,0"


def write_part(
    root: Path, folder: str, lines: dict[str, str] | list[tuple[str, str]], *, box='"(0, 0, 48, 48)",'
) -> None:
    (root / folder).mkdir(parents=True)
    listed = list(lines.items()) if isinstance(lines, dict) else lines
    (root / folder / "label.csv").write_text("".join(f"{name},{box}{votes}\n" for name, votes in listed))
    for name, _ in listed:
        if name:
            Image.new("L", (48, 48), 9).save(root / folder / name)


def write_votes(root: Path, lines: list[tuple[str, str, str]], *, header=HEADER) -> None:
    root.mkdir(exist_ok=True)
    (root / "fer2013new.csv").write_text(header + "\n" + "".join(f"{','.join(line)}\n" for line in lines))


def write_pictures(root: Path, usages: list[str], *, name="fer2013.csv", header="emotion,pixels,Usage") -> None:
    """Pictures whose pixels are their row; every field under its name in the header."""
    places = [field.strip() for field in header.split(",")]
    lines = []
    for row, usage in enumerate(usages):
        fields = {"emotion": str(row % 7), "pixels": " ".join([str(row)] * 2304), "Usage": usage}
        lines.append(",".join(fields[place] for place in places) + "\n")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(header + "\n" + "".join(lines))


def write_emotions(root: Path, names: list[str]) -> None:
    """A file of pictures with FER2013's own labels."""
    codes = {name: code for code, name in enumerate(EMOTIONS)}
    pixels = " ".join(["9"] * 2304)
    lines = "".join(f"{row},{codes[name]},{pixels},Training\n" for row, name in enumerate(names))
    (root / "fer2013.csv").write_text(",emotion,pixels,Usage\n" + lines)


def read(root: Path, exclude: tuple[str, ...] = (), **options: object) -> Scan:
    return FerPlus(FerPlusOptions(**options)).read(DatabaseRoot(root, exclude))


def only_defect(scan: Scan) -> str:
    assert len(scan.defects) == 1, scan.defects
    return str(scan.defects[0])


def decided(votes: str, rule: str = "majority") -> tuple[str | None, str | None]:
    frame = pl.DataFrame([[int(count) for count in votes.split(",")]], list(CANDIDATES), orient="row")
    return decide(frame, rule).row(0)


@pytest.mark.parametrize(
    ("votes", "majority", "plurality"),
    [
        (HAPPY, ("happiness", None), ("happiness", None)),
        ("0,0,10,0,0,0,0,0,0,0", ("surprise", None), ("surprise", None)),
        # 5 of 10 is not more than half, but 5 of 8 is: the two single votes are slips.
        ("5,3,2,0,0,0,0,0,0,0", (None, "no majority"), ("neutral", None)),
        ("5,3,1,1,0,0,0,0,0,0", ("neutral", None), ("neutral", None)),
        ("4,2,2,1,1,0,0,0,0,0", (None, "no majority"), ("neutral", None)),
        ("5,0,0,5,0,0,0,0,0,0", (None, "tie of two"), (None, "tie of two")),
        ("4,0,0,4,2,0,0,0,0,0", (None, "tie of two"), (None, "tie of two")),
        ("3,3,3,1,0,0,0,0,0,0", (None, "tie of three or more"), (None, "tie of three or more")),
        ("4,0,0,2,0,0,0,0,4,0", (None, "tie with unknown or not a face"), (None, "tie with unknown or not a face")),
        ("0,0,0,0,0,0,0,5,0,5", (None, "tie with unknown or not a face"), (None, "tie with unknown or not a face")),
        ("4,0,0,0,0,0,0,0,6,0", (None, "voted unknown"), (None, "voted unknown")),
        ("3,0,3,0,0,0,0,0,4,0", (None, "no majority"), (None, "voted unknown")),
        (NOT_A_FACE, (None, "voted not a face"), (None, "voted not a face")),
        ("0,0,0,0,0,0,0,4,0,6", (None, "voted not a face"), (None, "voted not a face")),
        ("1,1,1,1,1,1,1,1,1,1", (None, "no majority"), (None, "no majority")),
        ("0,0,0,0,0,0,0,9,0,0", ("contempt", None), ("contempt", None)),
    ],
)
def test_votes_are_decided_by_the_named_rule(votes, majority, plurality):
    assert decided(votes) == majority
    assert decided(votes, "plurality") == plurality


VOTES = st.lists(st.integers(0, 9), min_size=10, max_size=10).map(
    lambda chosen: [chosen.count(candidate) for candidate in range(10)]
)


many_votes = settings(max_examples=20, deadline=None)
MANY_VOTES = st.lists(VOTES, min_size=1, max_size=40)


def decided_all(votes: list[list[int]], rule: str = "majority") -> list[tuple[str | None, str | None]]:
    return decide(pl.DataFrame(votes, list(CANDIDATES), orient="row"), rule).rows()


@many_votes
@given(MANY_VOTES)
def test_the_majority_rule_is_that_of_the_paper(votes):
    def label(row: list[int]) -> str | None:
        counted = [count if count >= 2 else 0 for count in row]
        winner = counted.index(max(counted))
        return EXPRESSIONS[winner] if 2 * max(counted) > sum(counted) and winner < 8 else None

    assert [expression for expression, _ in decided_all(votes)] == [label(row) for row in votes]


@many_votes
@given(MANY_VOTES)
def test_majority_and_ties_of_two_are_what_cntk_cleaning_keeps(votes):
    def is_kept(row: list[int]) -> bool:
        counted = [count if count >= 2 else 0 for count in row]
        winners = [place for place, count in enumerate(counted) if count == max(counted)]
        return (
            all(place < 8 for place in winners) and len(winners) < 3 and 2 * len(winners) * max(counted) > sum(counted)
        )

    results = [expression is not None or masked == "tie of two" for expression, masked in decided_all(votes)]
    assert results == [is_kept(row) for row in votes]


@many_votes
@given(MANY_VOTES, st.sampled_from(["majority", "plurality"]))
def test_there_is_an_expression_or_a_reason_and_never_both(votes, rule):
    assert all((expression is None) != (masked is None) for expression, masked in decided_all(votes, rule))


@many_votes
@given(MANY_VOTES)
def test_a_majority_is_a_plurality(votes):
    for (majority, _), (plurality, _) in zip(decided_all(votes), decided_all(votes, "plurality"), strict=True):
        assert majority is None or majority == plurality


def test_shares_are_of_all_annotators():
    frame = pl.DataFrame(
        [[4, 0, 0, 1, 0, 0, 0, 0, 4, 1], [4, 0, 0, 0, 0, 3, 1, 0, 1, 0]], list(CANDIDATES), orient="row"
    )
    rows = shares(frame).rows()
    assert rows[0] == (0.4, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0)
    assert rows[1] == pytest.approx((4 / 9, 0, 0, 0, 0, 3 / 9, 1 / 9, 0))


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValidationError, match="rule"):
        FerPlusOptions(rule="mean")
    with pytest.raises(ValidationError, match="release"):
        FerPlusOptions(release="2016")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two pictures of the train part and one of each other part, by folders only."""
    write_part(tmp_path, "FER2013Train", {"fer0000000.png": HAPPY, "fer0000001.png": "5,0,0,5,0,0,0,0,0,0"})
    write_part(tmp_path, "FER2013Valid", {"fer0028638.png": SAD})
    write_part(tmp_path, "FER2013Test", {"fer0032220.png": NOT_A_FACE})
    return tmp_path


def test_folders_give_a_row_for_each_line_of_their_label_files(root):
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows.select(
        "image", "split", "expression", "expression_masked", "source_file", "source_line"
    ).rows() == [
        ("FER2013Train/fer0000000.png", "train", "happiness", None, "FER2013Train/label.csv", 1),
        ("FER2013Train/fer0000001.png", "train", None, "tie of two", "FER2013Train/label.csv", 2),
        ("FER2013Valid/fer0028638.png", "validation", "sadness", None, "FER2013Valid/label.csv", 1),
        ("FER2013Test/fer0032220.png", "test", None, "voted not a face", "FER2013Test/label.csv", 1),
    ]
    assert scan.rows["votes_neutral"].to_list() == [0.1, 0.5, 0.2, 0.0]
    assert scan.rows["votes_sadness"].to_list() == [0.0, 0.5, 0.8, 0.0]
    assert FerPlus().release_of(DatabaseRoot(root)) == "folders"
    assert (
        FerPlus().open_images(root)("FER2013Valid/fer0028638.png")
        == (root / "FER2013Valid/fer0028638.png").read_bytes()
    )


def test_the_rule_is_an_option(root):
    (root / "FER2013Valid/label.csv").write_text('fer0028638.png,"(0, 0, 48, 48)",4,2,2,1,1,0,0,0,0,0\n')
    valid = pl.col("split") == "validation"
    assert read(root).rows.filter(valid)["expression_masked"].to_list() == ["no majority"]
    assert read(root, rule="plurality").rows.filter(valid)["expression"].to_list() == ["neutral"]


def test_folders_are_found_under_data_and_in_any_case(tmp_path):
    write_part(tmp_path / "data", "fer2013train", {"fer0000000.png": HAPPY})
    assert read(tmp_path).rows["image"].to_list() == ["data/fer2013train/fer0000000.png"]


def test_a_line_of_nine_votes_is_kept_and_noted(root):
    (root / "FER2013Valid/label.csv").write_text('fer0028638.png,"(0, 0, 48, 48)",4,0,0,0,0,3,1,0,1,0\n')
    scan = read(root)
    row = scan.rows.filter(pl.col("split") == "validation").row(0, named=True)
    assert (row["expression"], row["votes_neutral"], row["votes_disgust"]) == (
        "neutral",
        pytest.approx(4 / 9),
        pytest.approx(3 / 9),
    )
    assert "1 line(s) with fewer than 10 votes, first FER2013Valid/label.csv:1" in scan.notes


def test_a_picture_that_is_not_there_is_a_failure(root):
    (root / "FER2013Train/fer0000001.png").unlink()
    scan = read(root)
    assert (len(scan.rows), scan.lines) == (3, 4)
    assert scan.failures.rows() == [("FER2013Train/label.csv", 2, "FER2013Train/fer0000001.png", "image file missing")]


def test_a_folder_without_label_file_is_a_defect(root):
    (root / "FER2013Valid/label.csv").unlink()
    assert only_defect(read(root)) == (
        "FER2013Valid/label.csv: found no such file; expected the votes on the pictures of the folder; "
        "to fix: get the file from https://github.com/microsoft/FERPlus"
    )


def test_label_files_without_boxes_are_read(tmp_path):
    write_part(tmp_path, "FER2013Train", {"fer0000000.png": HAPPY, "fer0000001.png": SAD}, box="")
    assert read(tmp_path).rows["expression"].to_list() == ["happiness", "sadness"]


def test_a_repeated_name_is_a_failure_and_with_other_votes_a_defect(tmp_path):
    write_part(tmp_path, "FER2013Train", [("a.png", HAPPY), ("b.png", SAD), ("a.png", HAPPY)])
    scan = read(tmp_path)
    assert (scan.defects, len(scan.rows), scan.lines) == ((), 2, 3)
    assert scan.failures.rows() == [("FER2013Train/label.csv", 3, "FER2013Train/a.png", "image name used twice")]
    (tmp_path / "FER2013Train/label.csv").write_text(f'a.png,"(0, 0, 48, 48)",{HAPPY}\na.png,"(0, 0, 48, 48)",{SAD}\n')
    assert (
        "FER2013Train/label.csv:2: found a.png again, with other votes; expected one line for each picture"
        in only_defect(read(tmp_path))
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f'b.png,"(0, 0, 48, 40)",{SAD}',
            "label.csv:2: found box = '(0, 0, 48, 40)'; expected the whole picture, '(0, 0, 48, 48)'",
        ),
        (
            'b.png,"(0, 0, 48, 48)",2,0,0,x,0,0,0,0,0,0',
            "label.csv:2: found sadness = 'x'; expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
        ),
        ('b.png,"(0, 0, 48, 48)",2,0,0,11,0,0,0,0,0,0', "label.csv:2: found sadness = '11'"),
        ('b.png,"(0, 0, 48, 48)",2,0,0,,0,0,0,0,0,0', "label.csv:2: found sadness = ''"),
        ('b.png,"(0, 0, 48, 48)",2,0,0,8,0,0,0,0,0', "label.csv:2: found 11 field(s)"),
        (f'b.png,"(0, 0, 48, 48),{SAD}', "label.csv:2: found 2 field(s)"),
        (f"b.png,{SAD}", "label.csv:2: found 11 field(s)"),
        ("", "label.csv:2: found 0 field(s)"),
        ('b.png,"(0, 0, 48, 48)",9,0,0,9,0,0,0,0,0,0', "label.csv:2: found 18 votes; expected 1 to 10 votes"),
        ('b.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,0,0,0', "label.csv:2: found 0 votes; expected 1 to 10 votes"),
    ],
)
def test_one_bad_line_is_one_defect_with_its_line(tmp_path, line, message):
    write_part(tmp_path, "FER2013Train", {"a.png": HAPPY, "b.png": SAD, "c.png": SAD})
    (tmp_path / "FER2013Train/label.csv").write_text(
        f'a.png,"(0, 0, 48, 48)",{HAPPY}\n{line}\nc.png,"(0, 0, 48, 48)",{SAD}\n'
    )
    assert message in only_defect(read(tmp_path))


def test_an_excluded_line_is_dropped_and_counted(tmp_path):
    write_part(tmp_path, "FER2013Train", {"a.png": HAPPY, "b.png": "x" + SAD})
    write_votes(tmp_path, [("Training", "a.png", HAPPY), ("Training", "b.png", SAD)])
    scan = read(tmp_path, ("FER2013Train/label.csv:2",))
    assert (scan.defects, len(scan.rows)) == ((), 1)
    assert scan.failures.select("source_file", "source_line", "reason").rows() == [
        ("FER2013Train/label.csv", 2, "excluded by the recipe")
    ]


def test_rows_and_failures_add_up_to_the_lines_of_the_votes_file(root):
    write_votes(
        root,
        [
            ("Training", "fer0000000.png", HAPPY),
            ("Training", "", NOT_A_FACE),
            ("Training", "fer0000001.png", "5,0,0,5,0,0,0,0,0,0"),
            ("Training", "fer0000000.png", HAPPY),
            ("PublicTest", "fer0028638.png", SAD),
            ("PrivateTest", "fer0032220.png", NOT_A_FACE),
            ("PrivateTest", "", NOT_A_FACE),
        ],
    )
    scan = read(root)
    assert scan.defects == ()
    assert (len(scan.rows), scan.lines) == (4, 7)
    assert scan.failures.sort("source_line").rows() == [
        ("fer2013new.csv", 3, "", "no image name"),
        ("fer2013new.csv", 5, "", "image name used twice"),
        ("fer2013new.csv", 8, "", "no image name"),
    ]


def test_a_repeated_name_in_both_files_is_counted_once(tmp_path):
    write_part(tmp_path, "FER2013Train", [("a.png", HAPPY), ("a.png", HAPPY)], box="")
    write_votes(tmp_path, [("Training", "a.png", HAPPY), ("Training", "a.png", HAPPY)])
    scan = read(tmp_path)
    assert (scan.defects, len(scan.rows), scan.lines) == ((), 1, 2)
    assert scan.failures["source_file"].to_list() == ["FER2013Train/label.csv"]


def test_lines_of_a_part_without_folder_are_failures(tmp_path):
    write_part(tmp_path, "FER2013Train", {"a.png": HAPPY})
    write_votes(
        tmp_path, [("Training", "a.png", HAPPY), ("PrivateTest", "b.png", SAD), ("PrivateTest", "", NOT_A_FACE)]
    )
    scan = read(tmp_path)
    assert (scan.defects, len(scan.rows)) == ((), 1)
    assert scan.failures.sort("source_line")["reason"].to_list() == ["picture folder missing", "no image name"]


def test_copies_with_votes_of_their_own_are_noted_and_the_label_file_is_used(tmp_path):
    write_part(tmp_path, "FER2013Train", {"a.png": HAPPY, "b.png": SAD})
    write_votes(tmp_path, [("Training", "a.png", HAPPY), ("Training", "b.png", HAPPY)])
    scan = read(tmp_path)
    assert scan.rows["expression"].to_list() == ["happiness", "sadness"]
    assert any(
        note.startswith("1 pictures of FER2013Train/label.csv have other votes in fer2013new.csv")
        for note in scan.notes
    )


@pytest.mark.parametrize(
    ("listed", "voted", "message"),
    [
        ({"a.png": HAPPY}, ["a.png", "b.png", "c.png"], "FER2013Train/label.csv: found no line for b.png and 1 more; expected a line for each"),
        ({"a.png": HAPPY, "b.png": SAD}, ["a.png"], "fer2013new.csv: found no line for b.png; expected a line for each picture of FER2013Train"),
    ],
)  # fmt: skip
def test_names_that_only_one_of_the_files_has_are_a_defect(tmp_path, listed, voted, message):
    write_part(tmp_path, "FER2013Train", listed)
    write_votes(tmp_path, [("Training", name, HAPPY) for name in voted])
    assert message in only_defect(read(tmp_path))


def test_without_votes_file_the_unnamed_pictures_are_said_to_be_unaccounted_for(root):
    assert "no fer2013new.csv: the 173 pictures without a name are not accounted for" in read(root).notes


def test_a_header_that_does_not_fit_is_a_defect(root):
    write_votes(root, [], header="Usage,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF")
    message = only_defect(read(root))
    assert message.startswith("fer2013new.csv:1: found the header 'Usage,neutral,happiness")
    assert message.endswith(f"expected {HEADER}; to fix: get the file from https://github.com/microsoft/FERPlus")


def test_an_unknown_usage_is_a_defect(tmp_path):
    write_part(tmp_path, "FER2013Train", {"a.png": HAPPY})
    write_votes(tmp_path, [("Training", "a.png", HAPPY), ("Testing", "b.png", SAD)])
    assert (
        "fer2013new.csv:3: found split = 'Testing'; expected one of the codes Training, PublicTest, PrivateTest"
        in only_defect(read(tmp_path))
    )


@pytest.fixture
def csv_root(tmp_path: Path) -> Path:
    """Six lines: plain, no name, a tie, a name used twice, and one of each other part."""
    usages = ["Training", "Training", "Training", "Training", "PublicTest", "PrivateTest"]
    names = ["fer0000000.png", "", "fer0000002.png", "fer0000000.png", "fer0000007.png", "fer0000009.png"]
    votes = [HAPPY, NOT_A_FACE, "5,0,0,5,0,0,0,0,0,0", SAD, SAD, "0,0,0,0,0,0,0,0,10,0"]
    root = tmp_path / "ferplus"
    write_votes(root, list(zip(usages, names, votes, strict=True)))
    write_pictures(root, usages)
    return root


def test_the_two_csv_files_are_joined_line_by_line_and_names_are_no_keys(csv_root):
    scan = read(csv_root)
    assert scan.defects == ()
    assert scan.rows.select(
        "image", "split", "expression", "expression_masked", "source_file", "source_line"
    ).rows() == [
        ("fer2013.csv#0000000.png", "train", "happiness", None, "fer2013new.csv", 2),
        ("fer2013.csv#0000002.png", "train", None, "tie of two", "fer2013new.csv", 4),
        ("fer2013.csv#0000003.png", "train", "sadness", None, "fer2013new.csv", 5),
        ("fer2013.csv#0000004.png", "validation", "sadness", None, "fer2013new.csv", 6),
        ("fer2013.csv#0000005.png", "test", None, "voted unknown", "fer2013new.csv", 7),
    ]
    assert scan.failures.rows() == [("fer2013new.csv", 3, "fer2013.csv#0000001.png", "no image name")]
    assert (scan.lines, scan.annotation_files) == (6, ("fer2013.csv", "fer2013new.csv"))
    assert FerPlus().release_of(DatabaseRoot(csv_root)) == "csv"


def test_a_picture_of_the_csv_file_is_a_png_of_its_pixels(csv_root):
    open_image = FerPlus().open_images(csv_root)
    for row in (0, 3, 5):
        data = open_image(f"fer2013.csv#{row:07d}.png")
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (48, 48))
            assert picture.getextrema() == (row, row)
        buffer = io.BytesIO()
        Image.new("L", (48, 48), row).save(buffer, "PNG", compress_level=0)
        assert data == buffer.getvalue()


def test_pixels_keep_their_order(tmp_path):
    pixels = [(7 * place) % 256 for place in range(2304)]
    write_votes(tmp_path, [("Training", "a.png", HAPPY)])
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{' '.join(map(str, pixels))},Training\n")
    with Image.open(io.BytesIO(FerPlus().open_images(tmp_path)("fer2013.csv#0000000.png"))) as picture:
        assert list(picture.tobytes()) == pixels


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("fer2013/fer2013.csv", "emotion,pixels,Usage"),
        ("icml_face_data.csv", "emotion, Usage, pixels"),
        ("FER2013.csv", "emotion,Usage,pixels"),
    ],
)
def test_the_known_editions_of_the_file_of_pictures_are_read(csv_root, name, header):
    (csv_root / "fer2013.csv").unlink()
    write_pictures(csv_root, ["Training"] * 4 + ["PublicTest", "PrivateTest"], name=name, header=header)
    scan = read(csv_root)
    assert (scan.defects, len(scan.rows)) == ((), 5)
    data = FerPlus().open_images(csv_root)(f"{name}#0000004.png")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.getextrema() == (4, 4)


def test_windows_line_ends_change_nothing(csv_root):
    expected, bytes_before = read(csv_root).rows, FerPlus().open_images(csv_root)("fer2013.csv#0000005.png")
    for name in ("fer2013.csv", "fer2013new.csv"):
        text = (csv_root / name).read_text()
        (csv_root / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert read(csv_root).rows.equals(expected)
    assert FerPlus().open_images(csv_root)("fer2013.csv#0000005.png") == bytes_before


def test_folders_with_pictures_come_before_csv_files_unless_the_recipe_says_otherwise(csv_root):
    write_part(csv_root, "FER2013Train", {"fer0000000.png": HAPPY, "fer0000002.png": SAD})
    write_part(csv_root, "FER2013Valid", {"fer0000007.png": HAPPY})
    assert read(csv_root).rows["image"][0] == "FER2013Train/fer0000000.png"
    assert read(csv_root, release="csv").rows["image"][0] == "fer2013.csv#0000000.png"
    for picture in csv_root.glob("*/*.png"):
        picture.unlink()
    assert read(csv_root).rows["image"][0] == "fer2013.csv#0000000.png"


def test_files_of_different_length_are_a_defect(csv_root):
    with (csv_root / "fer2013new.csv").open("a") as file:
        file.write(f"PrivateTest,fer0000010.png,{HAPPY}\n")
    assert only_defect(read(csv_root)) == (
        "fer2013new.csv: found 7 lines of votes; expected as many as fer2013.csv has pictures, 6; "
        "to fix: restore both files: they belong together line by line"
    )


def test_usages_that_disagree_are_a_defect_of_each_line(csv_root):
    text = (csv_root / "fer2013new.csv").read_text()
    (csv_root / "fer2013new.csv").write_text(text.replace("PublicTest", "Training"))
    assert only_defect(read(csv_root)) == (
        "fer2013new.csv:6: found Usage = 'Training'; expected 'PublicTest', as in line 6 of fer2013.csv; "
        "to fix: restore both files: they belong together line by line"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"3,{' '.join(['0'] * 2303)},Training", "found 2,303 pixels; expected 2,304 whole numbers from 0 to 255"),
        (f"3,{' '.join(['0'] * 2303)} 256,Training", "found the pixel '256'"),
        (f"3,{' '.join(['0'] * 2303)} x,Training", "found the pixel 'x'"),
        (f"3,{' '.join(['0'] * 2303)} -1,Training", "found the pixel '-1'"),
        (f"7,{' '.join(['0'] * 2304)},Training", "found emotion = '7'; expected one of the codes 0, 1, 2, 3, 4, 5, 6"),
        ("3,Training", "found 2 field(s); expected 3 field(s): emotion,pixels,Usage"),
    ],
)
def test_a_bad_picture_is_a_defect_unless_its_line_is_excluded(csv_root, line, message):
    lines = (csv_root / "fer2013.csv").read_text().split("\n")
    lines[3] = line
    (csv_root / "fer2013.csv").write_text("\n".join(lines))
    defect = next(str(defect) for defect in read(csv_root).defects if defect.path == "fer2013.csv")
    assert defect.startswith(f"fer2013.csv:4: {message}")
    assert defect.endswith("to fix: restore the line, or name `fer2013new.csv:4` under `exclude` in the recipe")
    scan = read(csv_root, ("fer2013new.csv:4",))
    assert (scan.defects, len(scan.rows), scan.lines) == ((), 4, 6)


def test_a_header_of_the_picture_file_that_does_not_fit_is_a_defect(csv_root):
    write_pictures(csv_root, ["Training"], header="emotion,pixels")
    assert only_defect(read(csv_root)) == (
        "fer2013.csv:1: found the header 'emotion,pixels'; expected emotion,pixels,Usage; to fix: restore the file from Kaggle"
    )


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda root: None, "the folder is empty"),
        (lambda root: (root / "label.lst").touch(), "there is no folder FER2013Train, and no fer2013new.csv with fer2013.csv"),
        (lambda root: write_pictures(root, []), "fer2013.csv is there, but not the votes, fer2013new.csv: get the file from https://github.com/microsoft/FERPlus"),
        (lambda root: write_votes(root, []), "fer2013new.csv is there, but neither fer2013.csv (from Kaggle) nor folders with the pictures"),
    ],
)  # fmt: skip
def test_a_wrong_root_shows_the_expected_layout(tmp_path, prepare, because):
    prepare(tmp_path)
    with pytest.raises(DatabaseNotFoundError) as caught:
        read(tmp_path)
    assert because in str(caught.value)
    assert "FER2013Train/fer0000000.png" in str(caught.value)


@pytest.mark.parametrize("release", ["folders", "csv"])
def test_the_demo_is_read_without_defects_and_as_it_was_drawn(tmp_path, release):
    write = demo.write if release == "folders" else demo.write_csv
    placed = write(tmp_path, FaceSampler(0), 100).faces
    scan = read(tmp_path)
    database = FerPlus()
    assert (scan.defects, database.release_of(DatabaseRoot(tmp_path))) == ((), release)
    assert scan.lines == len((tmp_path / "fer2013new.csv").read_text().splitlines()) - 1
    truth = {face.image: face.truth for face in placed}
    known = scan.rows.filter(pl.col("image").is_in(list(truth)))
    assert len(known) == len(placed) == len(truth)
    agreeing = [
        row["expression"] == truth[row["image"]].expression
        for row in known.drop_nulls("expression").iter_rows(named=True)
    ]
    assert sum(agreeing) / len(agreeing) > 0.85
    open_image = database.open_images(tmp_path)
    first = placed[0]
    with Image.open(io.BytesIO(open_image(first.image))) as picture:
        assert picture.tobytes() == first.truth.draw(48, colour=False).tobytes()
    share = len(scan.rows.filter(pl.col("split") == "validation")) / len(scan.rows)
    assert share == pytest.approx(0.15, abs=0.02)


def test_the_demo_has_every_quirk_of_the_official_files(tmp_path):
    demo.write(tmp_path, FaceSampler(0), 100)
    scan = read(tmp_path)
    assert set(scan.failures["reason"]) == {"no image name", "image name used twice"}
    assert set(scan.rows["expression_masked"].drop_nulls()) >= {
        "no majority", "tie of two", "tie of three or more", "tie with unknown or not a face", "voted unknown", "voted not a face",
    }  # fmt: skip
    assert any("fewer than 10 votes" in note for note in scan.notes)
    assert any("have other votes in fer2013new.csv" in note for note in scan.notes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VOTES, min_size=1, max_size=6), st.data())
def test_valid_votes_come_back_and_any_other_token_is_one_defect(tmp_path_factory, votes, data):
    root = tmp_path_factory.mktemp("ferplus")
    lines = {f"fer{number:07d}.png": ",".join(map(str, row)) for number, row in enumerate(votes)}
    write_part(root, "FER2013Train", lines)
    rows = read(root).rows
    assert rows.select(f"votes_{name}" for name in EXPRESSIONS).rows() == [
        tuple(v / 10 for v in row[:8]) for row in votes
    ]
    bad = data.draw(
        st.text("0123456789.-ex ", max_size=4).filter(lambda text: text.strip() not in {str(n) for n in range(11)})
    )
    number = data.draw(st.integers(0, len(votes) - 1))
    tokens = [str(count) for count in votes[number]]
    tokens[data.draw(st.integers(0, 9))] = bad
    lines[f"fer{number:07d}.png"] = ",".join(tokens)
    (root / "FER2013Train/label.csv").write_text(
        "".join(f'{name},"(0, 0, 48, 48)",{row}\n' for name, row in lines.items())
    )
    assert [(defect.path, defect.line) for defect in read(root).defects] == [("FER2013Train/label.csv", number + 1)]


REAL = os.environ.get("AFFECT_TEST_FERPLUS")


@pytest.mark.skipif(
    REAL is None, reason="AFFECT_TEST_FERPLUS names no folder with the train and validation parts of FER+"
)
def test_every_line_of_the_real_files_is_accounted_for():
    scan = read(Path(REAL))
    assert scan.defects == ()
    assert (len(scan.rows), len(scan.failures), scan.lines) == (28_558 + 3_579, 161, 32_298)
    assert dict(scan.failures.group_by("reason").len().rows()) == {"no image name": 158, "image name used twice": 3}
    assert scan.rows.group_by("split").len().sort("split").rows() == [("train", 28_558), ("validation", 3_579)]
    assert scan.rows.drop_nulls("expression").group_by("split").len().sort("split").rows() == [
        ("train", 25_045),
        ("validation", 3_191),
    ]


@pytest.mark.skipif(
    REAL is None, reason="AFFECT_TEST_FERPLUS names no folder with the train and validation parts of FER+"
)
def test_the_published_counts_of_cntk_cleaning_come_out_of_the_votes_file():
    votes = pl.read_csv(Path(REAL) / "fer2013new.csv").rename({"NF": "not a face"}).drop_nulls("Image name")
    result = votes.select("Usage").hstack(decide(votes, "majority"))
    kept = result.filter(pl.col("expression").is_not_null() | (pl.col("expression_masked") == "tie of two"))
    assert kept.group_by("Usage").len().sort("Usage").rows() == [("PublicTest", 3_318), ("Training", 26_196)]


# ---------------------------------------------------------------- whether the two files are in one order


def voted(name: str) -> str:
    return ",".join("9" if other == name else "0" for other in CANDIDATES)


def labels_of(faces: int) -> tuple[list[str], list[str]]:
    """What was voted of faces, and FER2013's own labels, which agree in two of three."""
    rng = random.Random(0)
    votes = rng.choices(EMOTIONS, k=faces)
    return votes, [name if rng.random() < 2 / 3 else rng.choice(EMOTIONS) for name in votes]


def test_votes_and_emotions_in_one_order_are_no_defect(tmp_path: Path) -> None:
    votes, emotions = labels_of(1200)
    write_votes(tmp_path, [("Training", f"fer{row:07d}.png", voted(name)) for row, name in enumerate(votes)])
    write_emotions(tmp_path, emotions)
    scan = read(tmp_path)
    assert (scan.defects, len(scan.rows)) == ((), 1200)


@pytest.mark.parametrize("moved", [range(1200), range(600, 1200)], ids=["all", "half"])
def test_votes_that_somebody_sorted_are_a_defect(tmp_path: Path, moved: range) -> None:
    votes, emotions = labels_of(1200)
    votes[moved.start : moved.stop] = sorted(votes[moved.start : moved.stop])
    write_votes(tmp_path, [("Training", f"fer{row:07d}.png", voted(name)) for row, name in enumerate(votes)])
    write_emotions(tmp_path, emotions)
    defects = read(tmp_path).defects
    assert [(defect.path, defect.line) for defect in defects] == [
        ("fer2013new.csv", line) for line in ([2, 502] if len(moved) == 1200 else [502])
    ]
    assert defects[0].expected == "most faces to agree, as those of one picture do"
