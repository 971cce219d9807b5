"""``python -m affect_data`` is the command ``affect-data``."""

from affect_data.entry import run_entry_point


def main() -> None:
    """Runs the command ``affect-data``. It is imported inside, so that Ctrl-C during the import also ends it in an orderly way."""
    run_entry_point(_command)


def _command() -> None:
    from affect_data.cli.app import main

    main()


if __name__ == "__main__":
    main()
