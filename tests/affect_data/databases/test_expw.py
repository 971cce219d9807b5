"""ExpW: several faces in one photograph, boxes, confidences, and everything that can be wrong with the list."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.expw import ExpW, ExpWOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import expw as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError
from affect_data.vocabulary import EXPRESSIONS

LINES = (
    "angry_actor_104.jpg 0 28 113 226 141 22.9362 0",
    "happy_nurse_7.jpg 0 10 20 60 70 5.5 3",
    "happy_nurse_7.jpg 1 12 90 140 80 137.6 6",
    "sad_coach_2.jpg 4 -5 -8 70 64 0.23 3",
)


def write_list(root: Path, *lines: str, images: str = "image/origin", label: str = "label/label.lst") -> Path:
    """The list and a small picture for each photograph in it."""
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / label).parent.mkdir(parents=True, exist_ok=True)
    (root / label).write_text("".join(f"{line}\n" for line in lines))
    for line in lines:
        Image.new("RGB", (8, 8)).save(root / images / line.split()[0])
    return root


def read(root: Path, *exclude: str, **options: float) -> Scan:
    return ExpW(ExpWOptions(**options)).read(DatabaseRoot(root, exclude))


def reasons(scan: Scan) -> dict[str, int]:
    return dict(scan.failures["reason"].value_counts().iter_rows())


# ---------------------------------------------------------------- what the class says


def test_it_says_what_it_labels() -> None:
    assert ExpW.tasks() == ("expression",)
    assert set(ExpW.expressions) == set(EXPRESSIONS) - {"contempt", "other"}
    assert "label/label.lst" in ExpW.layout()
    assert ExpW.description().startswith("Expression in-the-Wild")


# ---------------------------------------------------------------- the list


def test_two_faces_of_one_photograph_are_two_rows_with_their_own_box_and_expression(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, *LINES))
    assert scan.defects == ()
    pair = scan.rows.filter(pl.col("image") == "image/origin/happy_nurse_7.jpg")
    assert pair.select("face", "face_box", "expression", "source_line").rows() == [
        (0, [20.0, 10.0, 60.0, 70.0], "happiness", 2),
        (1, [90.0, 12.0, 140.0, 80.0], "neutral", 3),
    ]


def test_the_box_is_listed_as_top_left_right_bottom(tmp_path: Path) -> None:
    box = read(write_list(tmp_path, LINES[0])).rows["face_box"][0].to_list()
    assert box == [113.0, 28.0, 226.0, 141.0]


def test_a_box_beyond_the_photograph_is_kept_as_found(tmp_path: Path) -> None:
    box = read(write_list(tmp_path, LINES[3])).rows["face_box"][0].to_list()
    assert box == [-8.0, -5.0, 70.0, 64.0]


@pytest.mark.parametrize(
    ("code", "name"), list(enumerate(["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]))
)
def test_the_label_and_not_the_query_word_names_the_expression(tmp_path: Path, code: int, name: str) -> None:
    scan = read(write_list(tmp_path, f"angry_actor_1.jpg 0 1 1 9 9 20.5 {code}"))
    assert scan.rows["expression"].to_list() == [name]


def test_rows_have_no_split_and_no_subject(tmp_path: Path) -> None:
    columns = read(write_list(tmp_path, *LINES)).rows.columns
    assert not {"split", "subject", "track"} & set(columns)


def test_face_numbers_may_have_gaps(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, LINES[3]))
    assert scan.rows["face"].to_list() == [4]


def test_an_absent_photograph_is_a_failure_for_each_of_its_faces(tmp_path: Path) -> None:
    (write_list(tmp_path, *LINES) / "image/origin/happy_nurse_7.jpg").unlink()
    scan = read(tmp_path)
    assert scan.defects == ()
    assert reasons(scan) == {"image file missing": 2}
    assert scan.failures["source_line"].to_list() == [2, 3]
    assert scan.lines == len(scan.rows) + len(scan.failures) == 4


@pytest.mark.parametrize(
    ("minimum", "kept", "reason"),
    [(0.0, 4, {}), (5.5, 3, {"face confidence below 5.5": 1}), (30.0, 1, {"face confidence below 30": 3})],
)
def test_faces_below_the_minimum_confidence_are_failures(
    tmp_path: Path, minimum: float, kept: int, reason: dict[str, int]
) -> None:
    scan = read(write_list(tmp_path, *LINES), minimum_confidence=minimum)
    assert len(scan.rows) == kept
    assert reasons(scan) == reason


def test_a_negative_minimum_confidence_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        ExpWOptions(minimum_confidence=-1)


@pytest.mark.parametrize(
    ("images", "label"),
    [
        ("image/origin", "label.lst"),
        ("origin", "label/label.lst"),
        ("Image/Origin", "Label/label.lst"),
        ("image", "label.lst"),
    ],
)
def test_the_list_and_the_photographs_are_found_where_users_unpack_them(
    tmp_path: Path, images: str, label: str
) -> None:
    scan = read(write_list(tmp_path, *LINES, images=images, label=label))
    assert scan.defects == ()
    assert scan.rows["image"][0] == f"{images}/angry_actor_104.jpg"
    assert scan.notes == (f"{label}: 4 faces in 3 photographs of {images}",)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("bad", "found", "expected"),
    [
        ("a.jpg 0 1 2 30 40 5.0 7", "expression = '7'", "one of the codes 0, 1, 2, 3, 4, 5, 6"),
        ("a.jpg 0 1 2 30 40 -0.1 3", "confidence = '-0.1'", "a number in [0, 1e+09]"),
        ("a.jpg 0 1 2 30 40 high 3", "confidence = 'high'", "a number in [0, 1e+09]"),
        ("a.jpg -1 1 2 30 40 5.0 3", "face = '-1'", "a whole number from 0 to 9999"),
        ("a.jpg 0.5 1 2 30 40 5.0 3", "face = '0.5'", "a whole number from 0 to 9999"),
        ("a.jpg 0 1 2 x 40 5.0 3", "right = 'x'", "a number in [-100000, 100000]"),
        ("../a.jpg 0 1 2 30 40 5.0 3", "photograph = '../a.jpg'", "a file name with its extension"),
        ("a.jpg 0 1 30 30 40 5.0 3", "left = 30, top = 1, right = 30, bottom = 40", "left < right and top < bottom"),
        ("a.jpg 0 41 2 30 40 5.0 3", "left = 2, top = 41, right = 30, bottom = 40", "left < right and top < bottom"),
        (
            "a.jpg 0 1 2 30 40 3",
            "7 field(s): 'a.jpg 0 1 2 30 40 3'",
            "8 field(s): photograph face top left right bottom confidence expression",
        ),
        (
            "a b.jpg 0 1 2 30 40 5.0 3",
            "9 field(s): 'a b.jpg 0 1 2 30 40 5.0 3'",
            "8 field(s): photograph face top left right bottom confidence expression",
        ),
    ],
)
def test_one_bad_line_is_one_defect_that_names_it(tmp_path: Path, bad: str, found: str, expected: str) -> None:
    write_list(tmp_path, *LINES)
    with (tmp_path / "label/label.lst").open("a") as file:
        file.write(f"{bad}\n")
    assert [str(defect) for defect in read(tmp_path).defects] == [
        f"label/label.lst:5: found {found}; expected {expected}; to fix: correct the line, or name it under `exclude` in the recipe"
    ]


def test_tabs_and_blanks_at_the_end_of_a_line_are_blanks(tmp_path: Path) -> None:
    plain = read(write_list(tmp_path / "plain", *LINES))
    other = read(write_list(tmp_path / "other", *(line.replace(" ", "\t") + " \t" for line in LINES)))
    assert other.defects == ()
    assert other.rows.equals(plain.rows)


def test_the_same_face_twice_is_a_defect_that_names_both_lines(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, *LINES, "happy_nurse_7.jpg 1 12 90 140 80 137.6 2"))
    assert [str(defect) for defect in scan.defects] == [
        "label/label.lst:5: found face 1 of happy_nurse_7.jpg again (first in line 3); expected one line for each face; "
        "to fix: correct the line, or name it under `exclude` in the recipe"
    ]


def test_an_excluded_line_is_dropped_and_counted(tmp_path: Path) -> None:
    scan = read(write_list(tmp_path, *LINES, "happy_nurse_7.jpg 1 12 90 140 80 137.6 2"), "label/label.lst:5")
    assert scan.defects == ()
    assert reasons(scan) == {"excluded by the recipe": 1}
    assert scan.lines == 5


def test_a_header_is_no_face(tmp_path: Path) -> None:
    write_list(tmp_path, *LINES)
    path = tmp_path / "label/label.lst"
    path.write_text("image_name face_id_in_image top left right bottom confidence expression\n" + path.read_text())
    found = read(tmp_path).defects
    assert {defect.line for defect in found} == {1}
    assert "expression = 'expression'" in {defect.found for defect in found}


def test_absent_photographs_are_one_defect(tmp_path: Path) -> None:
    (tmp_path / "label").mkdir()
    (tmp_path / "label/label.lst").write_text(f"{LINES[0]}\n")
    assert [str(defect) for defect in read(tmp_path).defects] == [
        "image/origin: found no such folder; expected the folder of the photographs; to fix: unpack the archive of the photographs there"
    ]


def test_a_root_without_the_list_shows_the_expected_layout(tmp_path: Path) -> None:
    (tmp_path / "image/origin").mkdir(parents=True)
    with pytest.raises(
        DatabaseNotFoundError, match=r"(?s)there is no label/label\.lst.*image/origin/<photograph>\.jpg"
    ):
        read(tmp_path)


def test_an_empty_list_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="the folder is empty"):
        read(tmp_path)
    (defect,) = read(write_list(tmp_path)).defects
    assert (defect.path, defect.found) == ("label/label.lst", "no face")


FACE = st.tuples(
    st.integers(-50, 500), st.integers(-50, 500), st.integers(1, 300), st.integers(1, 300), st.integers(0, 6)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(FACE, min_size=1, max_size=4), min_size=1, max_size=4), st.floats(0, 1e6))
def test_valid_lines_come_back_as_written(photographs: list[list[tuple[int, ...]]], confidence: float) -> None:
    lines, expected = [], []
    for photograph, faces in enumerate(photographs):
        for number, (left, top, width, height, code) in enumerate(faces):
            lines.append(
                f"sad_nurse_{photograph}.jpg {number} {top} {left} {left + width} {top + height} {confidence:.4f} {code}"
            )
            box = [float(value) for value in (left, top, left + width, top + height)]
            expected.append((f"image/origin/sad_nurse_{photograph}.jpg", number, box, ExpW.expressions[code]))
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_list(Path(folder), *lines))
    assert scan.defects == ()
    assert scan.rows.select("image", "face", "face_box", "expression").rows() == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.text("abcXYZ/-+.", min_size=1, max_size=5))
def test_any_invalid_token_gives_exactly_one_defect_with_its_line(field: int, token: str) -> None:
    fields = LINES[1].split(" ")
    fields[field] = token
    with tempfile.TemporaryDirectory() as folder:
        scan = read(write_list(Path(folder), LINES[0], " ".join(fields)))
    assert [(defect.path, defect.line) for defect in scan.defects] == [("label/label.lst", 2)]


# ---------------------------------------------------------------- the demo database


@pytest.fixture(scope="module")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[demo.PlacedFace]]:
    root = tmp_path_factory.mktemp("expw")
    return root, demo.write(root, FaceSampler(5), 60).faces


def test_the_demo_reads_as_rows_and_documented_failures_alone(
    demo_database: tuple[Path, list[demo.PlacedFace]],
) -> None:
    root, placed = demo_database
    scan = read(root)
    assert scan.defects == ()
    assert scan.lines == 60
    assert reasons(scan) == {"image file missing": 1}
    rows = {(found["image"], found["face"]): found for found in scan.rows.iter_rows(named=True)}
    assert rows.keys() == {(face.image, face.face) for face in placed}
    assert all(rows[face.image, face.face]["expression"] == face.truth.expression for face in placed)


def test_the_demo_has_the_official_quirks(demo_database: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, _ = demo_database
    rows = read(root).rows
    faces = rows.group_by("image").len()["len"]
    assert (faces.min(), faces.max()) == (1, 3)
    numbers = rows.group_by("image").agg(pl.col("face").sort())["face"].to_list()
    assert {(0,), (0, 1), (0, 2), (0, 1, 2)} <= {tuple(face) for face in numbers}
    query = rows["image"].str.split("/").list.last().str.split("_").list.first()
    own = [word == demo.QUERY_WORDS[expression] for word, expression in zip(query, rows["expression"], strict=True)]
    assert 0.2 < sum(own) / len(own) < 0.9
    beyond = 0
    for image, box in rows.select("image", "face_box").iter_rows():
        with Image.open(root / image) as picture:
            beyond += min(box[:2]) < 0 or box[2] > picture.width or box[3] > picture.height
    assert beyond >= 5


def test_each_demo_box_holds_the_face_that_its_row_labels(demo_database: tuple[Path, list[demo.PlacedFace]]) -> None:
    root, placed = demo_database
    boxes = {(found["image"], found["face"]): found["face_box"] for found in read(root).rows.iter_rows(named=True)}
    for face in placed[:12]:
        x0, y0, x1, y1 = (int(value) for value in boxes[face.image, face.face])
        with Image.open(root / face.image) as picture:
            crop = picture.crop((x0, y0, x1, y1)).convert("RGB")
        drawn = face.truth.draw(64)
        other = placed[(placed.index(face) + 17) % len(placed)].truth.draw(64)
        middle = (16, 16, 48, 48)
        found = crop.resize((64, 64)).crop(middle)
        assert _difference(found, drawn.crop(middle)) < _difference(found, other.crop(middle))


def _difference(left: Image.Image, right: Image.Image) -> float:
    pairs = zip(left.tobytes(), right.tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs)


def test_the_demo_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        demo.write(tmp_path / name, FaceSampler(seed), 12)
    contents = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "abc"
    }
    assert contents["a"] == contents["b"]
    assert contents["a"] != contents["c"]
