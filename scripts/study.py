"""Compare ways to order sentences on one backbone, with the same documents and steps.

    python scripts/study.py run --corpus stories=train.jsonl,validation.jsonl --systems tutorial mean pairwise
    python scripts/study.py table output/study.jsonl

`run` adds a line to its results file for each run that is not in it yet; `table` prints them as Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pairwise import PairCollator, pair_loss, score_pairs
from studies.scoring import Curve, Scorer, score_in_one_pass
from studies.systems import SYSTEMS, System
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    set_seed,
)

from sentence_ordering import (
    DataCollatorForSentenceOrdering,
    SentenceOrderingConfig,
    ShuffledDocuments,
    prepare_dataset,
)
from sentence_ordering.commands.train_arguments import MINILM
from sentence_ordering.data import load_documents
from sentence_ordering.model.adapter import locate_encoder
from sentence_ordering.training.linear_probe import fit_head

# What runs are told apart by in the results, beside corpus, system and seed.
SETTINGS = ("documents_seen", "batch_size", "learning_rate", "bf16", "backbone", "held_out", "points")


def parse_corpus(text: str) -> tuple[str, list[str]]:
    """Read a corpus's name and its two files from the command line."""
    name, _, files = text.partition("=")
    paths = files.split(",")
    if len(paths) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=TRAIN,VALIDATION")
    return name, paths


def split_corpus(files: Sequence[str], held_out: int) -> tuple[Dataset, list[list[str]]]:
    """Read a corpus, and hold out documents: those of the validation file, and the last of the training file."""
    splits = load_documents(dict(zip(("train", "validation"), files, strict=True)))
    train, validation = (
        [sentences for sentences in splits[name]["sentences"][:] if len(sentences) >= 2] for name in splits
    )
    missing = max(held_out - len(validation), 0)
    kept = len(train) - missing
    return Dataset.from_dict({"sentences": train[:kept]}), (validation + train[kept:])[:held_out]


def prepare(system: System, train: Dataset, seed: int, args: argparse.Namespace) -> tuple[Any, Any, Any, Scorer]:
    """Make a system's model, training rows, collator, and the function that scores documents with it."""
    tokenizer = AutoTokenizer.from_pretrained(args.backbone)
    if system.model is None:
        classifier = AutoModelForSequenceClassification.from_pretrained(args.backbone, num_labels=1)
        return classifier, train, PairCollator(tokenizer), partial(score_pairs, tokenizer=tokenizer)
    encoder = AutoModel.from_pretrained(args.backbone)
    config = SentenceOrderingConfig(encoder.config, tokenizer.cls_token_id, **system.fields)
    model = system.model(config, encoder)
    dataset: Any = prepare_dataset(train, tokenizer, config, seed=seed)
    if system.fresh_shuffles:
        dataset = ShuffledDocuments(dataset, config, seed=seed, group_by_length_of=args.batch_size)
    collator = DataCollatorForSentenceOrdering(tokenizer, config)
    if system.fitted_head:
        fit_head(model, dataset, collator)
    return model, dataset, collator, score_in_one_pass(tokenizer, args.batch_size)


def make_optimizer(model: Any, rate: float, head_rate: float) -> torch.optim.Optimizer:
    """Make an optimizer that moves what is not pretrained at a rate of its own."""
    is_new = {name: not name.startswith(model.base_model_prefix) for name, _ in model.named_parameters()}
    groups = [
        {"params": [weight for name, weight in model.named_parameters() if is_new[name] == new], "lr": rate * factor}
        for new, factor in ((False, 1.0), (True, head_rate))
    ]
    return torch.optim.AdamW(groups, fused=True, weight_decay=0.0)


def run(files: Sequence[str], name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one system on one corpus, and return what was measured."""
    set_seed(seed)
    system = SYSTEMS[name]
    train, held_out = split_corpus(files, args.held_out)
    model, dataset, collator, score = prepare(system, train, seed, args)
    curve = Curve(score, held_out, args.points)
    # All pairs of eight long documents would not fit into memory at once.
    documents_at_once = args.batch_size if system.model else 1
    arguments = TrainingArguments(
        "output/study",
        max_steps=args.documents_seen // args.batch_size,
        per_device_train_batch_size=documents_at_once,
        gradient_accumulation_steps=args.batch_size // documents_at_once,
        warmup_steps=0.1,
        bf16=args.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        train_sampling_strategy=system.sampling,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
    )
    optimizer = make_optimizer(model, args.learning_rate, system.head_rate)
    trainer = Trainer(
        model,
        arguments,
        collator,
        dataset,
        compute_loss_func=None if system.model else pair_loss,
        optimizers=(optimizer, None),
        callbacks=[curve],
    )
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start - curve.seconds
    return {"training_seconds": seconds, "curve": curve.points}


def main(argv: list[str] | None = None) -> None:
    """Run what is missing from the results, or tabulate them.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    runner = commands.add_parser("run", help="train and measure")
    runner.add_argument("--corpus", nargs="+", required=True, type=parse_corpus, metavar="NAME=TRAIN,VALIDATION")
    runner.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    runner.add_argument("--seeds", nargs="+", type=int, default=[1])
    runner.add_argument("--documents_seen", type=int, default=3200)
    runner.add_argument("--held_out", type=int, default=200)
    runner.add_argument("--batch_size", type=int, default=16)
    runner.add_argument("--learning_rate", type=float, default=1e-4)
    runner.add_argument("--points", type=int, default=4, help="of each learning curve")
    runner.add_argument("--bf16", action="store_true")
    runner.add_argument("--backbone", default=locate_encoder(MINILM))
    runner.add_argument("--results", default="output/study.jsonl")
    table = commands.add_parser("table", help="print the results as Markdown")
    table.add_argument("results", nargs="+")
    args = parser.parse_args(argv)
    if args.command == "table":
        print(tabulate([result for path in args.results for result in read_results(Path(path))]))
        return
    if args.documents_seen < args.batch_size:
        parser.error(f"--documents_seen {args.documents_seen} is less than one batch of {args.batch_size}")
    results = Path(args.results)
    results.parent.mkdir(parents=True, exist_ok=True)
    done = read_results(results) if results.exists() else []
    for seed in args.seeds:
        for name, files in args.corpus:
            for system in args.systems:
                key = {"corpus": name, "system": system, "seed": seed}
                key |= {setting: vars(args)[setting] for setting in SETTINGS}
                if not any(key.items() <= result.items() for result in done):
                    result = key | run(files, system, seed, args)
                    with results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(result) + "\n")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read a file of results."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tabulate(results: list[dict[str, Any]]) -> str:
    """Format results as a Markdown table, a row for each corpus, system and setting, averaged over seeds.

    Settings that are the same in all results have no column.
    """
    shown = [name for name in SETTINGS if len({result[name] for result in results}) > 1]
    header = ["corpus", "system", *shown, "seeds", "tau", "±", "PMR", "tau by documents seen", "seconds"]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(tuple(str(result[name]) for name in ("corpus", "system", *shown)), []).append(result)
    lines = [header, ["---"] * len(header)]
    for group, runs in sorted(groups.items()):
        points = [[point["kendall_tau"] for point in at] for at in zip(*(run["curve"] for run in runs), strict=True)]
        final = [run["curve"][-1] for run in runs]
        lines.append(
            [
                *(*group, str(len(runs))),
                f"{np.mean(points[-1]):.3f}",
                f"{np.std(points[-1], ddof=1):.3f}" if len(runs) > 1 else "–",
                f"{np.mean([point['pmr'] for point in final]):.3f}",
                ", ".join(
                    f"{at['documents_seen']}: {np.mean(taus):.3f}"
                    for at, taus in zip(runs[0]["curve"], points, strict=True)
                ),
                f"{np.mean([run['training_seconds'] for run in runs]):.0f}",
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
