"""Ordering: pipeline and program beside the bare encoder, encoding beside the tokenizer, and pairwise scoring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .materials import backbone_folder, choose_stories, cut_documents, save_orderer
from .measuring import Row, compare, single

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sentence_ordering import SentenceOrderingModel

BATCH_SIZE = 32
FILE_DOCUMENTS = 10_000
PAIRWISE_DOCUMENTS = 8


def benchmark_inference(args: Namespace, folder: str) -> list[Row]:
    """Order documents of mixed lengths with the pipeline and with the program, beside bare forward passes."""
    from transformers import AutoTokenizer

    from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingPipeline
    from sentence_ordering.commands.order import main as order_file

    documents = cut_documents(args, args.documents)
    model = AutoModelForSentenceOrdering.from_pretrained(folder)
    order = SentenceOrderingPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    bare_forward = forward_batches(model.backbone, encode_batches(model, order.tokenizer, documents, BATCH_SIZE))

    with TemporaryDirectory() as work:
        order.save_pretrained(f"{work}/orderer")
        options = order_options(work, documents)
        return [
            compare(what, (bare_forward, side), args.rounds, len(documents), 0.9)
            for what, side in (
                (
                    "pipeline / bare encoder on sorted batches",
                    lambda _: list(order(iter(documents), batch_size=BATCH_SIZE)),
                ),
                ("program order / bare encoder on sorted batches", lambda _: order_file(options)),
            )
        ]


def encode_batches(
    model: SentenceOrderingModel,
    tokenizer: Any,
    documents: list[list[str]],
    batch_size: int,
    *,
    labelled: bool = False,
) -> list[dict[str, torch.Tensor]]:
    """Encode documents as batches on the model's device, sorted by length; labelled with the places they stand at."""
    from sentence_ordering import DataCollatorForSentenceOrdering, encode_documents

    rows = [{"input_ids": row} for row in encode_documents(documents, tokenizer, model.config)["input_ids"]]
    if labelled:
        rows = [row | {"labels": list(range(len(d)))} for row, d in zip(rows, documents, strict=True)]
    rows.sort(key=lambda row: len(row["input_ids"]))
    collate = DataCollatorForSentenceOrdering(tokenizer, model.config)
    batches = [collate(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    return [{name: tensor.to(model.device) for name, tensor in batch.items()} for batch in batches]


def forward_batches(encoder: nn.Module, batches: list[dict[str, torch.Tensor]]) -> Callable[[int], None]:
    """Build the least that ordering documents can cost: the encoder alone on batches that are ready."""
    import torch

    def forward(_: int) -> None:
        with torch.inference_mode():
            for batch in batches:
                encoder(**batch)

    return forward


def benchmark_order_memory(args: Namespace, _: str) -> list[Row]:
    """Compare the peak memory of the program on a file with that on one of a tenth of its documents.

    The encoder is a tiny one: what grows with a file is not the encoder's.
    """
    counts = (20, 40) if args.smoke else (FILE_DOCUMENTS // 10, FILE_DOCUMENTS)
    with TemporaryDirectory() as work, backbone_folder(None) as encoder:
        save_orderer(encoder, f"{work}/orderer")
        peaks = [ordering_megabytes(work, cut_documents(args, count, most=5)) for count in counts]
    what = f"peak memory of order, {counts[1]} / {counts[0]} documents"
    return [single(what, "MB", *peaks, target=1.1, less_is_better=True)]


def ordering_megabytes(work: str, documents: list[list[str]]) -> float:
    """Run the program on documents in a fresh process, and return the most memory that it held (Linux only)."""
    code = (
        "import sys\n"
        "from sentence_ordering.commands.order import main\n"
        "main(sys.argv[1:])\n"
        "print(open('/proc/self/status').read())\n"
    )
    command = [sys.executable, "-c", code, *order_options(work, documents)]
    # By default glibc keeps freed memory, in more and more pieces as sizes vary; only what is in use is asked for here.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
    status = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, env=environment
    ).stdout
    # Not getrusage's figure: a process inherits that from the one that started it.
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes) / 1000


def order_options(work: str, documents: list[list[str]]) -> list[str]:
    """Write documents as JSONL, and return the options with which the program orders them."""
    text = "".join(json.dumps(document) + "\n" for document in documents)
    Path(work, "documents.jsonl").write_text(text, encoding="utf-8")
    return ["--model", f"{work}/orderer", "--input", f"{work}/documents.jsonl", "--output", f"{work}/ordered.jsonl"]


def benchmark_encoding(args: Namespace, folder: str) -> list[Row]:
    """Encode documents, beside the tokenizer on the same text as plain strings."""
    from transformers import AutoConfig, AutoTokenizer

    from sentence_ordering import SentenceOrderingConfig, encode_documents

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = SentenceOrderingConfig(AutoConfig.from_pretrained(folder), sentence_token_id=tokenizer.cls_token_id)
    documents = choose_stories(args, 10 if args.smoke else 1000)
    texts = [" ".join(sentences) for sentences in documents]
    sides = (lambda _: tokenizer(texts), lambda _: encode_documents(documents, tokenizer, config))
    return [compare("encoding / tokenizer on plain strings", sides, 5 * args.rounds, target=1.05)]


def benchmark_pairwise(args: Namespace, folder: str) -> list[Row]:
    """Order documents of 5, 10 and 20 sentences, beside scoring all pairs of sentences with the same encoder."""
    from pairwise import score_pairs
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingPipeline

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSentenceOrdering.from_pretrained(folder)
    order = SentenceOrderingPipeline(model=model, tokenizer=tokenizer, device="cpu")
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).eval()
    rows = []
    for sentences, target in ((5, None), (10, 10.0), (20, None)):
        documents = cut_documents(args, 2 if args.smoke else PAIRWISE_DOCUMENTS, sentences, sentences)
        sides = (
            lambda _, documents=documents: score_pairs(classifier, documents, tokenizer),
            lambda _, documents=documents: order(documents, batch_size=len(documents)),
        )
        what = f"ordering {sentences} sentences / scoring all pairs"
        rows.append(compare(what, sides, args.rounds, len(documents), target))
    return rows
