"""One document, now: the pipeline beside the bare encoder, a long document, loading, and a program's first answer."""

from __future__ import annotations

from argparse import Namespace
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from .materials import choose_stories, cut_documents
from .measuring import Row, compare, summarize

LONG_SENTENCES = 1000


def benchmark_latency(args: Namespace, folder: str) -> list[Row]:
    """Order five-sentence documents one by one, each beside the bare encoder's pass; p50 and p95 of real time."""
    import numpy as np
    import torch

    from sentence_ordering import encode_documents

    order = load_pipeline(folder)
    documents = choose_stories(args, args.documents)
    seconds = np.empty((args.rounds + 1, len(documents), 2))
    for number in range(args.rounds + 1):
        for index, document in enumerate(documents):
            row = encode_documents([document], order.tokenizer, order.model.config)
            inputs = {name: torch.tensor(values) for name, values in row.items()}
            start = perf_counter()
            with torch.inference_mode():
                order.model.backbone(**inputs)
            middle = perf_counter()
            order(document)
            seconds[number, index] = middle - start, perf_counter() - middle
    # Of each round its percentile; the first round warms up.
    return [
        summarize(
            f"one document of 5 sentences, p{percent} / bare encoder",
            "ms",
            np.percentile(seconds[1:], percent, axis=1) * 1000,
            1.1 if percent == 50 else None,
            less_is_better=True,
        )
        for percent in (50, 95)
    ]


def benchmark_long(args: Namespace, folder: str) -> list[Row]:
    """Order one long document in batches of windows, beside its windows one by one."""
    order = load_pipeline(folder)
    count = 60 if args.smoke else LONG_SENTENCES
    [document] = cut_documents(args, 1, count, count)
    if args.smoke:
        order.model.config.max_tokens = 64
    sides = (lambda _: order(document, max_tokens_per_batch=1), lambda _: order(document))
    return [compare(f"document of {count} sentences / window by window", sides, 1)]


def benchmark_first_answer(args: Namespace, folder: str) -> list[Row]:
    """Answer one document in a fresh process, beside importing transformers and loading the encoder."""
    import numpy as np

    from sentence_ordering import AutoModelForSentenceOrdering

    from .startup import cpu_seconds

    load = f"import torch, transformers; from transformers import AutoModel; AutoModel.from_pretrained({folder!r})"
    with TemporaryDirectory() as work:
        load_pipeline(folder).save_pretrained(work)
        document = f"{work}/document.txt"
        with open(document, "w", encoding="utf-8") as file:
            file.write("Then he ate it.\nTom bought a cake.\n")
        program = ["-m", "sentence_ordering", "order", "--model", work, "--input", document]
        times = np.array([[cpu_seconds("-c", load), cpu_seconds(*program)] for _ in range(args.rounds)])
    rows = [summarize("first answer of order / loading the encoder", "s", times, 1.15, less_is_better=True)]
    if not args.smoke:  # It takes the real encoder.
        with TemporaryDirectory() as work:
            AutoModelForSentenceOrdering.from_pretrained("general").save_pretrained(work)
            sides: Any = (
                lambda _: AutoModelForSentenceOrdering.from_pretrained(work),
                lambda _: AutoModelForSentenceOrdering.from_pretrained("general"),
            )
            rows.append(compare("loading the general orderer / a whole one", sides, args.rounds, target=1.2))
    return rows


def load_pipeline(folder: str) -> Any:
    """Put a new head on an encoder, and make a pipeline of it."""
    from transformers import AutoTokenizer

    from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingPipeline

    model = AutoModelForSentenceOrdering.from_pretrained(folder)
    return SentenceOrderingPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
