import json

import pytest
import torch
from torch import nn
from transformers import AutoModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from affect_train.errors import BackboneError, NotAModelError
from affect_train.network.model import AffectConfig, AffectModel, load_model
from affect_train.network.output import AffectOutput
from affect_train.network.reading import normalised
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2, 12), ("neutral", "happiness"), 20)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
BACKBONES = {
    "vit": ({"model_type": "vit", "patch_size": 16, **SMALL}, 64, 64),
    "dinov2": ({"model_type": "dinov2", "patch_size": 14, **SMALL}, 56, 64),
    "levit": (
        {
            "model_type": "levit",
            "hidden_sizes": [64, 96, 128],
            "num_attention_heads": [2, 3, 4],
            "depths": [2, 2, 2],
            "key_dim": [16, 16, 16],
        },
        64,
        128,
    ),
    "convnextv2": ({"model_type": "convnextv2", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 24]}, 64, 24),
}


@pytest.fixture(autouse=True)
def _quiet_and_reproducible(monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    torch.manual_seed(0)


def built(name="vit", tasks=TASKS, **options):
    backbone, size, _ = BACKBONES[name]
    return AffectModel.build(tasks, ModelOptions(**{"backbone": backbone, "image_size": size, **options}))


def faces(model, count=3):
    size = model.config.image_size
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


def logits_of(model, pixels):
    with torch.no_grad():
        return model.eval()(pixels)


@pytest.fixture(scope="module")
def dinov2_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(5)
    config = Dinov2Config(
        patch_size=14, image_size=70, **{key: SMALL[key] for key in SMALL if key != "intermediate_size"}
    )
    Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", BACKBONES)
def test_every_kind_of_backbone_gives_logits_for_every_head(name):
    model = built(name)

    output = model(faces(model))

    shapes = {key: tuple(value.shape) for key, value in output.items()}
    assert shapes == {
        "au_logits": (3, 3),
        "expression_logits": (3, 2),
        "valence_logits": (3, 20),
        "arousal_logits": (3, 20),
        "features": (3, BACKBONES[name][2]),
    }


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("freeze", [False, True])
def test_every_parameter_that_wants_a_gradient_gets_one(name, freeze):
    model = built(name, freeze_backbone=freeze)

    output = model(faces(model))
    sum(value.sum() for key, value in output.items() if key != "features").backward()

    learning = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(parameter.grad is not None for parameter in learning.values())
    assert any(key.startswith("backbone.") for key in learning) is not freeze


@pytest.mark.parametrize("name", BACKBONES)
def test_a_saved_model_loads_with_the_same_outputs_and_the_same_frozen_parameters(name, tmp_path):
    model = built(name, freeze_backbone=name == "levit", dropout=0.1)
    pixels = faces(model)
    expected = logits_of(model, pixels)

    model.save_pretrained(tmp_path)

    for loaded in (load_model(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert not loaded.training
        found = logits_of(loaded, pixels)
        assert all(torch.equal(found[key], expected[key]) for key in expected)
        assert {key for key, value in loaded.named_parameters() if value.requires_grad} == {
            key for key, value in model.named_parameters() if value.requires_grad
        }


def test_the_configuration_names_all_that_inference_needs(tmp_path):
    backbone, size, _ = BACKBONES["vit"]
    model = AffectModel.build(TASKS, ModelOptions(backbone=backbone, image_size=size), {"margin": 0.2}, "0123")
    model.config.thresholds = [0.1, 0.2, 0.3]
    model.save_pretrained(tmp_path)

    config = load_model(tmp_path).config

    assert config.task_set() == TASKS
    assert config.id2label == {0: "neutral", 1: "happiness"}
    assert (config.preprocessing, config.preprocessing_hash, config.thresholds) == (
        {"margin": 0.2},
        "0123",
        [0.1, 0.2, 0.3],
    )
    assert AffectConfig(action_units=[1, 2]).thresholds == [0.5, 0.5]
    stored = json.loads((tmp_path / "config.json").read_text())
    assert (stored["model_type"], stored["action_units"], stored["image_size"]) == ("affect", [1, 2, 12], 64)


def test_pixels_are_normalised_as_the_backbone_expects(dinov2_folder):
    model = AffectModel.build(TASKS, ModelOptions(backbone=str(dinov2_folder), image_size=56))
    reference = Dinov2Model.from_pretrained(dinov2_folder).eval()
    pixels = faces(model)
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)

    features = logits_of(model, pixels).features

    with torch.no_grad():
        hidden = reference((pixels / 255 - mean) / std).last_hidden_state
    torch.testing.assert_close(features, torch.cat([hidden[:, 0], hidden[:, 1:].mean(1)], dim=1), rtol=1e-4, atol=1e-5)


def test_normalising_keeps_the_memory_layout_and_gives_the_same_numbers():
    pixels = torch.randint(0, 256, (3, 3, 10, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scale, shift = torch.tensor([0.5, 2.0, 3.0]).view(1, 3, 1, 1), torch.tensor([-1.0, 0.25, 4.0]).view(1, 3, 1, 1)
    expected = pixels.float() * scale + shift
    interleaved = pixels.contiguous(memory_format=torch.channels_last)
    for image in (pixels, interleaved):
        found = normalised(image, scale, shift)
        torch.testing.assert_close(found, expected)
        assert found.stride() == image.stride()


def test_the_normalisation_beside_a_pretrained_backbone_is_used(tmp_path):
    ViTModel(ViTConfig(patch_size=16, image_size=32, **SMALL)).save_pretrained(tmp_path)
    values = {"image_processor_type": "ViTImageProcessor", "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))

    model = AffectModel.build(TASKS, ModelOptions(backbone=str(tmp_path), image_size=64))

    white = torch.full((1, 3, 64, 64), 255.0)
    normalised = torch.addcmul(model.pixel_shift, white, model.pixel_scale)[0, :, 0, 0]
    torch.testing.assert_close(normalised, torch.tensor([2.0, 1.0, 0.5]))
    assert logits_of(model, faces(model)).features.shape == (3, 64)


@pytest.mark.parametrize(("pooling", "width"), [("mean", 32), ("cls", 32), ("cls_mean", 64)])
def test_pooling_is_the_class_token_the_mean_of_the_patches_or_both(pooling, width, dinov2_folder):
    model = AffectModel.build(TASKS, ModelOptions(backbone=str(dinov2_folder), image_size=56, pooling=pooling)).eval()
    pixels = faces(model)

    with torch.no_grad():
        features = model(pixels).features
        hidden = model.backbone(torch.addcmul(model.pixel_shift, pixels.float(), model.pixel_scale)).last_hidden_state

    parts = {"cls": [hidden[:, 0]], "mean": [hidden[:, 1:].mean(1)]}
    expected = torch.cat([part for key in pooling.split("_") for part in parts[key]], dim=1)
    assert features.shape == (3, width)
    torch.testing.assert_close(features, expected)


def test_registers_are_no_patches():
    config = {"model_type": "dinov2_with_registers", "patch_size": 14, "num_register_tokens": 4, **SMALL}
    model = AffectModel.build(TASKS, ModelOptions(backbone=config, image_size=56))

    assert model.prefix_tokens == 5


def test_a_frozen_backbone_stays_in_evaluation_mode_and_its_statistics_stay_still():
    model = built("levit", freeze_backbone=True).train()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}

    output = model(faces(model))
    output.au_logits.sum().backward()

    assert model.training
    assert not any(module.training for module in model.backbone.modules())
    assert not output.features.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in model.backbone.state_dict().items())


def test_predictions_are_probabilities_and_means_over_bin_centres():
    model = built(tasks=TaskSet((1,), ("neutral", "anger"), 4))
    valence = torch.full((1, 4), -50.0)
    valence[0, 3] = 50.0

    found = model.predictions(
        AffectOutput(
            au_logits=torch.tensor([[0.0]]),
            expression_logits=torch.tensor([[1.0, 1.0]]),
            valence_logits=valence,
            arousal_logits=torch.zeros(1, 4),
        )
    )

    assert found["au"].tolist() == [[0.5]]
    assert found["expression"].tolist() == [[0.5, 0.5]]
    assert found["valence"].item() == pytest.approx(0.75)
    assert found["arousal"].item() == pytest.approx(0.0, abs=1e-6)


def test_a_model_has_only_the_heads_of_its_tasks():
    model = built(tasks=TaskSet(expressions=("neutral", "anger")))

    output = logits_of(model, faces(model))

    assert set(output) == {"expression_logits", "features"}
    assert set(model.predictions(output)) == {"expression"}


def test_stored_features_give_the_same_logits_as_the_pixels():
    model = built("levit")
    output = logits_of(model, faces(model))

    with torch.no_grad():
        again = model.classify(output.features.clone())

    assert all(torch.equal(again[key], output[key]) for key in output)


def test_a_hidden_layer_and_dropout_can_stand_before_the_logits():
    head = built(head={"hidden": 8}, dropout=0.25).heads["au"]

    assert [type(layer) for layer in head] == [nn.Linear, nn.GELU, nn.Dropout, nn.Linear]
    assert (head[0].out_features, head[3].in_features, head[2].p) == (8, 8, 0.25)


def test_all_heads_read_one_hidden_layer_where_it_is_shared(tmp_path):
    model = built(head={"shared": 8, "hidden": 4})
    output = logits_of(model, faces(model))

    assert [head[0].in_features for head in model.heads.values()] == [8] * 4
    assert output.features.shape == (3, model.feature_width)
    model.shared[0].weight.data.zero_()
    blind = logits_of(model, faces(model))
    assert all(torch.equal(blind[f"{name}_logits"][0], blind[f"{name}_logits"][1]) for name in model.heads)
    model.save_pretrained(tmp_path)
    assert load_model(tmp_path).shared[0].out_features == 8


def test_a_head_may_start_at_zero_and_learns_from_there():
    model = built(head={"zero": ["au"]}).train()
    output = model(faces(model))

    assert (output.au_logits == 0).all()
    assert (output.expression_logits != 0).all()
    torch.nn.functional.binary_cross_entropy_with_logits(output.au_logits, torch.ones(3, 3)).backward()
    assert (model.heads["au"][-1].weight.grad != 0).any()


def test_batch_normalisation_scales_every_feature_by_itself():
    model = built(head={"normalisation": "batch"}).train()
    features = torch.randn(64, model.norm.num_features) * torch.linspace(0.1, 50, model.norm.num_features) + 3

    scaled = model.norm(features)

    assert scaled.mean(dim=0).abs().max() < 1e-4
    assert (scaled.std(dim=0, correction=0) - 1).abs().max() < 1e-2


def test_pretrained_weights_arrive_and_can_be_declined(dinov2_folder):
    reference = Dinov2Model.from_pretrained(dinov2_folder).state_dict()

    kept = AffectModel.build(TASKS, ModelOptions(backbone=str(dinov2_folder), image_size=56)).backbone.state_dict()
    fresh = AffectModel.build(
        TASKS, ModelOptions(backbone=str(dinov2_folder), image_size=56, pretrained=False)
    ).backbone.state_dict()

    assert all(torch.equal(kept[key], value) for key, value in reference.items())
    assert not torch.equal(fresh["encoder.layer.0.mlp.fc1.weight"], reference["encoder.layer.0.mlp.fc1.weight"])


def test_a_trained_model_serves_as_backbone(tmp_path):
    first = built("levit")
    first.save_pretrained(tmp_path)

    second = AffectModel.build(TaskSet((4,)), ModelOptions(backbone=str(tmp_path), image_size=64))

    before, after = first.backbone.state_dict(), second.backbone.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert set(second.heads) == {"au"}


def test_drop_path_reaches_the_backbone(dinov2_folder):
    model = AffectModel.build(TASKS, ModelOptions(backbone=str(dinov2_folder), image_size=56, drop_path=0.3))

    assert model.config.backbone_config.drop_path_rate == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backbone": "no/such/model/here"},
            r"backbone 'no/such/model/here': it is no local folder, and the Hub did not give it",
        ),
        (
            {"backbone": {"model_type": "dinov2", **SMALL}, "image_size": 64},
            r"its patch size 14 does not divide the image size 64.*image_size: 56",
        ),
        ({"backbone": {"model_type": "vit", "hidden_size": "wide"}}, r"backbone 'vit': the configuration is refused"),
        (
            {"pooling": "cls", "backbone": BACKBONES["levit"][0]},
            r"it has no class token for `pooling: cls`.*pooling: mean",
        ),
        ({"drop_path": 0.1}, r"backbone 'vit': it has no drop path"),
        (
            {"backbone": {"model_type": "bert", **SMALL}},
            r"backbone 'bert': it takes input_ids where pictures are needed",
        ),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused(options, message):
    with pytest.raises(BackboneError, match=message):
        built("vit", **options)


def test_a_folder_without_a_usable_model_is_refused_as_backbone(tmp_path, dinov2_folder):
    options = ModelOptions(backbone=str(tmp_path), image_size=56)
    with pytest.raises(BackboneError, match=r"the folder has no config.json"):
        AffectModel.build(TASKS, options)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BackboneError, match=r"its config.json cannot be used"):
        AffectModel.build(TASKS, options)
    (tmp_path / "config.json").write_bytes((dinov2_folder / "config.json").read_bytes())
    with pytest.raises(BackboneError, match=r"its weights cannot be loaded.*or set `model.pretrained: false`"):
        AffectModel.build(TASKS, options)


def test_weights_that_lack_tensors_are_refused(tmp_path, dinov2_folder):
    config = Dinov2Config.from_pretrained(dinov2_folder)
    config.num_hidden_layers = 3
    Dinov2Model.from_pretrained(dinov2_folder).save_pretrained(tmp_path)
    config.save_pretrained(tmp_path)

    with pytest.raises(BackboneError, match=r"its weights lack \d+ tensor\(s\): encoder.layer.2"):
        AffectModel.build(TASKS, ModelOptions(backbone=str(tmp_path), image_size=56))


def test_what_is_no_model_of_ours_is_refused(tmp_path, dinov2_folder):
    with pytest.raises(
        NotAModelError, match=r"there is no config.json. Name the `model` folder of a finished training run"
    ):
        load_model(tmp_path)
    with pytest.raises(NotAModelError, match="it holds a model of type 'dinov2'"):
        load_model(dinov2_folder)
    built().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(NotAModelError, match="it cannot be loaded"):
        load_model(tmp_path)


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path):
    built().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["valence_arousal_bins"] = 0
    (tmp_path / "config.json").write_text(json.dumps(values))

    with pytest.raises(NotAModelError, match=r"the weights do not fit the configuration: .*heads"):
        load_model(tmp_path)


@pytest.mark.parametrize("pixels", [torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)])
def test_pixels_of_another_type_or_size_are_refused(pixels):
    with pytest.raises(ValueError, match=r"expected torch.uint8 \[N, 3, 64, 64\]"):
        built()(pixels)


def test_the_demo_network_has_the_measured_size():
    model = built("levit")

    backbone = sum(parameter.numel() for parameter in model.backbone.parameters())
    assert 0.6e6 < backbone < 0.8e6


def test_weights_that_were_read_lie_in_memory_of_their_own_and_aligned(tmp_path):
    built().save_pretrained(tmp_path)
    weights = dict(load_model(tmp_path).named_parameters())
    assert {name: weight.data_ptr() % 64 for name, weight in weights.items()} == dict.fromkeys(weights, 0)
