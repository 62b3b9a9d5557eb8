"""The documents and the encoder that the benchmarks run on."""

from __future__ import annotations

import random
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from tempfile import TemporaryDirectory

SENTENCES = 5
FEWEST, MOST = 3, 20


def choose_stories(args: Namespace, count: int) -> list[list[str]]:
    """Draw stories, and take their first five sentences.

    Args:
        args: The command line.
        count: Number of stories.

    Returns:
        The same ones in every run, fewer if the corpus has not so many.
    """
    stories = [sentences[:SENTENCES] for sentences in load_corpus(args) if len(sentences) >= SENTENCES]
    return random.Random(0).sample(stories, min(count, len(stories)))


def cut_documents(
    args: Namespace, count: int, fewest: int = FEWEST, most: int = MOST, *, part: tuple[float, float] = (0, 1)
) -> list[list[str]]:
    """Cut documents from the corpus's running text.

    Args:
        args: The command line.
        count: Number of documents.
        fewest: Least number of sentences.
        most: Greatest number of sentences; each number is as likely.
        part: Where the part of the text begins and ends that they are cut from, as shares.

    Returns:
        The same ones in every run.
    """
    running = list(chain.from_iterable(load_corpus(args)))
    running = running[slice(*(round(share * len(running)) for share in part))]
    rng = random.Random(0)
    starts = ((rng.randint(fewest, most), rng.randrange(len(running) - most)) for _ in range(count))
    return [running[start : start + length] for length, start in starts]


def save_orderer(encoder: str, folder: str) -> None:
    """Save an orderer with a new head around an encoder."""
    from transformers import AutoTokenizer

    from sentence_ordering import AutoModelForSentenceOrdering

    AutoModelForSentenceOrdering.from_pretrained(encoder).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)


def load_corpus(args: Namespace) -> list[list[str]]:
    """Load the documents of `--file`, by default of the embedded corpus."""
    from sentence_ordering.data import load_documents

    return load_documents("bigbench_narratives" if args.file is None else {"train": args.file})["train"]["sentences"][:]


def whole_batches(count: int, batch_size: int) -> int:
    """Round a number of documents down to whole batches; end the process if there is none."""
    if count < batch_size:
        sys.exit(f"{count} documents make no batch of {batch_size}. Lower --batch_size, or raise --documents.")
    return count // batch_size * batch_size


@contextmanager
def backbone_folder(name: str | None) -> Iterator[str]:
    """Locate the encoder to start from; by default make a tiny random one."""
    from transformers import BertConfig, BertModel, BertTokenizer

    from sentence_ordering.model.adapter import locate_encoder

    if name is not None:
        yield locate_encoder(name)
        return
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    with TemporaryDirectory() as folder:
        BertTokenizer({token: number for number, token in enumerate(tokens)}).save_pretrained(folder)
        BertModel(config).save_pretrained(folder)
        yield folder
