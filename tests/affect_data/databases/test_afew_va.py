import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.databases.afew_va import AfewVa, AfewVaOptions
from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.demo import afew_va as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError

POINTS = [[10.5 + i % 5, 20.25 + i % 7] for i in range(68)]
BOX = [10.5, 20.25, 14.5, 26.25]


def entry(valence: object = 0.0, arousal: object = 0.0, landmarks: object = POINTS) -> dict[str, object]:
    return {"arousal": arousal, "landmarks": landmarks, "valence": valence}


def write_clip(
    root: Path,
    folder: str,
    frames: dict[str, Any] | int = 3,
    *,
    actor: object = "An Actor",
    size=(72, 58),
    pictures=None,
    **labels: object,
) -> Path:
    if isinstance(frames, int):
        frames = {f"{number:05d}": entry() for number in range(frames)}
    clip = root / folder
    clip.mkdir(parents=True)
    for stem in frames if pictures is None else pictures:
        Image.new("RGB", size).save(clip / f"{stem}.png")
    content = {"actor": actor, "frames": frames, "video_id": clip.name, **labels}
    path = clip / f"{clip.name}.json"
    path.write_text(json.dumps(content, indent=1, sort_keys=True))
    return path


def read(root: Path, exclude: tuple[str, ...] = ()) -> Scan:
    return AfewVa().read(DatabaseRoot(root, exclude))


def only_defect(scan: Scan) -> str:
    assert len(scan.defects) == 1, scan.defects
    return str(scan.defects[0])


def test_native_labels_are_divided_by_ten(tmp_path):
    write_clip(tmp_path, "01/001", {"00000": entry(-10.0, 10.0), "00001": entry(5.0, -3.0), "00002": entry(0, 7)})
    scan = read(tmp_path)
    assert scan.defects == ()
    assert scan.rows.select("valence", "arousal").rows() == [(-1.0, 1.0), (0.5, -0.3), (0.0, 0.7)]
    assert (scan.lines, scan.annotation_files) == (3, ("01/001/001.json",))


def test_a_row_says_where_it_is_from(tmp_path):
    path = write_clip(tmp_path, "02/057", 2)
    row = read(tmp_path).rows.row(1, named=True)
    assert {name: row[name] for name in ("image", "track", "subject", "frame", "source_file", "source_line")} == {
        "image": "02/057/00001.png",
        "track": "057",
        "subject": "An Actor",
        "frame": 1,
        "source_file": "02/057/057.json",
        "source_line": 1 + path.read_text().split("\n").index('  "00001": {'),
    }


def test_without_line_breaks_every_line_is_the_first(tmp_path):
    path = write_clip(tmp_path, "01/001", 2)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert read(tmp_path).rows["source_line"].to_list() == [1, 1]


def test_clips_of_one_actor_share_a_subject_and_an_empty_name_is_missing(tmp_path):
    for clip, actor in (
        ("01/001", "A"),
        ("01/002", "B"),
        ("12/600", "A"),
        ("01/003", ""),
        ("01/004", "  "),
        ("01/005", None),
    ):
        write_clip(tmp_path, clip, 1, actor=actor)
    scan = read(tmp_path)
    assert scan.rows.select("track", "subject").rows() == [
        ("001", "A"), ("002", "B"), ("003", None), ("004", None), ("005", None), ("600", "A"),
    ]  # fmt: skip
    assert "6 clips, 6 frames, 2 named actors" in scan.notes


def test_clips_directly_in_the_root_are_read(tmp_path):
    write_clip(tmp_path, "001", 1)
    write_clip(tmp_path, "02/051", 1)
    assert read(tmp_path).rows["image"].to_list() == ["001/00000.png", "02/051/00000.png"]


def test_a_clip_in_two_folders_is_a_defect(tmp_path):
    write_clip(tmp_path, "001", 1)
    write_clip(tmp_path, "01/001", 1)
    assert (
        only_defect(read(tmp_path))
        == "01/001: found clip 001 again; expected one folder for each clip (also 001); to fix: remove one of them"
    )


def test_folders_that_are_no_clips_are_noted_and_not_read(tmp_path):
    write_clip(tmp_path, "01/001", 1)
    for folder in ("01/cropped", "01/001/cropped", "landmarks"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "00000.png")
    scan = read(tmp_path)
    assert (len(scan.rows), scan.defects) == (1, ())
    assert "ignored folder(s), not named like a clip: landmarks, 01/cropped" in scan.notes


def test_the_face_box_bounds_the_landmarks(tmp_path):
    write_clip(
        tmp_path, "01/001", {"00000": entry(), "00001": entry(landmarks=[]), "00002": {"arousal": 0.0, "valence": 0.0}}
    )
    scan = read(tmp_path)
    assert scan.rows["face_box"].to_list() == [BOX, None, None]
    assert (scan.defects, any("face box" in note for note in scan.notes)) == ((), False)


@pytest.mark.parametrize("size", [(14, 58), (72, 26)])
def test_landmarks_that_do_not_fit_the_pictures_give_no_box_in_the_whole_clip(tmp_path, size):
    write_clip(tmp_path, "01/001", {"00000": entry(landmarks=[[1, 1]] * 68), "00001": entry()}, size=size)
    write_clip(tmp_path, "01/002", 1)
    scan = read(tmp_path)
    assert scan.rows["face_box"].to_list() == [None, None, BOX]
    assert "face box left empty in 1 clip(s), whose landmarks do not fit the pictures: 01/001" in scan.notes


def test_boxes_are_stretched_with_pictures_that_were_stretched_to_square_pixels(tmp_path):
    outside = [[256.0, 255.0]] * 67 + [[721, 576]]
    write_clip(tmp_path, "01/001", {"00000": entry(landmarks=[[360, 100]] * 67 + [[720, 576]])}, size=(1024, 576))
    write_clip(tmp_path, "01/002", {"00000": entry(landmarks=outside)}, size=(1024, 576))
    scan = read(tmp_path)
    assert scan.rows["face_box"].to_list() == [[512, 100, 1024, 576], None]
    assert "face box stretched from a frame 720 wide to the pictures in 1 clip(s): 01/001" in scan.notes
    assert "face box left empty in 1 clip(s), whose landmarks do not fit the pictures: 01/002" in scan.notes


def test_landmarks_fit_pictures_of_the_official_size(tmp_path):
    write_clip(tmp_path, "01/001", {"00000": entry(landmarks=[[256.0, 255.0]] * 67 + [[720, 576]])}, size=(720, 576))
    assert read(tmp_path).rows["face_box"].to_list() == [[256, 255, 720, 576]]


def test_a_picture_that_cannot_be_read_costs_the_box_only(tmp_path):
    write_clip(tmp_path, "01/001", 2)
    (tmp_path / "01/001/00000.png").write_bytes(b"no picture")
    scan = read(tmp_path)
    assert (len(scan.rows), scan.rows["face_box"].null_count(), scan.defects) == (2, 2, ())


@pytest.mark.parametrize(
    "landmarks",
    [POINTS[:67], [[1.0, 2.0, 3.0]] * 68, [["x", 1.0]] * 68, [[float("nan"), 1.0]] * 68, [[1.0], [1.0, 2.0]], "x"],
)
def test_landmarks_of_another_form_are_a_defect(tmp_path, landmarks):
    path = write_clip(tmp_path, "01/001", {"00000": entry(), "00001": entry(landmarks=landmarks)})
    line = 1 + path.read_text().split("\n").index('  "00001": {')
    assert (
        f"01/001/001.json:{line}: found landmarks of frame 00001 of another form; expected 68 pairs of numbers"
        in only_defect(read(tmp_path))
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (10.5, "'10.5'"), (11.0, "'11'"), (-11, "'-11'"), (0.3, "'0.3'"), (5.0000001, "'5.0000001'"), ("x", "'\"x\"'"),
        (True, "'true'"), (None, "'missing'"), ([5], "'[5]'"), (float("nan"), "'NaN'"), (float("inf"), "'Infinity'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["valence", "arousal"])
def test_a_label_that_is_no_whole_number_in_range_is_a_defect(tmp_path, column, value, found):
    path = write_clip(tmp_path, "01/001", {"00000": entry(), "00001": entry(**{column: value})})
    line = 1 + path.read_text().split("\n").index('  "00001": {')
    message = only_defect(read(tmp_path))
    assert message.startswith(f"01/001/001.json:{line}: found {column} = {found}; expected one of -10, -9, ")


def test_a_frame_without_a_label_is_a_defect(tmp_path):
    write_clip(tmp_path, "01/001", {"00000": {"arousal": 1.0, "landmarks": POINTS}})
    assert "found valence = 'missing'" in only_defect(read(tmp_path))


def test_an_excluded_line_is_dropped_and_counted(tmp_path):
    path = write_clip(tmp_path, "01/001", {"00000": entry(), "00001": entry(valence=99.0)})
    line = 1 + path.read_text().split("\n").index('  "00001": {')
    scan = read(tmp_path, (f"01/001/001.json:{line}",))
    assert (scan.defects, len(scan.rows), scan.lines) == ((), 1, 2)
    assert scan.failures.rows() == [("01/001/001.json", line, "01/001/00001.png", "excluded by the recipe")]


@pytest.mark.parametrize(
    ("pictures", "found"),
    [
        (
            ["00000", "00001"],
            "found no picture of frame 00002; expected one label for each picture (3 labels, 2 pictures)",
        ),
        (["00000"], "found no picture of frame 00001 and 1 more; "),
        (
            ["00000", "00001", "00002", "00003"],
            "found no label of frame 00003; expected one label for each picture (3 labels, 4 pictures)",
        ),
        ([], "found no picture of frame 00000 and 2 more; "),
    ],
)
def test_labels_that_are_not_of_exactly_the_pictures_are_a_defect(tmp_path, pictures, found):
    write_clip(tmp_path, "01/001", 3, pictures=pictures)
    message = only_defect(read(tmp_path))
    assert message.startswith(f"01/001/001.json: {found}")
    assert message.endswith("to fix: unpack the archive of the clip again")


def test_labels_of_other_frames_are_two_defects(tmp_path):
    write_clip(tmp_path, "01/001", 2, pictures=["00001", "00002"])
    assert [defect.found for defect in read(tmp_path).defects] == [
        "no label of frame 00002",
        "no picture of frame 00000",
    ]


def test_a_clip_without_a_label_file_is_a_defect(tmp_path):
    write_clip(tmp_path, "01/001", 1)
    write_clip(tmp_path, "01/002", 2).unlink()
    scan = read(tmp_path)
    assert only_defect(scan) == (
        "01/002/002.json: found no such file beside 2 picture(s); expected the labels of the clip; "
        "to fix: unpack the archive again, or remove the folder"
    )
    assert len(scan.rows) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"actor": "A",\n "frames": {',
            "01/001/001.json:2: found no JSON (Expecting property name enclosed in double quotes)",
        ),
        (
            "",
            "01/001/001.json:1: found no JSON (Expecting value); expected a JSON file; to fix: unpack the archive again",
        ),
        ("[]", "01/001/001.json:1: found no object `frames` of objects"),
        ('{"frames": {"00000": 3}}', "01/001/001.json:1: found no object `frames` of objects"),
        ('{"frames": []}', "01/001/001.json:1: found no object `frames` of objects"),
        (
            '{"frames": {"00000": {"valence": 1, "arousal": 1},\n"00000": {"valence": 2, "arousal": 1}}}',
            "01/001/001.json:2: found the key '00000' twice; expected each key once; to fix: remove one of the entries",
        ),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_a_defect_with_its_line(tmp_path, text, message):
    write_clip(tmp_path, "01/001", 1).write_text(text)
    assert message in only_defect(read(tmp_path))


def test_a_file_that_is_not_utf8_is_a_defect(tmp_path):
    write_clip(tmp_path, "01/001", 1).write_bytes(b'{"actor": "\xff"}')
    assert "01/001/001.json: found a byte that is not UTF-8 at offset 11" in str(read(tmp_path).defects[0])


def test_labels_of_another_clip_are_a_defect(tmp_path):
    write_clip(tmp_path, "01/001", 1, video_id="002")
    assert only_defect(read(tmp_path)) == (
        "01/001/001.json: found video_id = '002'; expected the clip of the folder, '001'; to fix: put the file into its own folder"
    )


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda root: None, "the folder is empty"),
        (lambda root: (root / "label.lst").touch(), "there is no clip folder such as 01/001 or 001"),
        (lambda root: (root / "01" / "001").mkdir(parents=True), "there is no clip folder such as 01/001 or 001"),
    ],
)
def test_a_wrong_root_shows_the_expected_layout(tmp_path, prepare, because):
    prepare(tmp_path)
    with pytest.raises(DatabaseNotFoundError) as caught:
        read(tmp_path)
    assert because in str(caught.value)
    assert "01/001/001.json" in str(caught.value)


def test_a_release_cannot_be_chosen():
    with pytest.raises(ValidationError, match="release"):
        AfewVaOptions(release="2017")


def test_the_demo_is_read_without_defects_and_as_it_was_drawn(tmp_path):
    placed = demo.write(tmp_path, FaceSampler(0), 80).faces
    scan = read(tmp_path)
    assert (scan.defects, len(scan.failures), len(scan.rows), len(placed)) == ((), 0, 80, 80)
    truth = {face.image: face.truth for face in placed}
    clips = sorted({face.image.split("/")[1] for face in placed})
    unnamed, unboxed = clips[demo.WITHOUT_ACTOR], clips[demo.UNFITTING_LANDMARKS]
    for row in scan.rows.iter_rows(named=True):
        face = truth[row["image"]]
        assert row["valence"] == pytest.approx(face.valence, abs=0.0501)
        assert row["arousal"] == pytest.approx(face.arousal, abs=0.0501)
        assert row["subject"] == (None if row["track"] == unnamed else face.subject)
        assert (row["face_box"] is None) == (row["track"] == unboxed)
    with Image.open(tmp_path / placed[0].image) as picture:
        assert picture.size == (120, 96)
    tracks = scan.rows.select("subject", "track").drop_nulls().unique().group_by("subject").len()
    assert tracks["len"].max() == 2


def test_the_boxes_of_the_demo_lie_in_the_pictures_and_hold_a_face(tmp_path):
    demo.write(tmp_path, FaceSampler(1), 40)
    for left, top, right, bottom in read(tmp_path).rows["face_box"].drop_nulls().to_list():
        assert 0 <= left < right <= 120
        assert 0 <= top < bottom <= 96
        assert 30 < right - left < 80


def test_the_demo_is_the_same_for_the_same_seed(tmp_path):
    for name in ("first", "second"):
        demo.write(tmp_path / name, FaceSampler(5), 14)
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*"))
        for name in ("first", "second")
    ]
    assert files[0] == files[1]
    assert all(
        (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes() for file in files[0]
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-10, 10), st.integers(-10, 10)), min_size=1, max_size=6), st.data())
def test_valid_labels_come_back_and_any_other_number_is_one_defect(tmp_path_factory, labels, data):
    root = tmp_path_factory.mktemp("afew_va")
    frames = {f"{number:05d}": entry(float(v), float(a)) for number, (v, a) in enumerate(labels)}
    path = write_clip(root, "01/001", frames)
    rows = read(root).rows
    assert rows.select("valence", "arousal").rows() == [(v / 10, a / 10) for v, a in labels]
    wrong = data.draw(
        st.one_of(
            st.integers(11),
            st.integers(max_value=-11),
            st.floats().filter(lambda x: x not in range(-10, 11)),
            st.text(),
        )
    )
    frame = data.draw(st.sampled_from(sorted(frames)))
    frames[frame]["valence"] = wrong
    path.write_text(json.dumps({"actor": "A", "frames": frames}, indent=1))
    scan = read(root)
    assert [(defect.path, defect.line) for defect in scan.defects] == [
        ("01/001/001.json", 1 + path.read_text().split("\n").index(f'  "{frame}": {{'))
    ]
