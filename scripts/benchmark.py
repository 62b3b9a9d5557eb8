"""Measure how fast training is: beside a tutorial's way of doing it, and beside the bare encoder.

    python scripts/benchmark.py training --threads 1

The tutorial (github.com/LennartKeller/trf_training_tut) trains a token classifier on rows padded to 512 tokens, with a
loop over the documents of a batch in its loss. The two sides of a comparison take turns in one process (A, B, A, B,
...) on the same documents, so that both feel it when the machine slows down. The ratios are the result; documents/s
mean nothing beyond the machine.

Part of what full rows cost on a CPU is memory: glibc maps buffers above 32 MB anew at every use. To compare computation
alone, let it keep them: `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 python scripts/benchmark.py training`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn

    Batch = dict[str, torch.Tensor]

SENTENCES = 5
TUTORIAL_TOKENS = 512
# A step of ours and one of the bare encoder differ by a few percent at most, so they take more turns than epochs do.
STEPS_PER_ROUND = 10


@dataclass
class Row:
    """One comparison: over its rounds the medians of documents/s and of the ratio, and the ratio's quartiles."""

    what: str
    reference: float
    ours: float
    ratio: float
    quartiles: tuple[float, float]


def main(argv: list[str] | None = None) -> None:
    """Run a benchmark, and print its figures.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks = parser.add_subparsers(required=True, metavar="BENCHMARK")
    training = benchmarks.add_parser("training", help="training beside the tutorial's way, and beside the bare encoder")
    training.set_defaults(run=benchmark_training)
    training.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not (5)")
    training.add_argument("--batch_size", type=int, default=16, help="documents of a batch (16)")
    training.add_argument("--documents", type=int, default=64, help="documents of a round, in whole batches (64)")
    training.add_argument("--file", help="your documents, taken whole, not the embedded corpus's first five sentences")
    training.add_argument("--bf16", action="store_true", help="measure under bfloat16 autocast, too")
    training.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    training.add_argument("--smoke", action="store_true", help="see that it runs; sizes are tiny, figures say nothing")
    training.add_argument("--json", metavar="FILE", help="write the figures to a file, too")
    args = parser.parse_args(argv)
    if min(args.rounds, args.batch_size) < 1:
        parser.error("--rounds and --batch_size must be at least 1")
    if args.smoke:
        args.rounds, args.batch_size, args.documents = 2, 2, 4

    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    about, rows = args.run(args)
    about |= {"rounds": args.rounds, "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(format_rows(about, rows))
    if args.json is not None:
        report = json.dumps(about | {"rows": [asdict(row) for row in rows]}, indent=2)
        Path(args.json).write_text(report + "\n", encoding="utf-8")


def format_rows(about: dict[str, Any], rows: Sequence[Row]) -> str:
    """Format figures as a table below a line that says what was measured on."""
    lines = [", ".join(f"{name} {value}" for name, value in about.items())]
    lines.append(f"{'documents/s':45}{'reference':>9}{'ours':>9}{'ratio':>8}   half of the rounds")
    for row in rows:
        low, high = row.quartiles
        lines.append(f"{row.what:45}{row.reference:9.2f}{row.ours:9.2f}{row.ratio:8.3f}   {low:.3f} to {high:.3f}")
    return "\n".join(lines)


def benchmark_training(args: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """Measure epochs of ours beside the tutorial's, and steps of ours beside the bare encoder's.

    Args:
        args: The command line.

    Returns:
        What was measured on, and the figures.
    """
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    from sentence_ordering import SentenceOrderingConfig, prepare_dataset

    rows: list[Row] = []
    with backbone_folder(args.smoke) as folder:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = SentenceOrderingConfig(AutoConfig.from_pretrained(folder), sentence_token_id=tokenizer.cls_token_id)
        prepared = prepare_dataset(choose_documents(args), tokenizer, config)
        logging.set_verbosity_error()  # From here on it would only tell that the heads of all the models are new.
        for bf16 in (False, True) if args.bf16 else (False,):
            rows += compare_training(args, folder, prepared, bf16)
    tokens = statistics.mean(map(len, prepared["input_ids"]))
    return {"documents": len(prepared), "tokens per document": round(tokens, 1), "batch size": args.batch_size}, rows


def compare_training(args: argparse.Namespace, folder: str, prepared: Dataset, bf16: bool) -> list[Row]:
    """Make both comparisons in one precision."""
    from torch.utils.data import DataLoader
    from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

    from sentence_ordering import AutoModelForSentenceOrdering, DataCollatorForSentenceOrdering, ShuffledDocuments

    tokenizer = AutoTokenizer.from_pretrained(folder)
    classifier = AutoModelForTokenClassification.from_pretrained(folder, num_labels=1)
    model = AutoModelForSentenceOrdering.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False)  # Ours drops the pooler, too.
    step_tutorial = training_step(classifier, partial(tutorial_loss, classifier, tokenizer.cls_token_id), bf16)
    step_ours = training_step(model, lambda batch: model(**batch).loss, bf16)
    step_bare = training_step(encoder, partial(cheapest_loss, encoder), bf16)

    collate = DataCollatorForSentenceOrdering(tokenizer, model.config)
    pad_fully = DataCollatorForSentenceOrdering(tokenizer, model.config, pad_to_multiple_of=TUTORIAL_TOKENS)
    # The tutorial's batches lie ready and cost it nothing; ours are shuffled and padded while the clock runs.
    full_batches = list(DataLoader(prepared, args.batch_size, collate_fn=pad_fully))
    shuffled = ShuffledDocuments(prepared, model.config, group_by_length_of=args.batch_size)
    our_batches = DataLoader(shuffled, args.batch_size, collate_fn=collate)
    batch = next(iter(DataLoader(prepared, args.batch_size, collate_fn=collate)))

    def tutorial_epoch(_: int) -> None:
        for batch in full_batches:
            step_tutorial(batch)

    def our_epoch(number: int) -> None:
        shuffled.set_epoch(number)
        for batch in our_batches:
            step_ours(batch)

    epochs = (tutorial_epoch, our_epoch)
    steps = (lambda _: step_bare(batch), lambda _: step_ours(batch))
    turns = args.rounds * STEPS_PER_ROUND
    precision = "bfloat16 autocast" if bf16 else "float32"
    return [
        compare(f"speed, ours / tutorial, {precision}", epochs, args.rounds, len(prepared)),
        compare(f"time, ours / bare encoder, {precision}", steps, turns, args.batch_size, of_times=True),
    ]


def tutorial_loss(classifier: nn.Module, sentence_token_id: int, batch: Batch) -> torch.Tensor:
    """Sum the squared errors of each document, one document after the other, and average over the documents."""
    import torch

    logits = classifier(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    loss = torch.zeros((), dtype=torch.float64)
    for token_scores, input_ids, labels in zip(logits, batch["input_ids"], batch["labels"], strict=True):
        scores = token_scores[input_ids == sentence_token_id].squeeze(1)
        loss = loss + (scores - labels[labels != -100].float()).square().sum()
    return loss / len(logits)


def cheapest_loss(encoder: nn.Module, batch: Batch) -> torch.Tensor:
    """Add up the hidden states, so that a step beside ours is the encoder's forward and backward pass alone."""
    return encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state.sum()


def choose_documents(args: argparse.Namespace) -> Dataset:
    """Draw documents for a number of whole batches, the same ones in every run."""
    from datasets import Dataset

    from sentence_ordering.data import load_documents

    if args.file is None:
        corpus = load_documents("bigbench_narratives")["train"]["sentences"]
        documents = [sentences[:SENTENCES] for sentences in corpus if len(sentences) >= SENTENCES]
    else:
        corpus = load_documents({"train": args.file})["train"]["sentences"]
        documents = [sentences for sentences in corpus if len(sentences) >= 2]
    count = min(args.documents, len(documents)) // args.batch_size * args.batch_size
    if count == 0:
        sys.exit(f"--documents {args.documents}, of {len(documents)}, make no batch of {args.batch_size}.")
    return Dataset.from_dict({"sentences": random.Random(0).sample(documents, count)})


@contextmanager
def backbone_folder(smoke: bool) -> Iterator[str]:
    """Name the encoder to start from: that of the quickstart, or a tiny random one."""
    from transformers import BertConfig, BertModel, BertTokenizer

    from sentence_ordering.commands.train import default_backbone

    if not smoke:
        yield default_backbone()
        return
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    config = BertConfig(vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    with TemporaryDirectory() as folder:
        BertTokenizer({token: number for number, token in enumerate(tokens)}).save_pretrained(folder)
        BertModel(config).save_pretrained(folder)
        yield folder


def training_step(
    model: nn.Module, compute_loss: Callable[[Batch], torch.Tensor], bf16: bool
) -> Callable[[Batch], None]:
    """Build what all sides do alike: dropout, precision, backward pass, and the Trainer's default optimizer."""
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-5, fused=True)

    def step(batch: Batch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = compute_loss(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def compare(
    what: str, sides: Sequence[Callable[[int], None]], rounds: int, documents: int, *, of_times: bool = False
) -> Row:
    """Time two sides in turn.

    Args:
        what: The comparison's name.
        sides: The reference and ours, functions of the round's number.
        rounds: Number of rounds; one more, to warm up, comes before them and does not count.
        documents: Number of documents of a round.
        of_times: Whether to divide our time by the reference's, instead of our speed.

    Returns:
        The figures.
    """
    import numpy as np

    seconds = np.empty((rounds + 1, 2))
    for number in range(rounds + 1):
        for column, side in enumerate(sides):
            start = time.perf_counter()
            side(number)
            seconds[number, column] = time.perf_counter() - start
    speeds = documents / seconds[1:]
    reference, ours = np.median(speeds, axis=0).tolist()
    ratios = (speeds[:, 1] / speeds[:, 0]) ** (-1 if of_times else 1)
    low, ratio, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    return Row(what, reference, ours, ratio, (low, high))


if __name__ == "__main__":
    main()
