"""The content of a study file: steps that are literal commands, scores that commands print, and claims about scores."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from affect_data.errors import suggestion
from affect_data.recipe_file import STUDY, read_recipe_text, validated
from affect_data.yaml12 import KeyPath
from affect_train.recipe.section import Section

SHARED = "shared"
PROGRAMS = ("affect-data", "affect-train")

ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


class Step(Section):
    """One command of the chain."""

    run: str = Field(
        description="the command; {run} is the seed's folder, {seed} the seed, {recipes} the study's folder"
    )
    each: tuple[int | str, ...] = Field((), description="run the command once for each of these, as {each}")
    needs: str = Field("", description="leave the step out where this variable is empty or 0")


class Claim(Section):
    """A difference that should be above zero, or a figure that should be above a bound."""

    claim: str
    better: ShortName = Field(description="a score")
    than: ShortName | None = Field(None, description="the score that it is compared with, seed by seed")
    above: float | None = Field(None, description="or the bound")
    metrics: tuple[str, ...] = Field((), description="which metrics; by default all")

    @model_validator(mode="after")
    def _compares_with_one_thing(self) -> "Claim":
        if (self.than is None) == (self.above is None):
            raise ValueError("give one of `than` (a score) and `above` (a number)")
        return self


class Study(Section):
    """A whole study."""

    title: str
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    variables: dict[ShortName, str | int | float] = Field({}, description="what {name} in a command stands for")
    shared: dict[ShortName, Step] = Field({}, description="steps that are run once, before all seeds, in {shared}")
    steps: dict[ShortName, Step]
    scores: dict[ShortName, Step] = Field(description="commands whose JSON holds the figures; `--json` is added")
    metrics: dict[str, str | tuple[str, ...]] = Field(
        description="the path of each figure in that JSON, keys and places in lists, from 0, joined by dots; several paths are averaged"
    )
    claims: tuple[Claim, ...]

    def shared_commands(self, out: Path, recipes: Path) -> "list[Command]":
        """The commands that run once, in ``out/shared``; `recipes` is the folder of the study file."""
        return list(
            _expanded(self.shared, {**self.variables, "shared": out / SHARED, "recipes": recipes}, scores=False)
        )

    def commands(self, out: Path, recipes: Path, seed: int) -> "list[Command]":
        """The commands of one seed, in ``out/seed<n>``, scores last; `recipes` is the folder of the study file."""
        run = out / f"seed{seed}"
        given = {**self.variables, "shared": out / SHARED, "recipes": recipes, "run": run, "seed": seed}
        return [
            *_expanded(self.steps, given, scores=False),
            *_expanded(self.scores, given, scores=True),
        ]


class Command(Section):
    """One command line, ready to run.

    Attributes:
        name: of the step or score.
        each: the value of {each}; empty for a step without it.
        words: program and arguments.
        is_score: whether its JSON is kept.
    """

    name: str
    each: str
    words: tuple[str, ...]
    is_score: bool

    @property
    def label(self) -> str:
        """A name that is unique among the commands of a chain."""
        kind = "score-" if self.is_score else ""
        return f"{kind}{self.name}-{self.each}" if self.each else f"{kind}{self.name}"


def read_study(path: Path | str, overrides: Iterable[str] = ()) -> Study:
    """The validated study of a YAML file.

    Args:
        path: the file.
        overrides: ``key=value``: ``seeds`` or a variable.

    Raises:
        UsageError: the file does not exist.
        RecipeError: lists every mistake, with its line.
    """
    text = read_recipe_text(Path(path), STUDY)
    given = text.values.get("variables")
    variables = given if isinstance(given, dict) else {}
    for override in overrides:
        key = override.partition("=")[0]
        if key != "seeds" and key not in variables:
            text.refuse(f"the study has no variable {key!r}; {suggestion(key, variables)}")
            continue
        text.override(override if key == "seeds" else f"variables.{override}")
    return validated(Study, text, _contradictions)


def _contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Contradictions between sections: unknown scores, metrics, programs and variables; a section with a mistake of its own is absent."""
    if "variables" in sections:
        known = {"shared", "recipes", *sections["variables"]}
        for kind, given in (("shared", known), ("steps", known | {"run", "seed"}), ("scores", known | {"run", "seed"})):
            for name, step in sections.get(kind, {}).items():
                yield from (((kind, name), message) for message in _step_mistakes(step, given))
    for position, claim in enumerate(sections.get("claims", ())):
        for score in filter(None, (claim.better, claim.than)):
            if score not in sections.get("scores", (score,)):
                yield ("claims", position), f"no score is named '{score}'; {suggestion(score, sections['scores'])}"
        for metric in claim.metrics:
            if metric not in sections.get("metrics", (metric,)):
                yield ("claims", position), f"no metric is named '{metric}'; {suggestion(metric, sections['metrics'])}"


def _step_mistakes(step: Step, known: set[str]) -> Iterator[str]:
    try:
        words = shlex.split(step.run)
    except ValueError as error:
        yield f"found '{step.run[:40]}'; not readable as a command: {error}"
        return
    if not words or words[0] not in PROGRAMS:
        yield f"found '{step.run[:40]}'; expected a command of {' or '.join(PROGRAMS)}"
    named = set(re.findall(r"\{(\w+)\}", step.run)) | ({step.needs} if step.needs else set())
    allowed = known | ({"each"} if step.each else set())
    unknown = sorted(named - allowed)
    if unknown:
        yield f"{', '.join(unknown)} is no variable; known: {', '.join(sorted(allowed))}"
    if step.each and "each" not in named:
        yield "`each` is given, but the command does not say {each}"


def _expanded(steps: Mapping[str, Step], given: Mapping[str, Any], *, scores: bool) -> Iterator[Command]:
    for name, step in steps.items():
        if step.needs and given[step.needs] in ("", 0, "0"):
            continue
        for each in step.each or ("",):
            words = shlex.split(_filled(step.run, {**given, "each": each}))
            yield Command(
                name=name, each=str(each), words=(*words, "--json") if scores else tuple(words), is_score=scores
            )


def _filled(text: str, given: Mapping[str, Any]) -> str:
    # Variables may hold variables: `small: "model.backbone={run}/backbone/model"`.
    for _ in range(3):
        text = re.sub(r"\{(\w+)\}", lambda match: str(given.get(match[1], match[0])), text)
    return text
