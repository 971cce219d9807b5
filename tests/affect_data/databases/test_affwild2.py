import io
import re
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from affect_data.databases.affwild2.reader import AffWild2, AffWild2Options
from affect_data.databases.base import ROW_COLUMNS, Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import affwild2 as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError, UnknownNameError, UsageError

VA = "valence,arousal"
EXPRESSION_7 = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
EXPRESSION_8 = f"{EXPRESSION_7},Other"
AU_8 = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
AU_12 = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
MULTI_TASK = "image,valence,arousal,expression,aus"
MINUS_12 = ",".join(["-1"] * 12)
ZERO_12 = ",".join(["0"] * 12)


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (112, 112), (90, 120, 150)).save(buffer, "JPEG")
    return buffer.getvalue()


JPEG = jpeg()


def write_lines(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_crops(root, track, frames, folder="cropped_aligned"):
    (root / folder / track).mkdir(parents=True, exist_ok=True)
    for frame in frames:
        (root / folder / track / f"{frame:05d}.jpg").write_bytes(JPEG)


def read(root, **options) -> Scan:
    options = AffWild2Options(**options)
    return AffWild2(options).read(DatabaseRoot(root, options.exclude))


def write_abaw3(root):
    """Four tracks in the syntax of ABAW3.

    12-24-1920x1080: VA train, 6 lines over images 1 2 4 5 (3 is a gap, 6 is the line too many), line 2 is -5,-5.
    105: expression train 0..2 with image 3 unlabelled (-1), AU validation with one -1 row.
    video59: VA train and expression validation.    video59_right: expression train, `Other`.
    """
    labels = root / "Third ABAW Annotations"
    va, expression, au = (
        labels / name for name in ("VA_Estimation_Challenge", "EXPR_Classification_Challenge", "AU_Detection_Challenge")
    )
    write_lines(
        va / "Train_Set/12-24-1920x1080.txt", VA, "0.602,0.389", "-5,-5", "0.1,0.2", "-0.024,0.279", "1,-1", "0,0"
    )
    write_crops(root, "12-24-1920x1080", [1, 2, 4, 5])
    write_lines(va / "Validation_Set/462.txt", VA, "0.5,0.5")
    write_crops(root, "462", [1])
    write_lines(expression / "Train_Set/105.txt", EXPRESSION_8, "4", "5", "-1")
    write_lines(au / "Validation_Set/105.txt", AU_12, "1,0,0,0,0,0,1,0,0,0,1,0", MINUS_12, f"0,-1,{ZERO_12[4:]}")
    write_lines(au / "Train_Set/video2.txt", AU_12, ZERO_12)
    write_crops(root, "105", [1, 2, 3])
    write_crops(root, "video2", [1])
    write_lines(va / "Train_Set/video59.txt", VA, "0.3,0.4", "0.5,0.6")
    write_lines(expression / "Validation_Set/video59.txt", EXPRESSION_8, "1", "6", "0")
    write_crops(root, "video59", [1, 2, 3])
    write_lines(expression / "Train_Set/video59_right.txt", EXPRESSION_8, "7", "7")
    write_crops(root, "video59_right", [1, 2])
    return root


@pytest.fixture
def abaw3(tmp_path):
    return write_abaw3(tmp_path)


def row(scan, track, frame):
    return scan.rows.row(by_predicate=(pl.col("track") == track) & (pl.col("frame") == frame), named=True)


def messages(scan):
    return [str(defect) for defect in scan.defects]


def reasons(scan):
    return Counter(scan.failures["reason"])


# ---------------------------------------------------------------- the per-task files


def test_line_n_after_the_header_labels_image_n_across_gaps(abaw3):
    scan = read(abaw3)
    assert messages(scan) == []
    rows = scan.rows.filter(pl.col("track") == "12-24-1920x1080")
    assert rows["frame"].to_list() == [1, 4, 5]
    assert rows["valence"].to_list() == [0.602, -0.024, 1.0]
    assert rows["arousal"].to_list() == [0.389, 0.279, -1.0]
    assert rows["source_line"].to_list() == [2, 5, 6]
    assert rows["image"][1] == "cropped_aligned/12-24-1920x1080/00004.jpg"
    assert rows["source_file"][1] == "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/12-24-1920x1080.txt"


def test_labels_still_match_their_images_when_frames_are_dropped(abaw3):
    before = read(abaw3).rows
    for image in ("12-24-1920x1080/00001.jpg", "video59/00002.jpg", "105/00001.jpg"):
        (abaw3 / "cropped_aligned" / image).unlink()
    scan = read(abaw3)
    assert messages(scan) == []
    kept = before.filter(pl.col("image").is_in(scan.rows["image"].implode()))
    assert len(scan.rows) == len(before) - 3
    assert scan.rows.equals(kept)


def test_label_lines_without_an_image_and_lines_without_a_label_fail_by_reason(abaw3):
    scan = read(abaw3)
    assert reasons(scan) == {"no cropped face for this frame": 2, "no label in any task": 1}
    lost = scan.failures.filter(pl.col("reason") == "no cropped face for this frame")
    assert lost["source_line"].to_list() == [4, 7]
    assert lost["image"].to_list() == [f"cropped_aligned/12-24-1920x1080/0000{frame}.jpg" for frame in (3, 6)]
    # 6 + 1 VA lines alone, 3 expression and AU lines of 105, 1 of video2, 3 of video59, 2 of video59_right.
    assert scan.lines == 16 == len(scan.rows) + len(scan.failures)


def test_a_track_without_a_folder_of_images_fails_by_its_own_reason(abaw3):
    write_lines(abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/200.txt", VA, "0,0", "-5,-5", "0.5,0")
    scan = read(abaw3)
    assert messages(scan) == []
    assert reasons(scan)["no cropped face for any frame of this track"] == 2
    assert reasons(scan)["no label in any task"] == 2


def test_the_three_tasks_are_joined_on_track_and_frame(abaw3):
    scan = read(abaw3)
    joined = row(scan, "105", 1)
    assert joined["expression"] == "happiness"
    assert [joined[f"au_{n}"] for n in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)] == [
        1,
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
    ]
    assert joined["valence"] is None
    assert (joined["split_expression"], joined["split_au"], joined["split_va"]) == ("train", "validation", None)
    assert joined["source_file"].endswith("EXPR_Classification_Challenge/Train_Set/105.txt")
    assert row(scan, "105", 2)["expression"] == "sadness"
    assert row(scan, "105", 2)["au_1"] is None
    assert row(scan, "105", 2)["au_masked"] == "not annotated"


def test_the_source_of_a_row_is_its_first_line_in_the_order_va_expression_au(abaw3):
    scan = read(abaw3)
    assert "VA_Estimation" in row(scan, "video59", 1)["source_file"]
    assert "EXPR_Classification" in row(scan, "video59", 3)["source_file"]
    assert "AU_Detection" in row(scan, "video2", 1)["source_file"]


def test_a_track_may_be_train_in_one_task_and_validation_in_another(abaw3):
    scan = read(abaw3)
    rows = scan.rows.filter(pl.col("track") == "video59")
    assert messages(scan) == []
    assert set(rows["split_va"]) == {"train"}
    assert set(rows["split_expression"]) == {"validation"}
    # The VA file has two lines and the track three frames: the split is the track's all the same.
    assert rows["valence"].to_list() == [0.3, 0.5, None]


def test_a_track_in_two_splits_of_one_task_is_a_defect(abaw3):
    write_lines(
        abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/video59.txt", VA, "0.3,0.4", "0,0"
    )
    (defect,) = read(abaw3).defects
    assert defect.path == "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/video59.txt"
    assert (
        "the track 'video59', which is also in Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/video59.txt"
        in str(defect)
    )


@pytest.mark.parametrize("line", ["-5,0.25", "0.25,-5", "-5.0,0.25"])
def test_minus_five_in_either_column_masks_valence_and_arousal(abaw3, line):
    write_lines(
        abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/video59_right.txt", VA, line, "-5,-5"
    )
    scan = read(abaw3)
    assert messages(scan) == []
    half, none = row(scan, "video59_right", 1), row(scan, "video59_right", 2)
    assert (half["valence"], half["arousal"], half["va_masked"]) == (None, None, "valence or arousal not annotated")
    assert (none["valence"], none["arousal"], none["va_masked"]) == (None, None, "not annotated")


def test_single_action_units_are_kept_beside_missing_ones_unless_the_rule_of_the_competition_is_chosen(abaw3):
    kept = row(read(abaw3), "105", 3)
    assert (kept["au_1"], kept["au_2"], kept["au_4"]) == (0, None, 0)
    assert kept["au_masked"] == "some action units not annotated"
    assert (kept["expression"], kept["expression_masked"]) == (None, "not annotated")

    scan = read(abaw3, partial_action_units=False)
    assert row(scan, "105", 1)["au_1"] == 1
    assert row(scan, "105", 2)["au_masked"] == "not annotated"
    # Neither its expression nor, by the rule, its action units are labelled.
    assert scan.rows.filter(pl.col("track") == "105", pl.col("frame") == 3).is_empty()
    assert reasons(scan)["no label in any task"] == 2


def test_the_rule_of_the_competition_names_its_reason_where_another_task_keeps_the_row(abaw3):
    write_lines(abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/105.txt", VA, "0,0", "0,0", "0,0")
    refused = row(read(abaw3, partial_action_units=False), "105", 3)
    assert [refused[f"au_{n}"] for n in (1, 2, 26)] == [None, None, None]
    assert refused["au_masked"] == "an action unit of the row is not annotated"


def test_code_seven_is_other_and_native_codes_become_names(abaw3):
    write_lines(abaw3 / "Third ABAW Annotations/EXPR_Classification_Challenge/Train_Set/462.txt", EXPRESSION_8, "2")
    scan = read(abaw3)
    assert row(scan, "video59_right", 2)["expression"] == "other"
    assert [row(scan, *key)["expression"] for key in (("video59", 3), ("video59", 1), ("video59", 2), ("462", 1))] == [
        "neutral",
        "anger",
        "surprise",
        "disgust",
    ]


def test_columns_are_those_of_the_contract(abaw3):
    named = set(re.findall(r"\w+", ROW_COLUMNS))
    columns = {re.sub(r"^au_\d+$", "au_", column) for column in read(abaw3).rows.columns}
    assert columns - {"au_"} <= named
    assert AffWild2.action_units == (1, 2, 4, 6, 7, 10, 12, 15, 20, 23, 24, 25, 26)


@pytest.mark.parametrize(
    ("track", "group"),
    [
        ("video59_right", "video59"),
        ("video45_5", "video45"),
        ("video10_1_left", "video10"),
        ("122-60-1920x1080-1", "122-60-1920x1080"),
        ("60-30-1920x1080 -2", "60-30-1920x1080"),
        ("10-60-1280x720_right", "10-60-1280x720"),
        ("10-60-1280x720", "10-60-1280x720"),
        ("105", "105"),
    ],
)
def test_the_track_keeps_its_suffix_and_the_group_loses_side_and_part(abaw3, track, group):
    write_lines(abaw3 / f"Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/{track}.txt", VA, "0.1,0.1")
    write_crops(abaw3, track, [1])
    found = row(read(abaw3), track, 1)
    assert (found["track"], found["subject"]) == (track, group)


def test_byte_order_marks_and_windows_line_ends_are_read(abaw3):
    path = abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/462.txt"
    path.write_bytes(b"\xef\xbb\xbfvalence,arousal\r\n0.25,-0.5\r\n")
    scan = read(abaw3)
    assert messages(scan) == []
    assert (row(scan, "462", 1)["valence"], row(scan, "462", 1)["arousal"]) == (0.25, -0.5)


def test_an_excluded_line_does_not_shift_the_lines_after_it(abaw3):
    line = "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/12-24-1920x1080.txt:2"
    scan = read(abaw3, exclude=(line,))
    assert messages(scan) == []
    assert reasons(scan)["excluded by the recipe"] == 1
    assert row(scan, "12-24-1920x1080", 4)["valence"] == -0.024


# ---------------------------------------------------------------- images against lines


def test_two_images_beyond_the_last_line_are_noted_and_three_are_a_defect(abaw3):
    write_crops(abaw3, "462", [2, 3])
    scan = read(abaw3)
    assert messages(scan) == []
    assert "2 crop(s) of 1 track(s) lie beyond the last label line and are not used" in scan.notes
    write_crops(abaw3, "462", [4])
    (message,) = messages(read(abaw3))
    assert message == (
        "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/462.txt: found 1 label line(s), but crops of the track up to 00004.jpg; "
        "expected at most 2 crops beyond the last label line; to fix: restore the official file and the official crops; "
        "where both are official, raise `crops_beyond_labels` in the recipe"
    )
    assert messages(read(abaw3, crops_beyond_labels=3)) == []


def test_a_file_that_is_cut_short_is_a_defect_though_another_task_reaches_the_end(abaw3):
    write_crops(abaw3, "video59", range(1, 7))
    write_lines(
        abaw3 / "Third ABAW Annotations/EXPR_Classification_Challenge/Validation_Set/video59.txt",
        EXPRESSION_8,
        *"123456",
    )
    (defect,) = read(abaw3).defects
    assert defect.path.endswith("VA_Estimation_Challenge/Train_Set/video59.txt")
    assert defect.found == "2 label line(s), but crops of the track up to 00006.jpg"


def test_a_file_of_nothing_but_its_header_is_a_defect_where_there_are_images(abaw3):
    write_crops(abaw3, "105", [3])
    write_lines(abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/105.txt", VA)
    (defect,) = read(abaw3).defects
    assert defect.found == "0 label line(s), but crops of the track up to 00003.jpg"


@pytest.mark.parametrize("name", ["00000.jpg", "0001.jpg", "frame1.jpg", "00002.png"])
def test_images_that_are_not_numbered_from_00001_are_a_defect_of_their_folder(abaw3, name):
    (abaw3 / "cropped_aligned/462" / name).write_bytes(JPEG)
    (message,) = messages(read(abaw3))
    assert message.startswith(
        f"cropped_aligned/462: found 1 file(s) such as '{name}'; expected frames 00001.jpg, 00002.jpg, ..."
    )


def test_files_of_the_desktop_are_no_images_and_no_labels(abaw3):
    (abaw3 / "cropped_aligned/462/.DS_Store").write_bytes(b"x")
    (abaw3 / "cropped_aligned/462/Thumbs.db").write_bytes(b"x")
    (abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Train_Set/._105.txt").write_bytes(b"\x00\xff")
    assert messages(read(abaw3)) == []


def test_crops_lie_also_in_cropped_and_in_batches(abaw3):
    (abaw3 / "cropped_aligned").rename(abaw3 / "cropped")
    for track, batch in (("105", "batch1"), ("462", "batch2")):
        (abaw3 / "cropped" / batch).mkdir()
        (abaw3 / "cropped" / track).rename(abaw3 / "cropped" / batch / track)
    scan = read(abaw3)
    assert messages(scan) == []
    assert row(scan, "105", 1)["image"] == "cropped/batch1/105/00001.jpg"
    assert row(scan, "462", 1)["image"] == "cropped/batch2/462/00001.jpg"
    assert row(scan, "video2", 1)["image"] == "cropped/video2/00001.jpg"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cropped_aligned", "cropped_aligned_new_50_vids"),
        ("cropped_aligned", "cropped_aligned/cropped_aligned_new_50_vids"),
        ("cropped_aligned_images/cropped_aligned", "cropped_aligned_images/cropped_aligned_new_50_vids"),
        ("cropped/batch1", "cropped_new_50_vids"),
        ("batch1", "batch2"),
        ("batch1", "cropped_new_50_vids"),
    ],
)
def test_the_second_archive_of_crops_is_read_wherever_it_was_unpacked(abaw3, first, second):
    before = read(abaw3)
    folders = sorted((abaw3 / "cropped_aligned").iterdir())
    for number, folder in enumerate(folders):
        target = abaw3 / (second if number else first) / folder.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target != folder:
            folder.rename(target)
    if not any((abaw3 / "cropped_aligned").iterdir()):
        (abaw3 / "cropped_aligned").rmdir()
    after = read(abaw3)
    assert after.rows.drop("image").equals(before.rows.drop("image"))
    assert {path.rpartition("/")[0].rpartition("/")[0] for path in after.rows["image"]} == {first, second}
    assert (after.defects, after.losses) == (before.defects, before.losses)


def test_a_label_file_that_is_named_otherwise_is_a_loss_with_its_name(abaw3):
    folder = next((abaw3 / "VA_Set" if (abaw3 / "VA_Set").is_dir() else abaw3).rglob("Train_Set"))
    (folder / "video9.csv").write_text("valence,arousal\n0,0\n")
    (loss,) = [loss for loss in read(abaw3).losses if "video9" in loss]
    assert loss.endswith("Train_Set/video9.csv: not read, the official names are like <track>.txt")


def test_the_folder_of_crops_can_be_chosen_where_both_exist(abaw3):
    write_crops(abaw3, "462", [1], folder="cropped")
    assert row(read(abaw3), "462", 1)["image"] == "cropped_aligned/462/00001.jpg"
    assert read(abaw3, crops="cropped").rows["image"].to_list() == ["cropped/462/00001.jpg"]


def test_a_track_in_two_batches_is_a_defect(abaw3):
    for batch in ("batch_1", "batch_2"):
        write_crops(abaw3, "300", [1], folder=f"cropped_aligned/{batch}")
    (message,) = messages(read(abaw3))
    assert message.startswith(
        "cropped_aligned/batch_2/300: found the track '300', whose crops are also in cropped_aligned/batch_1/300"
    )


# ---------------------------------------------------------------- releases and names of folders


def write_release(root, folder, tasks, expression, action_units, train="Train_Set", validation="Validation_Set"):
    va_folder, expression_folder, au_folder = tasks
    rows = {
        va_folder: (VA, "0.5,0.25"),
        expression_folder: (expression, "6"),
        au_folder: (action_units, ",".join("1" * (action_units.count(",") + 1))),
    }
    for task, (header, line) in rows.items():
        for split, track in ((train, "101"), (validation, "102")):
            write_lines(root / folder / task / split / f"{track}.txt", header, line)
    for track in ("101", "102"):
        write_crops(root, track, [1])


CHALLENGES = ("VA_Estimation_Challenge", "EXPR_Classification_Challenge", "AU_Detection_Challenge")
RECOGNITION = ("VA_Estimation_Challenge", "EXPR_Recognition_Challenge", "AU_Detection_Challenge")
SETS = ("VA_Set", "EXPR_Set", "AU_Set")


@pytest.mark.parametrize(
    ("release", "folder", "tasks", "expression", "action_units", "splits"),
    [
        ("abaw1", "annotations", SETS, EXPRESSION_7, AU_8, ("Training_Set", "Validation_Set")),
        ("abaw1", "", ("VA_Set", "Expression_Set", "AU_Set"), EXPRESSION_7, AU_8, ("Training_Set", "Validation_Set")),
        ("abaw2", "annotations", SETS, EXPRESSION_7, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw3", "Third ABAW Annotations", CHALLENGES, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw3", "3rd_ABAW_Annotations", CHALLENGES, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw5", "5th_ABAW_Annotations", CHALLENGES, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw3", "", CHALLENGES, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw6", "6th_ABAW_Annotations", RECOGNITION, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw8", "8th_ABAW_Annotations", RECOGNITION, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw9", "9th ABAW Annotations", RECOGNITION, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        ("abaw10", "10th_ABAW_Annotations", RECOGNITION, EXPRESSION_8, AU_12, ("Train_Set", "Validation_Set")),
        (
            "abaw6",
            "annotations/6th_ABAW_Annotations",
            RECOGNITION,
            EXPRESSION_8,
            AU_12,
            ("Train_Set", "Validation_Set"),
        ),
        ("abaw3", "", ("VA", "EXPR", "AU"), EXPRESSION_8, AU_12, ("train", "validate")),
        ("abaw3", "ANNOTATIONS", ("va_set", "expr_set", "au_set"), EXPRESSION_8, AU_12, ("TRAIN_SET", "validation")),
    ],
)
def test_releases_are_recognised_under_every_name_of_their_folders(
    tmp_path, release, folder, tasks, expression, action_units, splits
):
    write_release(tmp_path, folder, tasks, expression, action_units, *splits)
    scan = read(tmp_path)
    assert messages(scan) == []
    assert AffWild2().release_of(DatabaseRoot(tmp_path)) == release
    assert scan.notes[0].startswith(f"release {release} in {folder or 'the root'}")
    assert (
        scan.rows["split_va"].to_list()
        == scan.rows["split_expression"].to_list()
        == scan.rows["split_au"].to_list()
        == ["train", "validation"]
    )
    assert scan.rows["expression"].to_list() == ["surprise", "surprise"]
    coded = {int(name[2:]) for name in action_units.split(",")}
    assert {int(column[3:]) for column in scan.rows.columns if re.fullmatch(r"au_\d+", column)} == coded
    assert scan.rows["au_1"].to_list() == [1, 1]


@pytest.mark.parametrize(
    ("folders", "header", "line", "note"),
    [
        (("VA_Set", "Training_Set"), VA, "0,0", "release abaw1 in the root"),
        (("VA_Set", "Train_Set"), VA, "0,0", "release abaw2 in the root"),
        (
            ("VA_Estimation_Challenge", "Train_Set"),
            VA,
            "0,0",
            "release abaw3 in the root (the files fit abaw5, abaw6, abaw8, abaw9, abaw10 as well",
        ),
        (
            ("EXPR_Recognition_Challenge", "Train_Set"),
            EXPRESSION_8,
            "7",
            "release abaw6 in the root (the files fit abaw8, abaw9, abaw10 as well",
        ),
        (("EXPR_Set", "Train_Set"), EXPRESSION_7, "6", "release abaw2 in the root"),
        (("AU_Set", "Train_Set"), AU_8, "0,0,0,0,0,0,0,0", "release abaw1 in the root"),
    ],
)
def test_one_task_alone_names_its_release_by_folders_and_header(tmp_path, folders, header, line, note):
    task, train = folders
    for split, track in ((train, "101"), ("Validation_Set", "102")):
        write_lines(tmp_path / task / split / f"{track}.txt", header, line)
        write_crops(tmp_path, track, [1])
    scan = read(tmp_path)
    assert messages(scan) == []
    assert scan.notes[0].startswith(note)
    assert ("(the files fit" in scan.notes[0]) == ("(the files fit" in note)


def test_the_layout_of_2019_keeps_annotations_below_the_task(tmp_path):
    for task, header, line in (("VA_Set", VA, "0,0"), ("Expression_Set", EXPRESSION_7, "1")):
        for split, track in (("Train_Set", "101"), ("Validation_Set", "102")):
            write_lines(tmp_path / task / "annotations" / split / f"{track}.txt", header, line)
            write_crops(tmp_path, track, [1])
        (tmp_path / task / "annotations/Test_Set").mkdir()
        (tmp_path / task / "videos/Train_Set").mkdir(parents=True)
    scan = read(tmp_path)
    assert messages(scan) == []
    assert scan.rows["expression"].to_list() == ["anger", "anger"]
    assert "au: no annotations, masked in all rows" in scan.notes
    assert scan.rows["au_1"].to_list() == [None, None]
    assert scan.rows["au_masked"].to_list() == [None, None]


def test_what_the_files_cannot_tell_apart_the_recipe_names(tmp_path):
    write_release(tmp_path, "annotations", CHALLENGES, EXPRESSION_8, AU_12)
    assert (
        read(tmp_path).notes[0] == "release abaw3 in annotations (the files fit abaw5 as well: name it under `release`)"
    )
    assert read(tmp_path, release="abaw5").notes[0].startswith("release abaw5 in annotations")
    assert AffWild2(AffWild2Options(release="abaw5")).release_of(DatabaseRoot(tmp_path)) == "abaw5"


def test_code_seven_is_unknown_where_the_header_names_seven_classes(tmp_path):
    write_release(tmp_path, "annotations", SETS, EXPRESSION_7, AU_12)
    write_lines(tmp_path / "annotations/EXPR_Set/Train_Set/101.txt", EXPRESSION_7, "7")
    assert messages(read(tmp_path)) == [
        "annotations/EXPR_Set/Train_Set/101.txt:2: found expression = '7'; expected one of the codes 0, 1, 2, 3, 4, 5, 6, -1; "
        "to fix: correct the line, or name it under `exclude` in the recipe"
    ]


def test_a_file_whose_header_belongs_to_another_release_is_a_defect(tmp_path):
    write_release(tmp_path, "annotations", SETS, EXPRESSION_7, AU_12)
    write_lines(tmp_path / "annotations/AU_Set/Train_Set/103.txt", AU_8, "0,0,0,0,0,0,0,0")
    assert messages(read(tmp_path)) == [
        f"annotations/AU_Set/Train_Set/103.txt:1: found the header '{AU_8.lower()}'; expected the header '{AU_12.lower()}'; "
        "to fix: restore the official file, or name its `release` in the recipe"
    ]


@pytest.mark.parametrize("first", ["0.5,0.25", "arousal,valence", "valence;arousal", "", "valence,arousal,"])
def test_a_header_that_does_not_fit_is_a_defect(abaw3, first):
    path = "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/462.txt"
    write_lines(abaw3 / path, first, "0.5,0.5")
    (message,) = messages(read(abaw3))
    assert message.startswith(f"{path}:1: found the header '{first}'; expected the header 'valence,arousal'")


def test_an_empty_label_file_is_a_defect(abaw3):
    path = abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/462.txt"
    path.write_bytes(b"")
    (message,) = messages(read(abaw3))
    assert "462.txt:1: found the header ''" in message


def test_several_releases_need_a_name_in_the_recipe(abaw3):
    write_release(abaw3, "6th_ABAW_Annotations", RECOGNITION, EXPRESSION_8, AU_12)
    with pytest.raises(
        UsageError,
        match=r"holds several releases: abaw6 in '6th_ABAW_Annotations'; abaw3 in 'Third ABAW Annotations': name one",
    ):
        read(abaw3)
    assert set(read(abaw3, release="abaw6").rows["track"]) == {"101", "102"}
    assert "video59" in set(read(abaw3, release="abaw3").rows["track"])


def test_two_folders_that_the_release_cannot_tell_apart_are_refused(tmp_path):
    for folder in ("annotations", "annotations_copy"):
        write_release(tmp_path, folder, CHALLENGES, EXPRESSION_8, AU_12)
    with pytest.raises(UsageError, match=r"where that cannot tell them apart, keep one of the folders"):
        read(tmp_path, release="abaw5")


def test_the_multi_task_file_beside_per_task_files_needs_a_name_in_the_recipe(abaw3):
    for name in ("train_set.txt", "validation_set.txt"):
        write_lines(
            abaw3 / "Third ABAW Annotations/MTL_Challenge" / name,
            MULTI_TASK,
            f"{462 if name[0] == 'v' else 105}/00001.jpg,0,0,1,{ZERO_12}",
        )
    with pytest.raises(
        UsageError, match=r"abaw3 in 'Third ABAW Annotations'; abaw3_mtl in 'Third ABAW Annotations/MTL_Challenge'"
    ):
        read(abaw3)
    assert len(read(abaw3, release="abaw3_mtl").rows) == 2
    assert len(read(abaw3, release="abaw3").rows) == 13


def test_a_release_that_is_not_there_or_not_known_is_refused(abaw3):
    with pytest.raises(
        UsageError, match=r"release 'abaw2' was asked for, but the root '.*' holds abaw3 in 'Third ABAW Annotations'"
    ):
        read(abaw3, release="abaw2")
    with pytest.raises(
        UnknownNameError,
        match=r"unknown release of affwild2 'abaw12'; did you mean 'abaw2'\? known: abaw1, abaw10, abaw11_mtl, abaw2, abaw3",
    ):
        read(abaw3, release="abaw12")


def test_two_names_of_one_folder_side_by_side_are_a_defect(abaw3):
    write_lines(abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Training_Set/200.txt", VA, "0,0")
    write_lines(abaw3 / "Third ABAW Annotations/AU_Set/Train_Set/200.txt", AU_8, "0,0,0,0,0,0,0,0")
    assert [message.partition("; expected one of them")[0] for message in messages(read(abaw3))] == [
        "Third ABAW Annotations: found the folders AU_Detection_Challenge, AU_Set",
        "Third ABAW Annotations/VA_Estimation_Challenge: found the folders Train_Set, Training_Set",
    ]


# ---------------------------------------------------------------- bad input


def test_a_missing_split_folder_and_an_empty_one_are_defects(abaw3):
    labels = abaw3 / "Third ABAW Annotations"
    (labels / "VA_Estimation_Challenge/Validation_Set").rename(labels / "VA_Estimation_Challenge/Other")
    (labels / "AU_Detection_Challenge/Train_Set/video2.txt").unlink()
    assert messages(read(abaw3)) == [
        "Third ABAW Annotations/AU_Detection_Challenge/Train_Set: found no .txt file; expected one .txt file a track, "
        "in one of Train_Set, Training_Set, train, training; to fix: unpack the official annotations again",
        "Third ABAW Annotations/VA_Estimation_Challenge: found no validation folder; expected one .txt file a track, "
        "in one of Validation_Set, validate, validation, val; to fix: unpack the official annotations again",
    ]


@pytest.mark.parametrize(
    ("path", "header", "line", "found"),
    [
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "0.1,0.2,0.3", "3 field(s): '0.1,0.2,0.3'"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "0.1,0.2,", "3 field(s): '0.1,0.2,'"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "", "1 field(s): ''"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "1.001,0.2", "valence = '1.001'"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "0.1,-2", "arousal = '-2'"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, "0.1,nan", "arousal = 'nan'"),
        ("VA_Estimation_Challenge/Train_Set/video59.txt", VA, ",0.1", "valence = ''"),
        ("EXPR_Classification_Challenge/Train_Set/video59_right.txt", EXPRESSION_8, "8", "expression = '8'"),
        ("EXPR_Classification_Challenge/Train_Set/video59_right.txt", EXPRESSION_8, "happy", "expression = 'happy'"),
        ("EXPR_Classification_Challenge/Train_Set/video59_right.txt", EXPRESSION_8, "", "expression = ''"),
        ("AU_Detection_Challenge/Train_Set/video2.txt", AU_12, f"2{ZERO_12[1:]}", "au_1 = '2'"),
        ("AU_Detection_Challenge/Train_Set/video2.txt", AU_12, f"{ZERO_12[:-1]}9", "au_26 = '9'"),
        ("AU_Detection_Challenge/Train_Set/video2.txt", AU_12, ZERO_12[2:], f"11 field(s): '{ZERO_12[2:]}'"),
    ],
)
def test_one_bad_line_is_one_defect_that_names_it(abaw3, path, header, line, found):
    lines = (abaw3 / "Third ABAW Annotations" / path).read_text().splitlines()
    write_lines(abaw3 / "Third ABAW Annotations" / path, header, line, *lines[1:])
    (message,) = messages(read(abaw3))
    assert message.startswith(f"Third ABAW Annotations/{path}:2: found {found}; expected ")


def test_all_defects_are_listed_at_once(abaw3):
    labels = abaw3 / "Third ABAW Annotations"
    write_lines(labels / "VA_Estimation_Challenge/Train_Set/video59.txt", VA, "9,9", "0.1")
    write_lines(labels / "AU_Detection_Challenge/Train_Set/video2.txt", "AU1", "0")
    assert [f"{Path(defect.path).stem}:{defect.line}" for defect in read(abaw3).defects] == [
        "video2:1",
        "video59:2",
        "video59:2",
        "video59:3",
    ]


def test_a_label_file_that_is_no_text_is_a_defect(abaw3):
    (abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Validation_Set/462.txt").write_bytes(
        b"valence,arousal\n\xff\xfe,0\n"
    )
    assert any("462.txt: found a byte that is not UTF-8 at offset 16" in message for message in messages(read(abaw3)))


def test_a_wrong_root_shows_the_expected_layout(tmp_path):
    with pytest.raises(DatabaseNotFoundError, match=r"the folder does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(DatabaseNotFoundError, match=r"the folder is empty"):
        read(tmp_path)
    write_lines(tmp_path / "label/label.lst", "x")
    with pytest.raises(
        DatabaseNotFoundError,
        match=r"(?s)no annotation files in AU_Detection_Challenge.*VA_Estimation_Challenge/.*AFFECT_ROOT_AFFWILD2",
    ):
        read(tmp_path)
    with pytest.raises(DatabaseNotFoundError, match=r"no annotation files"):
        AffWild2().release_of(DatabaseRoot(tmp_path))


def test_annotations_without_faces_are_not_enough(abaw3):
    (abaw3 / "cropped_aligned").rename(abaw3 / "videos")
    with pytest.raises(DatabaseNotFoundError, match=r"no folder cropped_aligned or cropped with the faces"):
        read(abaw3)
    (abaw3 / "cropped_aligned").mkdir()
    with pytest.raises(
        DatabaseNotFoundError,
        match=r"none of the 6 labelled tracks, such as '105', has a folder with frames in cropped_aligned",
    ):
        read(abaw3)


def test_lists_and_examples_of_test_sets_are_never_read_as_labels(abaw3):
    before = read(abaw3)
    write_lines(abaw3 / "Expression_Classification_Challenge_test_set_release.txt", "video80", "105")
    write_lines(
        abaw3 / "CVPR_6th_ABAW_Expr_test_set_example.txt", f"image_location,{EXPRESSION_8}", "video80/00001.jpg,0"
    )
    write_lines(
        abaw3 / "Third ABAW Annotations/CVPR_6th_ABAW_VA_test_set_example.txt",
        "image_location,valence,arousal",
        "video80/00001.jpg,0.5,-0.5",
    )
    write_lines(abaw3 / "Third ABAW Annotations/VA_Estimation_Challenge/Test_Set/video80.txt", VA, "0.5,-0.5")
    write_lines(abaw3 / "test_set_examples/MTL.txt", MULTI_TASK, "video45_1/00001.jpg,")
    write_crops(abaw3, "video80", [1])
    scan = read(abaw3)
    assert messages(scan) == []
    assert scan.rows.equals(before.rows)
    assert scan.annotation_files == before.annotation_files


# ---------------------------------------------------------------- the multi-task file


def write_multi_task(root, lines, folder="", names=("training_set_annotations.txt", "validation_set_annotations.txt")):
    write_lines(root / folder / names[0], MULTI_TASK, *lines)
    write_lines(root / folder / names[1], MULTI_TASK, f"105/00007.jpg,0.5,-0.5,-1,{MINUS_12}")
    write_crops(root, "105", [7])
    write_crops(root, "video45_1", [1, 8, 17, 21])
    write_crops(root, "video2_left", [4])


MULTI_TASK_LINES = (
    f"video45_1/00001.jpg,0.125,-0.25,-1,{MINUS_12}",  # VA alone
    f"video45_1/00008.jpg,-5,-5,7,{MINUS_12}",  # expression alone
    "video45_1/00017.jpg,-5,-5,-1,1,0,0,0,0,0,1,0,0,0,0,1",  # action units alone
    "video45_1/00021.jpg,-1,1,0,0,0,0,0,0,0,0,0,0,0,1,0",  # all
    f"video45_1/00030.jpg,-5,-5,-1,{MINUS_12}",  # none
    f"video45_1/00008.jpg,-5,-5,2,{MINUS_12}",  # a frame again
    f"video45_1/00031.jpg,0.5,0.5,-1,{MINUS_12}",  # no image
    f"video2_left/00004.jpg,-5,0.5,3,-1,{ZERO_12[2:]}",  # half of VA, all action units but one
)


@pytest.mark.parametrize(
    ("release", "folder", "names"),
    [
        ("abaw4_mtl", "", ("training_set_annotations.txt", "validation_set_annotations.txt")),
        ("abaw7_mtl", "7th_ABAW_Annotations", ("training_set_annotations.txt", "validation_set_annotations.txt")),
        ("abaw11_mtl", "11th_ABAW_Annotations", ("training_set_annotations.txt", "validation_set_annotations.txt")),
        ("abaw3_mtl", "Third ABAW Annotations/MTL_Challenge", ("train_set.txt", "validation_set.txt")),
        ("abaw3_mtl", "MTL_Challenge", ("train_set.txt", "validation_set.txt")),
    ],
)
def test_the_multi_task_file_gives_one_row_a_frame_with_a_mask_for_each_task(tmp_path, release, folder, names):
    write_multi_task(tmp_path, MULTI_TASK_LINES, folder, names)
    scan = read(tmp_path)
    assert messages(scan) == []
    assert AffWild2().release_of(DatabaseRoot(tmp_path)) == release
    assert scan.rows.select("track", "frame").rows() == [
        ("105", 7), ("video2_left", 4), ("video45_1", 1), ("video45_1", 8), ("video45_1", 17), ("video45_1", 21),
    ]  # fmt: skip
    va, expression, au, everything = (row(scan, "video45_1", frame) for frame in (1, 8, 17, 21))
    assert (va["valence"], va["arousal"], va["expression"], va["au_1"]) == (0.125, -0.25, None, None)
    assert (expression["expression"], expression["valence"], expression["source_line"]) == ("other", None, 3)
    assert [au[f"au_{n}"] for n in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)] == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert (everything["valence"], everything["arousal"], everything["expression"], everything["au_25"]) == (
        -1,
        1,
        "neutral",
        1,
    )
    half = row(scan, "video2_left", 4)
    assert (half["valence"], half["arousal"], half["expression"], half["au_1"], half["au_2"]) == (
        None,
        None,
        "fear",
        None,
        0,
    )
    assert (half["va_masked"], half["au_masked"]) == (
        "valence or arousal not annotated",
        "some action units not annotated",
    )
    assert (half["track"], half["subject"], half["image"]) == (
        "video2_left",
        "video2",
        "cropped_aligned/video2_left/00004.jpg",
    )
    assert reasons(scan) == {
        "no label in any task": 1,
        "repeats the frame of an earlier line": 1,
        "no cropped face for this frame": 1,
    }
    assert scan.failures.filter(reason="repeats the frame of an earlier line")["source_line"].to_list() == [7]
    for task in ("va", "expression", "au"):
        assert scan.rows[f"split_{task}"].to_list() == ["validation", *["train"] * 5]
    assert scan.lines == 9


def test_the_rule_of_the_competition_holds_in_the_multi_task_file_too(tmp_path):
    write_multi_task(tmp_path, MULTI_TASK_LINES)
    half = row(read(tmp_path, partial_action_units=False), "video2_left", 4)
    assert (half["expression"], half["au_2"], half["au_masked"]) == (
        "fear",
        None,
        "an action unit of the row is not annotated",
    )


def test_sparse_frames_of_the_multi_task_file_may_have_unlabelled_images_between(tmp_path):
    write_multi_task(tmp_path, MULTI_TASK_LINES)
    write_crops(tmp_path, "video45_1", range(40, 60))
    assert messages(read(tmp_path)) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("video45_1/00001.jpg,", "2 field(s): 'video45_1/00001.jpg,'"),
        ("video45_1/00001.jpg", "1 field(s): 'video45_1/00001.jpg'"),
        (f"video45_1/1.jpg,0,0,0,{ZERO_12}", "image = 'video45_1/1.jpg'"),
        (f"00001.jpg,0,0,0,{ZERO_12}", "image = '00001.jpg'"),
        (f"video45_1/00001.jpg,0,0,8,{ZERO_12}", "expression = '8'"),
        (f"video45_1/00001.jpg,0,0,0,{ZERO_12},0", f"17 field(s): 'video45_1/00001.jpg,0,0,0,{ZERO_12},0'"),
    ],
)
def test_a_bad_line_of_the_multi_task_file_is_one_defect(tmp_path, line, found):
    write_multi_task(tmp_path, [*MULTI_TASK_LINES[1:4], line])
    (message,) = messages(read(tmp_path))
    assert message.startswith(f"training_set_annotations.txt:5: found {found}; expected ")


def test_a_multi_task_file_with_another_header_or_without_its_sibling_is_a_defect(tmp_path):
    write_multi_task(tmp_path, MULTI_TASK_LINES)
    write_lines(tmp_path / "training_set_annotations.txt", "image,valence,arousal,expression", MULTI_TASK_LINES[0])
    (message,) = messages(read(tmp_path))
    assert message.startswith(
        "training_set_annotations.txt:1: found the header 'image,valence,arousal,expression'; "
        "expected the header 'image,valence,arousal,expression,aus'"
    )
    (tmp_path / "training_set_annotations.txt").unlink()
    (message,) = messages(read(tmp_path))
    assert message == (
        "training_set_annotations.txt: found no such file; expected the train rows of the multi-task challenge; to fix: restore the official file"
    )


def test_a_track_in_both_multi_task_files_is_a_defect(tmp_path):
    write_multi_task(tmp_path, [*MULTI_TASK_LINES, f"105/00001.jpg,0,0,0,{ZERO_12}"])
    (message,) = messages(read(tmp_path))
    assert message.startswith(
        "validation_set_annotations.txt:2: found the track '105', which is also in training_set_annotations.txt"
    )


# ---------------------------------------------------------------- properties

values = st.one_of(st.just((-5.0, -5.0)), st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
action_units = st.lists(st.sampled_from([-1, 0, 1]), min_size=12, max_size=12)
frames = st.lists(st.tuples(values, st.integers(-1, 7), action_units), min_size=1, max_size=6)


def write_frames(root, lines):
    for task, header, column in zip(CHALLENGES, (VA, EXPRESSION_8, AU_12), zip(*lines, strict=True), strict=True):
        write_lines(root / task / "Train_Set/video1.txt", header, *column)
        write_lines(root / task / "Validation_Set/105.txt", header, column[0])
    write_crops(root, "video1", range(1, len(lines) + 1))
    write_crops(root, "105", [1])


def as_lines(drawn):
    return [(f"{v!r},{a!r}", str(code), ",".join(map(str, units))) for (v, a), code, units in drawn]


@settings(max_examples=25, deadline=None)
@given(frames)
def test_valid_lines_are_read_back_as_written(drawn):
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), as_lines(drawn))
        scan = read(Path(folder))
    assert messages(scan) == []
    found = {r["frame"]: r for r in scan.rows.filter(pl.col("track") == "video1").iter_rows(named=True)}
    names = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other")
    expected = {}
    for frame, ((valence, arousal), code, units) in enumerate(drawn, start=1):
        va = (None, None) if valence == -5 else (valence, arousal)
        labels = (*va, None if code == -1 else names[code], *(None if unit == -1 else unit for unit in units))
        if any(label is not None for label in labels):
            expected[frame] = labels
    columns = ("valence", "arousal", "expression", *(f"au_{n}" for n in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)))
    assert {frame: tuple(r[c] for c in columns) for frame, r in found.items()} == expected


@settings(max_examples=25, deadline=None)
@given(
    frames.filter(lambda drawn: len(drawn) >= 2),
    st.integers(0, 14),
    st.sampled_from(["2.5", "-3", "1e9", "x", "", "--1", "inf", "0x1", "١٢"]),
    st.data(),
)
def test_an_invalid_token_is_exactly_one_defect_that_names_its_line(drawn, column, token, data):
    frame = data.draw(st.integers(0, len(drawn) - 2))
    lines = as_lines(drawn)
    fields = [field.split(",") for field in lines[frame]]
    task, position = (0, column) if column < 2 else (1, 0) if column == 2 else (2, column - 3)
    fields[task][position] = token
    lines[frame] = tuple(",".join(parts) for parts in fields)
    lines_of_other_track = as_lines(drawn)[1]
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), lines)
        for name, line in zip(CHALLENGES, lines_of_other_track, strict=True):
            header = (Path(folder) / name / "Train_Set/video1.txt").read_text().splitlines()[0]
            write_lines(Path(folder) / name / "Validation_Set/105.txt", header, line)
        (defect,) = read(Path(folder)).defects
    assert (defect.path, defect.line) == (f"{CHALLENGES[task]}/Train_Set/video1.txt", frame + 2)
    assert repr(token) in defect.found


# ---------------------------------------------------------------- the demo


@pytest.fixture(scope="module")
def demo_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("affwild2")
    return root, demo.write(root, FaceSampler(0), 240).faces


def expected_expression(face):
    return "other" if face.expression == "contempt" else face.expression


def test_the_demo_is_read_without_defect_and_every_row_has_its_truth(demo_tree):
    root, placed = demo_tree
    scan = read(root)
    assert messages(scan) == []
    assert {face.image for face in placed} == set(scan.rows["image"])
    assert len(placed) == len(scan.rows)
    assert all(face.face == -1 for face in placed)
    assert set(reasons(scan)) == {"no cropped face for this frame", "no label in any task"}
    assert 0.8 * 240 < len(placed) < 1.2 * 240


def test_the_labels_of_the_demo_are_the_truth_of_its_faces(demo_tree):
    root, placed = demo_tree
    truth = {face.image: face.truth for face in placed}
    checked = Counter()
    for found in read(root).rows.iter_rows(named=True):
        face = truth[found["image"]]
        if found["valence"] is not None:
            assert (found["valence"], found["arousal"]) == pytest.approx((face.valence, face.arousal), abs=0.00051)
            checked["va"] += 1
        if found["expression"] is not None:
            assert found["expression"] == expected_expression(face)
            checked["expression"] += 1
        for unit in demo.ACTION_UNITS:
            if found[f"au_{unit}"] is not None:
                assert found[f"au_{unit}"] == face.action_unit(unit)
                checked["au"] += 1
    assert min(checked[task] for task in ("va", "expression", "au")) > 50


def test_the_demo_holds_the_quirks_of_the_official_files(demo_tree):
    root, _ = demo_tree
    scan = read(root)
    tracks = scan.rows.group_by("track").agg(pl.col(f"split_{task}").first() for task in ("va", "expression", "au"))
    splits = {track: set(found) - {None} for track, *found in tracks.iter_rows()}
    assert {"12-24-1920x1080", "105", "video59", "video59_right", "122-60-1920x1080-1"} <= splits.keys()
    assert splits["10-60-1280x720"] == {"train", "validation"}
    assert any("lie beyond the last label line" in note for note in scan.notes)
    assert {"valence or arousal not annotated", "not annotated"} <= set(scan.rows["va_masked"])
    assert {"some action units not annotated", "not annotated"} <= set(scan.rows["au_masked"])
    assert "not annotated" in set(scan.rows["expression_masked"])
    beyond = [
        len(path.read_text().splitlines())
        - 1
        - max(int(image.stem) for image in (root / "cropped_aligned" / path.stem).iterdir())
        for path in root.glob("Third ABAW Annotations/*/*/*.txt")
    ]
    assert {-1, 1} <= set(beyond)
    assert (root / demo.TEST_LIST).is_file()


def test_the_validation_part_of_a_large_demo_is_a_quarter_and_labelled_in_all_tasks():
    tracks = demo._tracks(60)
    validation = [track for track in tracks if "validation" in track.splits.values()]
    train = [track for track in tracks if track not in validation]
    assert 0.22 <= len(validation) / len(tracks) <= 0.32
    assert sum(len(track.splits) == 3 for track in validation) > 0.7 * len(validation)
    assert sum(len(track.splits) == 1 for track in train) > 0.6 * len(train)
    assert {"va", "expression", "au"} == {task for track in train for task in track.splits}
    assert len({track.name for track in tracks}) == 60
    people = {track.video: set() for track in tracks}
    for track in tracks:
        people[track.video] |= {"validation" if track in validation else "train"}
    assert all(len(sides) == 1 for sides in people.values())


def test_the_demo_is_the_same_for_the_same_seed(tmp_path):
    for name in ("one", "two"):
        demo.write(tmp_path / name, FaceSampler(3), 32)
    files = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*") if path.is_file()}
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)


def test_the_images_of_the_demo_are_colour_jpegs_of_the_official_size(demo_tree):
    root, placed = demo_tree
    with Image.open(root / placed[0].image) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (112, 112), "RGB")


@pytest.mark.parametrize(("edition", "release", "repeated"), [(3, "abaw3_mtl", 10), (4, "abaw4_mtl", 0)])
def test_the_multi_task_demo_is_read_without_defect_and_every_row_has_its_truth(tmp_path, edition, release, repeated):
    placed = demo.write_mtl(tmp_path, FaceSampler(1), 60, edition=edition).faces
    scan = read(tmp_path)
    assert messages(scan) == []
    assert AffWild2().release_of(DatabaseRoot(tmp_path)) == release
    assert {face.image for face in placed} == set(scan.rows["image"])
    assert len(placed) == len(scan.rows)
    assert reasons(scan)["repeats the frame of an earlier line"] == repeated
    assert reasons(scan)["no cropped face for this frame"] == 5
    truth = {face.image: face.truth for face in placed}
    for found in scan.rows.filter(pl.col("expression").is_not_null()).iter_rows(named=True):
        assert found["expression"] == expected_expression(truth[found["image"]])
    assert {"video2_left"} < set(scan.rows["track"])


@pytest.mark.parametrize(
    "odd", ["0001.jpg", "000002.jpg", "0000a.jpg", "00000.jpg", "00007.png", ".hidden", "100000.jpg"]
)
def test_a_name_of_another_form_leaves_the_other_crops_as_they_are(odd: str, abaw3: Path) -> None:
    before = read(abaw3).rows
    (abaw3 / "cropped_aligned/12-24-1920x1080" / odd).write_bytes(JPEG)
    scan = read(abaw3)
    is_frame = re.fullmatch(r"\d{5,}\.jpg", odd) and int(odd[:-4])
    if not is_frame and not odd.startswith("."):
        assert [message for message in messages(scan) if f"1 file(s) such as '{odd}'" in message]
    track = pl.col("track") == "12-24-1920x1080"
    found = scan.rows.filter(track, ~pl.col("image").str.ends_with(f"/{odd}"))
    assert found["image"].to_list() == before.filter(track)["image"].to_list()
