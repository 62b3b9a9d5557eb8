"""Documents to model inputs, and scores back to an order.

The one place that knows the layout of a row, `[S] tokens of sentence 1 [S] tokens of sentence 2 ...` with the sentence
token `[S]` in front of every sentence, the sharing of a limited row length, and how scores are sorted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils import PaddingStrategy, logging

from .configuration_sentence_ordering import SentenceOrderingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.get_logger(__name__)

# What fills the slots of scores and labels that have no sentence; the Trainer pads with it, too.
IGNORE_INDEX = -100


def encode_documents(
    documents: Iterable[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    config: SentenceOrderingConfig,
) -> dict[str, list[list[int]]]:
    """Encode documents as rows of token ids, each sentence behind its sentence token.

    A document longer than `config.token_limit` has its sentences shortened fairly (`share_budget`); none is dropped.

    Args:
        documents: Lists of sentences, in the order in which the model is to see them; a generator is read to its end.
        tokenizer: The backbone's tokenizer; called once, on all sentences.
        config: The model's configuration: sentence token and length limit.

    Returns:
        `input_ids` and `attention_mask`: one list of integers per document, unpadded.

    Raises:
        TypeError: If a document is no list of strings.
        ValueError: If a document has more sentences than a row may have tokens.

    Example:
        >>> encode_documents([["He ate it.", "Tom bought a cake."]], tokenizer, model.config)["input_ids"]
        [[101, 2002, 8823, 2009, 1012, 101, 3419, 4149, 1037, 9850, 1012]]
    """
    documents = list(documents)
    limit = config.token_limit
    for index, sentences in enumerate(documents):
        check_document(sentences, f"document {index}", limit)
    rows, tokens_cut = encode_rows(documents, tokenizer, config)
    warn_of_shortened(tokens_cut, config)
    return {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}


def load_tokenizer(name: str | os.PathLike[str], advice: str, **hub_kwargs: Any) -> PreTrainedTokenizerBase:
    """Load the tokenizer beside a model.

    Args:
        name: Folder or Hub id of the model.
        advice: What to do if there is none, to end the error message with.
        **hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Returns:
        The tokenizer.

    Raises:
        ValueError: If there is none.
    """
    missing = f"No tokenizer could be loaded from {str(name)!r}, where the model is from. {advice}"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **hub_kwargs)
    except Exception as error:  # Of any type, if a file is damaged.
        raise ValueError(missing) from error
    # Where there are no files, some types make up a tokenizer of special tokens and at most a word boundary.
    if len(tokenizer) <= len(tokenizer.all_special_ids) + 1:
        raise ValueError(missing)
    return tokenizer


def is_list(value: Any) -> bool:
    """Tell lists, and what pandas has for them: its columns, and arrays for the lists of a Parquet file.

    Args:
        value: Anything.

    Returns:
        Whether it is a list, a tuple, or has one dimension.
    """
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", None) == 1


def check_sentences(sentences: Any, where: str) -> None:
    """Check that a document is a list of strings.

    Args:
        sentences: What should be a list of strings.
        where: The document's place, to begin the error message with.

    Raises:
        TypeError: If it is none.
    """
    if not is_list(sentences):
        raise TypeError(
            f"{where}: a document is a list of sentences (strings), but this is of type {type(sentences).__name__}: "
            f"{sentences!r:.80}"
        )
    for index, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise TypeError(
                f"{where}: sentence {index} must be a string, but is of type {type(sentence).__name__}: "
                f"{sentence!r:.80}"
            )


def check_document(sentences: Any, where: str, limit: int | None) -> None:
    """Check that a document can be encoded.

    Args:
        sentences: What should be a list of strings.
        where: The document's place, to begin the error message with.
        limit: `config.token_limit`; looked up once for many documents, because that takes longer than the check.

    Raises:
        TypeError: If it is no list of strings.
        ValueError: If it has more sentences than a row may have tokens.
    """
    check_sentences(sentences, where)
    if limit is not None and len(sentences) > limit:
        raise ValueError(
            f"{where}: {len(sentences)} sentences do not fit into {limit} tokens, because each needs at least its "
            "sentence token. Split the document, raise `max_tokens`, or use a backbone with more positions."
        )


def encode_rows(
    documents: Sequence[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    config: SentenceOrderingConfig,
) -> tuple[list[list[int]], list[int]]:
    """Encode documents that `check_document` has passed; `encode_documents` without checks and warning.

    Returns:
        The rows of token ids, and for each row the number of tokens that did not fit.
    """
    # Looked up once: a configuration's fields are far slower to read than a variable.
    limit, sentence_token_id = config.token_limit, config.sentence_token_id
    rows, tokens_cut = [], []
    for token_ids in tokenize_documents(documents, tokenizer, config):
        kept, cut = shorten_sentences(token_ids, limit)
        rows.append(build_row(kept, sentence_token_id))
        tokens_cut.append(cut)
    return rows, tokens_cut


def tokenize_documents(
    documents: Sequence[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    config: SentenceOrderingConfig,
) -> list[list[list[int]]]:
    """Tokenize documents, sentence by sentence, in one call of the tokenizer.

    Returns:
        For each document the token ids of each of its sentences, without sentence tokens.
    """
    sentence_ids = iter(_tokenize([sentence for sentences in documents for sentence in sentences], tokenizer, config))
    return [list(islice(sentence_ids, len(sentences))) for sentences in documents]


def sentence_lengths(token_ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the number of tokens of each sentence in a row, its sentence token included."""
    return np.array([len(ids) + 1 for ids in token_ids], dtype=np.int64)


def shorten_sentences(token_ids: list[list[int]], limit: int | None) -> tuple[list[list[int]], int]:
    """Shorten the sentences of a document fairly (`share_budget`), so that they fit into one row.

    Args:
        token_ids: The token ids of each sentence.
        limit: Longest row in tokens, sentence tokens included; `None` for any length.

    Returns:
        The token ids that each sentence keeps, and the number of those that did not fit.
    """
    lengths = [len(ids) for ids in token_ids]
    if limit is None or sum(lengths) + len(lengths) <= limit:
        return token_ids, 0
    shares = share_budget(lengths, limit - len(lengths))
    return [ids[:share] for ids, share in zip(token_ids, shares, strict=True)], sum(lengths) - sum(shares)


def build_row(token_ids: Iterable[list[int]], sentence_token_id: int) -> list[int]:
    """Join the token ids of sentences to a row, each behind its sentence token."""
    row: list[int] = []
    for ids in token_ids:
        row.append(sentence_token_id)
        row += ids
    return row


def warn_of_shortened(tokens_cut: Sequence[int], config: SentenceOrderingConfig) -> None:
    """Warn once for a whole set of documents that some did not fit, and by how much.

    Args:
        tokens_cut: For each document the number of tokens that did not fit.
        config: The model's configuration.
    """
    cut = np.asarray(tokens_cut)
    if cut.any():
        logger.warning(
            f"{np.count_nonzero(cut)} of {len(cut)} documents do not fit into {config.token_limit} tokens: their "
            f"longest sentences were shortened, by {cut.sum()} tokens in all; no sentence was dropped."
        )


def require_pad_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the pad token.

    Args:
        tokenizer: The backbone's tokenizer.

    Returns:
        The id.

    Raises:
        ValueError: If the tokenizer has none.
    """
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"The tokenizer {tokenizer.name_or_path!r} has no pad token, so documents of different length cannot "
            "share a batch. Name one of its tokens, for example `tokenizer.pad_token = tokenizer.eos_token`."
        )
    return tokenizer.pad_token_id


def share_budget(lengths: Sequence[int], budget: int) -> list[int]:
    """Share a number of tokens among sentences: equal shares, and what short ones leave over goes to the long ones.

    Args:
        lengths: Number of tokens of each sentence.
        budget: Number of tokens to share.

    Returns:
        Number of tokens that each sentence keeps; together `min(sum(lengths), budget)`.

    Example:
        >>> share_budget([2, 9, 9], 12)
        [2, 5, 5]
    """
    if sum(lengths) <= budget:
        return list(lengths)
    shares = [0] * len(lengths)
    shortest_first = sorted(range(len(lengths)), key=lengths.__getitem__)
    for done, index in enumerate(shortest_first):
        shares[index] = min(lengths[index], budget // (len(lengths) - done))
        budget -= shares[index]
    return shares


def _tokenize(
    sentences: list[str], tokenizer: PreTrainedTokenizerBase, config: SentenceOrderingConfig
) -> list[list[int]]:
    """Tokenize sentences as plain text: no id among the results is a special token's, except the unknown token's."""
    if not sentences:
        return []
    # Lone surrogates, which JSON can hold and tokenizers refuse, become question marks.
    texts = [s if s.isascii() else s.encode("utf-8", "replace").decode("utf-8") for s in sentences]
    tokenize = _tokenize_in_rust if _is_rust_alone(tokenizer) else _tokenize_by_call
    token_ids = tokenize(texts, tokenizer)
    # Some tokenizers (Unigram ones) turn a literal "<s>" into the special token in spite of split_special_tokens.
    special = {*tokenizer.all_special_ids, config.sentence_token_id}
    replacement: list[int] = []
    # The unknown token cannot stand in where it is itself the sentence token (GPT-2's <|endoftext|>).
    if tokenizer.unk_token_id not in (None, config.sentence_token_id):
        special.discard(tokenizer.unk_token_id)
        replacement = [tokenizer.unk_token_id]
    if special.isdisjoint(chain.from_iterable(token_ids)):
        return token_ids
    return [[kept for i in ids for kept in (replacement if i in special else [i])] for ids in token_ids]


def _is_rust_alone(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether calling the tokenizer is a call of its Rust backend, to which its class adds nothing."""
    return isinstance(tokenizer, PreTrainedTokenizerFast) and all(
        getattr(type(tokenizer), name) is getattr(PreTrainedTokenizerFast, name)
        for name in ("__call__", "_encode_plus")
    )


def _tokenize_in_rust(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Do what `_tokenize_by_call` does without computing offsets, which take a fifth of the time and are not used."""
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    tokenizer.set_truncation_and_padding(
        PaddingStrategy.DO_NOT_PAD, TruncationStrategy.DO_NOT_TRUNCATE, 0, 0, None, None
    )
    tokenizer.backend_tokenizer.encode_special_tokens = True
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def _tokenize_by_call(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    return tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=True,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]


def sort_scores(scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Sort sentences by score, lowest first; equal scores keep their input order, NaN comes last of the valid ones.

    Args:
        scores: Scores, floats of shape `(..., sentences)`.
        valid: Which of them belong to a sentence, booleans of the same shape; the rest is padding.

    Returns:
        Input indices in reading order, integers of the same shape; those of padding stand at the end.

    Example:
        >>> sort_scores(np.array([2.5, 0.5, -100.0]), np.array([True, True, False]))
        array([1, 0, 2])
    """
    return np.lexsort((scores, ~valid), axis=-1)


def invert_order(order: np.ndarray) -> np.ndarray:
    """Turn an order into positions: where in the reading order each input sentence stands.

    Args:
        order: Permutations, integers of shape `(..., sentences)`.

    Returns:
        The inverse permutations, of the same shape.

    Example:
        >>> invert_order(np.array([2, 0, 1]))
        array([1, 2, 0])
    """
    return np.argsort(order, axis=-1, kind="stable")


__all__ = ["encode_documents"]
