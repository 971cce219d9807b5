"""Damaged videos: no frame keeps a number that is not its own."""

from pathlib import Path

import numpy as np
import pytest
from videos import number_in, write_video

from affect_data.video.completeness import Decoded, Judgement, judge
from affect_data.video.decoding import Video, VideoError

FRAMES = 60
KEYS = {"bf": "2", "x264-params": "keyint=10"}


def judged(path: Path) -> tuple[list[int], Judgement]:
    """The numbers in the pictures, and what is made of them."""
    numbers: list[int] = []
    seconds: list[float] = []
    broken = ""
    with Video(path) as video:
        try:
            for frame in video.frames():
                numbers.append(number_in(frame.pixels))
                seconds.append(frame.timestamp)
        except VideoError as error:
            broken = error.because
        return numbers, judge(Decoded(path, video.container, np.array(seconds), video.declared, video.duration, broken))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "mpeg4"), ("b.avi", "mjpeg"), ("c.mp4", "libx264"), ("d.mkv", "libx264"), ("e.ts", "libx264"), ("f.mkv", "ffv1"),
    ],
)  # fmt: skip
def test_behind_damage_no_frame_is_certain_that_has_moved_up(name: str, codec: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, range(FRAMES), codec, options=KEYS if codec == "libx264" else None)
    whole = path.read_bytes()
    assert judged(path) == (list(range(FRAMES)), Judgement(FRAMES))
    for place in (0.3, 0.5, 0.8):
        for size in (50, 400, 1500):
            start = int(len(whole) * place)
            path.write_bytes(whole[:start] + b"\x5a" * size + whole[start + size :])
            try:
                numbers, judgement = judged(path)
            except VideoError:
                continue
            # A picture that the decoder could only guess carries no number; every other one carries its own.
            moved = [
                n for n in range(judgement.certain) if numbers[n] not in (n, -1) and n - numbers[n] not in range(11)
            ]
            assert moved == [], (place, size, judgement)
            assert judgement.certain == FRAMES or judgement.problem


@pytest.mark.parametrize("name", ["cut.avi", "cut.mkv", "cut.ts"])
def test_a_video_without_its_end_keeps_its_beginning(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, range(FRAMES), "libx264", options={"bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])
    numbers, judgement = judged(path)
    assert numbers == list(range(len(numbers)))
    assert 10 < judgement.certain == len(numbers) < FRAMES


def decoded(
    seconds: list[float], *, declared: int = 0, duration: float = 0, container: str = "matroska,webm"
) -> Decoded:
    return Decoded(Path("x"), container, np.array(seconds), declared, duration, "")


def test_a_gap_in_a_steady_rate_ends_what_is_certain() -> None:
    steady = [number / 25 for number in range(100)]
    assert judge(decoded(steady)) == Judgement(100)
    gap = judge(decoded(steady[:40] + steady[43:]))
    assert gap == Judgement(40, "about 3 frames are missing behind frame 39, so that the numbers after it are unknown")
    # The container promises no more, so that nothing is missing: the camera paused.
    assert judge(decoded(steady[:40] + steady[43:], declared=97)) == Judgement(97)


def test_a_container_that_counts_no_frames_promises_a_duration() -> None:
    steady = [number / 25 for number in range(90)]
    assert judge(decoded(steady, duration=3.68)) == Judgement(90)
    short = judge(decoded(steady, duration=4.0))
    assert short == Judgement(
        90, "the container promises 4.00 seconds, the last picture ends at 3.60: its end is missing"
    )


def test_a_variable_rate_has_no_gaps() -> None:
    seconds = list(np.cumsum([0.02, 0.05, 0.1, 0.03, 0.2] * 20))
    assert judge(decoded(seconds)) == Judgement(100)


def test_an_avi_that_lacks_frames_is_certain_only_where_its_order_shows_them() -> None:
    steady = [number / 25 for number in range(100)]
    dropped = judge(decoded(steady[:40] + steady[43:], declared=100, container="avi"))
    assert (dropped.certain, "dropped when it was recorded" in dropped.problem) == (97, True)


def test_an_avi_that_lacks_frames_and_does_not_show_where_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.avi"
    path.write_bytes(b"RIFF" + (4).to_bytes(4, "little") + b"AVI ")
    found = judge(Decoded(path, "avi", np.arange(90) / 25, 100, 4.0, ""))
    assert found == Judgement(
        0, "the container promises 100 frames, 90 can be decoded, and nothing tells which are missing"
    )
    path.write_bytes(b"RIFF" + (4000).to_bytes(4, "little") + b"AVI ")
    assert judge(Decoded(path, "avi", np.arange(90) / 25, 100, 4.0, "")).certain == 90
