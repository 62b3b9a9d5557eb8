"""The model card of a trained orderer, written from what its training really was."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import EvalPrediction, pipeline
from transformers.utils import logging

from ..data import ShuffledDocuments, shuffle_document
from ..model.adapter import name_encoder
from ..model.configuration_sentence_ordering import __version__
from ..model.encoding import IGNORE_INDEX
from ..orderers import name_orderer
from .lora import WeakenAdapters
from .metrics import TITLES, compute_metrics, join_batches, random_metrics, refuse_metrics
from .positions import plot_positions

if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_utils import PredictionOutput

logger = logging.get_logger(__name__)

PLOT = "positions.png"
PACKAGES = ("transformers", "torch", "datasets", "tokenizers")
INDEXED_METRICS = ("kendall_tau", "pmr", "accuracy")

# What the embedded corpora are, and their language.
CORPORA = {
    "bigbench_narratives": (
        "`bigbench_narratives`, short stories of everyday life from [BIG-bench](https://github.com/google/BIG-bench) "
        "(Apache-2.0) that come with the package",
        "en",
    )
}


def write_model_card(
    trainer: Trainer,
    folder: str | os.PathLike[str],
    *,
    evaluation: PredictionOutput | None = None,
    split: str = "validation",
    example: Sequence[str] | None = None,
    dataset: str | None = None,
    backbone: str | None = None,
    language: str | list[str] | None = None,
    license: str | None = None,
) -> ModelCard:
    """Write the card of a trained model, `README.md`, and its plot into the folder that the model was saved to.

    What the card says comes from the trainer, the saved model and these arguments. What is not known is left out, and
    so are paths of local files. In a distributed run, call it in the main process only.

    Args:
        trainer: The trainer, after training.
        folder: Where `trainer.save_model(folder)` has saved the model. Its name is the model's, unless
            `TrainingArguments.hub_model_id` gives one.
        evaluation: What `trainer.predict(prepared)` returned for documents that were not trained on.
        split: Name of the split of these documents.
        example: One of them, its sentences in natural order; the card shows how the saved model orders them.
        dataset: What was trained on: an embedded corpus, a Hub dataset id, or a few words, a link among them.
        backbone: Hub id of what training started from, for a model that was loaded from a local copy. By default the
            id that it was loaded by.
        language: Language of the documents, a code such as `"en"`; several as a list.
        license: Licence of the trained model, an identifier of the Hub's such as `"apache-2.0"`.

    Returns:
        The card.

    Raises:
        TypeError: If the evaluation is metrics, and not what they were computed from.
        OSError: If there is an example, but no model with its tokenizer in the folder to order it.

    Example:
        >>> trainer.save_model("orderer")
        >>> evaluation = trainer.predict(documents["validation"])
        >>> card = write_model_card(trainer, "orderer", evaluation=evaluation, dataset="user/stories", language="en")
    """
    refuse_metrics(evaluation)
    folder, args = Path(folder), trainer.args
    model: Any = trainer.model
    tokenizer: Any = trainer.processing_class
    name = (args.hub_model_id or folder.resolve().name).split("/")[-1]
    origin = _find_origin(model.config, backbone)
    dataset_id, corpus, corpus_language = _describe_corpus(dataset)
    results = None if evaluation is None else _evaluate(evaluation, args.seed)
    data = ModelCardData(
        language=language or corpus_language,
        license=license,
        library_name="transformers",
        tags=["sentence-ordering"],
        base_model=origin.base_model,
        datasets=None if dataset_id is None else [dataset_id],
    )
    if results is not None and corpus is not None:
        data.model_name = name
        data.eval_results = _index_metrics(results, str(dataset), dataset_id or "custom", split)
    card: ModelCard = ModelCard.from_template(
        data,
        template_path=str(Path(__file__).with_name("model_card_template.md")),
        name=name,
        model_id=args.hub_model_id or f"user/{name}",
        origin=origin,
        model=model,
        sentence_token=tokenizer and tokenizer.convert_ids_to_tokens(model.config.sentence_token_id),
        corpus=corpus,
        train=_count_train_documents(trainer.train_dataset),
        adapter_rank=getattr(model, "adapter_rank", None),
        strength=next((c.strength for c in trainer.callback_handler.callbacks if isinstance(c, WeakenAdapters)), 1),
        shuffled=isinstance(trainer.train_dataset, ShuffledDocuments),
        trainer=trainer,
        device=_name_device(args.device),
        devices=args.world_size * max(1, args.n_gpu),
        runtime=_find_runtime(trainer.state.log_history),
        versions={"sentence-ordering": __version__} | {name: version(name) for name in PACKAGES},
        split=split,
        results=results,
        rows=TITLES,
        plot=PLOT if evaluation is not None and results and plot_positions(evaluation, folder / PLOT) else None,
        example=None if example is None else _order_example(folder, example, args),
    )
    card.save(folder / "README.md")
    return card


def _is_local(name: str) -> bool:
    """Tell what is, or looks like, a path on this machine."""
    return name.startswith(("/", "~", ".")) or Path(name).exists()


def _is_hub_id(name: str) -> bool:
    """Tell what can be the id of a repository on the Hub."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not _is_local(name)


class Origin(NamedTuple):
    """What training started from, as far as it is known and no matter of this machine alone.

    Attributes:
        base_model: Hub id of what was loaded; for an orderer that is not on the Hub, of what its own card names.
        license: Licence according to the card of what was loaded.
        orderer: What to call an orderer that is not on the Hub; None for anything else.
    """

    base_model: str | None
    license: str | None = None
    orderer: str | None = None


def _find_origin(config: Any, backbone: str | None) -> Origin:
    """Find out what training started from, by the names that it was loaded by and by its card."""
    # The outer name is that of what was loaded, an orderer or an encoder; one built around a backbone has none.
    loaded_from = config._name_or_path or config.backbone_config._name_or_path
    names = (backbone, name_encoder(loaded_from))
    base_model = next((name for name in names if name and _is_hub_id(name)), None)
    local_card = Path(loaded_from) / "README.md"
    source = local_card if loaded_from and local_card.is_file() else base_model
    if source is None:
        return Origin(base_model)
    try:
        card = ModelCard.load(source).data
    except Exception as error:  # No network, no card, a malformed one: training is done, and the rest can be told.
        logger.info(f"The licence of {source} cannot be read: {error}")
        return Origin(base_model)
    origin = Origin(base_model, card.get("license_name") or card.get("license"))
    if base_model is None and "sentence-ordering" in (card.tags or []):
        named = card.base_model if isinstance(card.base_model, str) and _is_hub_id(card.base_model) else None
        return origin._replace(base_model=named, orderer=name_orderer(loaded_from))
    return origin


def _describe_corpus(dataset: str | None) -> tuple[str | None, str | None, str | None]:
    """Return the corpus's Hub id, what to call it in the text, and its language, where they are known."""
    if dataset in CORPORA:
        return None, *CORPORA[dataset]
    if dataset is None or _is_local(dataset):
        return None, None, None
    if _is_hub_id(dataset):
        return dataset, f"[{dataset}](https://huggingface.co/datasets/{dataset})", None
    return None, dataset, None


def _count_train_documents(dataset: Any) -> dict[str, int]:
    """Count training documents, and the sentences of the shortest and of the longest, where they can be counted."""
    rows = dataset.dataset if isinstance(dataset, ShuffledDocuments) else dataset
    if not isinstance(rows, Dataset) or "labels" not in rows.column_names or len(rows) == 0:
        return {}
    sentences = np.asarray(pc.list_value_length(rows.with_format("arrow")[:]["labels"]))
    return {"documents": len(rows), "shortest": int(sentences.min()), "longest": int(sentences.max())}


def _name_device(device: torch.device) -> str:
    """Name the device that was trained on."""
    name = device.type
    if name == "cuda":
        name = torch.cuda.get_device_name(device)
    elif name == "cpu":
        cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere platform knows the name.
        lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = f"{[*names, platform.processor() or platform.machine()][0]} (torch threads: {torch.get_num_threads()})"
    return name


def _find_runtime(log_history: list[dict[str, float]]) -> timedelta | None:
    """Return how long the last training took."""
    seconds = [entry["train_runtime"] for entry in log_history if "train_runtime" in entry]
    return timedelta(seconds=round(seconds[-1])) if seconds else None


def _evaluate(evaluation: PredictionOutput, seed: int) -> dict[str, Any] | None:
    """Measure predictions and random orders; None if no document counts."""
    scores, labels = join_batches(evaluation.predictions), join_batches(evaluation.label_ids)
    metrics = compute_metrics(EvalPrediction(scores, labels))
    if metrics["documents"] == 0:
        return None
    longest = int((labels != IGNORE_INDEX).sum(axis=1).max())
    return metrics | {"longest": longest, "random": random_metrics(labels, seed)}


def _index_metrics(metrics: Mapping[str, float], dataset: str, dataset_type: str, split: str) -> list[EvalResult]:
    """Put metrics into the form of the Hub's model index."""
    return [
        EvalResult(
            task_type="sentence-ordering",
            task_name="Sentence ordering",
            dataset_name=dataset,
            dataset_type=dataset_type,
            dataset_split=split,
            metric_type=name,
            metric_name=TITLES[name],
            metric_value=round(metrics[name], 4),
        )
        for name in INDEXED_METRICS
    ]


def _order_example(folder: Path, sentences: Sequence[str], args: TrainingArguments) -> dict[str, list[str]]:
    """Shuffle a document as `prepare_dataset` does, and order it with the saved model."""
    labels = shuffle_document(sentences, args.seed)
    shuffled = [sentences[position] for position in labels]
    order = pipeline("sentence-ordering", model=str(folder), device=args.device)  # type: ignore[call-overload]
    answer = order(shuffled)
    quoted = [json.dumps(sentence, ensure_ascii=False) for sentence in shuffled]
    return {
        "given": quoted,
        "answer": [
            f"{score:5.2f}  {labels[index] + 1:5}  {quoted[index]}"
            for index, score in zip(answer["order"], answer["scores"], strict=True)
        ],
    }
