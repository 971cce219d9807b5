"""What the benchmarks share: variants in processes of their own, measured in turn, and the tables of their ratios.

A variant is prepared once in a fresh process, which shows its output before anything is timed. Then every round measures each variant once, so that
other work on the machine affects all of them alike.
"""

import gc
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


class NotInstalledError(Exception):
    """A variant's package is missing."""


@dataclass
class Variant:
    """One way to do the work, in a process that waits for its turn.

    Attributes:
        name: as the child's ``--variant`` takes it.
        described: what the child said of itself when it was ready.
        wall: seconds of each round.
        cpu: processor seconds of each round, all threads.
        units: what a round got through (images, steps).
        memory: bytes of anonymous memory after each round.
        beside: seconds of each round for what it was compared with in turn, in the same process.
    """

    name: str
    process: "subprocess.Popen[str]"
    errors: Path
    described: dict[str, Any] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    units: int = 0

    @classmethod
    def start(cls, script: str, name: str, arguments: Sequence[str]) -> "Variant":
        """Starts the child; `ready` waits for it."""
        command = [sys.executable, script, "--variant", name, *arguments]
        with tempfile.NamedTemporaryFile(prefix="benchmark-", suffix=".log", delete=False) as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=one_thread(),
            )
        return cls(name, process, Path(errors.name))

    def ready(self) -> bool:
        """Waits for the child; False, with a printed reason, where its package is missing."""
        self.described = self._answer()
        if "skipped" in self.described:
            print(f"skipped: {self.name}: {self.described['skipped']}", flush=True)
            self.stop()
            return False
        return True

    def measure(self) -> None:
        """One round."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.wall.append(answer["wall"])
        self.cpu.append(answer["cpu"])
        self.memory.append(answer["memory"])
        self.beside.append(answer["beside"])
        self.units = answer["units"]

    def stop(self) -> None:
        """Ends the child."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.errors.unlink(missing_ok=True)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(timeout=60)
            raise SystemExit(f"{self.name} failed:\n{self.errors.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def one_thread() -> dict[str, str]:
    """The environment of a process whose libraries have one thread each."""
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(REPOSITORY)}


def run_variants(
    script: str, names: Sequence[str], arguments: Sequence[str], rounds: int, check: Callable[[list[Variant]], None]
) -> dict[str, Variant]:
    """The measured variants by name.

    Args:
        script: that runs a variant with ``--variant NAME`` through `serve`.
        names: of the variants.
        arguments: further ones of the child.
        rounds: how often each is measured, in turn.
        check: ends the program where outputs differ; called before anything is timed.
    """
    variants = []
    try:
        for name in names:
            # One after the other: processes that load at the same time would fill the memory of a small machine.
            variant = Variant.start(script, name, arguments)
            if variant.ready():
                variants.append(variant)
        check(variants)
        for number in range(rounds):
            # Forwards, then backwards, so that no variant always follows the same one.
            for variant in variants if number % 2 == 0 else reversed(variants):
                variant.measure()
    finally:
        for variant in variants:
            variant.process.kill() if variant.process.poll() is not None else variant.stop()
    return {variant.name: variant for variant in variants}


class Round(NamedTuple):
    """What one round took.

    Attributes:
        units: that it got through.
        wall: seconds.
        cpu: processor seconds, all threads.
        beside: seconds for what it is compared with, where that is done in between.
    """

    units: int
    wall: float
    cpu: float
    beside: float = 0.0


def timed(work: Callable[[], int]) -> Round:
    """A round that is timed from end to end."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    units = work()
    return Round(units, time.perf_counter() - wall, time.process_time() - cpu)


def serve(prepare: Callable[[], tuple[dict[str, Any], Callable[[], Round]]]) -> None:
    """The child's side: prepares, says so, then runs a round for every line that comes in.

    Args:
        prepare: gives what the variant says of itself, and what runs a round. `NotInstalledError` skips the variant.
    """
    # What libraries print must not reach the parent.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(values: Mapping[str, Any]) -> None:
        channel.write(json.dumps(values) + "\n")
        channel.flush()

    try:
        described, work = prepare()
    except NotInstalledError as error:
        say({"skipped": str(error)})
        return
    say(described)
    for _ in sys.stdin:
        say({**work()._asdict(), "memory": anonymous_memory()})


def anonymous_memory(process: int | str = "self") -> int:
    """Bytes of a process's memory that is not mapped from a file; 0 if the system does not report it."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:")), 0)


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """The time of the first divided by that of the second, median over rounds."""
    return statistics.median(first / second for first, second in zip(slow, fast, strict=True))


def machine() -> str:
    """Cores and load, to be printed with every table."""
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} (1 min), one thread a variant unless it says otherwise"
    )


# ---------------------------------------------------------------- pictures


def jpeg_pictures(count: int, size: int, quality: int) -> list[bytes]:
    """Colour JPEGs of 1/f noise, about as large as photographs are: 15 KB at 224 px and quality 90, 7 KB at 112 px and quality 95."""
    from PIL import Image

    rng = np.random.default_rng(size)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = np.inf
    fall = frequency**-1.5

    def spectrum() -> np.ndarray:
        return rng.standard_normal(fall.shape) + 1j * rng.standard_normal(fall.shape)

    files = []
    for _ in range(count):
        common = spectrum()
        planes = [np.fft.irfft2((common + 0.15 * spectrum()) * fall, s=(size, size)) for _ in range(3)]
        pixels = 128 + 40 * np.stack([plane / plane.std() for plane in planes], axis=-1)
        sink = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(sink, "JPEG", quality=quality)
        files.append(sink.getvalue())
    return files


def face_dataset(path: Path, files: Sequence[bytes], units: np.ndarray) -> None:
    """A dataset folder with these pictures, the first action units of the vocabulary labelled, and no face boxes.

    Args:
        path: of the new folder.
        files: JPEGs.
        units: int8 [rows, A], 0 or 1.
    """
    import polars as pl
    import pyarrow as pa
    from folders import slots, write_dataset

    from affect_data.dataset.layout import Layout
    from affect_data.dataset.schema import IMAGES, arrow_schema
    from affect_data.vocabulary import ACTION_UNITS

    count = len(files)
    au = np.full((count, len(ACTION_UNITS)), -1, dtype=np.int8)
    au[:, : units.shape[1]] = units
    labels = pl.DataFrame(
        {
            "uid": [f"expw:photo/{row:06d}#0" for row in range(count)],
            "database": ["expw"] * count,
            "source_file": ["labels.txt"] * count,
            "image_digest": ["0" * 64] * count,
        }
    ).with_columns(slots(au, "au"), slots(au >= 0, "au_mask"))
    images = pa.array([{"bytes": data, "path": None} for data in files], arrow_schema(IMAGES).field("image").type)
    layout = Layout(databases=("expw",), action_units=ACTION_UNITS[: units.shape[1]])
    write_dataset(path, layout, {"train": (1, [(labels, images)])})
