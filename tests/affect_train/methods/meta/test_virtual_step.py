import torch

from affect_train.methods.meta.virtual_step import (
    FLOAT32_SETTINGS,
    WeightSpace,
    computes_float32_exactly,
    gradients,
    length,
    random_state,
    same_state,
)
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2), ("neutral", "anger", "happiness"), 0)
VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
}
CPU = torch.device("cpu")


def model_of(**options):
    torch.manual_seed(0)
    return AffectModel.build(TASKS, ModelOptions(backbone=VIT, image_size=32, **options))


def pixels(rows=4):
    return torch.randint(0, 256, (rows, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_pass_multiplies_in_float32_on_gpus_whatever_the_training_does():
    model, seen = model_of(), []
    model.heads["au"].register_forward_hook(
        lambda *_: seen.append([setting.fp32_precision for setting in FLOAT32_SETTINGS])
    )
    before = [setting.fp32_precision for setting in FLOAT32_SETTINGS]
    torch.set_float32_matmul_precision("high")
    try:
        space = WeightSpace(model)
        space(space.own, pixels())
        assert [setting.fp32_precision for setting in FLOAT32_SETTINGS] == ["tf32", "tf32"]
        assert torch.get_float32_matmul_precision() == "high"
        assert computes_float32_exactly(CPU)
        assert not computes_float32_exactly(torch.device("cuda"))
    finally:
        for setting, kept in zip(FLOAT32_SETTINGS, before, strict=True):
            setting.fp32_precision = kept
    assert seen == [["ieee", "ieee"]]


def test_drawing_a_random_number_changes_the_state():
    before = random_state(CPU)
    assert same_state(before, random_state(CPU))
    torch.rand(1)
    assert not same_state(before, random_state(CPU))


def test_the_model_at_its_own_weights_is_the_model():
    model = model_of()
    space = WeightSpace(model)
    assert set(space.names) == {name for name, one in model.named_parameters() if one.requires_grad}
    output, found = model(pixels()), space(space.own, pixels())
    for name in ("au_logits", "expression_logits", "features"):
        assert torch.equal(output[name], found[name])
    moved = space([one + 0.1 for one in space.own], pixels())
    assert not torch.allclose(output.au_logits, moved.au_logits, atol=1e-2)
    assert torch.equal(model(pixels()).au_logits, output.au_logits)


def test_gradients_reach_the_given_weights_and_not_the_models_own():
    model = model_of()
    space = WeightSpace(model)
    leaves = [one.detach().clone().requires_grad_() for one in space.own]
    found = gradients(space(leaves, pixels()).au_logits.sum(), leaves)
    expected = gradients(model(pixels()).au_logits.sum(), space.own)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    expression = space.names.index("heads.expression.1.weight")
    assert found[expression].abs().sum() == 0
    assert all(one.grad is None for one in model.parameters())


def test_only_batch_statistics_couple_rows():
    assert not WeightSpace(model_of()).couples_rows
    model = model_of(head={"normalisation": "batch"})
    assert WeightSpace(model).couples_rows
    assert not WeightSpace(model.eval()).couples_rows


def test_running_statistics_stay_as_they_were():
    model = model_of(head={"normalisation": "batch"})
    before = {name: value.clone() for name, value in model.named_buffers()}
    assert "norm.running_mean" in before
    space = WeightSpace(model)
    space(space.own, pixels())
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    model(pixels())
    assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])


def test_the_length_is_that_of_one_vector():
    assert length([torch.tensor([3.0]), torch.tensor([[0.0, 4.0]]), torch.tensor(12.0)]).item() == 13
