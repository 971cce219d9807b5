"""Extracting frames: whose numbers are right, and how many frames a second.

    python benchmarks/frames.py                   # all tables
    python benchmarks/frames.py --part exactness  # numbers drawn into frames, read back in order and by seeks
    python benchmarks/frames.py --part decoders   # decoding alone: frames a second, processor time, memory
    python benchmarks/frames.py --part speed      # `affect-data frames`, the ffmpeg program and OpenCV over the same videos
    python benchmarks/frames.py --smoke

Every program writes all frames of the same videos as JPEG files of the same quality: ffmpeg's scale of quality is its own, so the step is taken
whose files are nearest in their distance from the decoded picture. `frames` is the whole command, with its start, its checks and the wait for the
disk. Times are wall clock and processor time, medians over rounds in which the programs take turns. Programs whose packages are not installed are
left out: ffmpeg comes with imageio-ffmpeg.
"""

import argparse
import importlib.metadata
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).resolve().parent.parent),
    str(Path(__file__).resolve().parent.parent / "tests/support"),
]

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import numpy as np  # noqa: E402
import simplejpeg  # noqa: E402
from common import REPOSITORY, machine  # noqa: E402
from videos import number_in, write_video  # noqa: E402

from affect_data.databases.disfa.reader import Disfa  # noqa: E402
from affect_data.demo.sampler import FaceSampler  # noqa: E402
from affect_data.video.decoding import Video  # noqa: E402
from affect_data.video.extracting import QUALITY  # noqa: E402

WIDTH, HEIGHT = 1024, 768
SEEKS = 20
FRAMES = 60

OPEN_GOP = {"bf": "3", "x264-params": "keyint=15:min-keyint=5:b-pyramid=normal:open-gop=1"}
VARIABLE = [Fraction(number * 24 + 7 * (number % 3), 600) for number in range(FRAMES)]
KINDS: Mapping[str, Mapping[str, Any]] = {
    "MPEG-4 in AVI": {"name": "a.avi", "codec": "mpeg4"},
    "MPEG-4 with B-frames in AVI": {"name": "b.avi", "codec": "mpeg4", "options": {"bf": "2"}},
    "H.264, B-frames, open groups, in MP4": {"name": "c.mp4", "codec": "libx264", "options": OPEN_GOP},
    "the same in AVI": {"name": "d.avi", "codec": "libx264", "options": OPEN_GOP},
    "the same in a transport stream": {"name": "e.ts", "codec": "libx264", "options": OPEN_GOP},
    "H.264, intra refresh, in MP4": {"name": "f.mp4", "codec": "libx264", "options": {"x264-params": "intra-refresh=1:keyint=20"}},
    "H.264, variable rate, in MP4": {"name": "g.mp4", "codec": "libx264", "options": {"bf": "3"}, "times": VARIABLE},
    "VP9 in WebM": {"name": "h.webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime"}},
    "MPEG-2 in a program stream": {"name": "i.mpg", "codec": "mpeg2video", "options": {"bf": "2"}},
    "Motion JPEG in AVI": {"name": "j.avi", "codec": "mjpeg"},
    "H.264, turned by 90 degrees": {"name": "k.mp4", "codec": "libx264", "rotation": 90},
}  # fmt: skip

Read = Callable[[Path, Sequence[int]], tuple[list[int], list[int]]]
"""The numbers of all frames in order, and of some frames by seeks, of a video."""


# ---------------------------------------------------------------- exactness


def read_with_ours(path: Path, seeks: Sequence[int]) -> tuple[list[int], list[int]]:
    with Video(path) as video:
        return [number_in(f.pixels) for f in video.frames()], [number_in(video.frame(n).pixels) for n in seeks]


def read_with_opencv(path: Path, seeks: Sequence[int]) -> tuple[list[int], list[int]]:
    import cv2

    capture = cv2.VideoCapture(str(path))
    ordered = []
    while (read := capture.read())[0]:
        ordered.append(number_in(read[1]))
    capture = cv2.VideoCapture(str(path))
    found = []
    for number in seeks:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, picture = capture.read()
        found.append(number_in(picture) if good else -1)
    return ordered, found


def read_with_torchcodec(path: Path, seeks: Sequence[int]) -> tuple[list[int], list[int]]:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), dimension_order="NHWC")
    return [number_in(f.numpy()) for f in decoder], [number_in(decoder[n].numpy()) for n in seeks]


def read_with_pyav_alone(path: Path, seeks: Sequence[int]) -> tuple[list[int], list[int]]:
    """As its documentation says: a seek to the time that the number has at the average rate, then the first frame at or behind it."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        ordered = [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for number in seeks:
            stamp = round(number / stream.average_rate / stream.time_base) + (stream.start_time or 0)
            container.seek(stamp, stream=stream)
            frames = (f for f in container.decode(stream) if f.pts is not None and f.pts >= stamp)
            frame = next(frames, None)
            found.append(-1 if frame is None else number_in(frame.to_ndarray(format="rgb24")))
    return ordered, found


def exactness(kinds: Mapping[str, Mapping[str, Any]]) -> None:
    readers: dict[str, Read] = {"affectkit": read_with_ours, "PyAV alone": read_with_pyav_alone}
    if find_spec("cv2"):
        readers["OpenCV"] = read_with_opencv
    if torchcodec_loads():
        readers["torchcodec"] = read_with_torchcodec
    seeks = np.random.default_rng(0).permutation(FRAMES)[:SEEKS].tolist()
    print(f"Wrong frames of {FRAMES} in order / of {SEEKS} seeks:\n")
    print("| | " + " | ".join(readers) + " |")
    print("|---|" + "---|" * len(readers))
    with tempfile.TemporaryDirectory() as folder:
        for kind, options in kinds.items():
            settings = {key: value for key, value in options.items() if key != "name"}
            path = write_video(Path(folder) / options["name"], range(FRAMES), **settings)
            print(f"| {kind} | " + " | ".join(wrong(read, path, seeks) for read in readers.values()) + " |", flush=True)
    print()
    for package in ("av", "torchcodec", "opencv-python"):
        if find_spec({"opencv-python": "cv2"}.get(package, package)):
            print(f"{package} {importlib.metadata.version(package)}: {installed_megabytes(package):.0f} MB installed")


def wrong(read: Read, path: Path, seeks: Sequence[int]) -> str:
    try:
        ordered, found = read(path, seeks)
    except Exception as error:  # whatever a peer raises is its result
        return type(error).__name__
    missed = sum(number != place for place, number in enumerate(ordered)) + abs(FRAMES - len(ordered))
    return f"{missed} / {sum(number != place for place, number in zip(seeks, found, strict=True))}"


def installed_megabytes(package: str) -> float:
    files = importlib.metadata.files(package) or []
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file()) / 1e6


# ---------------------------------------------------------------- decoding alone


def decode(reader: str, path: Path) -> None:
    """Decodes a video with one thread to RGB and prints frames a second, processor milliseconds a frame, and the peak of memory in MB."""
    if reader == "affectkit":
        video = Video(path, threads=1)
        frames: Any = video.frames()
    elif reader == "OpenCV":
        import cv2

        cv2.setNumThreads(1)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        frames = (read[1] for read in iter(capture.read, (False, None)))
    else:
        from torchcodec.decoders import VideoDecoder

        frames = iter(VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1))
    next(frames)
    wall, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in frames)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # The system's peak of this program alone: that of `resource` begins with the parent's.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(count / wall, 1000 * cpu / count, int(peak.split()[1]) / 1000)


def decoders(frames: int, rounds: int) -> None:
    names = ["affectkit", *(["OpenCV"] if find_spec("cv2") else []), *(["torchcodec"] if torchcodec_loads() else [])]
    with tempfile.TemporaryDirectory() as name:
        (path,) = write_root(Path(name), 1, frames)
        found: dict[str, list[list[float]]] = {reader: [] for reader in names}
        for turn in range(rounds):
            for reader in names[:: 1 if turn % 2 == 0 else -1]:
                command = [sys.executable, __file__, "--decode", reader, str(path)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                found[reader].append([float(value) for value in run.stdout.split()[-3:]])
    print(
        f"\nDecoding {frames} frames of {WIDTH} x {HEIGHT} to RGB, one thread, medians of {rounds} processes ({machine().split(', ')[1]})\n"
    )
    print("| | frames a second | processor ms a frame | MB at the peak |\n|---|---|---|---|")
    for reader, results in found.items():
        rate, cpu, memory = (statistics.median(values) for values in zip(*results, strict=True))
        print(f"| {reader} | {rate:.0f} | {cpu:.2f} | {memory:.0f} |")


def torchcodec_loads() -> bool:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        print(f"torchcodec does not load here: {str(error).splitlines()[0]}\n")
        return False
    return True


# ---------------------------------------------------------------- speed


def write_root(root: Path, videos: int, frames: int) -> list[Path]:
    """A folder of DISFA: drawn faces that drift over a structured background, with a sensor's noise."""
    rng = np.random.default_rng(0)
    faces = [np.asarray(face.draw(384)) for face in FaceSampler(0).video(12, "one")]
    background = np.kron(rng.integers(60, 190, (24, 32, 3)), np.ones((32, 32, 1))).astype(np.float32)
    grain = [rng.normal(0, 3, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(8)]
    pictures = []
    for frame in range(frames):
        picture = background.copy()
        left, top = 300 + 2 * (frame % 60), 180 + frame % 40
        picture[top : top + 384, left : left + 384] = faces[frame // 4 % 12]
        pictures.append((picture + grain[frame % 8]).clip(0, 255).astype(np.uint8))
    files = [root / f"Videos_LeftCamera/LeftVideoSN{number:03d}_comp.avi" for number in range(1, videos + 1)]
    encode(files[0], pictures)
    for file in files[1:]:
        shutil.copy(files[0], file)
    for number in range(1, videos + 1):
        folder = root / f"ActionUnit_Labels/SN{number:03d}"
        folder.mkdir(parents=True)
        for unit in Disfa.action_units:
            labels = "".join(f"{frame},0\n" for frame in range(1, frames + 1))
            (folder / f"SN{number:03d}_au{unit}.txt").write_text(labels)
    return files


def encode(path: Path, pictures: Sequence[np.ndarray]) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=20, options={"qscale": "4", "flags": "+qscale"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 12_000_000
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))


def noise_ratio(files: Sequence[Path], video: Path) -> float:
    """Decibels by which a video's pictures exceed the error of some of its JPEG files."""
    errors = []
    with Video(video) as source:
        for frame in source.frames(0, len(files)):
            decoded = simplejpeg.decode_jpeg(files[frame.number].read_bytes())
            errors.append(float(np.square(decoded.astype(np.float32) - frame.pixels).mean()))
    return float(10 * np.log10(255**2 / np.mean(errors)))


def ffmpeg_command(video: Path, out: Path, step: int) -> list[str]:
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    out.mkdir(parents=True, exist_ok=True)
    passed = ["-fps_mode", "passthrough", "-start_number", "1", "-qmin", "1", "-q:v", str(step)]
    return [program, "-loglevel", "error", "-y", "-i", str(video), *passed, str(out / "%05d.jpg")]


OPENCV = """
import sys, cv2
from pathlib import Path
out, *videos = sys.argv[1:]
for video in videos:
    folder = Path(out) / Path(video).stem
    folder.mkdir(parents=True)
    capture, number = cv2.VideoCapture(video), 0
    while True:
        good, picture = capture.read()
        if not good:
            break
        number += 1
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
""".replace("QUALITY]", f"{QUALITY}]")


def nearest_step(video: Path, wanted: float, folder: Path) -> int:
    """The step of ffmpeg's quality whose files are nearest to a distance in decibels."""
    found = {}
    for step in (1, 2, 3, 4):
        out = folder / f"step{step}"
        subprocess.run([*ffmpeg_command(video, out, step)[:-1], "-frames:v", "8", str(out / "%05d.jpg")], check=True)
        found[step] = noise_ratio(sorted(out.glob("*.jpg")), video)
    print("ffmpeg's quality, dB: " + ", ".join(f"-q:v {step} {ratio:.2f}" for step, ratio in found.items()))
    return min(found, key=lambda step: abs(found[step] - wanted))


def seconds_of(commands: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Wall and processor seconds of commands one after the other."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def speed(videos: int, frames: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_root(folder / "disfa", videos, frames)
        ours = [sys.executable, "-m", "affect_data", "frames", "disfa", "--root", f"disfa={folder / 'disfa'}"]
        images = folder / "disfa/Images"
        programs: dict[str, tuple[list[list[str]], Path]] = {
            f"affect-data frames --workers {workers}": ([[*ours, "--workers", str(workers)]], images)
            for workers in (1, 2)
        }
        seconds_of(programs["affect-data frames --workers 1"][0])
        first = sorted((images / "SN001").glob("*.jpg"))
        written = {"affect-data frames": (noise_ratio(first[:8], files[0]), size_of(first))}
        shutil.rmtree(images)
        if find_spec("imageio_ffmpeg"):
            step = nearest_step(files[0], written["affect-data frames"][0], folder)
            out = folder / "ffmpeg"
            programs[f"ffmpeg -q:v {step}"] = ([ffmpeg_command(v, out / v.stem, step) for v in files], out)
        if find_spec("cv2"):
            out = folder / "opencv"
            programs["cv2.VideoCapture and imwrite"] = (
                [[sys.executable, "-c", OPENCV, str(out), *map(str, files)]],
                out,
            )
        taken: dict[str, list[tuple[float, float]]] = {program: [] for program in programs}
        for turn in range(rounds):
            for program in list(programs)[:: 1 if turn % 2 == 0 else -1]:
                commands, out = programs[program]
                shutil.rmtree(out, ignore_errors=True)
                for command in commands:
                    if "ffmpeg" in Path(command[0]).name:
                        Path(command[-1]).parent.mkdir(parents=True, exist_ok=True)
                taken[program].append(seconds_of(commands))
                found = sorted(out.rglob("*.jpg"))
                assert len(found) == videos * frames, (program, len(found))
                if not program.startswith("affect-data"):
                    written[program] = (noise_ratio(found[:8], files[0]), size_of(found))
        print_speed(
            taken, written, videos * frames, f"{videos} videos of {frames} frames, {WIDTH} x {HEIGHT}, MPEG-4 in AVI"
        )


def size_of(files: Sequence[Path]) -> float:
    """Kilobytes a file."""
    return sum(file.stat().st_size for file in files) / len(files) / 1000


def print_speed(
    taken: Mapping[str, Sequence[tuple[float, float]]],
    written: Mapping[str, tuple[float, float]],
    count: int,
    what: str,
) -> None:
    print(
        f"\n{what}; medians of {len(next(iter(taken.values())))} rounds, {os.cpu_count()} cores ({machine().split(', ')[1]})\n"
    )
    print("| | frames a second | processor ms a frame | against ffmpeg, wall | processor | dB | KB a file |")
    print("|---|---|---|---|---|---|---|")
    peer = next((program for program in taken if program.startswith("ffmpeg")), None)
    for program, rounds in taken.items():
        wall, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
        ratios = ["", ""]
        if peer is not None:
            ratios = [
                f"{statistics.median(theirs[place] / own[place] for own, theirs in zip(rounds, taken[peer], strict=True)):.2f}"
                for place in (0, 1)
            ]
        quality, size = written.get(program) or written["affect-data frames"]
        print(
            f"| {program} | {count / wall:.0f} | {1000 * cpu / count:.2f} | {ratios[0]} | {ratios[1]} | {quality:.2f} | {size:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["exactness", "decoders", "speed"])
    parser.add_argument("--decode", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    if arguments.decode:
        decode(arguments.decode[0], Path(arguments.decode[1]))
        return
    if arguments.smoke:
        exactness(dict(list(KINDS.items())[:2]))
        return
    if arguments.part in (None, "exactness"):
        exactness(KINDS)
    if arguments.part in (None, "decoders"):
        decoders(arguments.frames, arguments.rounds)
    if arguments.part in (None, "speed"):
        speed(arguments.videos, arguments.frames, arguments.rounds)


if __name__ == "__main__":
    main()
