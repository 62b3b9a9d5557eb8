"""Kinds of attention and `torch.compile` on any device: ordering and training steps beside the bare encoder's."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .inference import BATCH_SIZE, encode_batches, forward_batches
from .materials import MOST, cut_documents
from .measuring import Row, compare
from .training import cheapest_loss, our_loss, training_step

if TYPE_CHECKING:
    import torch

    Batch = dict[str, torch.Tensor]

COMPILED = "sdpa, compiled"


def benchmark_attention(args: Namespace, folder: str) -> list[Row]:
    """Order and train with each kind of attention that is installed, in tokens/s; with `--bf16` in bfloat16.

    An encoder with P parameters outside its embeddings computes about 2 P floating-point operations a token when it
    orders and 6 P when it trains, which makes the share of a card's peak out of tokens/s.
    """
    flash = ["flash_attention_2"] if find_spec("flash_attn") and args.device != "cpu" else []
    compiled = [] if args.smoke else [COMPILED]  # Compiling takes minutes.
    documents = cut_documents(args, args.documents, most=5 if args.smoke else MOST)
    rows = []
    for attention in ["eager", "sdpa", *compiled, *flash]:
        rows += [order_tokens(args, folder, documents, attention), train_tokens(args, folder, documents, attention)]
    return rows


def order_tokens(args: Namespace, folder: str, documents: list[list[str]], attention: str) -> Row:
    """Order documents with the pipeline, beside the encoder on ready batches that are sorted by length."""
    import torch
    from transformers import AutoTokenizer

    from sentence_ordering import SentenceOrderingPipeline

    model = load(args, folder, attention, torch.bfloat16 if args.bf16 else torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batches = encode_batches(model, tokenizer, documents, BATCH_SIZE)
    order = SentenceOrderingPipeline(model=model, tokenizer=tokenizer, device=args.device)
    forward = forward_batches(model.backbone, batches)
    sides = (
        partial(finished, args.device, forward),
        partial(finished, args.device, lambda _: list(order(iter(documents), batch_size=BATCH_SIZE))),
    )
    return compare(f"ordering / bare encoder, {attention}", sides, args.rounds, count_tokens(batches), unit="tokens/s")


def train_tokens(args: Namespace, folder: str, documents: list[list[str]], attention: str) -> Row:
    """Take steps of training on batches that are ready, beside those of the bare encoder."""
    import torch
    from transformers import AutoTokenizer

    model = load(args, folder, attention, torch.float32)
    batches = encode_batches(model, AutoTokenizer.from_pretrained(folder), documents, args.batch_size, labelled=True)
    sides = [
        partial(finished, args.device, partial(each, training_step(module, partial(loss, module), args.bf16), batches))
        for module, loss in ((model.backbone, cheapest_loss), (model, our_loss))
    ]
    what = f"training steps / bare encoder, {attention}"
    return compare(what, sides, args.rounds, count_tokens(batches), unit="tokens/s")


def load(args: Namespace, folder: str, attention: str, dtype: torch.dtype) -> Any:
    """Put a new head on the encoder, with a kind of attention, on the device."""
    from sentence_ordering import AutoModelForSentenceOrdering

    name = attention.removesuffix(", compiled")
    model = AutoModelForSentenceOrdering.from_pretrained(folder, attn_implementation=name, dtype=dtype)
    if attention == COMPILED:
        model.backbone.compile(dynamic=True)
    return model.to(args.device)


def each(step: Callable[[Batch], None], batches: list[Batch], _: int) -> None:
    """Take a step on every batch."""
    for batch in batches:
        step(batch)


def finished(device: str, side: Callable[[int], Any], number: int) -> None:
    """Run a side to the end of what it has given the device to do."""
    import torch

    side(number)
    if device != "cpu":
        torch.accelerator.synchronize()


def count_tokens(batches: list[Batch]) -> int:
    """Count the tokens of batches, without padding."""
    return sum(int(batch["attention_mask"].sum()) for batch in batches)
