"""The demo's video: every frame comes back from a real decoder, in order, as it was drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affect_data.demo.clip import write_clip
from affect_data.demo.disfa import FRAMES_A_SECOND, HEIGHT, WIDTH

pytest.importorskip("av", reason="PyAV decodes the video")

from affect_data.video.decoding import Video


def test_every_frame_comes_back_in_its_place(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (30, 3))
    frames = [Image.new("RGB", (64, 48), tuple(map(int, colour))) for colour in colours]
    write_clip(tmp_path / "clip.avi", frames, rate=20)
    with Video(tmp_path / "clip.avi") as video:
        assert (video.count, video.rate, video.width, video.height) == (30, 20, 64, 48)
        for number, frame in enumerate(video.frames()):
            assert frame.number == number
            assert frame.timestamp == pytest.approx(number / 20)
            assert np.abs(frame.pixels.mean(axis=(0, 1)) - colours[number]).max() < 3
        assert np.abs(video.frame(17).pixels[0, 0].astype(int) - colours[17]).max() <= 4


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (1, 99)]
    for name in ("one.avi", "two.avi"):
        write_clip(tmp_path / name, frames)
    assert (tmp_path / "one.avi").read_bytes() == (tmp_path / "two.avi").read_bytes()


def test_disfas_first_subject_has_its_video_beside_the_frames(demo_world: Path) -> None:
    (clip,) = (demo_world / "disfa").rglob("*.avi")
    frames = sorted((demo_world / "disfa" / "Images" / "SN001").glob("*.jpg"))
    assert clip.relative_to(demo_world / "disfa").as_posix() == "Videos_LeftCamera/LeftVideoSN001_comp.avi"
    with Video(clip) as video:
        assert (video.count, video.rate, video.width, video.height) == (len(frames), FRAMES_A_SECOND, WIDTH, HEIGHT)
        for frame, path in zip(video.frames(), frames, strict=True):
            assert np.abs(frame.pixels.astype(int) - np.asarray(Image.open(path))).mean() < 2
