"""The commands ``affect-train study`` and ``affect-train papers``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_train.cli.common import Json, print_json

if TYPE_CHECKING:
    from affect_train.study.execution import RunCommand

COMMANDS = ("study", "papers")


def register(app: typer.Typer, run: "RunCommand") -> None:
    """Adds the commands to an application; `run` is how a study runs the commands of its chains."""

    @app.command(epilog="Example: `affect-train study recipes/deng2020/study.yaml runs/papers/deng2020 --workers 2`")
    def study(
        file: Annotated[Path, typer.Argument(metavar="STUDY", help="A study (YAML).")],
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Its folder; an interrupted study is resumed.")],
        overrides: Annotated[
            list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Variables, or seeds=[0,1].")
        ] = None,
        workers: Annotated[int, typer.Option(min=1, help="Seeds at a time.")] = 1,
        as_json: Json = False,
    ) -> None:
        """Run the commands of a study for every seed, and show which of its claims hold."""
        from affect_train.study import read_study, run_study, study_page

        document = run_study(read_study(file, overrides or []), file.parent, out, run, workers)
        if as_json:
            print_json(document)
        else:
            sys.stdout.write(study_page(document) + "\n")

    app.command(epilog="Example: `affect-train papers runs/papers/* > recipes/README.md`")(papers)


def papers(
    folders: Annotated[list[Path], typer.Argument(metavar="OUT...", help="Folders of finished studies.")],
    as_json: Json = False,
) -> None:
    """Print one page on several studies: paper, claim, figure, interval, command, time."""
    from affect_train.study import papers_page, read_result

    if as_json:
        print_json({folder.name: read_result(folder) for folder in folders})
    else:
        sys.stdout.write(papers_page(folders))
