"""Measure orderers at other tasks than ordering: `evaluate --task`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .evaluate_arguments import EvaluateArguments
from .loading import for_each_orderer

if TYPE_CHECKING:
    from ..evaluation.measuring import Corpus


def evaluate_task(args: EvaluateArguments, corpora: list[Corpus], folder: Path | None, failures: list[str]) -> str:
    """Measure every model on every corpus at `args.task`, and write what is found into the folder, if there is one.

    Args:
        args: Task, models, seed, batch size, and number of orders in which a model reads a document.
        corpora: The corpora.
        folder: Gets `predictions.jsonl`, `metrics.json` and `report.md` together.
        failures: Gets for every model that could not be measured why; what the others gave is not lost for it.

    Returns:
        The table to print.

    Raises:
        ValueError: If no model could be measured.
    """
    from transformers.utils.logging import tqdm

    from ..data.atomic import write_whole
    from ..data.parsing import encode, format_json
    from ..evaluation.results import TaskResult, task_as_json
    from ..evaluation.tables import format_task_markdown
    from ..evaluation.tasks import measure_task

    results: list[TaskResult] = []
    lines: list[str] = []

    def measure_model(name: str, ask: Any) -> None:
        for corpus in corpora:
            with tqdm(total=len(corpus.documents), desc=f"{name} on {corpus.name}", unit=" documents") as bar:
                score = partial(ask, batch_size=args.batch_size, num_shuffles=args.num_shuffles, progress=bar.update)
                slope = ask.model.config.confidence_slope
                measurement, predictions = measure_task(
                    args.task, score, corpus, confidence_slope=slope, seed=args.seed
                )
            results.append(TaskResult(corpus.name, name, measurement))
            lines.extend(format_json({"model": name, "corpus": corpus.name} | row) for row in predictions)

    failures += for_each_orderer(args.model, measure_model, answer="score")
    if not results:
        raise ValueError("\n".join(failures))
    table = format_task_markdown(results, args.task)
    if folder is not None:
        contents = {
            "predictions.jsonl": "".join(lines),
            "metrics.json": json.dumps(task_as_json(results, args.task, args.seed, args.num_shuffles), indent=2) + "\n",
            "report.md": table,
        }
        with write_whole(*(folder / name for name in contents)) as files:
            for file, text in zip(files, contents.values(), strict=True):
                file.write(encode(text))
    return table
