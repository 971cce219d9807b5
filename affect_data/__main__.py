"""``python -m affect_data`` is the command ``affect-data``."""

from affect_data.cli.app import main

main()
