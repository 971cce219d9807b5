"""Videos: every frame's number is drawn into its picture and read back."""

import random
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from videos import HEIGHT, WIDTH, number_in, write_video

from affect_data.video.decoding import Video, VideoError

FRAMES = 60
RANDOM = random.Random(20)
VARIABLE = [Fraction(0)]
while len(VARIABLE) < FRAMES:
    VARIABLE.append(VARIABLE[-1] + Fraction(RANDOM.choice((20, 24, 30, 60)), 600))

OPEN_GOP = {"bf": "3", "x264-params": "keyint=15:min-keyint=5:b-pyramid=normal:open-gop=1"}
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=20"}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4_b_frames.mp4": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264_open_gop.mp4": {"codec": "libx264", "options": OPEN_GOP},
    "h264_open_gop.mkv": {"codec": "libx264", "options": OPEN_GOP},
    "h264_open_gop.avi": {"codec": "libx264", "options": OPEN_GOP},
    "h264_open_gop.ts": {"codec": "libx264", "options": OPEN_GOP},
    "h264_refresh.mp4": {"codec": "libx264", "options": INTRA_REFRESH},
    "h264_without_times.h264": {"codec": "libx264", "options": {"bf": "3"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg"},
    "wmv2.wmv": {"codec": "wmv2"},
    "flv.flv": {"codec": "flv"},
    "ffv1.mkv": {"codec": "ffv1"},
    "variable_h264.mp4": {"codec": "libx264", "options": {"bf": "3"}, "times": VARIABLE},
    "variable_vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}, "times": VARIABLE},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_number_is_read_back_in_order_and_by_seeks(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, range(FRAMES), **KINDS[name])
    with Video(path) as video:
        frames = list(video.frames())
        assert [number_in(frame.pixels) for frame in frames] == list(range(FRAMES))
        assert [frame.number for frame in frames] == list(range(FRAMES))
        assert video.count == FRAMES
        assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)
        times = [float(time) for time in KINDS[name].get("times") or [Fraction(number, 25) for number in range(FRAMES)]]
        assert np.abs(video.times.seconds - times).max() <= 0.001
        assert [frame.timestamp for frame in frames] == pytest.approx(list(video.times.seconds), abs=1e-9)
        for number in random.Random(3).sample(range(FRAMES), 15):
            # Bit for bit as in order: a seek that began with a broken picture would differ.
            assert np.array_equal(video.frame(number).pixels, frames[number].pixels)
            assert video.at(float(video.times.seconds[number]) + 0.009).number == number
        assert [frame.number for frame in video.frames(7, 10)] == [7, 8, 9]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_turned_as_the_video_says(degrees: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "turned.mp4", range(3), "libx264", rotation=degrees)
    with Video(path) as video:
        assert (video.width, video.height, video.rotation) == (WIDTH, HEIGHT, degrees)
        assert [number_in(frame.pixels) for frame in video.frames()] == [0, 1, 2]


def test_a_video_that_was_cut_off_gives_what_is_left_and_knows_what_was_promised(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", range(FRAMES), "mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])
    numbers: list[int] = []
    with Video(path) as video, pytest.raises(VideoError, match=r"frame \d+ is cut off") as error:
        numbers.extend(number_in(frame.pixels) for frame in video.frames())
    assert numbers == list(range(error.value.frame))
    assert 0 < error.value.frame == video.count < FRAMES == video.declared


def test_decoding_stops_at_a_damaged_frame_and_says_which(tmp_path: Path) -> None:
    path = write_video(tmp_path / "damaged.avi", range(FRAMES), "mjpeg")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    good: list[int] = []
    with (
        Video(path) as video,
        pytest.raises(VideoError, match=r"damaged.avi' cannot be decoded: frame \d+ is damaged") as error,
    ):
        good.extend(number_in(frame.pixels) for frame in video.frames())
    assert good == list(range(error.value.frame))
    assert 0 < len(good) < FRAMES


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "the file is empty"),
        (b"not a video" * 500, "it is no video"),
        (b"#EXTM3U\nhttps://example.org/a.ts\n", "it is no video"),
    ],
)
def test_a_file_that_is_no_video_is_refused_with_its_name(content: bytes, because: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=f"clip.mp4' cannot be decoded: {because}.*Copy it from its source again"):
        Video(path)


def test_a_codec_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", range(5))
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZ99"))
    with pytest.raises(VideoError, match=r"clip.avi' .*PyAV has no decoder for its codec. Convert it to H.264 in MP4"):
        Video(path)


@pytest.mark.parametrize(("name", "because"), [("clip.avi", "it has no frame"), ("clip.mp4", "no stream of pictures")])
def test_a_video_without_a_frame_is_named(name: str, because: str, tmp_path: Path) -> None:
    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=f"{name}' cannot be decoded: .*{because}"):
        Video(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "voice.mp4"), "w") as output:
        voice = output.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        output.mux(voice.encode(frame))
        output.mux(voice.encode(None))
    with pytest.raises(VideoError, match=r"voice.mp4' cannot be decoded: it holds no stream of pictures"):
        Video(tmp_path / "voice.mp4")


def test_a_frame_beyond_the_end_is_an_error_that_counts(tmp_path: Path) -> None:
    with (
        Video(write_video(tmp_path / "short.mp4", range(5))) as video,
        pytest.raises(VideoError, match="frame 5 was asked for, there are 5"),
    ):
        video.frame(5)
