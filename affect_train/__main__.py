"""``python -m affect_train RECIPE key=value ...`` trains; with a command's name first it is ``affect-train``."""

from affect_train.cli.app import module_main

if __name__ == "__main__":
    module_main()
