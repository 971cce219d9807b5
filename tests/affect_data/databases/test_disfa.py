from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.base import Scan
from affect_data.databases.disfa.reader import FOLDS, SUBJECTS, Disfa, DisfaOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import disfa as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def write_labels(root: Path, subject: str, intensities: list[int], *, units=UNITS, end="\r\n") -> None:
    folder = root / "ActionUnit_Labels" / subject
    folder.mkdir(parents=True, exist_ok=True)
    for unit in units:
        lines = [f"{frame},{value}{end}" for frame, value in enumerate(intensities, start=1)]
        (folder / f"{subject}_au{unit}.txt").write_bytes("".join(lines).encode())


def write_frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (4, 3)).save(folder / name)


def numbered(count: int) -> list[str]:
    return [f"{number:05d}.jpg" for number in range(1, count + 1)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One subject of five frames, numbered from 1, all action units with the intensities 0 0 2 5 1."""
    write_labels(tmp_path, "SN001", [0, 0, 2, 5, 1])
    write_frames(tmp_path / "Images" / "SN001", numbered(5))
    return tmp_path


def read(root: Path, **options: object) -> Scan:
    exclude = options.pop("exclude", ())
    return Disfa(DisfaOptions(**options)).read(DatabaseRoot(root, exclude))


def only_defect(scan: Scan) -> str:
    assert len(scan.defects) == 1, scan.defects
    return str(scan.defects[0])


def test_intensities_are_kept_and_occurrence_is_intensity_two_or_more(root):
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows["au_intensity_12"].to_list() == [0, 0, 2, 5, 1]
    assert scan.rows["au_12"].to_list() == [0, 0, 1, 1, 0]
    assert scan.rows["au_masked"].to_list() == [None] * 5
    assert scan.rows["subject"].to_list() == scan.rows["track"].to_list() == ["SN001"] * 5
    assert scan.rows["frame"].to_list() == [1, 2, 3, 4, 5]
    assert scan.rows.select("source_file", "source_line").row(3) == ("ActionUnit_Labels/SN001/SN001_au1.txt", 4)
    assert (scan.lines, len(scan.annotation_files)) == (5, 12)


@pytest.mark.parametrize(("threshold", "present"), [(1, 3), (2, 2), (3, 1), (5, 1)])
def test_the_threshold_changes_occurrence_and_nothing_else(root, threshold, present):
    rows = read(root, action_unit_threshold=threshold).rows
    assert [rows[f"au_{unit}"].sum() for unit in UNITS] == [present] * 12
    assert rows["au_intensity_26"].to_list() == [0, 0, 2, 5, 1]


@pytest.mark.parametrize(
    "options", [{"action_unit_threshold": 0}, {"action_unit_threshold": 6}, {"first_frame": 2}, {"release": "2"}]
)
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        DisfaOptions(**options)


def test_a_missing_label_file_masks_its_action_unit_and_says_what_to_do(tmp_path):
    write_labels(tmp_path, "SN004", [3, 0], units=[unit for unit in UNITS if unit != 15])
    write_frames(tmp_path / "Images" / "SN004", numbered(2))
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows["au_15"].to_list() == scan.rows["au_intensity_15"].to_list() == [None, None]
    assert scan.rows["au_17"].to_list() == [1, 0]
    assert scan.rows["au_masked"].to_list() == ["label file of AU15 missing"] * 2
    assert scan.notes[0] == (
        "missing label file: ActionUnit_Labels/SN004/SN004_au15.txt; AU15 of SN004 counts as not labelled, not as absent. "
        "Unpack ActionUnit_Labels.zip again if the archive has it."
    )


def test_a_missing_file_of_one_subject_leaves_the_others_labelled(root):
    write_labels(root, "SN002", [1, 4], units=UNITS[1:])
    write_frames(root / "Images" / "SN002", numbered(2))
    rows = read(root).rows
    assert rows.filter(pl.col("subject") == "SN001")["au_1"].null_count() == 0
    second = rows.filter(pl.col("subject") == "SN002")
    assert second["au_1"].null_count() == 2
    assert second["source_file"][0].endswith("SN002_au2.txt")


def test_a_frame_that_one_file_does_not_list_is_missing_there_only(root):
    (root / "ActionUnit_Labels/SN001/SN001_au1.txt").write_text("1,0\n2,0\n4,5\n5,1\n")
    (root / "ActionUnit_Labels/SN001/SN001_au9.txt").write_text("1,0\n2,0\n4,5\n5,1\n")
    rows = read(root).rows
    assert rows["au_1"].to_list() == [0, 0, None, 1, 0]
    assert rows["au_2"].to_list() == [0, 0, 1, 1, 0]
    assert rows["au_masked"].to_list() == [None, None, "frame not in the label file of AU1, AU9", None, None]
    assert rows.row(2, named=True)["source_file"].endswith("SN001_au2.txt")


def test_unix_and_windows_line_ends_read_alike(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("unix")
    write_labels(other, "SN001", [0, 0, 2, 5, 1], end="\n")
    write_frames(other / "Images" / "SN001", numbered(5))
    assert read(other).rows.equals(read(root).rows)


def test_label_frame_one_is_file_one_where_files_count_from_one(root):
    assert read(root).rows["image"].to_list()[:2] == ["Images/SN001/00001.jpg", "Images/SN001/00002.jpg"]


def test_label_frame_one_is_file_zero_where_files_count_from_zero(tmp_path):
    write_labels(tmp_path, "SN001", [0, 1, 2])
    write_frames(tmp_path / "images" / "SN001", ["0.png", "1.png", "2.png"])
    rows = read(tmp_path).rows
    assert rows["image"].to_list() == ["images/SN001/0.png", "images/SN001/1.png", "images/SN001/2.png"]
    assert rows["frame"].to_list() == [1, 2, 3]
    assert rows["au_intensity_1"].to_list() == [0, 1, 2]


def test_a_lost_frame_is_a_failure_and_shifts_no_other(tmp_path):
    write_labels(tmp_path, "SN001", [0, 1, 2, 3])
    write_frames(tmp_path / "Images" / "SN001", ["000.png", "001.png", "003.png"])
    scan = read(tmp_path)
    assert scan.rows.select("image", "au_intensity_1").rows() == [
        ("Images/SN001/000.png", 0),
        ("Images/SN001/001.png", 1),
        ("Images/SN001/003.png", 3),
    ]
    assert scan.failures.rows() == [
        ("ActionUnit_Labels/SN001/SN001_au1.txt", 3, "Images/SN001/002.png", "image file missing")
    ]
    assert scan.lines == 4


def test_the_option_first_frame_decides_where_frame_zero_was_lost(tmp_path):
    write_labels(tmp_path, "SN001", [0, 1, 2])
    write_frames(tmp_path / "Images" / "SN001", ["1.png", "2.png"])
    assert read(tmp_path).rows["au_intensity_1"].to_list() == [0, 1]
    scan = read(tmp_path, first_frame=0)
    assert scan.rows.select("image", "au_intensity_1").rows() == [("Images/SN001/1.png", 1), ("Images/SN001/2.png", 2)]
    assert scan.failures["image"].to_list() == ["Images/SN001/0.png"]


def test_numbers_that_start_at_neither_zero_nor_one_are_a_defect(tmp_path):
    write_labels(tmp_path, "SN001", [0, 1, 2])
    write_frames(tmp_path / "Images" / "SN001", ["7.png", "8.png", "9.png"])
    assert only_defect(read(tmp_path)) == (
        "Images/SN001: found file numbers from 7 to 9; expected frames numbered from 0, or from 1, in all folders alike; to fix: extract the "
        "frames again, or say `first_frame: 0` or `first_frame: 1` under `databases: disfa:` in the recipe"
    )
    assert read(tmp_path, first_frame=1).defects == ()


def test_folders_that_count_differently_are_a_defect(tmp_path):
    for subject in ("SN001", "SN002"):
        write_labels(tmp_path, subject, [0, 1])
    write_frames(tmp_path / "Images" / "SN001", ["0.png", "1.png"])
    write_frames(tmp_path / "Images" / "SN002", ["1.png", "2.png"])
    assert "Images/SN002: found file numbers from 1 to 2, while other folders have a file number 0" in only_defect(
        read(tmp_path)
    )


def test_a_file_zero_contradicts_the_option_first_frame_one(tmp_path):
    write_labels(tmp_path, "SN001", [0])
    write_frames(tmp_path / "Images" / "SN001", ["0.png"])
    assert "found file numbers from 0 to 0, while `first_frame: 1` is set" in only_defect(read(tmp_path, first_frame=1))


def test_two_files_of_one_number_are_a_defect(root):
    write_frames(root / "Images" / "SN001", ["1.png"])
    assert "Images/SN001: found two files of number 1: 00001.jpg and 1.png" in only_defect(read(root))


@pytest.mark.parametrize(
    "folder",
    [
        "Videos_LeftCamera/LeftVideoSN001_comp",
        "Video_RightCamera/RightVideoSN001_Comp",
        "Videos_RightCamera/rightVideoSN001_comp",
        "frames/SN001",
        "img/SN001",
        "image/SN001",
    ],
)
def test_frame_folders_beside_the_videos_are_found_whatever_their_spelling(tmp_path, folder):
    write_labels(tmp_path, "SN001", [0, 3])
    write_frames(tmp_path / folder, ["SN001_0001.jpg", "SN001_0002.jpg"])
    rows = read(tmp_path).rows
    assert rows["image"].to_list() == [f"{folder}/SN001_0001.jpg", f"{folder}/SN001_0002.jpg"]


def test_the_left_camera_comes_before_the_right_one(tmp_path):
    write_labels(tmp_path, "SN001", [0])
    for folder in ("Video_RightCamera/RightVideoSN001_comp", "Videos_LeftCamera/LeftVideoSN001_comp"):
        write_frames(tmp_path / folder, ["1.jpg"])
    assert read(tmp_path).rows["image"].to_list() == ["Videos_LeftCamera/LeftVideoSN001_comp/1.jpg"]


def test_a_frame_without_a_label_is_no_row(root):
    write_frames(root / "Images" / "SN001", ["00006.jpg"])
    scan = read(root)
    assert (len(scan.rows), len(scan.failures)) == (5, 0)
    assert "1 extracted frame(s) have no label and are not read" in scan.notes


def test_videos_without_frames_are_named_with_the_command_that_extracts_them(tmp_path):
    write_labels(tmp_path, "SN001", [0])
    (tmp_path / "Videos_LeftCamera").mkdir()
    (tmp_path / "Videos_LeftCamera/LeftVideoSN001_comp.avi").touch()
    with pytest.raises(DatabaseNotFoundError) as caught:
        read(tmp_path)
    assert (
        "it holds label files and 1 video(s) (Videos_LeftCamera/LeftVideoSN001_comp.avi), but no extracted frames. "
        "Extract them: `affect-data frames disfa --root disfa=PATH`"
    ) in str(caught.value)


def test_a_subject_whose_frames_are_missing_gives_failures_and_a_note(root):
    write_labels(root, "SN002", [0, 1])
    (root / "Videos_LeftCamera").mkdir()
    (root / "Videos_LeftCamera/LeftVideoSN002_comp.avi").touch()
    scan = read(root)
    assert (len(scan.rows), scan.failures["image"].to_list()) == (
        5,
        ["Images/SN002/00001.jpg", "Images/SN002/00002.jpg"],
    )
    assert "no extracted frames of SN002; extract them: `affect-data frames disfa --root disfa=PATH`" in scan.notes


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda root: None, "the folder is empty"),
        (lambda root: (root / "label.lst").touch(), "there is no folder ActionUnit_Labels"),
        (
            lambda root: (root / "ActionUnit_Labels").mkdir(),
            "ActionUnit_Labels holds no file such as SN001/SN001_au1.txt",
        ),
        (lambda root: write_labels(root, "SN001", [0]), "neither extracted frames (Images/SN001/00001.jpg) nor videos"),
        (lambda root: root.rmdir(), "the folder does not exist"),
    ],
)
def test_a_wrong_root_shows_the_expected_layout(tmp_path, prepare, because):
    root = tmp_path / "disfa"
    root.mkdir()
    prepare(root)
    with pytest.raises(DatabaseNotFoundError) as caught:
        read(root)
    assert because in str(caught.value)
    assert "ActionUnit_Labels/SN001/SN001_au1.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,6", "SN001_au5.txt:3: found intensity = '6'; expected one of 0, 1, 2, 3, 4, 5; to fix: correct the line"),
        ("3,-1", "SN001_au5.txt:3: found intensity = '-1'"),
        ("3,", "SN001_au5.txt:3: found intensity = ''"),
        ("3,2.5", "SN001_au5.txt:3: found intensity = '2.5'"),
        ("0,2", "SN001_au5.txt:3: found frame = '0'; expected a frame number from 1"),
        ("x,2", "SN001_au5.txt:3: found frame = 'x'"),
        ("2,2", "SN001_au5.txt:3: found frame 2 again; expected one line for each frame"),
        ("3", "SN001_au5.txt:3: found 1 field(s): '3'; expected 2 field(s): frame,intensity"),
        ("3,2,1", "SN001_au5.txt:3: found 3 field(s): '3,2,1'"),
        ("", "SN001_au5.txt:3: found 1 field(s): ''"),
    ],
)
def test_one_bad_line_is_one_defect_with_its_line(root, line, message):
    (root / "ActionUnit_Labels/SN001/SN001_au5.txt").write_text(f"1,0\n2,0\n{line}\n4,5\n5,1\n")
    assert message in only_defect(read(root))


def test_a_header_is_a_defect(root):
    (root / "ActionUnit_Labels/SN001/SN001_au5.txt").write_text("frame,intensity\n1,0\n")
    assert {(defect.line, defect.found) for defect in read(root).defects} == {
        (1, "frame = 'frame'"),
        (1, "intensity = 'intensity'"),
    }


def test_all_bad_lines_are_listed_at_once(root):
    (root / "ActionUnit_Labels/SN001/SN001_au5.txt").write_text("1,9\n2,0\n3,8\n4,5\n5,7\n")
    assert [defect.line for defect in read(root).defects] == [1, 3, 5]


def test_an_excluded_line_is_dropped_and_counted(root):
    (root / "ActionUnit_Labels/SN001/SN001_au5.txt").write_text("1,0\n2,0\n3,9\n4,5\n5,1\n")
    scan = read(root, exclude=["ActionUnit_Labels/SN001/SN001_au5.txt:3"])
    assert scan.defects == ()
    assert scan.rows["au_5"].to_list() == [0, 0, None, 1, 0]
    assert scan.failures["reason"].to_list() == ["excluded by the recipe"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("SN001/SN001_au7.txt", "SN001/SN001_au7.txt: found a label file of AU7 of SN001; expected one file of SN001 for each of AU 1, 2, 4"),
        ("SN001/SN002_au1.txt", "found a label file of AU1 of SN002; expected one file of SN001"),
        ("SN014/SN014_au1.txt", "ActionUnit_Labels/SN014: found subject SN014; expected one of the 27 subjects of DISFA; to fix: remove the folder"),
        ("SN002/readme.txt", "ActionUnit_Labels/SN002: found no label file; expected SN002_au1.txt and eleven more; to fix: unpack"),
    ],
)  # fmt: skip
def test_a_label_file_that_does_not_belong_is_a_defect(root, path, message):
    file = root / "ActionUnit_Labels" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("1,0\n")
    assert message in only_defect(read(root))


def test_a_label_file_with_another_name_is_a_loss_that_names_it(root):
    (root / "ActionUnit_Labels/SN001/SN001_au1_v2.txt").write_text("1,0\n")
    (root / "ActionUnit_Labels/SN001/readme.md").write_text("")
    assert read(root).losses == (
        "ActionUnit_Labels/SN001/SN001_au1_v2.txt: not read, the official names are like SN001_au1.txt",
    )


def test_a_label_folder_inside_itself_is_read(root):
    (root / "ActionUnit_Labels").rename(root / "inner")
    (root / "ActionUnit_Labels").mkdir()
    (root / "inner").rename(root / "ActionUnit_Labels" / "ActionUnit_Labels")
    assert len(read(root).rows) == 5


def test_the_folds_are_disjoint_and_hold_all_subjects():
    official = {f"SN{n:03d}" for n in (*range(1, 14), 16, 17, 18, 21, *range(23, 33))}
    assert set(SUBJECTS) == official
    assert len(SUBJECTS) == sum(map(len, FOLDS.values())) == 27
    assert [len(part) for part in FOLDS.values()] == [9, 9, 9]


def test_the_demo_is_read_without_defects_and_as_it_was_drawn(tmp_path):
    placed = demo.write(tmp_path, FaceSampler(0), 75).faces
    scan = read(tmp_path)
    assert (scan.defects, len(scan.failures), len(scan.rows)) == ((), 0, len(placed))
    assert len(placed) == 75
    truth = {face.image: face.truth for face in placed}
    for row in scan.rows.iter_rows(named=True):
        face = truth[row["image"]]
        assert row["subject"] == face.subject
        for unit in UNITS:
            missing = (face.subject, unit) == demo.WITHOUT_FILE
            assert row[f"au_intensity_{unit}"] == (None if missing else face.intensity(unit))
            assert row[f"au_{unit}"] == (None if missing else face.action_unit(unit))
    with Image.open(tmp_path / placed[0].image) as picture:
        assert picture.size == (96, 72)


def test_the_demo_is_the_same_for_the_same_seed(tmp_path):
    for name in ("first", "second"):
        demo.write(tmp_path / name, FaceSampler(5), 20)
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*"))
        for name in ("first", "second")
    ]
    assert files[0] == files[1]
    assert all(
        (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes() for file in files[0]
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_valid_lines_come_back_and_any_other_token_is_one_defect(tmp_path_factory, intensities, data):
    root = tmp_path_factory.mktemp("disfa")
    write_labels(root, "SN001", intensities)
    write_frames(root / "Images" / "SN001", numbered(len(intensities)))
    rows = read(root).rows
    assert rows["au_intensity_20"].to_list() == intensities
    bad = data.draw(
        st.text(st.characters(codec="ascii", exclude_characters=",\r\n")).filter(
            lambda t: t.strip() not in set("012345")
        )
    )
    line = data.draw(st.integers(1, len(intensities)))
    lines = [f"{frame},{bad if frame == line else value}" for frame, value in enumerate(intensities, start=1)]
    (root / "ActionUnit_Labels/SN001/SN001_au20.txt").write_text("\n".join(lines) + "\n")
    scan = read(root)
    assert [(defect.path, defect.line) for defect in scan.defects] == [("ActionUnit_Labels/SN001/SN001_au20.txt", line)]
