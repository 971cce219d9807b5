"""What the system and parsers raise becomes an error of ours that names the file and a remedy; a defect of the program does not."""

import json
import pickle
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from affect_data.errors import (
    AffectError,
    DataError,
    DefectsFoundError,
    FileAccessError,
    RecipeError,
    SchemaError,
    UnreadableFileError,
    UsageError,
)
from affect_data.system_errors import as_own_error, reading, writing_to


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe and more")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "use", "message"),
    [
        ("loop", Path.read_bytes, "a loop of symbolic links. Remove the link"),
        ("folder", Path.read_bytes, "a folder stands where a file is expected. Name the file"),
        ("bytes/below", Path.read_bytes, "a file stands where a folder is expected. Name another place"),
        ("none", Path.read_bytes, "it does not exist. Check the path"),
        ("folder", Path.mkdir, "it exists already. Move it away"),
        ("x" * 300, Path.touch, "the name is too long for this file system. Choose a shorter path"),
    ],
)
def test_what_the_system_refuses_names_the_path_the_reason_and_a_remedy(
    folder: Path, name: str, use: Callable[[Path], object], message: str
) -> None:
    with pytest.raises(FileAccessError) as raised, writing_to("another path"):
        use(folder / name)
    assert str(raised.value).startswith(f"'{folder / name}': {message}")
    with pytest.raises(FileAccessError), reading("another path"):
        use(folder / name)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda path: path.read_text(encoding="utf-8"), "byte 0 is not utf-8 text. Save it as UTF-8"),
        (lambda path: json.loads("[" * 100_000), "it is nested too deeply"),
        (lambda path: json.loads("{"), "JSONDecodeError: Expecting property name"),
        (lambda path: json.loads("9" * 5_000), "a number in it has thousands of digits"),
        (zipfile.ZipFile, "BadZipFile: File is not a zip file. It is damaged or of another format"),
        (Image.open, "UnidentifiedImageError"),
        (pl.read_parquet, "ComputeError: parquet"),
        (lambda path: pa.ipc.open_stream(pa.memory_map(str(path))), "ArrowInvalid"),
    ],
)
def test_what_a_parser_refuses_names_the_file_that_was_read(
    folder: Path, read: Callable[[Path], object], message: str
) -> None:
    path = folder / "bytes"
    with pytest.raises(UnreadableFileError) as raised, reading(path):
        read(path)
    assert str(raised.value).startswith(f"'{path}' cannot be read: {message}")
    assert raised.value.__cause__ is not None


def test_memory_that_runs_out_is_said_with_the_file(folder: Path) -> None:
    with (
        pytest.raises(
            DataError, match=r"memory ran out at 'large\.npy': no reason given\. Use smaller batches or fewer"
        ),
        reading("large.npy"),
    ):
        raise MemoryError


def full() -> None:
    raise OSError(28, "No space left on device")


def test_a_full_volume_is_named_with_what_is_free(folder: Path) -> None:
    with pytest.raises(FileAccessError) as raised, writing_to(folder / "new" / "file"):
        full()
    message = str(raised.value)
    assert message.startswith(f"'{folder / 'new' / 'file'}': no space is left on its volume. Free space there (")
    assert message.endswith("MB are free). What was there before is unchanged; then run the same command again")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_device_is_recognised_behind_a_write_that_names_no_file() -> None:
    with pytest.raises(FileAccessError, match=r"^'its file': no space is left on its volume"), writing_to("its file"):
        Path("/dev/full").write_text("x")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy, polars, pyarrow
from safetensors.numpy import save_file
from affect_data.errors import FileAccessError
from affect_data.files import write_text
from affect_data.system_errors import writing_to

def arrow(path):
    with pyarrow.OSFile(str(path), "wb") as sink:
        sink.write(bytes(100_000))

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rows = polars.DataFrame({"a": numpy.random.default_rng(0).random(50_000)})
for name, write in {
    "text": lambda path: write_text(path, "x" * 100_000),
    "parquet": rows.write_parquet,
    "arrow": arrow,
    "safetensors": lambda path: save_file({"a": numpy.zeros(100_000)}, path),
}.items():
    path = Path(sys.argv[1], name)
    try:
        with writing_to(path):
            write(path)
    except FileAccessError as error:
        print(error)
"""


def test_a_write_that_the_system_cuts_is_recognised_in_every_library(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("before")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True, timeout=120
    )
    lines = done.stdout.splitlines()
    names = ["text", "parquet", "arrow", "safetensors"]
    assert [line.split(":")[0] for line in lines] == [f"'{tmp_path / name}'" for name in names]
    assert all("the file would become larger than" in line for line in lines)
    assert (tmp_path / "text").read_text() == "before"
    assert not (tmp_path / "text.partial").exists()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "reset"),
        TimeoutError("too long"),
        OSError(101, "Network is unreachable"),
        socket.gaierror(-2, "Name or service not known"),
    ],
)
def test_a_network_that_fails_is_no_file_that_fails(error: Exception) -> None:
    assert str(as_own_error(error, "file")).startswith("the network did not answer: ")


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), ValueError("x"), AssertionError(), ZeroDivisionError()]
)
def test_a_defect_of_the_program_stays_what_it_is(error: Exception) -> None:
    assert as_own_error(error, "file") is None
    with pytest.raises(type(error)), reading("file"):
        raise error
    with pytest.raises(type(error)), writing_to("file"):
        raise error


def test_an_error_of_ours_passes_unchanged() -> None:
    error = UsageError("as it is")
    for context in (reading, writing_to):
        with pytest.raises(UsageError) as raised, context("file"):
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [
        SchemaError("rule", "what it says", ["uid"], 3),
        RecipeError("recipe.yaml", ["one", "two"]),
        DefectsFoundError("expw", []),
        FileAccessError("path", "because", "remedy"),
    ],
)
def test_an_error_of_ours_survives_the_way_from_one_process_to_another(error: AffectError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)
    assert again.exit_status == error.exit_status
