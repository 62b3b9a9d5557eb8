"""Measure an orderer on a corpus: shuffle every document, order it, compare.

    sentence-ordering evaluate --model output/quickstart --dataset bigbench_narratives --output_dir output/evaluation

Prints the metrics as JSON. Documents of fewer than two sentences are ordered too, but count in no metric.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import parse_arguments

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset


@dataclass
class EvaluateArguments:
    """What to measure on what."""

    model: str = field(metadata={"help": "Saved orderer: a folder or a Hub id."})
    dataset: str | None = field(
        default=None,
        metadata={"help": "Embedded corpus (bigbench_narratives), folder saved with save_to_disk, or Hub dataset id."},
    )
    split: str = field(default="validation", metadata={"help": "Split of the dataset."})
    file: str | None = field(default=None, metadata={"help": "JSONL, Parquet or text file, instead of a dataset."})
    sentences_column: str = field(default="sentences", metadata={"help": "Column with the lists of sentences."})
    positions_column: str | None = field(
        default=None, metadata={"help": "Column with the places of the sentences, if documents are shuffled already."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the shuffles that the model is given."})
    batch_size: int = field(default=32, metadata={"help": "Number of documents of a batch."})
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for metrics.json and predictions.jsonl, in the corpus's row order."}
    )
    show: int = field(default=0, metadata={"help": "Print this many documents in their predicted order."})

    def load(self) -> Dataset:
        """Load the documents to measure on."""
        from ..data import choose_split, load_documents

        if (self.dataset is None) == (self.file is None):
            raise ValueError("Name the corpus to measure on: either `--dataset` or `--file`.")
        if self.file is not None:
            return load_documents({self.split: self.file})[self.split]
        return choose_split(load_documents(str(self.dataset)), self.split, str(self.dataset))


def main(argv: list[str] | None = None) -> None:
    """Order the documents of a corpus, and print the metrics as JSON.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from transformers import EvalPrediction, pipeline
    from transformers.utils.logging import tqdm

    from ..metrics import compute_metrics
    from .report import format_order

    (args,) = parse_arguments((EvaluateArguments,), argv, "evaluate", __doc__)
    documents = args.load()
    order = pipeline("sentence-ordering", model=args.model)  # type: ignore[call-overload]  # knows its own tasks only
    predictions = list(tqdm(predict(order, documents, args), total=len(documents), desc="Ordering", unit=" documents"))
    for prediction in predictions[: args.show]:
        print(format_order(prediction), end="\n\n")
    metrics = compute_metrics(EvalPrediction(*_as_arrays(predictions)), target_range=order.model.config.target_range)
    # JSON has no NaN, which a mean over nothing is.
    report = json.dumps({name: None if math.isnan(value) else value for name, value in metrics.items()}, indent=2)
    print(report)
    if args.output_dir is not None:
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").write_text(report + "\n", encoding="utf-8")
        # What UTF-8 cannot hold is written as an escape, which JSON reads back as what it was.
        with (folder / "predictions.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions)


def predict(order: Any, documents: Dataset, args: EvaluateArguments) -> Iterator[dict[str, Any]]:
    """Shuffle documents as `prepare_dataset` does, unless they are shuffled already, and order them.

    Args:
        order: The pipeline.
        documents: The corpus.
        args: Columns, seed and batch size.

    Yields:
        For every row its number, the `labels` of its shuffled sentences, and the pipeline's answer.
    """
    from ..data import check_columns, check_positions, shuffle_document
    from ..encoding_sentence_ordering import check_document

    check_columns(documents.column_names, args.sentences_column, args.positions_column)
    labels: list[list[int]] = []

    def shuffled() -> Iterator[list[str]]:
        for number, row in enumerate(documents):
            sentences, where = row[args.sentences_column], f"row {number}"
            check_document(sentences, where, order.model.config)
            if args.positions_column is None:
                labels.append(shuffle_document(sentences, args.seed).tolist())
                yield [sentences[position] for position in labels[-1]]
            else:
                labels.append(check_positions(row[args.positions_column], len(sentences), where))
                yield sentences

    for row, prediction in enumerate(order(shuffled(), batch_size=args.batch_size)):
        yield {"row": row, "labels": labels[row], **prediction}


def _as_arrays(predictions: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Pad the scores and labels of predictions, in input order, to arrays of shape `(documents, sentences)`."""
    import numpy as np

    from ..encoding_sentence_ordering import IGNORE_INDEX

    width = max((len(prediction["labels"]) for prediction in predictions), default=0)
    scores = np.full((len(predictions), width), float(IGNORE_INDEX))
    labels = np.full((len(predictions), width), IGNORE_INDEX)
    for row, prediction in enumerate(predictions):
        count = len(prediction["labels"])
        scores[row, prediction["order"]] = prediction["scores"]
        labels[row, :count] = prediction["labels"]
    return scores, labels
