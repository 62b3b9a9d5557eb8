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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from studies.scoring import Curve, PairCollator, score_in_one_pass, score_pairs
from studies.systems import SYSTEMS, fit_head
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
from sentence_ordering.commands.train import default_backbone
from sentence_ordering.data import load_documents


def split_corpus(files: Sequence[str], held_out: int) -> tuple[Dataset, list[list[str]]]:
    """Read a corpus, and hold out documents: those of the validation file, and the last of the training file."""
    splits = load_documents(dict(zip(("train", "validation"), files, strict=True)))
    train, validation = (
        [sentences for sentences in splits[name]["sentences"][:] if len(sentences) >= 2] for name in splits
    )
    missing = max(held_out - len(validation), 0)
    kept = len(train) - missing
    return Dataset.from_dict({"sentences": train[:kept]}), (validation + train[kept:])[:held_out]


def run(corpus: str, files: Sequence[str], name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one system on one corpus, and return what was measured."""
    set_seed(seed)
    system = SYSTEMS[name]
    train, held_out = split_corpus(files, args.held_out)
    tokenizer = AutoTokenizer.from_pretrained(args.backbone)
    dataset: Any
    collator: Any
    if system.model is None:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            args.backbone, num_labels=1, problem_type="multi_label_classification"
        )
        dataset, collator = train, PairCollator(tokenizer)
        score = score_pairs(collator)
    else:
        encoder = AutoModel.from_pretrained(args.backbone)
        config = SentenceOrderingConfig(encoder.config, tokenizer.cls_token_id, **system.fields)
        model = system.model(config, encoder)
        dataset = prepare_dataset(train, tokenizer, config, seed=seed)
        if system.fresh_shuffles:
            dataset = ShuffledDocuments(dataset, config, seed=seed, group_by_length_of=args.batch_size)
        collator = DataCollatorForSentenceOrdering(tokenizer, config)
        score = score_in_one_pass(tokenizer, args.batch_size)
        if system.fitted_head:
            fit_head(model, dataset, collator)
    curve = Curve(score, held_out, args.points)
    pretrained = [p for n, p in model.named_parameters() if n.startswith(model.base_model_prefix)]
    new = [p for n, p in model.named_parameters() if not n.startswith(model.base_model_prefix)]
    rate = args.learning_rate
    groups = [{"params": pretrained, "lr": rate}, {"params": new, "lr": rate * system.head_rate}]
    optimizer = torch.optim.AdamW(groups, fused=True, weight_decay=0.0)
    arguments = TrainingArguments(
        "output/study",
        max_steps=args.documents_seen // args.batch_size,
        per_device_train_batch_size=args.batch_size,
        warmup_steps=0.1,
        bf16=args.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        train_sampling_strategy="sequential" if system.model and system.fresh_shuffles else "random",
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = Trainer(model, arguments, collator, dataset, optimizers=(optimizer, None), callbacks=[curve])
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start - curve.seconds
    return {"corpus": corpus, "system": name, "seed": seed, "training_seconds": seconds, "curve": curve.points}


def main(argv: list[str] | None = None) -> None:
    """Run what is missing from the results, or tabulate them.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    runner = commands.add_parser("run", help="train and measure")
    runner.add_argument("--corpus", nargs="+", required=True, metavar="NAME=TRAIN,VALIDATION")
    runner.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    runner.add_argument("--seeds", nargs="+", type=int, default=[1])
    runner.add_argument("--documents_seen", type=int, default=3200)
    runner.add_argument("--held_out", type=int, default=200)
    runner.add_argument("--batch_size", type=int, default=16)
    runner.add_argument("--learning_rate", type=float, default=1e-4)
    runner.add_argument("--points", type=int, default=4, help="of each learning curve")
    runner.add_argument("--bf16", action="store_true")
    runner.add_argument("--backbone", default=default_backbone())
    runner.add_argument("--results", default="output/study.jsonl")
    table = commands.add_parser("table", help="print the results as Markdown")
    table.add_argument("results")
    args = parser.parse_args(argv)
    if args.command == "table":
        print(tabulate([json.loads(line) for line in Path(args.results).read_text(encoding="utf-8").splitlines()]))
        return
    results = Path(args.results)
    results.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["run"]) for line in results.open()} if results.exists() else set()
    for seed in args.seeds:
        for corpus in args.corpus:
            name, files = corpus.split("=", 1)
            for system in args.systems:
                key = (name, system, seed, args.documents_seen, args.batch_size, args.learning_rate, args.backbone)
                if key not in done:
                    result = {"run": key} | run(name, files.split(","), system, seed, args)
                    with results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(result) + "\n")


def tabulate(results: list[dict[str, Any]]) -> str:
    """Format results as a Markdown table, a row for each corpus and system, averaged over seeds."""
    lines = [
        "| corpus | system | seeds | tau | ± | PMR | tau by documents seen | seconds |",
        "|---|---|--:|--:|--:|--:|---|--:|",
    ]
    for corpus, system in dict.fromkeys((result["corpus"], result["system"]) for result in results):
        runs = [result for result in results if (result["corpus"], result["system"]) == (corpus, system)]
        taus: dict[int, list[float]] = {}
        for point in (point for run in runs for point in run["curve"]):
            taus.setdefault(point["documents_seen"], []).append(point["kendall_tau"])
        final = [run["curve"][-1] for run in runs]
        cells = [
            *(corpus, system, str(len(runs))),
            f"{np.mean([point['kendall_tau'] for point in final]):.3f}",
            f"{np.std([point['kendall_tau'] for point in final]):.3f}",
            f"{np.mean([point['pmr'] for point in final]):.3f}",
            ", ".join(f"{seen}: {np.mean(values):.3f}" for seen, values in sorted(taus.items())),
            f"{np.mean([run['training_seconds'] for run in runs]):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
