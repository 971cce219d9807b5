"""``accelerate launch`` without the traceback that it prints of itself when one of its processes ends with an error.

A program of its own, because it starts processes in its own way: ``affect-train launch`` runs it, and ends it.
"""

import logging
import subprocess
import sys


def main(arguments: list[str]) -> int:
    """The exit status of the first process that failed; 0 if none did."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # The status says it, and the process itself has said why.
    logging.disable(logging.ERROR)
    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except subprocess.CalledProcessError as error:
        return error.returncode
    except ChildFailedError as error:
        return error.get_first_failure()[1].exitcode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
