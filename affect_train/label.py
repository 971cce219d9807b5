"""A teacher's logits for every row of every split, written back beside the dataset's rows."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from affect_data.soft_labels import SoftLabelProvenance, write_soft_labels
from affect_data.store import load_dataset, open_dataset
from affect_train.batches import FaceImages
from affect_train.errors import NotAModelError
from affect_train.inference import Logits, build_accelerator, infer, open_model
from affect_train.model import AffectModel
from affect_train.preprocess import Preprocessing
from affect_train.reporting import Reporter
from affect_train.run_folder import model_folder

WEIGHTS = "*.safetensors"


def label(path: Path | str, dataset: Path | str, name: str, *, workers: int = 0) -> dict[str, Any] | None:
    """Writes the soft labels ``soft.<name>`` of a model, un-augmented view, and tells what was written, on the main process.

    Args:
        path: run folder or model folder of the teacher.
        dataset: dataset folder.
        name: of the soft labels.
        workers: loader processes.

    Raises:
        NotADatasetError: the dataset is not built.
        NotAModelError: there is no model.
    """
    folder = open_dataset(dataset)
    source = model_folder(path)
    accelerator = build_accelerator()
    reporter = Reporter(speaks=accelerator.is_main_process)
    model, preprocessing = open_model(source)
    model.to(accelerator.device)
    logits: dict[str, Logits] = {}
    for split in folder.splits:
        images = FaceImages(load_dataset(folder.path, split), preprocessing)
        with reporter.bar(f"label {split}", len(images)) as advance:
            labelled = infer(
                model,
                images,
                accelerator,
                workers=workers,
                dtype=np.float16,
                advance=advance,
            )
        if labelled is not None:
            logits[split] = labelled
        reporter.say(f"labelled {split}: {len(images):,} rows")
    written = None
    if accelerator.is_main_process:
        provenance = provenance_of(model, preprocessing, source, name, folder.fingerprint)
        write_soft_labels(folder.path, provenance, logits)
        written = {
            "name": name,
            "dataset": folder.path.name,
            "rows": {split: folder.rows(split) for split in folder.splits},
        }
        written["provenance"] = provenance.model_dump(mode="json")
    accelerator.wait_for_everyone()
    return written


def provenance_of(
    model: AffectModel, preprocessing: Preprocessing, source: Path, name: str, fingerprint: str
) -> SoftLabelProvenance:
    """Where the soft labels of a model come from, and what their columns mean."""
    tasks = model.config.task_set()
    run = source.resolve().parent if source.name == "model" else source.resolve()
    return SoftLabelProvenance(
        name=name,
        teacher_id=run.name,
        teacher_revision=weights_digest(source),
        dataset_fingerprint=fingerprint,
        view=view_of(preprocessing),
        action_units=tasks.action_units,
        expressions=tasks.expressions,
        valence_arousal_bins=tasks.valence_arousal_bins,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def view_of(preprocessing: Preprocessing) -> str:
    """How the teacher saw the pictures, in words and as the hash of the preprocessing."""
    return (
        f"un-augmented square crop around the face box, margin {preprocessing.margin:g}, {preprocessing.image_size} px, "
        f"preprocessing {preprocessing.digest()}"
    )


def weights_digest(source: Path) -> str:
    """sha256 of a model's weight files, hexadecimal.

    Raises:
        NotAModelError: there are none.
    """
    files = sorted(source.glob(WEIGHTS))
    if not files:
        raise NotAModelError(source, f"it holds no {WEIGHTS}", "Train it again, or name another run")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
