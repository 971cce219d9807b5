"""AffectNet: the csv lists, the numpy release, and everything that can be wrong with them."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.affectnet.reader import AffectNet, AffectNetOptions
from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import affectnet as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError
from affect_data.vocabulary import EXPRESSIONS

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
MARKS = ";".join(["1.50"] * 136)
LISTS = "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated/Manually_Annotated_Images"


def line(
    image: str = "1/a.jpg", box: str = "10,20,100,80", code: object = 0, va: str = "0.5,-0.25", marks: str = MARKS
) -> str:
    return f"{image},{box},{marks},{code},{va}"


def write_lists(
    root: Path,
    training: list[str],
    validation: tuple[str, ...] = (line("9/v.jpg"),),
    lists: str = LISTS,
    images: str = IMAGES,
) -> Path:
    """A csv release whose training list has a header and whose validation list has none, with a picture for each line."""
    (root / lists).mkdir(parents=True, exist_ok=True)
    (root / images / "1").mkdir(parents=True, exist_ok=True)
    (root / lists / "training.csv").write_text("\n".join([HEADER, *training]) + "\n")
    (root / lists / "validation.csv").write_text("".join(f"{text}\n" for text in validation))
    for text in [*training, *validation]:
        write_picture(root / images / text.partition(",")[0])
    return root


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "TIFF" if path.suffix.lower() == ".tif" else "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.new("RGB", (8, 8)).save(path, kind)


def read(root: Path, *exclude: str, **options: object) -> Scan:
    return AffectNet(AffectNetOptions(**options)).read(DatabaseRoot(root, exclude))


def row(scan: Scan, image: str) -> dict[str, object]:
    return scan.rows.row(by_predicate=pl.col("image").str.ends_with(image), named=True)


def reasons(scan: Scan) -> dict[str, int]:
    return dict(scan.failures["reason"].value_counts().iter_rows())


def defects(scan: Scan) -> list[str]:
    return [str(defect) for defect in scan.defects]


# ---------------------------------------------------------------- what the class says


def test_it_says_what_it_labels() -> None:
    assert AffectNet.tasks() == ("expression", "va")
    assert set(AffectNet.expressions) <= set(EXPRESSIONS)
    assert "Manually_Annotated_file_lists/training.csv" in AffectNet.layout()
    assert AffectNet.description().startswith("AffectNet: faces in images")


def test_an_unknown_release_is_refused_by_the_options() -> None:
    with pytest.raises(ValidationError, match="Input should be 'csv' or 'npy'"):
        AffectNetOptions(release="2019")


# ---------------------------------------------------------------- the csv release


@pytest.mark.parametrize(
    ("code", "name"),
    list(enumerate(["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"])),
)
def test_each_code_becomes_its_class_by_name(tmp_path: Path, code: int, name: str) -> None:
    found = row(read(write_lists(tmp_path, [line(code=code)])), "1/a.jpg")
    assert found["expression"] == name
    assert found["expression_masked"] is None


def test_a_line_becomes_a_row_with_its_box_as_corners_and_its_split(tmp_path: Path) -> None:
    scan = read(write_lists(tmp_path, [line(va="0.785714,-0.055556")]))
    assert scan.defects == ()
    found = row(scan, "1/a.jpg")
    assert found["image"] == f"{IMAGES}/1/a.jpg"
    assert found["face_box"] == [10.0, 20.0, 110.0, 100.0]
    assert (found["valence"], found["arousal"]) == (0.785714, -0.055556)
    assert (found["source_file"], found["source_line"], found["split"]) == (f"{LISTS}/training.csv", 2, "train")


def test_a_list_without_header_loses_no_line(tmp_path: Path) -> None:
    scan = read(write_lists(tmp_path, [line()], validation=(line("2/b.jpg", code=4), line("2/c.jpg", code=5))))
    found = row(scan, "2/b.jpg")
    assert (found["expression"], found["source_line"], found["split"]) == ("fear", 1, "validation")
    assert scan.lines == len(scan.rows) == 3
    assert f"{LISTS}/validation.csv: 2 lines, no header; images in {IMAGES}" in scan.notes


@pytest.mark.parametrize("header", [f"#{HEADER}", f"\ufeff{HEADER}", f"# {HEADER}", HEADER.lower()])
def test_a_header_may_start_with_a_hash_or_a_byte_order_mark(tmp_path: Path, header: str) -> None:
    write_lists(tmp_path, [])
    (tmp_path / LISTS / "training.csv").write_text(f"{header}\r\n{line(code=6)}\r\n", encoding="utf-8", newline="")
    write_picture(tmp_path / IMAGES / "1/a.jpg")
    scan = read(tmp_path)
    assert scan.defects == ()
    assert (row(scan, "1/a.jpg")["expression"], row(scan, "1/a.jpg")["source_line"]) == ("anger", 2)


def test_class_none_has_no_expression_and_keeps_its_valence_and_arousal(tmp_path: Path) -> None:
    found = row(read(write_lists(tmp_path, [line(code=8, va="-0.1,0.3")])), "1/a.jpg")
    assert (found["expression"], found["expression_masked"]) == (None, "none")
    assert (found["valence"], found["arousal"]) == (-0.1, 0.3)


def test_the_own_class_of_a_row_is_kept_beside_what_it_becomes(tmp_path: Path) -> None:
    lines = [line("1/a.jpg", code=1), line("1/b.jpg", code=8), line("1/c.jpg", code=9), line("1/d.jpg", code=7)]
    scan = read(write_lists(tmp_path, lines))
    assert scan.rows.select("expression", "native_expression").rows()[:4] == [
        ("happiness", "Happy"),
        (None, "None"),
        (None, "Uncertain"),
        ("contempt", "Contempt"),
    ]


def test_uncertain_and_no_face_lines_are_failures_by_reason(tmp_path: Path) -> None:
    lines = [
        line(),
        line("1/b.jpg", code=9, va="-2,-2"),
        line("1/c.jpg", code=10, va="-2.0,-2.0", box="NULL,NULL,-1,-1"),
    ]
    scan = read(write_lists(tmp_path, lines))
    assert scan.defects == ()
    assert reasons(scan) == {"uncertain expression, no valence-arousal": 1, "no face": 1}
    assert scan.failures.sort("source_line")["source_line"].to_list() == [3, 4]
    assert scan.lines == len(scan.rows) + len(scan.failures) == 4


def test_an_uncertain_line_with_valence_and_arousal_keeps_them(tmp_path: Path) -> None:
    found = row(read(write_lists(tmp_path, [line(code=9, va="0.2,0.1")])), "1/a.jpg")
    assert (found["expression"], found["expression_masked"], found["valence"]) == (None, "uncertain", 0.2)


def test_a_picture_without_a_face_gives_no_row_even_with_valence_and_arousal(tmp_path: Path) -> None:
    scan = read(write_lists(tmp_path, [line(), line("1/b.jpg", code=10, va="0.2,0.1")]))
    assert reasons(scan) == {"no face": 1}


@pytest.mark.parametrize("code", range(9))
def test_minus_two_with_a_class_that_has_valence_and_arousal_is_a_defect(tmp_path: Path, code: int) -> None:
    assert defects(read(write_lists(tmp_path, [line(code=code, va="-2,-2")]))) == [
        f"{LISTS}/training.csv:2: found valence and arousal -2 with expression {code}; expected -2 only with the expressions 9 and 10; "
        "to fix: correct the line, or name it under `exclude` in the recipe"
    ]


@pytest.mark.parametrize("va", ["-2,0.1", "0.1,-2"])
def test_minus_two_for_one_of_the_two_is_a_defect(tmp_path: Path, va: str) -> None:
    (defect,) = read(write_lists(tmp_path, [line(code=9, va=va)])).defects
    assert (defect.line, defect.found) == (2, "-2 for only one of valence and arousal")


@pytest.mark.parametrize("box", ["NULL,NULL,-1,-1", "NULL,NULL,50,50", "3,4,-1,-1"])
def test_a_face_that_was_not_detected_has_no_box(tmp_path: Path, box: str) -> None:
    scan = read(write_lists(tmp_path, [line(box=box, marks="NULL")]))
    assert scan.defects == ()
    assert row(scan, "1/a.jpg")["face_box"] is None
    assert "1 of 2 labelled lines have no face box" in scan.notes


def test_extensions_stand_in_any_case(tmp_path: Path) -> None:
    names = ["1/a.JPG", "1/b.tif", "1/c.jpeg", "1/d.PNG", "1/e.TIF"]
    scan = read(write_lists(tmp_path, [line(name) for name in names]))
    assert scan.defects == ()
    assert [image.removeprefix(f"{IMAGES}/") for image in scan.rows["image"][:5]] == names


def test_a_line_whose_image_is_absent_is_a_failure(tmp_path: Path) -> None:
    write_lists(tmp_path, [line(), line("1/b.jpg")])
    (tmp_path / IMAGES / "1/b.jpg").unlink()
    scan = read(tmp_path)
    assert reasons(scan) == {"image file missing": 1}
    assert scan.failures["image"].to_list() == [f"{IMAGES}/1/b.jpg"]


@pytest.mark.parametrize(
    ("lists", "images"),
    [
        ("Manually_Annotated_file_lists", "Manually_Annotated_compressed/Manually_Annotated_Images"),
        ("Manually_Annotated/Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_Images"),
        ("Manually_Annotated", "Manually_Annotated/Manually_Annotated_Images"),
        ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images"),
        ("manually_annotated_file_lists", "manually_annotated_images"),
        (".", "Manually_Annotated_compressed"),
    ],
)
def test_folders_are_found_in_every_spelling(tmp_path: Path, lists: str, images: str) -> None:
    scan = read(write_lists(tmp_path, [line()], lists=lists, images=images))
    assert scan.defects == ()
    assert scan.rows["image"].to_list() == [f"{images}/1/a.jpg", f"{images}/9/v.jpg"]


@pytest.mark.parametrize(
    "folder", ["Automatically_annotated_file_list", "Automatically_Annotated_file_lists", "Automatically_Annotated"]
)
def test_automatic_labels_join_the_training_split_only_when_asked_for(tmp_path: Path, folder: str) -> None:
    write_lists(tmp_path, [line()])
    (tmp_path / folder).mkdir()
    path = tmp_path / folder / "automatically_annotated.csv"
    path.write_text(f"{HEADER}\n{line('3/z.jpg', code=1)}\n")
    picture = "Automatically_Annotated/Automatically_Annotated_Images/3/z.jpg"
    write_picture(tmp_path / picture)
    without = read(tmp_path)
    assert len(without.rows) == 2
    assert any("automatically_annotated.csv: not read, a network gave its labels" in note for note in without.notes)
    found = row(read(tmp_path, automatic=True), "3/z.jpg")
    assert (found["image"], found["expression"], found["split"]) == (picture, "happiness", "train")


# ---------------------------------------------------------------- bad csv input


def test_an_absent_automatic_list_is_a_defect_when_asked_for(tmp_path: Path) -> None:
    assert defects(read(write_lists(tmp_path, [line()]), automatic=True)) == [
        "Automatically_annotated_file_list/automatically_annotated.csv: found no such file; expected the official list automatically_annotated.csv; "
        "to fix: put the official list there"
    ]


@pytest.mark.parametrize("name", ["training.csv", "validation.csv"])
def test_an_absent_list_is_a_defect(tmp_path: Path, name: str) -> None:
    write_lists(tmp_path, [line()])
    (tmp_path / LISTS / name).unlink()
    assert defects(read(tmp_path)) == [
        f"{LISTS}/{name}: found no such file; expected the official list {name}; to fix: put the official list there"
    ]


def test_an_empty_list_is_a_defect(tmp_path: Path) -> None:
    (defect,) = read(write_lists(tmp_path, [])).defects
    assert (defect.path, defect.found) == (f"{LISTS}/training.csv", "no annotated line")


def test_absent_images_are_one_defect(tmp_path: Path) -> None:
    (tmp_path / LISTS).mkdir()
    for name in ("training.csv", "validation.csv"):
        (tmp_path / LISTS / name).write_text(f"{line(f'1/{name}.jpg')}\n")
    (defect,) = read(tmp_path).defects
    assert (defect.path, defect.found) == (IMAGES, "no numbered folders of images")


@pytest.mark.parametrize(
    "header",
    [HEADER.replace("valence,arousal", "arousal,valence"), f"face,{HEADER}", "subDirectory_filePath,expression"],
)
def test_a_header_that_does_not_fit_is_one_defect(tmp_path: Path, header: str) -> None:
    write_lists(tmp_path, [])
    (tmp_path / LISTS / "training.csv").write_text(f"{header}\n{line()}\n")
    assert defects(read(tmp_path)) == [
        f"{LISTS}/training.csv:1: found the header '{header}'; expected the header {HEADER}; to fix: replace the file by the official one"
    ]


@pytest.mark.parametrize(
    ("bad", "found", "expected"),
    [
        (line(code=11), "expression = '11'", "one of the codes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        (line(code="1.5"), "expression = '1.5'", "one of the codes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        (line(va="1.01,0"), "valence = '1.01'", "a number in [-1, 1], or -2 for missing"),
        (line(va="0,nan"), "arousal = 'nan'", "a number in [-1, 1], or -2 for missing"),
        (line(va="-5,-5"), "valence = '-5'", "a number in [-1, 1], or -2 for missing"),
        (line(box="1,2,0,80"), "face_width = '0'", "a number in [1, 100000], or -1 for missing"),
        (line(box="x,2,80,80"), "face_x = 'x'", "a number in [0, 100000], or -1 for missing"),
        (line(image="../secret/a.jpg"), "subDirectory_filePath = '../secret/a.jpg'", "<number>/<image file>"),
        ("1/b.jpg,1,2,3,4,0,0,0", "8 field(s): '1/b.jpg,1,2,3,4,0,0,0'", f"9 field(s): {HEADER}"),
    ],
)
def test_one_bad_line_is_a_defect_that_names_it(tmp_path: Path, bad: str, found: str, expected: str) -> None:
    write_lists(tmp_path, [line("1/first.jpg")])
    (tmp_path / LISTS / "training.csv").write_text(f"{HEADER}\n{line('1/first.jpg')}\n{bad}\n")
    scan = read(tmp_path)
    first = min(scan.defects)
    assert (first.path, first.line, first.expected) == (f"{LISTS}/training.csv", 3, expected)
    assert found in {defect.found for defect in scan.defects}


def test_an_image_listed_twice_is_a_defect_even_across_lists(tmp_path: Path) -> None:
    assert defects(read(write_lists(tmp_path, [line(code=1)], validation=(line(code=2),)))) == [
        f"{LISTS}/validation.csv:1: found {IMAGES}/1/a.jpg again (first at {LISTS}/training.csv:2); expected one line for each image; "
        "to fix: correct the line, or name it under `exclude` in the recipe"
    ]


def test_an_excluded_line_is_dropped_and_counted(tmp_path: Path) -> None:
    scan = read(write_lists(tmp_path, [line(), line("1/b.jpg", code=99)]), f"{LISTS}/training.csv:3")
    assert scan.defects == ()
    assert reasons(scan) == {"excluded by the recipe": 1}
    assert len(scan.rows) == 2


def test_a_wrong_root_shows_the_expected_layout(tmp_path: Path) -> None:
    (tmp_path / "pictures" / "0").mkdir(parents=True)
    with pytest.raises(
        DatabaseNotFoundError,
        match=r"(?s)neither Manually_Annotated_file_lists/training.csv .* train_set/images/<id>.jpg",
    ):
        read(tmp_path)


def test_an_empty_folder_and_an_absent_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="the folder is empty"):
        read(tmp_path)
    with pytest.raises(DatabaseNotFoundError, match="the folder does not exist"):
        read(tmp_path / "absent")


def test_the_release_that_the_recipe_names_must_be_there(tmp_path: Path) -> None:
    write_lists(tmp_path, [line()])
    with pytest.raises(DatabaseNotFoundError, match="neither a train_set nor a val_set"):
        read(tmp_path, release="npy")
    with pytest.raises(DatabaseNotFoundError, match=r"neither a training\.csv nor a validation\.csv"):
        read(write_sets(tmp_path / "numpy"), release="csv")


VALUES = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 6))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), VALUES, VALUES, st.integers(0, 900), st.integers(1, 900)), min_size=1, max_size=6
    )
)
def test_valid_lines_come_back_as_written(labels: list[tuple[int, float, float, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            line(f"1/{index}.jpg", f"{corner},{corner + 1},{size},{size}", code, f"{valence!r},{arousal!r}")
            for index, (code, valence, arousal, corner, size) in enumerate(labels)
        ]
        scan = read(write_lists(Path(folder), lines))
    assert scan.defects == ()
    for found, (code, valence, arousal, corner, size) in zip(scan.rows.iter_rows(named=True), labels, strict=False):
        assert found["expression"] == (AffectNet.expressions[code] if code < 8 else None)
        assert (found["valence"], found["arousal"]) == (valence, arousal)
        assert found["face_box"] == [corner, corner + 1, corner + size, corner + 1 + size]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["code", "valence", "arousal", "face_x", "face_height"]),
    st.text("abcXYZ0123456789.-+", min_size=1, max_size=5).filter(
        lambda text: not text.lstrip("-+").replace(".", "").isdigit()
    ),
)
def test_any_invalid_token_gives_exactly_one_defect_with_its_line(field: str, token: str) -> None:
    values = {"code": "3", "valence": "0.5", "arousal": "0.5", "face_x": "5", "face_height": "80", field: token}
    bad = line(
        "1/bad.jpg",
        f"{values['face_x']},20,80,{values['face_height']}",
        values["code"],
        f"{values['valence']},{values['arousal']}",
    )
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_lists(Path(folder), [line(), bad]))
    assert [(defect.path, defect.line) for defect in scan.defects] == [(f"{LISTS}/training.csv", 3)]


def test_a_list_that_pandas_wrote_reads_as_the_official_one(tmp_path: Path) -> None:
    lines = [line("1/a.jpg"), line("1/b.jpg", code=10, va="-2,-2"), line("1/c.jpg", code=7)]
    plain = read(write_lists(tmp_path, lines))
    spelt = [f"{row},{text}" for row, text in enumerate(lines)]
    spelt = [text.replace(",10,-2,-2", ",10.0,-2.0,-2.0").replace(",7,", ",7.0,") for text in spelt]
    (tmp_path / LISTS / "training.csv").write_text("\n".join([f",{HEADER}", *spelt]))
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.equals(plain.rows)
    assert scan.failures.equals(plain.failures)


# ---------------------------------------------------------------- the npy release


def write_annotation(root: Path, face: str, **values: object) -> None:
    """Annotation files and a picture of one face, for example "train_set/12", as the release stores them: arrays without dimensions."""
    folder, _, number = face.rpartition("/")
    (root / folder / "annotations").mkdir(parents=True, exist_ok=True)
    for suffix, value in values.items():
        np.save(root / folder / "annotations" / f"{number}_{suffix}.npy", np.array(value))
    write_picture(root / folder / "images" / f"{number}.jpg")


def write_sets(root: Path) -> Path:
    write_annotation(root, "train_set/12", exp="1", val="0.5", aro="-0.25", lnd=[1.0] * 136)
    write_annotation(root, "train_set/3", exp="7", val=-0.5, aro=0.125, lnd=[1.0] * 136)
    write_annotation(root, "val_set/0", exp=6, val="0", aro="1", lnd=[1.0] * 136)
    return root


def test_the_numpy_release_is_recognised_and_read(tmp_path: Path) -> None:
    scan = read(write_sets(tmp_path))
    assert AffectNet().release_of(DatabaseRoot(tmp_path)) == "npy"
    assert scan.defects == ()
    columns = ("image", "source_file", "source_line", "split", "expression", "valence", "arousal")
    assert scan.rows.select(columns).rows() == [
        ("train_set/images/3.jpg", "train_set/annotations/3_exp.npy", 1, "train", "contempt", -0.5, 0.125),
        ("train_set/images/12.jpg", "train_set/annotations/12_exp.npy", 1, "train", "happiness", 0.5, -0.25),
        ("val_set/images/0.jpg", "val_set/annotations/0_exp.npy", 1, "validation", "anger", 0.0, 1.0),
    ]
    assert not any(path.endswith("_lnd.npy") for path in scan.annotation_files)
    assert len(scan.annotation_files) == 9


@pytest.mark.parametrize(
    ("absent", "expression", "valence", "expression_masked", "va_masked", "source"),
    [
        ("exp", None, 0.5, "annotation file missing", None, "12_val.npy"),
        ("val", "happiness", None, None, "annotation file missing", "12_exp.npy"),
        ("aro", "happiness", None, None, "annotation file missing", "12_exp.npy"),
    ],
)
def test_an_absent_annotation_file_masks_its_label_and_no_other(
    tmp_path: Path,
    absent: str,
    expression: str | None,
    valence: float | None,
    expression_masked: str | None,
    va_masked: str | None,
    source: str,
) -> None:
    write_sets(tmp_path)
    (tmp_path / f"train_set/annotations/12_{absent}.npy").unlink()
    scan = read(tmp_path)
    assert scan.defects == ()
    found = row(scan, "/12.jpg")
    assert (found["expression"], found["valence"]) == (expression, valence)
    assert (found["expression_masked"], found["va_masked"]) == (expression_masked, va_masked)
    assert found["source_file"] == f"train_set/annotations/{source}"
    assert (found["arousal"] is None) == (valence is None)


def test_a_face_with_landmarks_alone_is_a_failure(tmp_path: Path) -> None:
    write_annotation(write_sets(tmp_path), "train_set/77", lnd=[1.0] * 136)
    scan = read(tmp_path)
    assert reasons(scan) == {"annotation file missing": 1}
    assert scan.lines == 4


def test_an_annotated_face_without_picture_is_a_failure(tmp_path: Path) -> None:
    (write_sets(tmp_path) / "val_set/images/0.jpg").unlink()
    write_annotation(tmp_path, "val_set/5", exp="0", val="0", aro="0")
    scan = read(tmp_path)
    assert reasons(scan) == {"image file missing": 1}
    assert "val_set: annotations of 2 images; 1 images" in scan.notes


def test_a_picture_may_have_another_extension_than_jpg(tmp_path: Path) -> None:
    write_sets(tmp_path)
    (tmp_path / "train_set/images/12.jpg").rename(tmp_path / "train_set/images/12.JPG")
    assert row(read(tmp_path), "/12.JPG")["expression"] == "happiness"


def test_other_files_beside_the_annotations_are_named_and_not_read(tmp_path: Path) -> None:
    (write_sets(tmp_path) / "train_set/annotations/12_expr.npy").write_bytes(b"")
    assert "train_set/annotations: 1 file(s) not read, among them 12_expr.npy" in read(tmp_path).notes


@pytest.mark.parametrize("value", ["3.0", 3.0, b"3", " 3 "])
def test_an_expression_of_the_npy_release_is_a_number_however_it_is_spelt(tmp_path: Path, value: object) -> None:
    np.save(write_sets(tmp_path) / "train_set/annotations/12_exp.npy", np.array(value))
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.filter(pl.col("image") == "train_set/images/12.jpg")["expression"].to_list() == ["surprise"]


def test_one_thing_wrong_with_very_many_files_is_one_finding(tmp_path: Path) -> None:
    folder = write_sets(tmp_path) / "train_set/annotations"
    for number in range(100, 130):
        np.save(folder / f"{number}_exp.npy", np.zeros(2))
    (defect,) = read(tmp_path).defects
    assert (defect.path, defect.count) == ("train_set/annotations/100_exp.npy", 30)
    assert defect.also[0] == "train_set/annotations/101_exp.npy:1"


@pytest.mark.parametrize(
    ("suffix", "value", "found"),
    [
        ("exp", np.array("11"), "expression = '11'"),
        ("exp", np.array(["1", "2"]), "an array of shape (2,)"),
        ("val", np.array("3.5"), "valence = '3.5'"),
        ("aro", np.array(float("nan")), "arousal = 'nan'"),
    ],
)
def test_a_wrong_annotation_file_is_one_defect_that_names_it(
    tmp_path: Path, suffix: str, value: np.ndarray, found: str
) -> None:
    np.save(write_sets(tmp_path) / f"train_set/annotations/12_{suffix}.npy", value)
    (defect,) = read(tmp_path).defects
    assert (defect.path, defect.line, defect.found) == (f"train_set/annotations/12_{suffix}.npy", 1, found)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.save(write_sets(tmp_path) / "train_set/annotations/12_exp.npy", np.array({"expression": 1}), allow_pickle=True)
    (defect,) = read(tmp_path).defects
    assert defect.found.startswith("no array that can be read (Object arrays cannot be loaded")


@pytest.mark.parametrize("data", [b"", b"1\n", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_array_is_a_defect(tmp_path: Path, data: bytes) -> None:
    (write_sets(tmp_path) / "train_set/annotations/12_val.npy").write_bytes(data)
    (defect,) = read(tmp_path).defects
    assert defect.found.startswith("no array that can be read")


def test_an_absent_set_is_a_defect(tmp_path: Path) -> None:
    write_annotation(tmp_path, "train_set/1", exp="0", val="0", aro="0")
    assert defects(read(tmp_path)) == [
        "val_set: found no such folder; expected the folder val_set; to fix: put the official folder there"
    ]


def test_a_set_without_annotations_or_images_is_a_defect(tmp_path: Path) -> None:
    write_annotation(tmp_path, "train_set/1", exp="0", val="0", aro="0")
    (tmp_path / "val_set").mkdir()
    assert [(defect.path, defect.found) for defect in read(tmp_path).defects] == [
        ("val_set/annotations", "no such file"),
        ("val_set/images", "no such file"),
    ]


def test_an_excluded_annotation_file_drops_its_face_and_is_counted(tmp_path: Path) -> None:
    np.save(write_sets(tmp_path) / "train_set/annotations/12_val.npy", np.array("3.5"))
    scan = read(tmp_path, "train_set/annotations/12_val.npy:1")
    assert scan.defects == ()
    assert reasons(scan) == {"excluded by the recipe": 1}
    assert scan.rows["image"].to_list() == ["train_set/images/3.jpg", "val_set/images/0.jpg"]


def test_the_csv_release_comes_first_where_both_are_there(tmp_path: Path) -> None:
    write_lists(write_sets(tmp_path), [line()])
    assert read(tmp_path).rows["image"].str.starts_with(IMAGES).all()
    assert read(tmp_path, release="npy").rows["image"].str.contains("_set/images/").all()


# ---------------------------------------------------------------- the demo databases


@pytest.fixture(scope="module")
def csv_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[demo.PlacedFace]]:
    root = tmp_path_factory.mktemp("affectnet")
    return root, demo.write(root, FaceSampler(3), 80).faces


def test_the_demo_reads_as_rows_and_documented_failures_alone(csv_demo: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, placed = csv_demo
    scan = read(root)
    assert scan.defects == ()
    assert scan.lines == 80
    assert set(reasons(scan)) == {"no face", "uncertain expression, no valence-arousal"}
    assert {face.image for face in placed} == set(scan.rows["image"])
    assert dict(scan.rows["split"].value_counts().iter_rows()).keys() == {"train", "validation"}
    assert sum(scan.rows["split"] == "validation") + sum(scan.failures["source_file"].str.contains("validation")) == 12


def test_the_demo_labels_are_the_truth_of_its_faces(csv_demo: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, placed = csv_demo
    rows = {found["image"]: found for found in read(root).rows.iter_rows(named=True)}
    masked = 0
    for face in placed:
        found = rows[face.image]
        masked += found["expression_masked"] == "none"
        assert found["expression"] == (None if found["expression_masked"] else face.truth.expression)
        assert (found["valence"], found["arousal"]) == pytest.approx((face.truth.valence, face.truth.arousal), abs=1e-6)
    assert masked >= 2


def test_the_demo_has_the_official_quirks(csv_demo: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, _ = csv_demo
    training, validation = (
        (root / LISTS / f"{name}.csv").read_text().splitlines() for name in ("training", "validation")
    )
    assert training[0] == HEADER
    assert validation[0].count(",") == 8
    assert "subDirectory" not in validation[0]
    assert training[1].split(",")[5].count(";") == 135
    assert any(text.split(",")[1] != text.split(",")[2] for text in training[1:])
    assert {path.suffix for path in (root / IMAGES).rglob("*.*")} >= {".jpg", ".JPG", ".tif", ".png"}
    assert any(",NULL,NULL,-1,-1,NULL," in text and text.split(",")[6] not in {"9", "10"} for text in training)
    unreadable = 0
    for image in read(root).rows["image"]:
        try:
            with Image.open(root / image) as picture:
                assert picture.convert("RGB").size == (120, 120)
        except OSError:
            unreadable += 1
    assert unreadable == 1


def test_the_demo_boxes_lie_in_the_picture_and_hold_the_landmarks(csv_demo: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, _ = csv_demo
    boxes = read(root).rows["face_box"].drop_nulls()
    assert boxes.arr.get(0).min() >= 0
    assert boxes.arr.to_list().list.max().max() <= 120
    for text in (root / LISTS / "validation.csv").read_text().splitlines():
        _, x, y, width, height, marks, *_ = text.split(",")
        if x != "NULL":
            points = np.array(marks.split(";"), dtype=float).reshape(68, 2) - [float(x), float(y)]
            assert (points >= 0).all()
            assert (points <= [float(width), float(height)]).all()


def test_the_numpy_demo_reads_without_defect_and_says_the_truth(tmp_path: Path) -> None:
    placed = demo.write_numpy(tmp_path, FaceSampler(3), 30).faces
    scan = read(tmp_path)
    assert scan.defects == ()
    assert reasons(scan) == {"image file missing": 1}
    assert scan.lines == 30
    rows = {found["image"]: found for found in scan.rows.iter_rows(named=True)}
    assert rows.keys() == {face.image for face in placed}
    for face in placed:
        found = rows[face.image]
        assert found["expression"] == (None if found["expression_masked"] else face.truth.expression)
        assert found["valence"] == (None if found["va_masked"] else pytest.approx(face.truth.valence, abs=1e-6))
    assert scan.rows["va_masked"].drop_nulls().len() == scan.rows["expression_masked"].drop_nulls().len() == 1


def test_the_demo_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        demo.write(tmp_path / name, FaceSampler(seed), 12)
    contents = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "abc"
    }
    assert contents["a"] == contents["b"]
    assert contents["a"].keys() != contents["c"].keys()


def test_class_folders_are_read_by_their_names_and_by_number_only_in_a_stated_order(tmp_path):
    for name in ("train/Happy", "train/2_sad", "val/Contempt"):
        (tmp_path / "named" / name).mkdir(parents=True)
        (tmp_path / "named" / name / "1.jpg").touch()
    scan = AffectNet().read(DatabaseRoot(tmp_path / "named"))
    assert scan.rows.select("image", "split", "expression").rows() == [
        ("train/2_sad/1.jpg", "train", "sadness"),
        ("train/Happy/1.jpg", "train", "happiness"),
        ("val/Contempt/1.jpg", "validation", "contempt"),
    ]
    assert scan.losses == ("no valence and arousal, which class folders do not hold",)
    for number in range(8):
        (tmp_path / "numbered" / "train" / str(number)).mkdir(parents=True)
        (tmp_path / "numbered" / "train" / str(number) / "1.jpg").touch()
    with pytest.raises(DatabaseNotFoundError, match="class_order: "):
        AffectNet().read(DatabaseRoot(tmp_path / "numbered"))
    order = tuple(reversed(AffectNet.expressions))
    numbered = AffectNet(AffectNet.Options(class_order=order)).read(DatabaseRoot(tmp_path / "numbered"))
    assert tuple(numbered.rows["expression"]) == order
