"""How the weights of rows are learned: through a trial step."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from affect_train import losses
from affect_train.methods.meta.batch_mean import BatchMean
from affect_train.methods.meta.directional import DirectionalDerivatives, OnePass, Passes, RowLosses
from affect_train.methods.meta.meta_rows import MetaLoader, labelled_before, split_off_meta_rows
from affect_train.methods.meta.processes import OverProcesses
from affect_train.methods.meta.trial import Seen, Trial
from affect_train.methods.meta.virtual_step import (
    Weights,
    WeightSpace,
    computes_float32_exactly,
    gradients,
    random_numbers,
    random_state,
    same_state,
)
from affect_train.methods.meta.weight_network import WEIGHTS, WeightNetwork, WeightRecord, doubts, write_network
from affect_train.methods.method import StepWrapper, Trained, TrainedData
from affect_train.methods.supervised import Supervised
from affect_train.methods.terms import LossTerm, Term, TotalLoss, total_loss
from affect_train.recipe.methods.meta_auxiliary import MetaAuxiliaryOptions
from affect_train.recipe.recipe import Recipe
from affect_train.runtime import loader_processes

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.network.output import AffectOutput

NETWORK = "weight_network.safetensors"

SMALLEST_STEP = 1e-16
"""Adam's epsilon. Gradients by the row weights are about the learning rate over the number of rows, which the usual 1e-8 would swallow."""


class WeightLearning(StepWrapper):
    """The network that weighs rows, and everything that it learns with.

    It learns through a trial step, which is not kept. The model's weights move by plain gradient descent along the gradient of the weighted losses.
    There the action unit loss of other rows, the meta batch, is taken; v is its gradient. With n rows that have an expression and the step's learning
    rate a, the gradient by row i's weight is ``-a / n <v, d loss_i / d weights>``: a row gains weight if its expression pulls the model where the
    action units want it. This is a derivative of the row's loss in one direction, so no second-order graph is needed. Then the real step is taken
    with the new weights.

    If the meta rows are a batch of their own, the trial shares the gradients of the real step, which exist before the model's weights move. The
    change by the new weights is then added to these gradients; with ``trial: shared`` the new weights count from the next step on.

    If the meta rows are a share of the batch, the real step learns from them and the trial does not. The trial then has a backward pass of its own.

    The compared passes hold only the rows with an expression. They hold all rows if a row's output depends on the other rows (batch normalisation)
    or on random numbers (dropout), which are then the same in every pass.

    Source: Shu et al., *Meta-Weight-Net* (arXiv 1902.07379), algorithm 1; Li & Shan (arXiv 2105.06620), whose meta loss is that of action units.

    Args:
        method: its options, and its losses of action units, by which the trial is judged.
        trained: the model, its optimizer, and all loss terms of the step.
        data: where the meta rows come from.
        accelerator: of this process.
        recipe: of the run.
        rows: int64, the rows that are trained on. The meta rows are drawn from them unless the method keeps rows for itself.

    Raises:
        UsageError: the meta batches cannot be drawn.
    """

    def __init__(
        self,
        method: Supervised,
        trained: Trained,
        data: TrainedData,
        accelerator: Accelerator,
        recipe: Recipe,
        rows: NDArray[np.int64] | None,
    ) -> None:
        assert isinstance(method.options, MetaAuxiliaryOptions)
        self.method = method
        self.options = method.options
        self.accelerator = accelerator
        self.processes = OverProcesses(accelerator)
        self.batch_mean = BatchMean(self.processes.sum) if self.options.weight_network.mean == "batch" else None
        self.base_optimizer = trained.optimizer
        self.terms = trained.terms
        model = accelerator.unwrap_model(trained.model)
        self.space = WeightSpace(model)
        options = self.options.weight_network
        self.network = WeightNetwork(model.feature_width, options, recipe.seed).to(accelerator.device)
        # AdamW, because weight decay inside the gradient would outweigh these small gradients.
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, eps=SMALLEST_STEP
        )
        self.split, self.epoch_steps = data.train, data.order.steps
        self.loader = self._loader(data, recipe, rows)
        assert data.train.labels is not None
        self.record = WeightRecord(len(data.train.labels), accelerator.device)
        self.derivatives = DirectionalDerivatives(self.processes.sum)
        self.number = 0
        self.trial: Trial | None = None
        self.seen: Seen | None = None

    def _loader(self, data: TrainedData, recipe: Recipe, rows: NDArray[np.int64] | None) -> MetaLoader | None:
        """The loader of meta batches; None where the meta rows are a share of each batch."""
        size, labels = self.options.meta_batch.size, data.train.labels
        if size is None:
            return None
        candidates = rows if data.reserved is None else data.reserved
        assert candidates is not None
        assert labels is not None
        labelled = candidates[labels.au_mask[candidates].any(axis=1)]
        workers = min(1, loader_processes(recipe.batches.workers, self.accelerator.device))
        return MetaLoader(data.train, labelled, size, self.accelerator, seed=recipe.seed, workers=workers)

    def parts(self) -> dict[str, "WeightLearning"]:
        """This object, as the only part."""
        return {"weight_learning": self}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "record": self.record.state_dict(),
            "distance": self.derivatives.distance,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        for name, part in (("network", self.network), ("optimizer", self.optimizer), ("record", self.record)):
            part.load_state_dict(state[name])
        self.derivatives.distance = state["distance"]

    def finish(self, folder: Path) -> list[str]:
        """Writes the weight network and each row's mean weight in its last epoch; gives a line if the weights look wrong."""
        write_network(folder / NETWORK, self.network)
        assert self.split.dataset is not None
        table = self.record.write(folder / WEIGHTS, self.split.dataset)
        return doubts(table, str(folder / WEIGHTS))

    def before_step(self, number: int, micro_batches: Sequence["AffectBatch"]) -> None:
        """Chooses the meta batch if the weight network learns in this step."""
        (batch,) = micro_batches
        self.number, self.trial = number, None
        steps = self.options.weight_network.steps
        if (number - 1) % self.options.every == 0 and (steps is None or number <= steps):
            self.trial = self._trial(batch)
        if self.trial is not None and self.options.gradient == "second_order":
            # Before the pass with gradient, so that the two graphs are not in memory together.
            self._learn(self.trial, *self._weights_by_second_order(self.trial))
            self.trial = None

    def before_losses(self, output: "AffectOutput", batch: "AffectBatch") -> None:
        """Keeps features and losses of the pass with gradient; with a share of meta rows, runs the trial step here."""
        assert output.features is not None
        assert output.expression_logits is not None
        rows = expression_losses(output, batch).detach()
        seen = Seen(output.features.detach(), output.expression_logits.detach(), rows)
        self.seen = seen
        if self.trial is not None and self.loader is None:
            # The trial leaves out the meta rows' action units, which the real step learns from: it needs a gradient of its own.
            total = self._total(self.terms.losses(output, self.trial.batch))
            step = self.processes.mean_all(gradients(total.loss, self.space.own, retain=True))
            weights, gradient, _ = self._weights_by_direction(self.trial, seen, step)
            self._learn(self.trial, weights, gradient)
            self.trial = None
        if self.trial is None or self.options.trial == "shared":
            self._record(seen, batch)

    def before_update(self) -> None:
        """Lets the weight network learn from the step's gradients, and unless the trial is shared corrects these to the new weights."""
        if self.trial is None:
            return
        assert self.seen is not None
        step = [torch.zeros_like(one) if one.grad is None else one.grad for one in self.space.own]
        weights, gradient, rows = self._weights_by_direction(self.trial, self.seen, step)
        self._learn(self.trial, weights, gradient)
        if self.options.trial == "separate":
            self._reweigh(self.trial, self.seen, weights.detach(), rows)
            self._record(self.seen, self.trial.batch)
        self.trial = None

    def _reweigh(self, trial: Trial, seen: Seen, before: Tensor, rows: RowLosses) -> None:
        """Adds to the step's gradients what the new weights of the rows change in them."""
        labelled = trial.batch.expression_mask
        gained = self.weights_of(seen.features, seen.losses, labelled) - self.factors(before, labelled)
        found = self.processes.sum_all(rows.gradient(gained * self.options.task_weights.expression / trial.expressions))
        for parameter, change in zip(self.space.own, found, strict=True):
            # Parameters that the losses reach have a gradient from the step already.
            if parameter.grad is not None:
                parameter.grad.add_(change)

    def weights_of(self, features: Tensor, row_losses: Tensor, labelled: Tensor) -> Tensor:
        """The factors of the rows' expression losses, float32 [N], without gradient; all processes call it together.

        Args:
            features: float [N, D].
            row_losses: float [N].
            labelled: bool [N], whether a row has an expression.
        """
        with torch.no_grad():
            return self.factors(self.network(features, row_losses), labelled)

    def factors(self, weights: Tensor, labelled: Tensor) -> Tensor:
        """What the network's weights multiply the losses by, float [N], without gradient: themselves, or over their mean in the step."""
        return weights.detach() if self.batch_mean is None else self.batch_mean.divided(weights, labelled)

    def _trial(self, batch: "AffectBatch") -> Trial | None:
        """What the update of this step is made of; None if no row of any process has an expression, or no meta row an action unit."""
        if self.loader is not None:
            meta = self.loader.batch((self.number - 1) // self.options.every)
        else:
            assert self.options.meta_batch.share is not None
            before = labelled_before(self.accelerator, batch)
            batch, meta = split_off_meta_rows(batch, self.options.meta_batch.share, before)
        kind = losses.sum_dtype(batch.au.device)
        counts = torch.stack([self.method.au_count(meta.au_mask).to(kind), batch.expression_mask.sum().to(kind)])
        counts = self.processes.sum(counts)
        if not bool((counts > 0).all()):
            return None
        return Trial(batch, meta, random_state(batch.au.device), *counts.float().unbind())

    def _weights_by_direction(self, trial: Trial, seen: Seen, step: Weights) -> tuple[Tensor, Tensor, RowLosses]:
        """The weights of the rows (in the graph of the weight network), the meta loss's gradient by their factors, and the rows' losses.

        Weights and gradient are float [N].

        Args:
            trial: the rows of the trial step.
            seen: features and losses of these rows.
            step: the gradient along which the model's weights move, the same on all processes.
        """
        weights = self.network(seen.features, seen.losses)
        with torch.no_grad():
            tried = list(torch._foreach_sub(self.space.own, step, alpha=self.virtual_rate))
        direction = self.processes.sum_all(self._meta_gradient(trial, tried))
        # d meta / d weight_i = <v, d (w - a g) / d weight_i>, and g holds weight_i times the gradient of loss_i over n.
        factor = -self.virtual_rate * self.options.task_weights.expression / trial.expressions
        rows = self._row_losses(trial, seen, direction)
        return weights, factor * rows.along, rows

    def _row_losses(self, trial: Trial, seen: Seen, direction: Weights) -> RowLosses:
        """The derivatives of the expression losses of all N rows in a direction of weight space."""
        batch, device = trial.batch, trial.batch.au.device
        coupled = self.space.couples_rows or not same_state(trial.random, random_state(device))
        chosen = (torch.ones_like(batch.expression_mask) if coupled else batch.expression_mask).nonzero().squeeze(1)
        pixels, classes, mask = batch.inputs[chosen], batch.expression[chosen], batch.expression_mask[chosen]
        reweighed = self.loader is not None and self.options.trial == "separate"

        def rows_at(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            every = torch.zeros_like(seen.losses)
            if not len(chosen):
                return seen.logits[chosen], every
            logits = self.space(weights, pixels).expression_logits
            assert logits is not None
            return logits[mask], every.index_copy(0, chosen, losses.cross_entropy_of_rows(logits, classes, mask))

        exact = self.accelerator.mixed_precision == "no" and computes_float32_exactly(device)
        return self.derivatives(
            Passes(rows_at, self.space.own, partial(random_numbers, device, trial.random)),
            direction,
            here=OnePass(seen.logits[batch.expression_mask], seen.losses, self.space.own) if exact else None,
            graph=reweighed,
        )

    def _weights_by_second_order(self, trial: Trial) -> tuple[Tensor, Tensor]:
        """The weights of the rows and the exact gradient by their factors, both float [N], through the graph of the trial step."""
        processes, batch = self.processes.number, trial.batch
        own = [one.detach().requires_grad_() for one in self.space.own]
        # The fused kernels of attention have no second derivative.
        with random_numbers(batch.au.device, trial.random), sdpa_kernel(SDPBackend.MATH):
            output = self.space(own, batch.inputs)
        rows = expression_losses(output, batch)
        weights = self.network(output.features, rows)
        leaf = self.factors(weights, batch.expression_mask).requires_grad_()
        terms = self.terms.losses(output, batch)
        terms["expression"] = LossTerm((rows * leaf).sum(), terms["expression"].count, terms["expression"].weight)
        total = self._total(terms)
        step = gradients(total.loss, own, create_graph=True)
        # To the row weights of this process, what other processes add to the step is a constant.
        whole = self.processes.mean_all([one.detach() for one in step])
        tried = [
            at - self.virtual_rate * (every + (alone - alone.detach()) / processes)
            for at, every, alone in zip(own, whole, step, strict=True)
        ]
        direction = self.processes.sum_all(self._meta_gradient(trial, [one.detach() for one in tried]))
        moved = [(one, along) for one, along in zip(tried, direction, strict=True) if one.requires_grad]
        found = torch.autograd.grad([one for one, _ in moved], leaf, [along for _, along in moved], allow_unused=True)[
            0
        ]
        return weights, torch.zeros_like(leaf) if found is None else found

    def _meta_gradient(self, trial: Trial, tried: Weights) -> Weights:
        """The gradient of the meta rows' loss at the weights of the trial; this process's share of it."""
        if not len(trial.meta) and not self.space.couples_rows:
            return [torch.zeros_like(one) for one in tried]
        device = trial.meta.au.device
        leaves = [one.detach().requires_grad_() for one in tried]
        with random_numbers(device, trial.random):
            logits = self.space(leaves, trial.meta.pixels).au_logits
        assert logits is not None
        shares = self.method.au_shares(trial.meta.au_mask)
        total, _ = losses.masked_binary_cross_entropy(logits, trial.meta.au, trial.meta.au_mask, shares)
        factor = self.options.task_weights.au * self.method.au_factor
        return gradients(total * factor / trial.meta_labels, leaves)

    def _learn(self, trial: Trial, weights: Tensor, gradient: Tensor) -> None:
        """One step of the weight network, equal on all processes, by the gradient of the rows' factors."""
        if self.options.weight_network.mean == "kept":
            # Without its mean, the gradient leaves the mean weight as it is: what some rows gain, others lose.
            mean = self.processes.sum(gradient.sum()) / trial.expressions
            gradient = (gradient - mean).where(trial.batch.expression_mask, 0.0)
        if self.batch_mean is not None:
            gradient = self.batch_mean.gradient(weights, gradient, trial.batch.expression_mask)
        parameters = list(self.network.parameters())
        found = torch.autograd.grad(weights, parameters, gradient)
        for parameter, change in zip(parameters, self.processes.sum_all(list(found)), strict=True):
            parameter.grad = change
        self.optimizer.step()

    def _record(self, seen: Seen, batch: "AffectBatch") -> None:
        weights = self.weights_of(seen.features, seen.losses, batch.expression_mask)
        epoch = (self.number - 1) // self.epoch_steps
        self.record.add_labelled(self.accelerator, epoch, batch, weights, seen.losses)

    @property
    def virtual_rate(self) -> float:
        """The learning rate of the trial step: the greatest of the optimizer's groups at this moment."""
        return max(float(group["lr"]) for group in self.base_optimizer.param_groups)

    def _total(self, terms: dict[str, Term]) -> TotalLoss:
        processes = self.processes.number
        return total_loss(terms, all_reduce=self.processes.sum if processes > 1 else None, processes=processes)


def expression_losses(output: "AffectOutput", batch: "AffectBatch") -> Tensor:
    """The cross-entropy of each row's expression, float32 [N]; 0 where it has none."""
    assert output.expression_logits is not None
    return losses.cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
