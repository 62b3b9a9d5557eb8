"""Measure orderers on corpora: shuffle every document, order it, compare.

    sentence-ordering evaluate --model output/quickstart --dataset bigbench_narratives --output_dir output/evaluation
    sentence-ordering evaluate --model output/one output/other --file stories.jsonl news.jsonl --output_dir output/both
    sentence-ordering evaluate --model output/quickstart --dataset bigbench_narratives --task insert

Prints a table for every corpus, in which baselines stand beside the models. Before that the folder gets it as
report.md, a page with plots and the worst documents (report.html), all figures (metrics.json) and all answers
(predictions.jsonl); files are written aside and renamed when they are whole. Other tasks (insert, coherence) have
no baselines and no page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .arguments import parse_arguments
from .evaluate_arguments import EvaluateArguments
from .loading import for_each_orderer

if TYPE_CHECKING:
    from ..evaluation.measuring import Corpus, Orderer
    from ..evaluation.results import CorpusResults, Settings


def main(argv: list[str] | None = None) -> None:
    """Measure models and baselines, print their tables, and write the report.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    (args,) = parse_arguments((EvaluateArguments,), argv, "evaluate", __doc__)
    try:
        args.check_models()
        corpora = list(args.load())
        folder = None if args.output_dir is None else Path(args.output_dir)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))

    from .printing import print_text

    failures: list[str] = []
    try:
        text = measure(args, corpora, folder, failures)
    except OSError as error:
        if folder is None:
            raise
        sys.exit(f"Cannot write to {folder}: {error.strerror or error}.")
    except ValueError as error:  # No model could be measured.
        sys.exit(str(error))
    print_text(text)
    if failures:
        sys.exit("\n".join(failures))


def measure(args: EvaluateArguments, corpora: list[Corpus], folder: Path | None, failures: list[str]) -> str:
    """Measure what is asked for, and write what is found into the folder, if there is one.

    Args:
        args: What to measure, and how.
        corpora: The corpora.
        folder: As for `evaluate_into`.
        failures: As for `evaluate`.

    Returns:
        What to print: documents that are to be shown, and tables.
    """
    from ..evaluation.results import Settings
    from ..evaluation.tables import format_markdown

    if args.task != "order":
        from .evaluate_task import evaluate_task

        return evaluate_task(args, corpora, folder, failures)
    settings = Settings(args.input_orders, args.seed, args.num_shuffles)
    shown: list[str] = []
    if folder is None:
        results = evaluate(args, corpora, shown, failures)
    else:
        results = evaluate_into(folder, args, corpora, settings, shown, failures)
    return "".join(f"{order}\n\n" for order in shown) + format_markdown(results, settings)


def evaluate_into(
    folder: Path,
    args: EvaluateArguments,
    corpora: list[Corpus],
    settings: Settings,
    shown: list[str],
    failures: list[str],
) -> list[CorpusResults]:
    """Measure every model and the baselines on every corpus, and write what is found into a folder.

    Args:
        folder: Gets `predictions.jsonl`, `metrics.json` and `report.md` together, and then `report.html`.
        args: As for `evaluate`.
        corpora: Likewise.
        settings: How is measured.
        shown: As for `evaluate`.
        failures: Likewise.

    Returns:
        The results for each corpus, models first.
    """
    from ..data.atomic import write_whole
    from ..data.parsing import encode
    from ..evaluation.page import format_page
    from ..evaluation.plots import can_plot
    from ..evaluation.results import as_json
    from ..evaluation.tables import format_markdown

    names = [folder / name for name in ("predictions.jsonl", "metrics.json", "report.md")]
    with write_whole(*names) as (predictions, metrics, report):
        results = evaluate(args, corpora, shown, failures, predictions)
        metrics.write(encode(json.dumps(as_json(results, settings), indent=2) + "\n"))
        report.write(encode(format_markdown(results, settings)))
    # Not together with them: nothing that goes wrong with a plot may cost them.
    with write_whole(folder / "report.html") as [page]:
        page.write(encode(format_page(results, settings)))
    if not can_plot():
        print('report.html has no plots: install "sentence-ordering[plot]" for them.', file=sys.stderr)
    return results


def evaluate(
    args: EvaluateArguments,
    corpora: list[Corpus],
    shown: list[str],
    failures: list[str],
    file: BinaryIO | None = None,
) -> list[CorpusResults]:
    """Measure every model and the baselines on every corpus.

    Args:
        args: Models, seed, batch size and number of input orders.
        corpora: The corpora.
        shown: Gets the documents that are to be shown, as text.
        failures: Gets for every model that could not be measured why; what the others gave is not lost for it.
        file: Where to write the models' predictions as JSON lines, if anywhere.

    Returns:
        The results for each corpus, models first.

    Raises:
        ValueError: If no model could be measured.
    """
    from transformers.utils.logging import tqdm

    from ..evaluation.baselines import make_baselines
    from ..evaluation.measuring import collect, predict
    from ..evaluation.results import CorpusResults, Result, find_worst
    from ..evaluation.statistics import measure

    results = [CorpusResults(corpus.name) for corpus in corpora]

    def measure_system(
        name: str,
        order: Callable[..., Iterable[dict[str, Any]]],
        number: int,
        *,
        baseline: bool,
        confidence_slope: float | None = None,
    ) -> None:
        corpus = corpora[number]
        total = len(corpus.documents) * args.input_orders
        with tqdm(total=total, desc=f"{name} on {corpus.name}", unit=" documents") as bar:
            predictions: Iterable[dict[str, Any]] = predict(
                partial(order, progress=bar.update), corpus, input_orders=args.input_orders, seed=args.seed
            )
            orders: list[str] = []
            lines: list[bytes] = []
            if not baseline:
                predictions = _show(predictions, args.show, orders)
                if file is not None:
                    predictions = _format(predictions, lines, model=name, corpus=corpus.name)
            answers = collect(predictions, args.input_orders)
        # Not before: the answers may end in an error.
        shown.extend(orders)
        if file is not None:
            file.writelines(lines)
        measurement = measure(answers, confidence_slope=confidence_slope, seed=args.seed)
        worst = [] if baseline else find_worst(measurement, answers, corpus)
        results[number].results.append(Result(name, baseline, measurement, worst))

    def measure_model(name: str, order: Any) -> None:
        in_batches = partial(order, batch_size=args.batch_size, num_shuffles=args.num_shuffles)
        slope = order.model.config.confidence_slope
        for number in range(len(corpora)):
            measure_system(name, in_batches, number, baseline=False, confidence_slope=slope)

    failures += for_each_orderer(args.model, measure_model)
    if not any(corpus.results for corpus in results):
        raise ValueError("\n".join(failures))
    for number, corpus in enumerate(corpora):
        for name, baseline in make_baselines(corpus, args.seed).items():
            measure_system(name, partial(_count, baseline), number, baseline=True)
    return results


def _count(order: Orderer, documents: Iterator[list[str]], progress: Callable[[int], Any]) -> Iterator[dict[str, Any]]:
    """Tell the progress of a baseline, which has no batches."""
    for answer in order(documents):
        progress(1)
        yield answer


def _show(predictions: Iterable[dict[str, Any]], count: int, shown: list[str]) -> Iterator[dict[str, Any]]:
    """Collect the first documents in the order that the first input order led to, and hand all predictions on."""
    from .console import format_order

    for prediction in predictions:
        if prediction["row"] < count and prediction["shuffle"] == 0:
            shown.append(format_order(prediction))
        yield prediction


def _format(predictions: Iterable[dict[str, Any]], lines: list[bytes], **keys: str) -> Iterator[dict[str, Any]]:
    """Format predictions as JSON lines, and hand them on."""
    from ..data.parsing import encode, format_json

    for prediction in predictions:
        lines.append(encode(format_json(keys | prediction)))
        yield prediction
