"""``python -m affect_train RECIPE key=value ...`` trains; with a command's name first it is ``affect-train``."""

from affect_data.entry import run_entry_point


def main() -> None:
    """Runs the command ``affect-train``, which is imported only where Ctrl-C ends it in an orderly way."""
    run_entry_point(_command)


def _command() -> None:
    from affect_train.cli.app import main

    main()


def _module_command() -> None:
    from affect_train.cli.app import module_main

    module_main()


if __name__ == "__main__":
    run_entry_point(_module_command)
