"""Progress of clips that promise too few frames, too many, or none: what is done is never more than all."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import write_video

from affect_data.video.decoding import Video
from affect_train.predicting.progress import PicturesDone


def told(expected: dict[str, int], *steps: tuple[str, int] | str) -> list[tuple[int, int | None]]:
    said: list[tuple[int, int | None]] = []
    done = PicturesDone(expected, lambda *numbers: said.append(numbers))
    for step in steps:
        done.finish(step) if isinstance(step, str) else done.add(*step)
    return said


def test_a_total_grows_with_a_clip_that_is_longer_than_it_promised() -> None:
    said = told({"a": 20, "b": 5}, ("a", 16), ("a", 16), ("a", 16), "a", ("b", 5), "b")
    assert said == [(16, 25), (32, 38), (48, 54), (48, 53), (53, 54), (53, 53)]
    assert all(total is not None and done <= total for done, total in said)


def test_a_total_shrinks_with_a_clip_that_is_cut_off_or_cannot_be_opened() -> None:
    assert told({"a": 100, "b": 1, "c": 1}, ("a", 16), "a", "b", ("c", 1), "c")[-1] == (17, 17)


def test_a_total_is_unknown_until_the_clips_that_say_nothing_are_done() -> None:
    assert told({"a": 0, "b": 5}, ("a", 16), "a", ("b", 5), "b") == [(16, None), (16, 21), (21, 22), (21, 21)]


@pytest.mark.parametrize(("ending", "sound"), [(".mkv", False), (".mkv", True), (".mp4", True), (".avi", False)])
def test_the_length_of_a_clip_is_known_from_its_frames_or_its_duration(
    tmp_path: Path, ending: str, sound: bool
) -> None:
    path = write_video(tmp_path / f"clip{ending}", range(50), rate=25)
    if sound:
        path = with_sound(path, tmp_path / f"sound{ending}")
    with Video(path) as video:
        assert (video.declared, video.expected) == (0 if ending == ".mkv" else 50, pytest.approx(50, abs=4))


def with_sound(source: Path, target: Path) -> Path:
    """The video with two seconds of silence."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        pictures = output.add_stream_from_template(given.streams.video[0])
        voice = output.add_stream("aac", rate=16_000)
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                output.mux(packet)
        for start in range(0, 32_000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            output.mux(voice.encode(frame))
        output.mux(voice.encode(None))
    return target
