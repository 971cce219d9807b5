"""``python -m affect_train RECIPE key=value ...`` trains; with the name of a command first, it runs that command of ``affect-train``."""

from affect_data.entry import run_entry_point


def main() -> None:
    """Runs the command ``affect-train``. It is imported inside, so that Ctrl-C during the import also ends it in an orderly way."""
    run_entry_point(_command)


def _command() -> None:
    from affect_train.cli.app import main

    main()


def _module_command() -> None:
    from affect_train.cli.app import module_main

    module_main()


if __name__ == "__main__":
    run_entry_point(_module_command)
