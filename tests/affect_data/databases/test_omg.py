"""OMG-Emotion: a row an utterance, arousal before valence, lines that name nothing, and frames out of videos of one name."""

from pathlib import Path

import pytest
from videos import write_video

from affect_data.databases.base import Scan
from affect_data.databases.extraction import extract_frames
from affect_data.databases.omg import COLUMNS, LISTS, NO_CLASS, NO_UTTERANCE, Omg, OmgOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

UTTERANCE = "https://youtu.be/x,1.0,2.0,abc_1,utterance_1.mp4,0.25,-0.5,3"


def write(root: Path, *train: str, validation: tuple[str, ...] = (), header: str = ",".join(COLUMNS)) -> Path:
    """The lists, and two frames of utterances 1 and 2 of the training video abc_1."""
    for split, lines in (("train", train), ("validation", validation), ("test", ())):
        (root / LISTS[split]).write_text("\n".join([header, *lines]) + "\n")
    for utterance in ("utterance_1", "utterance_2"):
        folder = root / "frames/train/abc_1" / utterance
        folder.mkdir(parents=True)
        for number in (9, 10):
            (folder / f"{number:05d}.jpg").touch()
    return root


def read(root: Path, **options: object) -> Scan:
    return Omg(OmgOptions.model_validate(options)).read(DatabaseRoot(root))


def test_arousal_comes_first_and_is_as_in_the_file_unless_the_recipe_rescales_it(tmp_path: Path) -> None:
    root = write(tmp_path, UTTERANCE)
    (row,) = read(root).rows.iter_rows(named=True)
    assert (row["arousal"], row["valence"], row["expression"], row["split"]) == (0.25, -0.5, "happiness", "train")
    assert (row["subject"], row["track"], row["source_line"]) == ("abc_1", "abc_1/utterance_1.mp4", 2)
    assert row["clip_frames"] == [f"frames/train/abc_1/utterance_1/000{n}.jpg" for n in ("09", "10")]
    assert read(root, arousal="rescaled").rows["arousal"].to_list() == [-0.5]


def test_a_line_without_an_utterance_fails_and_one_without_a_class_keeps_its_valence(tmp_path: Path) -> None:
    scan = read(write(tmp_path, ",,,,,0.2198,0.3667,", UTTERANCE.removesuffix("3")))
    assert scan.defects == ()
    assert scan.failures.select("source_line", "reason").rows() == [(2, NO_UTTERANCE)]
    assert scan.rows.select("expression", "expression_masked", "valence").rows() == [(None, NO_CLASS, -0.5)]
    assert scan.counts["train utterances"] == 2


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (",3", ",7", "EmotionMaxVote = '7'"),
        ("0.25", "-0.25", "arousal = '-0.25'"),
        ("-0.5", "-1.5", "valence = '-1.5'"),
        ("2.0", "0.5", "start = 1.0 and end = 0.5"),
        ("utterance_1.mp4", "../x.mp4", "video = 'abc_1', utterance = '../x.mp4'"),
        ("abc_1", "", "video = '', utterance = 'utterance_1.mp4'"),
    ],
)
def test_what_contradicts_the_documentation_is_a_defect_with_its_line(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    root = write(tmp_path, UTTERANCE.replace("_1.mp4", "_2.mp4"), UTTERANCE.replace(old, new))
    assert [(d.path, d.line, d.found) for d in read(root).defects] == [(LISTS["train"], 3, found)]


def test_an_utterance_twice_and_another_header_are_defects_and_a_missing_list_is_a_loss(tmp_path: Path) -> None:
    (defect,) = read(
        write(tmp_path / "a", UTTERANCE, UTTERANCE) if (tmp_path / "a").mkdir() is None else tmp_path
    ).defects
    assert defect.found == "utterance utterance_1.mp4 of abc_1 again (first in line 2)"
    (tmp_path / "b").mkdir()
    swapped = ",".join(COLUMNS).replace("arousal,valence", "valence,arousal")
    root = write(tmp_path / "b", UTTERANCE, header=swapped)
    assert [(d.line, d.found.startswith("the header")) for d in read(root).defects] == [(1, True)] * 3
    (root / LISTS["test"]).unlink()
    assert read(root).losses == ("no list of the test utterances (omg_TestVideos_WithLabels.csv)",)


def test_frames_of_two_videos_whose_utterances_have_one_name_are_told_apart(tmp_path: Path) -> None:
    lines = [f"x,0.0,0.4,{video},utterance_1.mp4,0.5,0.5,4" for video in ("abc_1", "xyz_1", "gone_1")]
    root = write(tmp_path, *lines[:2], validation=(lines[2],))
    for folder in sorted((root / "frames").rglob("*"), reverse=True):
        folder.rmdir() if folder.is_dir() else folder.unlink()
    (root / "frames").rmdir()
    for video, numbers in (("abc_1", range(20)), ("xyz_1", range(100, 120))):
        (root / "train" / video).mkdir(parents=True)
        write_video(root / "train" / video / "utterance_1.mp4", numbers, rate=25)
    with pytest.raises(DatabaseNotFoundError, match=r"2 video\(s\).*Extract them: `affect-data frames omg"):
        read(root)
    report = extract_frames(Omg(), DatabaseRoot(root))
    assert (report.total("written"), report.without_video) == (6, {"validation/gone_1/utterance_1": 3})
    scan = read(root)
    assert scan.rows["clip_frames"].list.len().to_list() == [3, 3]
    first, other = ((root / frames[1]).read_bytes() for frames in scan.rows["clip_frames"].to_list())
    assert first != other


def test_a_folder_without_a_list_is_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no omg_TrainVideos\.csv"):
        read(tmp_path)
