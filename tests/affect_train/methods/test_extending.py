"""A method in a file of its own, taken from docs/extending-method.md: found, validated and trained without a change anywhere else."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training_runs import fresh_accelerator, json_lines

from affect_data.errors import RecipeError
from affect_train.inputs.batch import AffectBatch
from affect_train.methods import METHODS, PlainStep, build_method, total_loss
from affect_train.methods.supervised import Supervised
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods import registry
from affect_train.recipe.recipe import Recipe, read_recipe, recipe_from
from affect_train.runtime import build_accelerator
from affect_train.tasks import TaskSet
from affect_train.training.learner import Learner
from affect_train.training.loop import train
from affect_train.training.step import optimizer_step

Values = Callable[..., dict[str, Any]]

PAGE = (Path(__file__).parents[3] / "docs/extending-method.md").read_text(encoding="utf-8")
METHOD = {"name": "logit_adjusted", "strength": 0.5}
STREAM = {"path": "someone/faces", "columns": {"expression": "label"}, "streaming": True}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return found


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a package of one module that announces a method; forgotten afterwards."""
    site = tmp_path / "site-packages"
    methods, options, modules = dict(METHODS), dict(registry._registered), set(sys.modules)

    def write(module: str, source: str) -> None:
        described = site / f"{module}-1.0.dist-info"
        described.mkdir(parents=True)
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{module} = {module}\n")
        monkeypatch.syspath_prepend(site)

    yield write
    for kept, now in ((methods, METHODS), (options, registry._registered)):
        now.clear()
        now.update(kept)  # type: ignore[arg-type]
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]


@pytest.fixture
def installed(announce: Callable[[str, str], None]) -> None:
    """The method of the page."""
    assert f'[project.entry-points."{registry.ENTRY_POINTS}"]\nlogit_adjusted = "logit_adjusted"' in block("toml")
    announce("logit_adjusted", block("python"))


def mistakes(values: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        recipe_from(values)
    return caught.value.mistakes


@pytest.mark.usefixtures("installed")
def test_the_method_of_the_page_validates_and_its_recipe_reads_back_equal(
    recipe_values: Values, tmp_path: Path
) -> None:
    recipe = recipe_from(recipe_values(method=METHOD))
    assert (recipe.method.name, recipe.method.model_dump()["strength"]) == ("logit_adjusted", 0.5)
    assert block("yaml") == "method: {name: logit_adjusted, strength: 0.5}\n"
    recipe.write(tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    assert Recipe.model_validate(recipe.model_dump(mode="json")).method == recipe.method


@pytest.mark.usefixtures("installed")
def test_its_mistakes_are_told_like_those_of_any_method(recipe_values: Values) -> None:
    for method, message in (
        ({"name": "logit_ajusted"}, "method.name: found 'logit_ajusted'; did you mean 'logit_adjusted'? known: "),
        ({**METHOD, "strenght": 1}, "method.strenght: unknown key; did you mean 'strength'? known: "),
        ({**METHOD, "strength": -1}, "method.strength: found -1; expected greater than or equal to 0"),
    ):
        (found,) = mistakes(recipe_values(method=method))
        assert found.startswith(message)
    (found,) = mistakes(recipe_values(method=METHOD, soft_labels=["teacher"]))
    assert (
        found
        == "soft_labels: found teacher, but the method 'logit_adjusted' does not use them; use 'distillation', or []"
    )


@pytest.mark.usefixtures("installed")
def test_it_is_refused_on_streams_by_its_own_property(recipe_values: Values) -> None:
    stream = {"size": 8, "sampler": "uniform", "steps_per_epoch": 3}
    values = recipe_values(dataset=STREAM, batches=stream, tasks={"expression": "aff_wild2_7"}, method=METHOD)
    (found,) = mistakes(values)
    assert found == (
        "method.name: 'logit_adjusted' counts the expressions of all rows before the first step; set `dataset.streaming: false`"
    )
    assert recipe_from({**values, "method": {"name": "supervised"}}).method.name == "supervised"


@pytest.mark.usefixtures("installed")
def test_its_losses_are_those_of_raised_logits(
    recipe_values: Values,
    tasks: TaskSet,
    make_batch: Callable[..., AffectBatch],
    make_output: Callable[..., AffectOutput],
) -> None:
    method = build_method(recipe_from(recipe_values(method=METHOD)).method, tasks)
    batch, output = make_batch(), make_output()
    labels: Any = SimpleNamespace(
        expression=torch.tensor([0, 0, 0, 1, -1]).numpy(),
        expression_mask=torch.tensor([True, True, True, True, False]).numpy(),
    )
    assert method.prepare(labels, torch.arange(5).numpy(), "here") == []
    # 3, 1 and 0 rows, one more each
    raised = 0.5 * torch.tensor([4 / 7, 2 / 7, 1 / 7]).log()
    mask = batch.expression_mask
    assert output.expression_logits is not None
    by_hand = torch.nn.functional.cross_entropy(output.expression_logits[mask] + raised, batch.expression[mask])
    values = total_loss(method.losses(output, batch)).values
    assert values["expression"].item() == pytest.approx(by_hand.item(), rel=1e-6)
    assert set(values) == set(method.counts(batch))


@pytest.mark.usefixtures("installed")
def test_it_trains_beside_a_coupling(recipe_values: Values, tmp_path: Path) -> None:
    fresh_accelerator()
    method = {**METHOD, "coupling": {"distribution_matching": {}}}
    training = {"max_steps": 2, "log_every": 1, "accumulation": 2, "validation_split": None, "trackers": []}
    assert train(recipe_from(recipe_values(method=method, training=training)))["steps"] == 2  # type: ignore[index]
    logged = json_lines(tmp_path / "run/metrics.jsonl")
    assert {"au", "expression", "valence_ccc", "distribution_matching"} <= set(logged[0]["losses"])


def test_a_package_whose_module_cannot_be_imported_is_a_mistake_of_the_recipe(
    announce: Callable[[str, str], None], recipe_values: Values
) -> None:
    announce("broken_method", "import a_module_that_nobody_has\n")
    (found,) = mistakes(recipe_values(method={"name": "broken_method"}))
    assert "the method 'broken_method' of broken_method cannot be loaded: No module named" in found
    assert recipe_from(recipe_values()).method.name == "supervised"


@pytest.mark.usefixtures("installed")
def test_two_methods_of_one_name_are_refused(recipe_values: Values) -> None:
    recipe_from(recipe_values(method=METHOD))
    with pytest.raises(
        TypeError, match=r"two methods are called 'logit_adjusted': logit_adjusted and another have one"
    ):
        exec(block("python"), {"__name__": "another"})


# ------------------------------------------------------------ around a step


class Recorded(PlainStep):
    """Writes down what is called around a step."""

    def __init__(self, *given: object) -> None:
        self.given = given
        self.calls: list[tuple[object, ...]] = []

    def before_step(self, *arguments: object) -> None:
        self.calls.append(("before_step", *arguments))

    def before_losses(self, output: AffectOutput, batch: AffectBatch) -> None:
        assert output.au_logits is not None
        assert output.au_logits.requires_grad
        self.calls.append(("before_losses", batch))

    def before_update(self) -> None:
        self.calls.append(("before_update",))


class Recorder(Supervised):
    """Learns as its base does; without a name of its own it is registered nowhere."""

    def attach(self, *given: Any) -> PlainStep:
        return Recorded(*given)


def test_what_a_method_does_around_a_step_is_done_beside_a_coupling_too(
    recipe_values: Values, monkeypatch: pytest.MonkeyPatch, make_batch: Callable[..., AffectBatch]
) -> None:
    assert METHODS["supervised"] is Supervised
    monkeypatch.setitem(METHODS, "supervised", Recorder)
    fresh_accelerator()
    sections = {
        "tasks": {"action_units": [1, 2, 12], "expression": ["neutral", "anger", "happiness"]},
        "method": {"name": "supervised", "coupling": {"soft_co_annotation": {}}},
    }
    recipe, accelerator = recipe_from(recipe_values(**sections)), build_accelerator()
    learner = Learner.build(recipe, accelerator, 1)
    data: Any = SimpleNamespace()
    wrapper = learner.method.attach(learner, data, accelerator, recipe)
    assert isinstance(wrapper, Recorded)
    assert wrapper.given == (learner, data, accelerator, recipe)
    micro_batches = [make_batch(seed=seed, inputs=torch.zeros(8, 3, 32, 32, dtype=torch.uint8)) for seed in (0, 1)]
    values = optimizer_step(accelerator, replace(learner, wrapper=wrapper), micro_batches, number=3)
    assert "soft_co_annotation" in values
    first, second = micro_batches
    assert [call[0] for call in wrapper.calls] == ["before_step", "before_losses", "before_losses", "before_update"]
    assert wrapper.calls[0][1:] == (3, micro_batches)
    assert wrapper.calls[1][1] is first
    assert wrapper.calls[2][1] is second
