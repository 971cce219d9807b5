"""The beginning and end of a command: Ctrl-C is handled before anything slow is imported, and no error ends in a traceback."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from affect_data.interrupts import (
    STATUS,
    command_finished,
    end_now,
    say_interrupted,
    was_interrupted,
    watch_interrupts,
)

DEBUG = "AFFECT_DEBUG"
DEBUG_OPTION = "--debug"
UNEXPECTED = "unexpected"
"""The code of an error that nobody has thought of: a defect of affectkit."""


def run_entry_point(command: Callable[[], object]) -> None:
    """Runs a whole command in this process, and ends the process with it.

    Args:
        command: imports what it needs when it is called.
    """
    try:
        try:
            watch_interrupts(_end_processes)
            _silence_resource_tracker()
            with ending():
                command()
        finally:
            command_finished()
    except KeyboardInterrupt:
        end_now(_end_processes)
    except SystemExit as end:
        if end.code == STATUS:
            end_now(_end_processes)
        raise


@contextmanager
def ending() -> Iterator[None]:
    """Ends the process when the block raises: with the error's message and status, or, with ``--debug``, with its traceback.

    Raises:
        SystemExit: 1 or 2 for an error, 130 for an interrupt, otherwise the block's own status.
    """
    try:
        yield
    except KeyboardInterrupt:
        _end_interrupted()
    except SystemExit as end:
        # Typer silently turns Ctrl-C into this status.
        if end.code == STATUS or was_interrupted():
            _end_interrupted()
        raise
    except Exception as error:
        # A library whose import or callback was interrupted may raise anything.
        if was_interrupted():
            _end_interrupted()
        _end_with(error)
    if was_interrupted():
        _end_interrupted()


def _end_interrupted() -> None:
    say_interrupted()
    sys.exit(STATUS)


def _end_with(error: Exception) -> None:
    import os
    import traceback

    from affect_data.progress import log
    from affect_data.system_errors import as_own_error

    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    own = as_own_error(error)
    message = _unexpected(error) if own is None else str(own)
    log.print(f"error: {message}", markup=False, style="red" if log.is_terminal else None)
    status = 1 if own is None else own.exit_status
    # One process of several speaks to programs.
    if _answers_programs() and os.environ.get("RANK", "0") == "0":
        import json

        code = UNEXPECTED if own is None else own.code
        document = {"error": {"code": code, "message": message, "exit_status": status}}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.exit(status)


def _answers_programs() -> bool:
    """Whether the command was asked for one JSON document."""
    arguments = sys.argv[1:]
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def _unexpected(error: Exception) -> str:
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split()) or "no reason given"
    place = "/".join(last.filename.split("/")[-2:])
    return (
        f"unexpected {type(error).__name__} at {place}:{last.lineno}: {text}. This is a defect of affectkit: please report it with the "
        f"traceback, which the same command shows with {DEBUG_OPTION}"
    )


def without_debug(arguments: list[str]) -> list[str]:
    """The arguments without ``--debug``, which may come anywhere before ``--`` and makes errors show their traceback."""
    import os

    end = arguments.index("--") if "--" in arguments else len(arguments)
    if DEBUG_OPTION not in arguments[:end]:
        return arguments
    os.environ[DEBUG] = "1"
    return [argument for argument in arguments[:end] if argument != DEBUG_OPTION] + arguments[end:]


def _silence_resource_tracker() -> None:
    """Silences the process of `multiprocessing` that cleans up after killed processes."""
    import os

    known = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join([*([known] if known else []), "ignore:resource_tracker:UserWarning"])


def _end_processes() -> None:
    processes = sys.modules.get("affect_data.processes")
    if processes is not None:
        processes.end_all()
        return
    multiprocessing = sys.modules.get("multiprocessing")
    for process in multiprocessing.active_children() if multiprocessing is not None else ():
        process.kill()
