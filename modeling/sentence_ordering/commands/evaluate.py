"""Measure orderers on corpora: shuffle every document, order it, compare.

    sentence-ordering evaluate --model output/quickstart --dataset bigbench_narratives --output_dir output/evaluation
    sentence-ordering evaluate --model output/one output/other --file stories.jsonl news.jsonl --output_dir output/both

Prints a table for every corpus, in which baselines stand beside the models. Before that the folder gets it as
report.md, a page with plots and the worst documents (report.html), all figures (metrics.json) and all answers
(predictions.jsonl); files are written aside and renamed when they are whole.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..orderers import locate_orderer
from .arguments import parse_arguments

if TYPE_CHECKING:
    from ..evaluation.measuring import Corpus, Orderer
    from ..evaluation.results import CorpusResults, Settings


@dataclass
class EvaluateArguments:
    """What to measure on what."""

    model: list[str] = field(metadata={"help": "Orderers: general, which comes with the package, folders or Hub ids."})
    dataset: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Corpora: embedded ones (bigbench_narratives), folders saved with save_to_disk, or Hub dataset ids."
        },
    )
    split: str = field(default="validation", metadata={"help": "Split of the datasets to measure on."})
    train_split: str = field(
        default="train", metadata={"help": "Split of the datasets to train the bag-of-words baseline on."}
    )
    file: list[str] = field(
        default_factory=list, metadata={"help": "More corpora: files (JSON, CSV, Parquet, text, ...) to measure on."}
    )
    train_file: list[str] = field(
        default_factory=list,
        metadata={"help": "For every file, in the same order, one to train the bag-of-words baseline on."},
    )
    sentences_column: str = field(default="sentences", metadata={"help": "Column with the lists of sentences."})
    positions_column: str | None = field(
        default=None, metadata={"help": "Column with the places of the sentences, if documents are shuffled already."}
    )
    input_orders: int = field(default=5, metadata={"help": "Number of input orders in which a document is given."})
    num_shuffles: int = field(
        default=1,
        metadata={"help": "For each of them, number of orders in which a model reads it; scores are averaged."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of the input orders and of the baselines."})
    batch_size: int = field(default=32, metadata={"help": "Number of documents of a batch."})
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for report.html, report.md, metrics.json and predictions.jsonl."}
    )
    show: int = field(default=0, metadata={"help": "Print this many documents in their predicted order."})

    def __post_init__(self) -> None:
        if not self.dataset and not self.file:
            raise ValueError("Name the corpora to measure on: `--dataset`, `--file`, or both.")
        if self.train_file and len(self.train_file) != len(self.file):
            raise ValueError(f"`--train_file` names {len(self.train_file)} files for the {len(self.file)} of `--file`.")
        for name, least in (("input_orders", 1), ("num_shuffles", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"`--{name}` must be at least {least}, but is {getattr(self, name)}.")

    def check_models(self) -> None:
        """Refuse what is no orderer now, and not after the models before it were measured."""
        from ..model.configuration_sentence_ordering import SentenceOrderingConfig

        for model in self.model:
            SentenceOrderingConfig.get_config_dict(locate_orderer(model))

    def load(self) -> Iterator[Corpus]:
        """Load the corpora."""
        from ..data import choose_split, load_documents
        from ..evaluation.measuring import load_corpus

        read = partial(load_documents, sentences_column=self.sentences_column)
        load = partial(load_corpus, sentences_column=self.sentences_column, positions_column=self.positions_column)
        for name in self.dataset:
            splits = read(name)
            train = splits.get(self.train_split) if self.train_split != self.split else None
            yield load(f"{name} ({self.split})", choose_split(splits, self.split, name), train)
        for path, train_path in zip_longest(self.file, self.train_file):
            train = None if train_path is None else read({"train": train_path})["train"]
            yield load(path, read({self.split: path})[self.split], train)


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

    from ..evaluation.results import Settings
    from ..evaluation.tables import format_markdown
    from .printing import print_text

    settings = Settings(args.input_orders, args.seed)
    shown: list[str] = []
    if folder is None:
        results = evaluate(args, corpora, shown)
    else:
        try:
            results = evaluate_into(folder, args, corpora, settings, shown)
        except OSError as error:
            sys.exit(f"Cannot write to {folder}: {error.strerror or error}.")
    print_text("".join(f"{order}\n\n" for order in shown) + format_markdown(results, settings))


def evaluate_into(
    folder: Path, args: EvaluateArguments, corpora: list[Corpus], settings: Settings, shown: list[str]
) -> list[CorpusResults]:
    """Measure every model and the baselines on every corpus, and write what is found into a folder.

    Args:
        folder: Gets `predictions.jsonl`, `metrics.json` and `report.md` together, and then `report.html`.
        args: As for `evaluate`.
        corpora: Likewise.
        settings: How is measured.
        shown: As for `evaluate`.

    Returns:
        The results for each corpus, models first.
    """
    from ..data.atomic import write_whole
    from ..evaluation.page import format_page
    from ..evaluation.plots import can_plot
    from ..evaluation.results import as_json
    from ..evaluation.tables import format_markdown

    names = [folder / name for name in ("predictions.jsonl", "metrics.json", "report.md")]
    with write_whole(*names) as (predictions, metrics, report):
        results = evaluate(args, corpora, shown, predictions)
        metrics.write(_encode(json.dumps(as_json(results, settings), indent=2) + "\n"))
        report.write(_encode(format_markdown(results, settings)))
    # Not together with them: nothing that goes wrong with a plot may cost them.
    with write_whole(folder / "report.html") as [page]:
        page.write(_encode(format_page(results, settings)))
    if not can_plot():
        print('report.html has no plots: install "sentence-ordering[plot]" for them.', file=sys.stderr)
    return results


def evaluate(
    args: EvaluateArguments, corpora: list[Corpus], shown: list[str], file: BinaryIO | None = None
) -> list[CorpusResults]:
    """Measure every model and the baselines on every corpus.

    Args:
        args: Models, seed, batch size and number of input orders.
        corpora: The corpora.
        shown: Gets the documents that are to be shown, as text.
        file: Where to write the models' predictions as JSON lines, if anywhere.

    Returns:
        The results for each corpus, models first.
    """
    from transformers import pipeline
    from transformers.utils.logging import tqdm

    from .. import auto  # noqa: F401  # registers the pipeline's task
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
            if not baseline:
                predictions = _show(predictions, args.show, shown)
                predictions = _write(predictions, file, model=name, corpus=corpus.name)
            answers = collect(predictions, args.input_orders)
        measurement = measure(answers, confidence_slope=confidence_slope, seed=args.seed)
        worst = [] if baseline else find_worst(measurement, answers, corpus)
        results[number].results.append(Result(name, baseline, measurement, worst))

    for model in args.model:
        order = pipeline("sentence-ordering", model=locate_orderer(model))  # type: ignore[call-overload]  # knows its own tasks only
        in_batches = partial(order, batch_size=args.batch_size, num_shuffles=args.num_shuffles)
        slope = order.model.config.confidence_slope
        for number in range(len(corpora)):
            measure_system(model, in_batches, number, baseline=False, confidence_slope=slope)
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


def _write(predictions: Iterable[dict[str, Any]], file: BinaryIO | None, **keys: str) -> Iterator[dict[str, Any]]:
    """Write predictions as JSON lines, and hand them on."""
    from ..data.parsing import format_json

    for prediction in predictions:
        if file is not None:
            file.write(_encode(format_json(keys | prediction)))
        yield prediction


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
