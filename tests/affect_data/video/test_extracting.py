"""Frames of one video as files: those with labels, whole folders at a time, and from the video that is there."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import number_in, write_video

from affect_data.video.clocks import FrameClock, LabelClock, RateClock
from affect_data.video.extracting import RECORD, FramesJob, FramesMade, extract


def job(video: Path, labels: range, clock: LabelClock = FrameClock(1), **options: int) -> FramesJob:  # noqa: B008
    return FramesJob(
        "one", video, video.parent / "frames" / "one", np.array(labels), clock, "{number:05d}.jpg", **options
    )


def numbers_in(folder: Path) -> dict[str, int]:
    return {file.name: number_in(np.asarray(Image.open(file))) for file in sorted(folder.glob("*.jpg"))}


def test_labels_from_one_name_the_files_and_the_tails_are_counted(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", range(20), "libx264", options={"bf": "3"})
    made = extract(job(video, range(3, 23)))
    assert made == FramesMade("one", "written", 20, written=18, labels_without_frame=2, frames_without_label=2)
    assert numbers_in(tmp_path / "frames/one") == {f"{label:05d}.jpg": label - 1 for label in range(3, 21)}


def test_labels_ten_times_a_second_get_the_frame_that_is_shown_then(tmp_path: Path) -> None:
    times = [Fraction(number * number, 300) for number in range(20)]
    video = write_video(tmp_path / "one.mp4", range(20), "libx264", times=times)
    made = extract(job(video, range(16), RateClock(Fraction(10))))
    # The last frame begins at 1.203 s, and is shown as long as the one before it, until 1.327 s.
    shown = {
        label: max(number for number, time in enumerate(times) if time <= Fraction(label, 10)) for label in range(14)
    }
    assert numbers_in(tmp_path / "frames/one") == {f"{label:05d}.jpg": number for label, number in shown.items()}
    assert (made.written, made.labels_without_frame) == (14, 2)


def test_what_is_there_is_not_written_again_unless_something_changed(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.avi", range(5))
    first = extract(job(video, range(1, 6)))
    file = tmp_path / "frames/one/00001.jpg"
    before = file.stat().st_mtime_ns
    assert extract(job(video, range(1, 6))) == FramesMade(**{**vars(first), "outcome": "there before"})
    assert file.stat().st_mtime_ns == before
    assert extract(job(video, range(1, 6), quality=50)).outcome == "written"
    assert json.loads((tmp_path / "frames/one" / RECORD).read_text())["source"]["jpeg_quality"] == 50
    write_video(video, range(7, 12))
    assert extract(job(video, range(1, 6), quality=50)).outcome == "written"
    assert numbers_in(tmp_path / "frames/one")["00001.jpg"] == 7


def test_the_files_have_the_quality_that_is_recorded(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.avi", range(2))
    extract(job(video, range(1, 3)))
    own = Image.open(tmp_path / "frames/one/00001.jpg")
    buffer = io.BytesIO()
    own.save(buffer, "JPEG", quality=95)
    assert own.quantization == Image.open(buffer).quantization


def test_files_of_another_program_stay_as_they_are(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.avi", range(5))
    (tmp_path / "frames/one").mkdir(parents=True)
    (tmp_path / "frames/one/00001.jpg").write_bytes(b"mine")
    assert extract(job(video, range(1, 6))) == FramesMade("one", "not ours")
    assert [file.name for file in (tmp_path / "frames/one").iterdir()] == ["00001.jpg"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "the file is empty"), (b"no video at all" * 100, "it is no video in a container that is read")],
)
def test_a_file_that_is_no_video_is_a_problem_and_leaves_no_folder(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "one.avi").write_bytes(content)
    made = extract(job(tmp_path / "one.avi", range(1, 6)))
    assert (made.outcome, made.labels_without_frame) == ("refused", 5)
    assert made.problem.startswith(problem)
    assert not (tmp_path / "frames/one").exists()


def test_frames_behind_damage_are_not_written(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mkv", range(60), "ffv1")
    data = video.read_bytes()
    middle = len(data) // 2
    video.write_bytes(data[:middle] + bytes(300) + data[middle + 300 :])
    made = extract(job(video, range(1, 61)))
    found = numbers_in(tmp_path / "frames/one")
    assert "frames are missing behind frame" in made.problem
    assert 0 < made.written == len(found) < 60
    assert made.written + made.labels_without_frame == 60
    assert all(number in (int(name[:5]) - 1, -1) for name, number in found.items())


def test_turned_videos_give_upright_files(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", range(3), "libx264", rotation=90)
    extract(job(video, range(1, 4)))
    assert numbers_in(tmp_path / "frames/one") == {"00001.jpg": 0, "00002.jpg": 1, "00003.jpg": 2}
