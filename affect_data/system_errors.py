"""Errors of the file system and of parsers, turned into our own: which file, what happened, what to do.

Code that reads or writes names its file: `with reading(path):` or `with writing_to(path):`. Errors that are not translated there are translated when
the command ends.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from affect_data.errors import AffectError, DataError, FileAccessError, UnreadableFileError

PARSERS: Final = frozenset(
    (
        "_csv",
        "csv",
        "fastexcel",
        "json",
        "lzma",
        "pandas",
        "PIL",
        "safetensors",
        "safetensors_rust",
        "struct",
        "xml",
        "yaml",
        "zipfile",
        "zlib",
    )
)
"""Packages whose errors are about the content of a file."""

PARSER_ERRORS: Final = frozenset(("ArrowInvalid", "ComputeError", "NoDataError"))
"""Errors about the content of a file from packages whose other errors are defects of the program."""

NETWORK: Final = frozenset(("httpx", "httpcore", "huggingface_hub", "requests", "socket", "ssl", "urllib", "urllib3"))

SHOW: Final = "The same command with --debug shows where"

_CAUSES: Final[dict[int, tuple[str, str]]] = {
    errno.EACCES: ("permission denied", "Change its permissions, or name another place"),
    errno.EPERM: ("the system does not permit it", "Change its permissions, or name another place"),
    errno.EROFS: ("it is on a read-only file system", "Name a place that can be written to, or mount it for writing"),
    errno.ELOOP: ("a loop of symbolic links", "Remove the link, or let it point to the file or folder itself"),
    errno.EISDIR: ("a folder stands where a file is expected", "Name the file, or move the folder away"),
    errno.ENOTDIR: ("a file stands where a folder is expected", "Name another place, or move the file away"),
    errno.ENOENT: ("it does not exist", "Check the path; a file that was there has been moved or removed meanwhile"),
    errno.EEXIST: ("it exists already", "Move it away, or name another place"),
    errno.ENOTEMPTY: ("the folder is not empty", "Another command writes to it, or did: wait for its end, then run the same command again"),
    errno.EIO: (
        "the device cannot read or write it (input/output error)",
        "Look at the disk or the network mount, copy the file from its source again, then run the same command again",
    ),
    errno.ESTALE: ("the network file system has lost it", "Mount it again, then run the same command again"),
    errno.EFBIG: (
        "the file would become larger than this file system or the limit of this shell (`ulimit -f`) allows",
        "Raise the limit, or name a place on another volume; what was there before is unchanged",
    ),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "Choose a shorter path"),
    errno.EMFILE: ("too many open files", "Raise the limit of this shell (`ulimit -n 4096`), or use fewer workers"),
    errno.ENFILE: ("too many open files on this machine", "End what else holds files open, or use fewer workers"),
    errno.EBUSY: ("another program holds it", "End that program, then run the same command again"),
    errno.ETXTBSY: ("another program holds it", "End that program, then run the same command again"),
}  # fmt: skip

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_NUMBER: Final = re.compile(r"\b(?:os error|errno) (\d+)\b", re.IGNORECASE)


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turns errors of the file system or a parser in the block into our own, which name the error's own file or else `path`.

    Raises:
        FileAccessError: the system refused.
        UnreadableFileError: a parser refused.
        DataError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        translated = as_own_error(error, path)
        if translated is None or translated is error:
            raise
        raise translated from error


@contextmanager
def writing_to(path: Path | str) -> Iterator[None]:
    """Turns errors of the file system in the block into our own, for a file or folder that is written.

    Raises:
        FileAccessError: the system refused.
        DataError: memory ran out.
    """
    try:
        yield
    except AffectError:
        raise
    except Exception as error:
        translated = _refused_by_system(error, path)
        if translated is None:
            raise
        raise translated from error


def as_own_error(error: BaseException, path: Path | str | None = None) -> AffectError | None:
    """Our own error with the same meaning; None if only a defect of the program explains the error.

    Args:
        error: the error that was raised.
        path: the file or folder that was read or written, used if the error names none.
    """
    if isinstance(error, AffectError):
        return error
    refused = _refused_by_system(error, path)
    if refused is not None:
        return refused
    if isinstance(error, RecursionError):
        return _unreadable(path, "it is nested too deeply", "Give a file as its database publishes it")
    if isinstance(error, UnicodeDecodeError):
        because = f"byte {error.start:,} is not {error.encoding} text"
        return _unreadable(path, because, "Save it as UTF-8, or copy it from its source again")
    if "integer string conversion" in str(error):
        return _unreadable(path, "a number in it has thousands of digits", "Give a file as its database publishes it")
    if _is_of_network(error):
        return DataError(
            f"the network did not answer: {_first_line(error)}. Check the connection, then run the same command again"
        )
    if isinstance(error, OSError | EOFError) or _package(error) in PARSERS or type(error).__name__ in PARSER_ERRORS:
        because = f"{type(error).__name__}: {_first_line(error)}"
        return _unreadable(path, because, "It is damaged or of another format: copy it from its source again")
    return None


def _unreadable(path: Path | str | None, because: str, remedy: str) -> UnreadableFileError:
    return UnreadableFileError(path, because, remedy if path is not None else f"{remedy}. {SHOW}")


def _is_of_network(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError) or _package(error) in NETWORK:
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


def _refused_by_system(error: BaseException, path: Path | str | None) -> AffectError | None:
    number = _number(error)
    if number is not None:
        return _refused(number, _named(error) or path, str(error))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        at = f" at '{path}'" if path is not None else ""
        return DataError(
            f"memory ran out{at}: {_first_line(error)}. Use smaller batches or fewer workers, or a machine with more"
        )
    return None


def _number(error: BaseException) -> int | None:
    """The system's error number; libraries of other languages only write it into their message."""
    if _is_of_network(error):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _named(error: BaseException) -> str | None:
    names = [
        name
        for name in (getattr(error, "filename", None), getattr(error, "filename2", None))
        if isinstance(name, str | bytes)
    ]
    return " -> ".join(name if isinstance(name, str) else name.decode(errors="replace") for name in names) or None


def _refused(number: int, path: Path | str | None, message: str) -> AffectError:
    if number in _FULL:
        return _full(path, quota=number == errno.EDQUOT)
    if number == errno.ENOMEM:
        return DataError(f"memory ran out: {message}. Use smaller batches or fewer workers, or a machine with more")
    because, remedy = _CAUSES.get(number, (message, "Look at that place, then run the same command again"))
    return FileAccessError(path, because, remedy if path is not None else f"{remedy}. {SHOW}")


def _full(path: Path | str | None, *, quota: bool) -> FileAccessError:
    because = "your quota of the volume is used up" if quota else "no space is left on its volume"
    after = "What was there before is unchanged; then run the same command again"
    if path is None:
        return FileAccessError(
            None, because.replace("its", "a"), f"Free some on the volumes that the command writes to. {after}. {SHOW}"
        )
    folder = next(parent for parent in (Path(path), *Path(path).parents) if parent.is_dir())
    usage = shutil.disk_usage(folder)
    return FileAccessError(
        path, because, f"Free space there ({usage.free / 1e6:,.1f} of {usage.total / 1e6:,.0f} MB are free). {after}"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no reason given"
