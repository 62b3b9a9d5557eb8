"""The arguments of `evaluate`, and the corpora that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..orderers import locate_orderer
from .loading import explain, require_encoder

if TYPE_CHECKING:
    from ..evaluation.measuring import Corpus


TASK_NAMES = ["order", "insert", "coherence"]


@dataclass
class EvaluateArguments:
    """What to measure on what."""

    model: list[str] = field(
        metadata={"help": "Orderers: general and general-base, which come with the package, folders or Hub ids."}
    )
    task: str = field(
        default="order",
        metadata={
            "choices": TASK_NAMES,
            "help": "What to measure: the order of shuffled documents; how often a sentence that was taken out is put "
            "back where it was; or whether the right order is judged more coherent than others.",
        },
    )
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
        if self.output_dir == "":
            raise ValueError("--output_dir is empty. Name a folder, or leave it out.")
        if not self.dataset and not self.file:
            raise ValueError("Name the corpora to measure on: `--dataset`, `--file`, or both.")
        if self.task != "order" and (self.train_file or self.show or self.input_orders != type(self).input_orders):
            raise ValueError(
                f"`--train_file`, `--show` and `--input_orders` are for `--task order`, not for {self.task!r}."
            )
        if self.train_file and len(self.train_file) != len(self.file):
            raise ValueError(f"`--train_file` names {len(self.train_file)} files for the {len(self.file)} of `--file`.")
        if self.train_split != type(self).train_split and (self.task != "order" or not self.dataset):
            raise ValueError("`--train_split` is for the baselines of `--task order` on a `--dataset`.")
        if self.split != type(self).split and not self.dataset:
            raise ValueError("`--split` is for `--dataset`: a file has no splits.")
        for name in ("model", "dataset", "file"):
            values = getattr(self, name)
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise ValueError(f"`--{name}` names {twice} twice.")
        least_values = {"input_orders": 1, "num_shuffles": 1, "batch_size": 1, "seed": 0, "show": 0}
        for name, least in least_values.items():
            if getattr(self, name) < least:
                raise ValueError(f"`--{name}` must be at least {least}, but is {getattr(self, name)}.")

    def check_models(self) -> None:
        """Refuse what is no orderer or lacks its encoder now, and not after the models before it were measured."""
        from ..model.configuration_sentence_ordering import SentenceOrderingConfig

        for model in self.model:
            try:
                config, _ = SentenceOrderingConfig.get_config_dict(locate_orderer(model))
                require_encoder(model)
            except (OSError, ValueError) as error:
                raise ValueError(explain(model, error)) from error
            if self.task != "order" and config.get("confidence_slope") is None:
                raise ValueError(
                    f"{model} has no `confidence_slope`, so that it gives no probabilities to measure with "
                    f"`--task {self.task}`. `fit_confidence` fits it on held-out documents."
                )

    def load(self) -> Iterator[Corpus]:
        """Load the corpora; one in which there is nothing to measure is a ValueError."""
        for corpus in self._load():
            if all(len(sentences) < 2 for sentences in corpus.documents["sentences"]):
                raise ValueError(f"{corpus.name}: no document has two sentences or more: there is nothing to measure.")
            yield corpus

    def _load(self) -> Iterator[Corpus]:
        from ..data import choose_split, load_documents
        from ..evaluation.measuring import load_corpus

        read = partial(load_documents, sentences_column=self.sentences_column)
        load = partial(load_corpus, sentences_column=self.sentences_column, positions_column=self.positions_column)
        for name in self.dataset:
            splits = read(name)
            train = None
            # By default what there is, for baselines; what was named has to be there.
            named = self.train_split != type(self).train_split
            wanted = self.task == "order" and self.train_split != self.split
            if wanted and (named or self.train_split in splits):
                train = choose_split(splits, self.train_split, name)
            yield load(f"{name} ({self.split})", choose_split(splits, self.split, name), train)
        for path, train_path in zip_longest(self.file, self.train_file):
            train = None if train_path is None else read({"train": train_path})["train"]
            yield load(path, read({self.split: path})[self.split], train)
