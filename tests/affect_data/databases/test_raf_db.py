"""RAF-DB: two parts with like names, codes from 1, three widths of numbers, face boxes, and copies in class folders."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.raf_db.reader import RafDb, RafDbOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import raf_db as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError
from affect_data.vocabulary import COMPOUND_EXPRESSIONS, EXPRESSIONS

BASIC_LINES = ("train_00001.jpg 5", "train_00002.jpg 1", "train_12271.jpg 4", "test_0001.jpg 7", "test_3068.jpg 2")
COMPOUND_LINES = ("train_0001.jpg 6", "train_3162.jpg 11", "test_001.jpg 1", "test_792.jpg 9")
BASIC_ORDER = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
COMPOUND_ORDER = [
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
    "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
]  # fmt: skip
BASIC_LIST = "basic/EmoLabel/list_patition_label.txt"
FIX = "to fix: correct the line, or name it under `exclude` in the recipe"


def write_part(
    root: Path, part: str, *lines: str, boxes: bool = True, list_name: str = "list_patition_label.txt"
) -> Path:
    """The list of a part, and for each of its pictures an aligned face, a photograph and a box file."""
    folder = root / part
    for name in ("EmoLabel", "Image/aligned", "Image/original", *(["Annotation/boundingbox"] if boxes else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "EmoLabel" / list_name).write_text("".join(f"{line}\n" for line in lines))
    for number, line in enumerate(lines):
        stem = line.split(" ")[0].removesuffix(".jpg")
        Image.new("RGB", (8, 8)).save(folder / "Image" / "aligned" / f"{stem}_aligned.jpg")
        Image.new("RGB", (20, 16)).save(folder / "Image" / "original" / f"{stem}.jpg")
        if boxes:
            box = folder / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt"
            box.write_text(f"{number}.500000 2.250000 12.000000 14.125000 ")
    return root


def read(root: Path, *exclude: str, **options: object) -> Scan:
    return RafDb(RafDbOptions.model_validate(options)).read(DatabaseRoot(root, exclude))


def reasons(scan: Scan) -> dict[str, int]:
    return dict(scan.failures["reason"].value_counts().iter_rows())


# ---------------------------------------------------------------- what the class says


def test_it_says_what_it_labels() -> None:
    assert RafDb.tasks() == ("expression",)
    assert list(RafDb.expressions) == BASIC_ORDER
    assert list(RafDb.compound_expressions) == COMPOUND_ORDER
    assert set(BASIC_ORDER) == set(EXPRESSIONS) - {"contempt", "other"}
    assert set(COMPOUND_ORDER) == set(COMPOUND_EXPRESSIONS[:12]) - {"fearfully disgusted"}
    assert "basic/EmoLabel/list_patition_label.txt" in RafDb.layout()
    assert RafDb.description().startswith("Real-world Affective Faces Database")


# ---------------------------------------------------------------- the lists


def test_both_parts_are_read_with_their_own_labels_and_splits(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    write_part(tmp_path, "compound", *COMPOUND_LINES)
    scan = read(tmp_path)
    assert scan.defects == ()
    assert reasons(scan) == {}
    assert scan.lines == 9
    basic, compound = "basic/Image/aligned", "compound/Image/aligned"
    assert scan.rows.select("image", "split", "expression", "compound_expression", "source_line").rows() == [
        (f"{basic}/train_00001_aligned.jpg", "train", "sadness", None, 1),
        (f"{basic}/train_00002_aligned.jpg", "train", "surprise", None, 2),
        (f"{basic}/train_12271_aligned.jpg", "train", "happiness", None, 3),
        (f"{basic}/test_0001_aligned.jpg", "test", "neutral", None, 4),
        (f"{basic}/test_3068_aligned.jpg", "test", "fear", None, 5),
        (f"{compound}/train_0001_aligned.jpg", "train", None, "sadly disgusted", 1),
        (f"{compound}/train_3162_aligned.jpg", "train", None, "disgustedly surprised", 2),
        (f"{compound}/test_001_aligned.jpg", "test", None, "happily surprised", 3),
        (f"{compound}/test_792_aligned.jpg", "test", None, "angrily surprised", 4),
    ]
    assert scan.annotation_files == (BASIC_LIST, "compound/EmoLabel/list_patition_label.txt")
    assert scan.notes == (
        "no files in basic/Annotation/manual: nothing is said of people",
        "basic part: 3 train, 2 test; pictures in basic/Image/aligned",
        "no files in compound/Annotation/manual: nothing is said of people",
        "compound part: 2 train, 2 test; pictures in compound/Image/aligned",
    )
    assert not {"subject", "track", "face", "face_box"} & set(scan.rows.columns)


@pytest.mark.parametrize(("code", "name"), list(enumerate(BASIC_ORDER, start=1)))
def test_basic_classes_count_from_one(tmp_path: Path, code: int, name: str) -> None:
    rows = read(write_part(tmp_path, "basic", f"train_00001.jpg {code}")).rows
    assert rows["expression"].to_list() == [name]


@pytest.mark.parametrize(("code", "name"), list(enumerate(COMPOUND_ORDER, start=1)))
def test_compound_classes_count_from_one(tmp_path: Path, code: int, name: str) -> None:
    rows = read(write_part(tmp_path, "compound", f"test_001.jpg {code}")).rows
    assert rows["compound_expression"].to_list() == [name]


@pytest.mark.parametrize(("subset", "rows"), [("basic", 5), ("compound", 4), (None, 9)])
def test_one_part_can_be_read_alone(tmp_path: Path, subset: str | None, rows: int) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    write_part(tmp_path, "compound", *COMPOUND_LINES)
    scan = read(tmp_path, subset=subset)
    assert len(scan.rows) == scan.lines == rows


def test_a_part_that_is_not_there_is_not_missed_unless_asked_for(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    assert read(tmp_path).defects == ()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no compound/EmoLabel/list_patition_label\.txt"):
        read(tmp_path, subset="compound")


@pytest.mark.parametrize("part", ["raf-basic", "raf_basic", "Basic"])
def test_a_part_is_found_under_the_names_that_users_give_it(tmp_path: Path, part: str) -> None:
    scan = read(write_part(tmp_path, part, *BASIC_LINES))
    assert scan.defects == ()
    assert scan.rows["image"][0] == f"{part}/Image/aligned/train_00001_aligned.jpg"


def test_tabs_and_blanks_around_the_fields_are_blanks(tmp_path: Path) -> None:
    plain = read(write_part(tmp_path / "plain", "basic", *BASIC_LINES), images="original")
    other = write_part(tmp_path / "other", "basic", *BASIC_LINES)
    (other / BASIC_LIST).write_text("".join(line.replace(" ", "\t") + "  \n" for line in BASIC_LINES))
    for box in (other / "basic/Annotation/boundingbox").iterdir():
        box.write_text("\t" + box.read_text().replace(" ", " \t"))
    scan = read(other, images="original")
    assert scan.defects == ()
    assert scan.rows.equals(plain.rows)


def test_the_misspelt_name_of_the_list_may_be_spelt_right(tmp_path: Path) -> None:
    scan = read(write_part(tmp_path, "basic", *BASIC_LINES, list_name="list_partition_label.txt"))
    assert (scan.defects, len(scan.rows)) == ((), 5)


@pytest.mark.parametrize(
    ("lines", "column", "first"),
    [(BASIC_LINES, "expression", "sadness"), (COMPOUND_LINES, "compound_expression", "sadly disgusted")],
)
def test_a_root_that_is_one_part_is_told_by_the_width_of_its_numbers(
    tmp_path: Path, lines: tuple[str, ...], column: str, first: str
) -> None:
    scan = read(write_part(tmp_path, "", *lines))
    assert scan.defects == ()
    assert scan.rows[column][0] == first
    assert scan.rows["image"][0].startswith("Image/aligned/train_")


@pytest.mark.parametrize(
    ("part", "lines", "found"), [("basic", COMPOUND_LINES, "compound"), ("compound", BASIC_LINES, "basic")]
)
def test_the_list_of_the_other_part_is_one_defect_and_gives_no_label(
    tmp_path: Path, part: str, lines: tuple[str, ...], found: str
) -> None:
    scan = read(write_part(tmp_path, part, *lines))
    assert [str(defect) for defect in scan.defects] == [
        f"{part}/EmoLabel/list_patition_label.txt: found the list of the {found} part; expected the list of the {part} part; "
        "to fix: put each part's files into its own folder"
    ]
    assert scan.rows.is_empty()


def test_a_picture_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    (write_part(tmp_path, "basic", *BASIC_LINES) / "basic/Image/aligned/train_00002_aligned.jpg").unlink()
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.failures.select("source_file", "source_line", "reason").rows() == [
        (BASIC_LIST, 2, "image file missing")
    ]
    assert scan.lines == 5


# ---------------------------------------------------------------- original photographs


def test_original_photographs_have_the_boxes_of_their_faces(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    write_part(tmp_path, "compound", COMPOUND_LINES[0])
    scan = read(tmp_path, images="original")
    assert scan.defects == ()
    assert scan.rows["image"].to_list()[::4] == [
        "basic/Image/original/train_00001.jpg",
        "basic/Image/original/test_3068.jpg",
    ]
    assert scan.rows["face_box"].to_list() == [
        *([number + 0.5, 2.25, 12.0, 14.125] for number in range(5)),
        [0.5, 2.25, 12.0, 14.125],
    ]
    assert scan.rows["expression"].to_list() == ["sadness", "surprise", "happiness", "neutral", "fear", None]


def test_a_photograph_without_a_box_file_is_its_own_face_and_noted(tmp_path: Path) -> None:
    folder = write_part(tmp_path, "basic", *BASIC_LINES) / "basic/Annotation/boundingbox"
    (folder / "train_00002_boundingbox.txt").unlink()
    scan = read(tmp_path, images="original")
    assert scan.defects == ()
    boxes = scan.rows["face_box"].to_list()
    assert boxes[1] is None
    assert boxes[2] == [2.5, 2.25, 12.0, 14.125]
    assert "1 photographs without a file in basic/Annotation/boundingbox: the whole picture is the face" in scan.notes


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("1.0 2.0 3.0 ", "3 field(s): '1.0 2.0 3.0 '", "4 field(s): left top right bottom"),
        ("", "0 field(s): ''", "4 field(s): left top right bottom"),
        ("1.0 2.0 3.0 4.0\n1.0 2.0 3.0 4.0\n", "8 field(s)", "4 field(s): left top right bottom"),
        ("1.0 2.0 wide 4.0 ", "right = 'wide'", "a number in [-100000, 100000]"),
        ("nan 2.0 3.0 4.0 ", "left = 'nan'", "a number in [-100000, 100000]"),
        ("9.0 2.0 3.0 4.0 ", "left = 9, top = 2, right = 3, bottom = 4", "left < right and top < bottom"),
    ],
)
def test_a_file_that_holds_no_box_is_a_defect(tmp_path: Path, text: str, found: str, expected: str) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    (tmp_path / "basic/Annotation/boundingbox/train_00002_boundingbox.txt").write_text(text)
    (defect,) = read(tmp_path, images="original").defects
    assert (defect.path, defect.line) == ("basic/Annotation/boundingbox/train_00002_boundingbox.txt", 1)
    assert defect.found.startswith(found)
    assert defect.expected == expected


def test_boxes_that_are_not_there_at_all_are_one_defect(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES, boxes=False)
    assert read(tmp_path).defects == ()
    assert [str(defect) for defect in read(tmp_path, images="original").defects] == [
        "basic/Annotation/boundingbox: found no such folder; expected the face box of each original photograph; "
        "to fix: unpack the annotations there, or set `images: aligned` in the recipe"
    ]


def test_pictures_of_the_other_kind_alone_are_a_defect_that_names_the_option(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    (tmp_path / "basic/Image/aligned").rename(tmp_path / "aligned")
    assert [str(defect) for defect in read(tmp_path).defects] == [
        "basic/Image/aligned: found no such folder, but basic/Image/original; expected the folder of the aligned pictures; "
        "to fix: unpack the archive of the pictures there, or set `images: original` in the recipe"
    ]
    (tmp_path / "basic/Image/original").rename(tmp_path / "original")
    assert [str(defect) for defect in read(tmp_path).defects] == [
        "basic/Image/aligned: found no such folder; expected the folder of the aligned pictures; "
        "to fix: unpack the archive of the pictures there"
    ]


def test_pictures_beside_the_list_are_found(tmp_path: Path) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    (tmp_path / "basic/Image/aligned").rename(tmp_path / "basic/aligned")
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows["image"][0] == "basic/aligned/train_00001_aligned.jpg"


# ---------------------------------------------------------------- copies in class folders

FOLDERS = ("train/1/train_00001_aligned.jpg", "train/7/train_00002_aligned.jpg", "test/1/test_0001_aligned.jpg")


def write_folders(root: Path, first: int, *pictures: str) -> Path:
    for number in range(first, first + 7):
        (root / "train" / str(number)).mkdir(parents=True)
    for picture in pictures:
        (root / picture).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / picture)
    return root


def test_class_folders_are_refused_until_the_recipe_names_their_order(tmp_path: Path) -> None:
    write_folders(tmp_path, 1, *FOLDERS)
    with pytest.raises(
        DatabaseNotFoundError,
        match=r"(?s)do not say which expression they mean.*`class_order: \[surprise, fear, disgust, happiness, sadness, anger, neutral\]`",
    ):
        read(tmp_path)


def test_class_folders_in_the_order_of_raf_db_and_of_affectnet_give_other_labels(tmp_path: Path) -> None:
    raf = read(write_folders(tmp_path / "a", 1, *FOLDERS), class_order=BASIC_ORDER)
    assert raf.defects == ()
    assert raf.rows.select("image", "split", "expression").rows() == [
        (FOLDERS[0], "train", "surprise"),
        (FOLDERS[1], "train", "neutral"),
        (FOLDERS[2], "test", "surprise"),
    ]
    affectnet = ("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger")
    pictures = ("train/0/train_00001_aligned.jpg", "train/6/train_00002_aligned.jpg", "valid/2/test_0001_aligned.jpg")
    scan = read(write_folders(tmp_path / "b", 0, *pictures), class_order=affectnet)
    assert scan.defects == ()
    assert scan.rows.select("split", "expression").rows() == [
        ("train", "neutral"),
        ("train", "anger"),
        ("validation", "sadness"),
    ]
    assert scan.notes[0].endswith(
        "class folders: 0 = neutral, 1 = happiness, 2 = sadness, 3 = surprise, 4 = fear, 5 = disgust, 6 = anger"
    )


@pytest.mark.parametrize("names", [("Surprise", "neutral"), ("1_surprised", "7 - NEUTRAL")])
def test_class_folders_with_names_need_no_order(tmp_path: Path, names: tuple[str, str]) -> None:
    for place in (f"train/{names[0]}/train_00001_aligned.jpg", f"test/{names[1]}/test_0001_aligned.jpg"):
        (tmp_path / place).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / place)
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.select("split", "expression").rows() == [("train", "surprise"), ("test", "neutral")]
    assert scan.notes[0] == f"2 faces in 2 class folders: {names[0]} = surprise, {names[1]} = neutral"


def test_a_class_folder_with_another_name_is_a_defect(tmp_path: Path) -> None:
    for place in ("train/Surprise", "train/Contempt", "train/1"):
        (tmp_path / place).mkdir(parents=True)
    assert [(defect.path, defect.found) for defect in read(tmp_path).defects] == [
        ("train/1", "a folder that is called after no class"),
        ("train/Contempt", "a folder that is called after no class"),
    ]


def test_class_folders_of_another_number_are_a_defect(tmp_path: Path) -> None:
    write_folders(tmp_path, 1, *FOLDERS, "train/8/train_00003_aligned.jpg")
    assert [str(defect) for defect in read(tmp_path, class_order=BASIC_ORDER).defects] == [
        "train: found class folders 1, 2, 3, 4, 5, 6, 7, 8; expected 7 numbers without a gap, one for each expression of class_order; "
        "to fix: complete the folders; an expression without pictures has an empty one"
    ]


def test_a_test_picture_in_a_train_folder_is_a_defect_and_can_be_excluded(tmp_path: Path) -> None:
    write_folders(tmp_path, 1, *FOLDERS, "train/2/test_0002_aligned.jpg")
    (defect,) = read(tmp_path, class_order=BASIC_ORDER).defects
    assert (defect.path, defect.found) == ("train/2/test_0002_aligned.jpg", "in a folder of train")
    scan = read(tmp_path, "train/2/test_0002_aligned.jpg:1", class_order=BASIC_ORDER)
    assert (scan.defects, len(scan.rows), scan.lines) == ((), 3, 4)


def test_the_official_list_comes_before_class_folders(tmp_path: Path) -> None:
    write_folders(tmp_path, 1, *FOLDERS)
    scan = read(write_part(tmp_path, "basic", *BASIC_LINES), class_order=BASIC_ORDER)
    assert len(scan.rows) == 5
    assert "class_order is not used: the official lists are there" in scan.notes


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (BASIC_ORDER[:6], "class_order names each of surprise, fear, disgust, happiness, sadness, anger, neutral once"),
        ([*BASIC_ORDER[:6], "anger"], "class_order names each of"),
        ([*BASIC_ORDER[:6], "boredom"], "'boredom' is no expression"),
    ],
)
def test_an_order_that_does_not_name_each_expression_once_is_refused(order: list[str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RafDbOptions.model_validate({"class_order": order})


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("bad", "found", "expected"),
    [
        ("train_00003.jpg 0", "expression = '0'", "one of the codes 1, 2, 3, 4, 5, 6, 7"),
        ("train_00003.jpg 8", "expression = '8'", "one of the codes 1, 2, 3, 4, 5, 6, 7"),
        ("train_00003.jpg Happy", "expression = 'Happy'", "one of the codes 1, 2, 3, 4, 5, 6, 7"),
        ("train_00003.jpg", "1 field(s): 'train_00003.jpg'", "2 field(s): picture expression"),
        ("train_00003.jpg train 4", "3 field(s): 'train_00003.jpg train 4'", "2 field(s): picture expression"),
        ("train_0003.jpg 4", "picture = 'train_0003.jpg'", "a name of the basic part, such as train_00001.jpg or test_0001.jpg"),
        ("test_003.jpg 4", "picture = 'test_003.jpg'", "a name of the basic part, such as train_00001.jpg or test_0001.jpg"),
        ("train_00003_aligned.jpg 4", "picture = 'train_00003_aligned.jpg'", "a name of the basic part, such as train_00001.jpg or test_0001.jpg"),
        ("val_0003.jpg 4", "picture = 'val_0003.jpg'", "a name of the basic part, such as train_00001.jpg or test_0001.jpg"),
        ("image label", "picture = 'image'", "a name of the basic part, such as train_00001.jpg or test_0001.jpg"),
        ("train_00001.jpg 4", "train_00001.jpg again (first in line 1)", "one line for each picture"),
    ],
)  # fmt: skip
def test_one_bad_line_is_one_defect_that_names_it(tmp_path: Path, bad: str, found: str, expected: str) -> None:
    write_part(tmp_path, "basic", *BASIC_LINES)
    with (tmp_path / BASIC_LIST).open("a") as file:
        file.write(f"{bad}\n")
    assert [str(defect) for defect in read(tmp_path).defects] == [
        f"{BASIC_LIST}:6: found {found}; expected {expected}; {FIX}"
    ]


def test_a_compound_class_that_is_only_of_other_databases_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write_part(tmp_path, "compound", *COMPOUND_LINES, "train_0002.jpg 12")).defects
    assert (defect.line, defect.found) == (5, "compound_expression = '12'")


def test_an_excluded_line_is_dropped_and_counted(tmp_path: Path) -> None:
    scan = read(write_part(tmp_path, "basic", *BASIC_LINES, "train_00003.jpg 0"), f"{BASIC_LIST}:6")
    assert scan.defects == ()
    assert reasons(scan) == {"excluded by the recipe": 1}
    assert scan.lines == 6


def test_a_part_without_its_list_is_a_defect(tmp_path: Path) -> None:
    (write_part(tmp_path, "basic", *BASIC_LINES) / BASIC_LIST).unlink()
    scan = read(write_part(tmp_path, "compound", *COMPOUND_LINES))
    assert [str(defect) for defect in scan.defects] == [
        f"{BASIC_LIST}: found no such file; expected the labels of the basic part; "
        "to fix: unpack the official archive there, or set `subset` in the recipe"
    ]
    assert len(scan.rows) == 4


def test_an_empty_list_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write_part(tmp_path, "basic")).defects
    assert (defect.path, defect.found, defect.expected) == (BASIC_LIST, "no face", "one line for each face")


def test_a_root_of_something_else_shows_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="the folder is empty"):
        read(tmp_path)
    (tmp_path / "label").mkdir()
    with pytest.raises(
        DatabaseNotFoundError,
        match=r"(?s)there is no basic/EmoLabel/list_patition_label\.txt.*train_00001_aligned\.jpg",
    ):
        read(tmp_path)


FACE = st.tuples(st.sampled_from(["train", "test"]), st.integers(1, 999), st.integers(1, 7))


@settings(max_examples=20, deadline=None)
@given(st.lists(FACE, min_size=1, max_size=8, unique_by=lambda face: face[:2]))
def test_valid_lines_come_back_as_written(faces: list[tuple[str, int, int]]) -> None:
    widths = {"train": 5, "test": 4}
    names = [f"{split}_{number:0{widths[split]}d}" for split, number, _ in faces]
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_part(Path(folder), "basic", *(f"{name}.jpg {face[2]}" for name, face in zip(names, faces, strict=True))))  # fmt: skip
    assert scan.defects == ()
    assert scan.rows.select("image", "split", "expression").rows() == [
        (f"basic/Image/aligned/{name}_aligned.jpg", split, BASIC_ORDER[code - 1])
        for name, (split, _, code) in zip(names, faces, strict=True)
    ]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1), st.text("abcXYZ089-_.", min_size=1, max_size=6))
def test_any_invalid_token_gives_exactly_one_defect_with_its_line(field: int, token: str) -> None:
    fields = BASIC_LINES[1].split(" ")
    fields[field] = token
    with tempfile.TemporaryDirectory() as folder:
        write_part(Path(folder), "basic", *BASIC_LINES)
        (Path(folder) / BASIC_LIST).write_text(f"{BASIC_LINES[0]}\n{' '.join(fields)}\n")
        scan = read(Path(folder))
    assert [(defect.path, defect.line) for defect in scan.defects] == [(BASIC_LIST, 2)]


# ---------------------------------------------------------------- the demo database


# ---------------------------------------------------------------- people


def write_attributes(root: Path, stem: str, *numbers: object, landmarks: int = 5) -> Path:
    path = root / "basic" / "Annotation" / "manual" / f"{stem}_manu_attri.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("12.500000\t33.250000\n" * landmarks + "".join(f"{number}\n" for number in numbers))
    return path


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 0, 0), ("male", "Caucasian", "0-3")),
        ((1, 1, 3), ("female", "African-American", "40-69")),
        ((2, 2, 4), ("unsure", "Asian", "70+")),
    ],
)
def test_gender_race_and_age_stand_after_the_landmarks(
    tmp_path: Path, numbers: tuple[int, ...], words: tuple[str, ...]
) -> None:
    write_part(tmp_path, "basic", "train_00001.jpg 5", "train_00002.jpg 1")
    write_attributes(tmp_path, "train_00001", *numbers)
    scan = read(tmp_path, subset="basic")
    assert scan.defects == ()
    assert scan.rows.select("sex", "ethnicity", "age_band").rows() == [words, (None, None, None)]
    assert scan.notes[0] == "1 photographs without a file in basic/Annotation/manual: nothing is said of their people"
    assert "basic/Annotation/manual/train_00001_manu_attri.txt" in scan.annotation_files


@pytest.mark.parametrize(
    ("numbers", "landmarks", "message"),
    [
        ((3, 0, 0), 5, ":6: found sex = '3'; expected one of the codes 0, 1, 2; to fix: replace the file by the official one"),
        ((0, 0, "x"), 5, ":8: found age_band = 'x'; expected one of the codes 0, 1, 2, 3, 4"),
        ((0, 0, 0), 4, ":1: found 7 line(s); expected 5 landmarks, then sex, ethnicity, age_band, a line each"),
    ],
)  # fmt: skip
def test_a_file_of_attributes_of_another_form_is_a_defect(
    tmp_path: Path, numbers: tuple[object, ...], landmarks: int, message: str
) -> None:
    write_part(tmp_path, "basic", "train_00001.jpg 5")
    path = write_attributes(tmp_path, "train_00001", *numbers, landmarks=landmarks)
    (defect,) = read(tmp_path, subset="basic").defects
    assert f"{path.relative_to(tmp_path)}{message}" in str(defect)


@pytest.fixture(scope="module")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[demo.PlacedFace]]:
    root = tmp_path_factory.mktemp("raf_db")
    return root, demo.write(root, FaceSampler(5), 150).faces


def test_the_demo_reads_as_its_truth_in_both_kinds_of_pictures(
    demo_database: tuple[Path, list[demo.PlacedFace]],
) -> None:
    root, placed = demo_database
    for images in ("aligned", "original"):
        scan = read(root, images=images)
        assert scan.defects == ()
        assert len(scan.rows) == scan.lines == len(placed) == 150
        truth = {face.image.replace("_aligned", "").replace("aligned", images): face.truth for face in placed}
        for row in scan.rows.iter_rows(named=True):
            face = truth[row["image"].replace("_aligned", "")]
            if row["image"].startswith("basic/"):
                assert (row["expression"], row["compound_expression"]) == (face.expression, None)
                assert face.compound == ""
            else:
                assert (row["expression"], row["compound_expression"]) == (None, face.compound)


def test_the_demo_has_every_class_in_each_split_and_the_official_quirks(
    demo_database: tuple[Path, list[demo.PlacedFace]],
) -> None:
    root, _ = demo_database
    rows = read(root).rows
    for split in ("train", "test"):
        part = rows.filter(pl.col("split") == split)
        assert set(part["compound_expression"].drop_nulls()) == set(COMPOUND_ORDER)
    assert set(rows["expression"].drop_nulls()) == set(BASIC_ORDER)
    shares = rows.group_by("split").len().sort("split")["len"].to_list()
    assert shares == [30, 120]
    box = (root / "basic/Annotation/boundingbox/train_00001_boundingbox.txt").read_text()
    assert box.endswith(" ")
    assert len(box.split()) == 4
    lines = (root / "compound" / "EmoLabel" / "list_patition_label.txt").read_text().splitlines()
    assert lines[0] == "train_0001.jpg 1"
    assert lines[-1].startswith("test_012.jpg ")
    assert rows["sex"].value_counts()["count"].sum() == 150
    assert set(rows["age_band"]) == {"0-3", "4-19", "20-39", "40-69", "70+"}
    attributes = (root / "basic/Annotation/manual/train_00001_manu_attri.txt").read_text().splitlines()
    assert [len(line.split("\t")) for line in attributes] == [2] * 5 + [1] * 3
    with Image.open(root / "basic/Image/aligned/train_00001_aligned.jpg") as picture:
        assert picture.size == (100, 100)


def test_each_demo_box_holds_the_face_that_its_row_labels(demo_database: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, placed = demo_database
    boxes = dict(read(root, images="original").rows.select("image", "face_box").iter_rows())
    for position, face in enumerate(placed[:10]):
        image = face.image.replace("_aligned", "").replace("aligned", "original")
        with Image.open(root / image) as picture:
            assert 0 <= boxes[image][0] < boxes[image][2] <= picture.width
            assert 0 <= boxes[image][1] < boxes[image][3] <= picture.height
            found = picture.crop(tuple(boxes[image])).convert("RGB").resize((64, 64)).crop((16, 16, 48, 48))
        own, other = (placed[at].truth.draw(64).crop((16, 16, 48, 48)) for at in (position, (position + 17) % 150))
        assert difference(found, own) < difference(found, other)


def difference(left: Image.Image, right: Image.Image) -> int:
    return sum(abs(a - b) for a, b in zip(left.tobytes(), right.tobytes(), strict=True))


def test_noisy_labels_stay_within_the_classes_of_their_part(tmp_path: Path) -> None:
    placed = demo.write(tmp_path, FaceSampler(3, label_noise=0.4), 60).faces
    scan = read(tmp_path)
    assert scan.defects == ()
    basic = [face.truth for face in placed if not face.truth.compound]
    assert {face.expression for face in basic} <= set(BASIC_ORDER)
    assert sum(face.expression != face.shown for face in basic) >= 8
    assert set(scan.rows["compound_expression"].drop_nulls()) <= set(COMPOUND_ORDER)


def test_the_demo_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        demo.write(tmp_path / name, FaceSampler(seed), 12)
    contents = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "abc"
    }
    assert contents["a"] == contents["b"]
    assert contents["a"] != contents["c"]
