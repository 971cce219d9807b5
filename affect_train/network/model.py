"""A vision backbone from transformers with a head for every task."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from affect_train.errors import NotAModelError
from affect_train.losses import expectation
from affect_train.network.adapter import add_adapter
from affect_train.network.backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    in_own_memory,
    load_backbone,
    pooling_of,
)
from affect_train.network.habits import PREFIX, habits_of
from affect_train.network.output import AffectOutput, mean_over_clips
from affect_train.network.reading import (
    as_sequence,
    feature_width,
    interpolates,
    last_hidden_state,
    normalised,
    prefix_tokens,
    stored_prefix_tokens,
    without_pooler,
)
from affect_train.network.recurrent import WindowEncoder
from affect_train.recipe.model import CLIP_FRAMES, ModelOptions
from affect_train.tasks import DEFAULT_THRESHOLD, TaskSet


class AffectConfig(PretrainedConfig):
    """Everything needed to rebuild a model and to feed it.

    Args:
        backbone_config: the backbone's own configuration, or its values with ``model_type``.
        action_units: FACS numbers in head order.
        expressions: class names in head order.
        valence_arousal_bins: bins for each axis over [-1, 1]; 0 for no such heads.
        image_size: side of the input, in pixels.
        image_mean: of each RGB channel, on a scale of [0, 1].
        image_std: of each RGB channel, on a scale of [0, 1].
        standardise: whether each normalised image is also brought to mean 0 and deviation 1.
        pooling: ``mean`` over positions, ``cls`` token, or both (``cls_mean``).
        prefix_tokens: how many tokens stand before the backbone's patches; None for models saved before this was stored.
        head_hidden: width of the heads' hidden layer; 0 for linear heads.
        head_shared: width of the hidden layer that all heads share; 0 for none.
        head_normalisation: of the features: ``layer`` over the features of each face, ``batch`` over the faces for each feature.
        dropout: probability of dropping an entry, before the last layer of each head.
        freeze_backbone: whether only the heads learn.
        unused_parameters: parameters that no output depends on; they never learn.
        preprocessing: how the input was cropped and scaled.
        preprocessing_hash: identifies `preprocessing`.
        thresholds: for every action unit, the probability from which on it counts as present.
        clip_frames: how many frames of a clip are shown; its outputs are the mean over them.
        label_rates: by head, how often labels were among the training rows, from `LabelRates.to_dict`; None where that is not known.
        temporal: values of the recipe's section ``model.temporal``, the recurrent stage before the heads; None for none.
        habits: which databases have habits of their own, as `DatabaseHabits` describes them; None where none were learned.
    """

    model_type = "affect"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012 - the type that transformers looks up

    def __init__(
        self,
        backbone_config: PretrainedConfig | Mapping[str, Any] | None = None,
        action_units: Sequence[int] = (),
        expressions: Sequence[str] = (),
        valence_arousal_bins: int = 0,
        image_size: int = 112,
        image_mean: Sequence[float] = IMAGENET_MEAN,
        image_std: Sequence[float] = IMAGENET_STD,
        standardise: bool = False,  # noqa: FBT001, FBT002 - transformers calls by keyword
        pooling: str = "mean",
        head_hidden: int = 0,
        head_shared: int = 0,
        head_normalisation: str = "layer",
        dropout: float = 0.0,
        freeze_backbone: bool = False,  # noqa: FBT001, FBT002 - transformers calls by keyword
        unused_parameters: Sequence[str] = (),
        preprocessing: Mapping[str, Any] | None = None,
        preprocessing_hash: str = "",
        thresholds: Sequence[float] | None = None,
        temporal: Mapping[str, Any] | None = None,
        clip_frames: int = CLIP_FRAMES,
        label_rates: Mapping[str, Sequence[float]] | None = None,
        prefix_tokens: int | None = None,
        habits: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(backbone_config, Mapping):
            backbone_config = AutoConfig.for_model(**backbone_config)
        # A copy, because the constructor of PretrainedConfig resets the attention implementation of nested configurations.
        self.backbone_config = copied = copy.deepcopy(backbone_config)
        if isinstance(copied, PretrainedConfig) and Path(copied.name_or_path or "").is_absolute():
            # Only the folder's name: a published model must not show paths of the machine that trained it.
            copied.name_or_path = Path(copied.name_or_path).name
        self.action_units = list(action_units)
        self.expressions = list(expressions)
        self.valence_arousal_bins = valence_arousal_bins
        self.image_size = image_size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.standardise = standardise
        self.pooling = pooling
        self.prefix_tokens = prefix_tokens
        self.head_hidden = head_hidden
        self.head_shared = head_shared
        self.head_normalisation = head_normalisation
        self.dropout = dropout
        self.freeze_backbone = freeze_backbone
        self.unused_parameters = list(unused_parameters)
        self.preprocessing = dict(preprocessing or {})
        self.preprocessing_hash = preprocessing_hash
        self.thresholds = list(thresholds) if thresholds is not None else [DEFAULT_THRESHOLD] * len(self.action_units)
        self.temporal = dict(temporal) if temporal is not None else None
        self.clip_frames = clip_frames
        self.habits = dict(habits) if habits is not None else None
        self.label_rates = {head: list(rates) for head, rates in label_rates.items()} if label_rates else None
        if self.expressions:
            kwargs["id2label"] = dict(enumerate(self.expressions))
            kwargs["label2id"] = {name: position for position, name in enumerate(self.expressions)}
        super().__init__(**kwargs)

    def task_set(self) -> TaskSet:
        """The heads as a `TaskSet`."""
        return TaskSet(tuple(self.action_units), tuple(self.expressions), self.valence_arousal_bins)


class AffectModel(PreTrainedModel):
    """A backbone, one pooled feature vector for a face, and a head for every task of the configuration."""

    config_class = AffectConfig
    base_model_prefix = "affect"
    main_input_name = "inputs"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: AffectConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.backbone = without_pooler(
            backbone if backbone is not None else AutoModel.from_config(config.backbone_config)
        )
        self.prefix_tokens = stored_prefix_tokens(config.prefix_tokens, config.backbone_config)
        width = feature_width(config.backbone_config) * (2 if config.pooling == "cls_mean" else 1)
        sizes = {
            "au": len(config.action_units),
            "expression": len(config.expressions),
            "valence": config.valence_arousal_bins,
            "arousal": config.valence_arousal_bins,
        }
        self.feature_width = width
        self.norm = nn.BatchNorm1d(width) if config.head_normalisation == "batch" else nn.LayerNorm(width)
        self.shared: nn.Module = nn.Identity()
        if config.head_shared:
            self.shared = nn.Sequential(nn.Linear(width, config.head_shared), nn.GELU())
            width = config.head_shared
        self.encoder = None
        if config.temporal is not None:
            present = [name for name, size in sizes.items() if size]
            self.encoder = WindowEncoder(width, present, config.temporal, config.dropout)
            width = self.encoder.width
        self.heads = nn.ModuleDict({name: _head(width, size, config) for name, size in sizes.items() if size})
        self.habits = habits_of(config.task_set(), config.habits)
        self.labels_as: int | None = None
        # Persistent, because transformers builds models on the meta device and fills in only what is in the weight file.
        mean, std = torch.tensor(config.image_mean), torch.tensor(config.image_std)
        self.register_buffer("pixel_scale", (1 / (255 * std)).reshape(1, 3, 1, 1))
        self.register_buffer("pixel_shift", (-mean / std).reshape(1, 3, 1, 1))
        if config.valence_arousal_bins:
            self.register_buffer("bin_centres", config.task_set().bin_centres())
        self._interpolates = interpolates(self.backbone, config.image_size)
        self.post_init()
        self._freeze()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the signature of transformers
        """The saved model, loaded by transformers; what was frozen when it was saved is frozen again."""
        loaded = super().from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded)._freeze()
        return loaded

    def _freeze(self) -> None:
        unused = set(self.config.unused_parameters)
        for name, parameter in self.named_parameters():
            if name in unused or (self.config.freeze_backbone and name.startswith("backbone.")):
                parameter.requires_grad_(requires_grad=False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "AffectModel":  # noqa: FBT001, FBT002 - the signature of torch
        """Training or evaluation mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.backbone.eval()
        return self

    def forward(
        self,
        inputs: Tensor,
        places: Tensor | None = None,
        counts: Tensor | None = None,
        databases: Tensor | None = None,
    ) -> AffectOutput:
        """The logits of every head; of a clip, the mean of those of its frames.

        Args:
            inputs: RGB pictures, uint8 [N, 3, S, S], S being the configuration's ``image_size``; or, if the backbone is frozen, its features,
                float [N, D].
            places: only with features, as for `classify`.
            counts: int64 [rows], how many of the inputs belong to each row, those of one row next to each other; None: one each.
            databases: int64 [rows], as whose labels the outputs are to be, by number of `habits`; None: the shared network's own.

        Raises:
            ValueError: the inputs are neither.
        """
        if inputs.ndim == 2 and self.config.freeze_backbone:
            return self.labelled(mean_over_clips(self.classify(inputs, places), counts), databases)
        size = self.config.image_size
        if inputs.dtype != torch.uint8 or inputs.shape[1:] != (3, size, size):
            raise ValueError(
                f"found pixels {inputs.dtype} {list(inputs.shape)}; expected torch.uint8 [N, 3, {size}, {size}]"
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            features = self.features(inputs)
        return self.labelled(mean_over_clips(self.classify(features), counts), databases)

    def labelled(self, output: AffectOutput, databases: Tensor | None = None) -> AffectOutput:
        """The output as databases would label each face; as it is without `databases`, unless `label_as` has chosen one for all faces."""
        if databases is None and self.labels_as is not None:
            databases = torch.full((len(output[0]),), self.labels_as, device=output[0].device)
        if self.habits is None or databases is None:
            return output
        return cast(AffectOutput, self.habits(output, databases))

    def classify(self, features: Tensor, places: Tensor | None = None) -> AffectOutput:
        """The logits of every head from pooled features.

        Args:
            features: float [N, D], from `features`.
            places: [N], for a recurrent stage: the place of each frame in its window; None: every frame is a window of its own.
        """
        normalised = self.shared(self.norm(features))
        if self.encoder is None:
            logits = {f"{name}_logits": head(normalised) for name, head in self.heads.items()}
            return AffectOutput(**logits, features=features)
        read = self.encoder(normalised, torch.zeros_like(features[:, 0]) if places is None else places)
        logits = {f"{name}_logits": head(read[name]) for name, head in self.heads.items()}
        return AffectOutput(**logits, features=features)

    def features(self, pixels: Tensor) -> Tensor:
        """The pooled features of the backbone, float [N, D], from pixels, uint8 [N, 3, S, S]."""
        images = normalised(pixels, self.pixel_scale, self.pixel_shift)
        if self.config.standardise:
            deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
            # The floor keeps a blank picture from being divided by zero.
            images = (images - mean) / deviation.clamp_min(0.05)
        hidden = as_sequence(last_hidden_state(self.backbone, images, interpolate=self._interpolates))
        mean = hidden[:, self.prefix_tokens :].mean(dim=1)
        match self.config.pooling:
            case "mean":
                return mean
            case "cls":
                return hidden[:, 0]
            case _:
                return torch.cat([hidden[:, 0], mean], dim=1)

    def predictions(self, output: AffectOutput) -> dict[str, Tensor]:
        """Predictions from logits, float32, by the names of the dataset's columns.

        ``au``: probabilities [N, A]; ``expression``: probabilities [N, C]; ``valence`` and ``arousal``: [N], the expectation over the bins' centres.
        Heads that the model lacks are absent.
        """
        found: dict[str, Tensor] = {}
        if output.au_logits is not None:
            found["au"] = output.au_logits.float().sigmoid()
        if output.expression_logits is not None:
            found["expression"] = output.expression_logits.float().softmax(dim=1)
        if output.valence_logits is not None and output.arousal_logits is not None:
            found["valence"] = expectation(output.valence_logits, self.bin_centres)
            found["arousal"] = expectation(output.arousal_logits, self.bin_centres)
        return found

    @classmethod
    def build(
        cls,
        tasks: TaskSet,
        options: ModelOptions,
        preprocessing: Mapping[str, Any] | None = None,
        preprocessing_hash: str = "",
        habits: Mapping[str, Any] | None = None,
    ) -> "AffectModel":
        """A new model: fresh heads on a backbone from a configuration, a local folder or the Hub.

        Args:
            tasks: the heads.
            options: the section ``model`` of a recipe.
            preprocessing: stored with the model.
            preprocessing_hash: stored with the model.
            habits: of the databases, as `DatabaseHabits` describes them; None: none are learned.

        Raises:
            BackboneError: the backbone cannot be loaded, does not fit the options, or does not keep to the contract.
        """
        loaded = load_backbone(options)
        config = AffectConfig(
            loaded.config,
            **tasks.to_dict(),
            image_size=options.image_size,
            image_mean=loaded.image_mean,
            image_std=loaded.image_std,
            standardise=options.standardise,
            pooling=pooling_of(options, loaded.config),
            head_hidden=options.head.hidden,
            head_shared=options.head.shared,
            head_normalisation=options.head.normalisation,
            dropout=options.dropout,
            freeze_backbone=options.freeze_backbone,
            preprocessing=preprocessing,
            preprocessing_hash=preprocessing_hash,
            temporal=options.temporal.model_dump(mode="json") if options.temporal is not None else None,
            clip_frames=options.clip_frames,
            prefix_tokens=prefix_tokens(loaded.config),
            habits=habits,
        )
        model = cls(config, loaded.model)
        if options.adapter is not None:
            add_adapter(model.backbone, options.adapter)
        for name in options.head.zero:
            if name in model.heads:
                last = cast(nn.Linear, cast(nn.Sequential, model.heads[name])[-1])
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        config.unused_parameters = model.freeze_unused()
        return model.train()

    def freeze_unused(self) -> list[str]:
        """The names of the parameters that no head depends on (a mask token, an unused layer); they no longer ask for a gradient.

        Distributed training would wait for their gradients for ever. Two grey images are sent through the model to find them.
        """
        self.eval()
        size = self.config.image_size
        output = self(torch.full((2, 3, size, size), 128, dtype=torch.uint8, device=self.device))
        learning = [(name, one) for name, one in self.named_parameters() if one.requires_grad]
        wanted = [(name, parameter) for name, parameter in learning if not name.startswith(PREFIX)]
        total = sum(output[f"{name}_logits"].float().sum() for name in self.heads)
        gradients = torch.autograd.grad(total, [parameter for _, parameter in wanted], allow_unused=True)
        unused = [name for (name, _), gradient in zip(wanted, gradients, strict=True) if gradient is None]
        for name in unused:
            self.get_parameter(name).requires_grad_(requires_grad=False)
        return unused


def load_model(folder: Path | str) -> AffectModel:
    """The model that training wrote to a folder, in evaluation mode.

    Raises:
        NotAModelError: the folder is missing, incomplete, or holds another kind of model.
    """
    remedy = "Name the `model` folder of a finished training run"
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise NotAModelError(path, "there is no config.json", remedy)
    try:
        config = AutoConfig.from_pretrained(path)
        if not isinstance(config, AffectConfig):
            raise NotAModelError(path, f"it holds a model of type {config.model_type!r}", remedy)
        loaded, report = AffectModel.from_pretrained(path, config=config, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise NotAModelError(path, f"it cannot be loaded ({error})", remedy) from error
    wrong = sorted([*report["missing_keys"], *report["unexpected_keys"]])
    if wrong:
        raise NotAModelError(path, f"the weights do not fit the configuration: {', '.join(wrong[:5])}", remedy)
    in_own_memory(loaded)
    model: AffectModel = loaded.eval()
    return model


def _head(width: int, size: int, config: AffectConfig) -> nn.Sequential:
    hidden = [nn.Linear(width, config.head_hidden), nn.GELU()] if config.head_hidden else []
    return nn.Sequential(*hidden, nn.Dropout(config.dropout), nn.Linear(config.head_hidden or width, size))


AutoConfig.register(AffectConfig.model_type, AffectConfig, exist_ok=True)
AutoModel.register(AffectConfig, AffectModel, exist_ok=True)
