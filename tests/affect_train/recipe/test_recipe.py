import pytest
import yaml

from affect_data.errors import RecipeError, UsageError
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.recipe import Recipe, read_recipe, recipe_from
from affect_train.tasks import TaskSet

MINIMAL = """\
dataset: merged
output: runs/teacher
tasks: {action_units: [1, 2, 4], expression: aff_wild2_7, valence_arousal: {bins: 20}}
model: {backbone: {model_type: vit, patch_size: 16}, image_size: 64}
"""


@pytest.fixture
def recipe_file(tmp_path):
    def write(text=MINIMAL):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistakes(path, *overrides):
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, overrides)
    return list(caught.value.mistakes)


def only_mistake(path, *overrides):
    (found,) = mistakes(path, *overrides)
    return found


def test_a_minimal_recipe_gets_the_documented_defaults(recipe_file):
    recipe = read_recipe(recipe_file())

    assert recipe.tasks.task_set() == TaskSet(
        (1, 2, 4), ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"), 20
    )
    assert (recipe.method.name, recipe.batches.size, recipe.optimizer.learning_rate) == ("supervised", 64, 1e-3)
    assert (recipe.training.mixed_precision, recipe.training.best_metric) == ("auto", "score")


def test_numbers_and_words_are_read_as_yaml_1_2(recipe_file):
    text = (
        MINIMAL
        + "optimizer: {learning_rate: 1e-4, betas: [.5, 9E-1]}\ntraining: {mixed_precision: no}\nbatches: {size: 6e1}\n"
    )

    recipe = read_recipe(recipe_file(text))

    assert recipe.optimizer.learning_rate == pytest.approx(1e-4)
    assert recipe.optimizer.betas == (0.5, 0.9)
    assert recipe.training.mixed_precision == "no"
    assert (recipe.batches.size, type(recipe.batches.size)) == (60, int)


def test_overrides_apply_in_order_and_reach_into_sections_that_the_file_lacks(recipe_file):
    recipe = read_recipe(
        recipe_file(),
        [
            "optimizer.learning_rate=1e-5",
            "optimizer.learning_rate=2e-5",
            "tasks.expression=null",
            "model.backbone.depths=[1, 2]",
            "method.name=distillation",
            "soft_labels=[teacher]",
            "output=runs/a=b",
        ],
    )

    assert recipe.optimizer.learning_rate == pytest.approx(2e-5)
    assert recipe.tasks.task_set().names == ("au", "va")
    assert recipe.model.backbone == {"model_type": "vit", "patch_size": 16, "depths": [1, 2]}
    assert isinstance(recipe.method, DistillationOptions)
    assert (recipe.method.hard_weight, recipe.method.temperature, recipe.method.temperature_squared) == (0.6, 1.5, True)
    assert recipe.output == "runs/a=b"


def test_the_resolved_recipe_reads_back_equal_and_nothing_else_is_left_in_the_folder(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file(), ["method={name: distillation, temperature: 2}", "soft_labels=[a, b]"])
    folder = tmp_path / "run"
    folder.mkdir()

    recipe.write(folder / "recipe.yaml")

    assert read_recipe(folder / "recipe.yaml") == recipe
    assert [path.name for path in folder.iterdir()] == ["recipe.yaml"]
    assert set(yaml.safe_load((folder / "recipe.yaml").read_text())) == set(Recipe.model_fields)


def test_all_mistakes_are_listed_at_once_with_their_lines(recipe_file):
    path = recipe_file(
        """\
dataset: merged
tasks:
  action_units: [1, 3]
  expression: aff_wild_7
model: {backbone: {model_type: vit, patch_size: 14}, image_size: 64, dropuot: 0.1}
method: {name: distillation, temperature: 0}
training: {epochs: many, max_steps: 2.5}
"""
    )

    found = mistakes(path, "optimiser.learning_rate=1")

    assert [line.partition(": ")[0] for line in found] == [
        "output",
        *(f"{path}:{line}" for line in (3, 4, 5, 5, 6, 7, 7)),
        "command line",
    ]
    assert "output: missing; the recipe has to say it" in found
    assert f"{path}:7: training.epochs: found 'many'; expected a valid integer" in found
    assert any("optimiser: unknown key; did you mean 'optimizer'?" in line for line in found)
    with pytest.raises(RecipeError, match=r"recipe\.yaml: 9 mistake\(s\):\n  output: missing"):
        read_recipe(path, ["optimiser.learning_rate=1"])


def test_mistakes_between_sections_are_listed_beside_those_within(recipe_file):
    found = mistakes(recipe_file(), "method.name=distillation", "seed=-1")

    assert len(found) == 2
    assert found[0] == "command line: seed: found -1; expected greater than or equal to 0"
    assert "soft_labels: empty, but the method 'distillation' learns from soft labels" in found[1]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optimizer.lerning_rate=1",
            "optimizer.lerning_rate: unknown key; did you mean 'learning_rate'? known: name, learning_rate",
        ),
        (
            "method.name=distilation",
            "method.name: found 'distilation'; did you mean 'distillation'? known: confidence_weighted, distillation, meta_auxiliary, supervised",
        ),
        ("method={task_weights: {au: 2}}", "method.name: missing; the recipe has to say it"),
        ("method={name: distillation, tempreature: 2}", "method.tempreature: unknown key; did you mean 'temperature'?"),
        (
            "method={name: supervised, task_weights: {va: -1}}",
            "method.task_weights.va: found -1; expected greater than or equal to 0",
        ),
        (
            "method={name: supervised, task_weights: {au: 0, expression: 0, va: 0}}",
            "every trained task (au, expression, va) has weight 0",
        ),
        ("tasks.action_units=[1, 1]", "tasks.action_units: AU1 is named twice; name every action unit once"),
        ("tasks.action_units=[3]", "tasks.action_units: AU3 is no action unit of the vocabulary (1, 2, 4"),
        ("tasks.action_units=[one]", "tasks.action_units[0]: found 'one'; expected a valid integer"),
        ("tasks.expression=aff_wild2", "tasks.expression: 'aff_wild2' is no expression set; known: aff_wild2_7"),
        ("tasks.expression=[happy, bored]", "tasks.expression: 'bored' is no expression; the vocabulary has neutral"),
        (
            "tasks.expression=[happy, joy]",
            "tasks.expression: found ['happy', 'joy']; expected two classes at least, each once",
        ),
        ("tasks.expression=7", "tasks.expression: found 7; expected the name of an expression set"),
        ("tasks={}", "tasks: names no task; give `action_units`, `expression` or `valence_arousal`"),
        ("tasks.valence_arousal.bins=1", "tasks.valence_arousal.bins: found 1; expected greater than or equal to 2"),
        ("training.best_metric=va.mean_cc", "training.best_metric: found 'va.mean_cc'; expected 'score', 'au.mean_f1'"),
        ("model.image_size=100", "model.image_size: 100 is no multiple of the backbone's patch size 16; try 96"),
        (
            "model.backbone.image_size=32",
            "model.image_size: 64, but `model.backbone.image_size` says 32; remove the latter",
        ),
        (
            "model.backbone.model_type=vitt",
            "model.backbone: `model_type` 'vitt' is not known to transformers; did you mean 'vit'?",
        ),
        ("model.backbone={}", "model.backbone: the configuration lacks `model_type`"),
        ("model.backbone=3", "model.backbone: found 3; expected a Hub id, a local folder, or a configuration"),
        ("model.pretrained=true", "model.pretrained: true, but a configuration has no weights"),
        (
            "batches={sampler: database_proportional, balance: rare}",
            "batches.sampler: found 'database_proportional', but `batches.balance` decides which rows come",
        ),
        ("batches.size=2", "batches.size: found 2, but 3 pools share a batch; give each at least one row"),
        ("batches.repeat_cap=3", "batches.repeat_cap: without `batches.balance` no row is repeated before all others"),
        (
            "training={patience: 2, validation_split: null}",
            "training.patience: stopping early takes evaluations; name a `training.validation_split`",
        ),
        ("training={patience: 2, keep_best: 0}", "training.patience: the best model would not be kept"),
        (
            "model={backbone: folder, gradient_checkpointing: true, freeze_backbone: true}",
            "model.gradient_checkpointing: a frozen backbone keeps no activations",
        ),
        ("training.trackers=[wandbb]", "training.trackers: found 'wandbb'; known: aim, clearml, comet_ml"),
        ("training.ema_decay=1.0", "training.ema_decay: found 1.0; expected less than 1"),
        ("optimizer.layer_decay=0", "optimizer.layer_decay: found 0; expected greater than 0"),
        ("soft_labels=[teacher]", "soft_labels: found teacher, but the method 'supervised' does not use them"),
        ("soft_labels=[../teacher]", "soft_labels[0]: found '../teacher'; String should match pattern"),
        ("seed=true", "seed: found True; expected a valid integer"),
        ("seed='1'", "seed: found '1'; expected a valid integer"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate: found inf; expected a finite number"),
        ("optimizer.betas=[0.9]", "optimizer.betas[1]: missing"),
        ("seed.deep=1", "command line: seed.deep: seed is 0, so it has no key 'deep'"),
        ("seed", "command line: 'seed' is no override; write key=value"),
        (".seed=1", "command line: '.seed=1' is no override; write key=value"),
        ("soft_labels=[a", "command line: soft_labels: '[a' is no YAML value"),
    ],
)
def test_every_wrong_value_has_its_message(recipe_file, override, message):
    assert message in only_mistake(recipe_file(MINIMAL + "seed: 0\n"), override)


def test_a_metric_of_a_task_that_is_not_trained_is_refused(recipe_file):
    found = only_mistake(recipe_file(), "tasks={action_units: [1]}", "training.best_metric=va.mean_ccc")

    assert found == "command line: training.best_metric: found 'va.mean_ccc', but `tasks` trains only au; use 'score'"


def test_a_balance_of_another_split_is_refused(recipe_file):
    found = only_mistake(recipe_file(), "batches.balance=rare", "training.split=other")

    assert "batches.balance: weighs the rows of the split 'train', but `training.split` is 'other'" in found


def test_a_warm_up_longer_than_the_training_is_refused(recipe_file):
    found = only_mistake(recipe_file(), "training.max_steps=10", "schedule.warmup_steps=10")

    assert "schedule.warmup_steps: found 10; expected less than `training.max_steps` (10)" in found


def test_a_soft_label_group_named_twice_is_refused(recipe_file):
    assert "name every group once" in only_mistake(recipe_file(), "method.name=distillation", "soft_labels=[a, a]")


def test_a_key_written_twice_is_refused(recipe_file):
    path = recipe_file(MINIMAL + "seed: 1\nseed: 2\n")

    assert only_mistake(path) == f"{path}:6: seed: written twice, first in line 5; remove one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: [merged\noutput: x\n", r"recipe\.yaml:2: not readable as YAML: .* \(column \d+\)"),
        ("- dataset\n", r"recipe\.yaml:1: found \['dataset'\]; expected `key: value` lines"),
        (
            "dataset: !!python/object:os.system x\n",
            r"recipe\.yaml:1: not readable as YAML: could not determine a constructor .* \(column \d+\)",
        ),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_with_its_line(recipe_file, text, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe(recipe_file(text))


def test_an_empty_file_lacks_everything(recipe_file):
    found = mistakes(recipe_file(""))

    assert found == [f"{key}: missing; the recipe has to say it" for key in ("dataset", "output", "tasks", "model")]


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"training recipe '.*nowhere\.yaml' does not exist; recipes of the project are under recipes/"
    ):
        read_recipe(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"seed: 1\n\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"binary\.yaml:2: not readable as YAML: no utf-8 text"):
        read_recipe(tmp_path / "binary.yaml")


def test_a_data_recipe_is_named_as_one(recipe_file):
    path = recipe_file("databases: {expw: {}}\n")

    assert only_mistake(path) == (
        f"{path}:1: databases: found the key of a data recipe, which `affect-data check` reads; expected a training recipe"
    )


def test_a_word_that_looks_like_a_number_stays_a_word_in_the_resolved_recipe(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file(), ["output='1e3'", "dataset='0o17'"])
    recipe.write(tmp_path / "resolved.yaml")

    assert read_recipe(tmp_path / "resolved.yaml") == recipe


def test_plain_values_validate_like_a_file():
    recipe = recipe_from(yaml.safe_load(MINIMAL), ["seed=3"])

    assert recipe.seed == 3
    with pytest.raises(RecipeError, match=r"recipe: 1 mistake.*\n  dataset: found 3; expected a valid string"):
        recipe_from({**yaml.safe_load(MINIMAL), "dataset": 3})


def test_overrides_leave_the_values_that_they_were_given_as_they_are():
    values = yaml.safe_load(MINIMAL)
    recipe_from(values, ["tasks.expression=null"])

    assert values == yaml.safe_load(MINIMAL)
