"""Streams to groups, and rows to padded batches of similar length."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from .encoding import require_pad_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Item = TypeVar("Item")
Result = TypeVar("Result")


def group_stream(items: Iterable[Item], size_of: Callable[[Item], int], size: int) -> Iterator[list[Item]]:
    """Group consecutive items of a stream, reading no further than the group that is asked for.

    Args:
        items: The stream.
        size_of: The size of an item.
        size: A group is complete when its items reach this size.

    Yields:
        The groups; the last may be smaller. An error of the stream is raised behind the items that came before it.

    Example:
        >>> list(group_stream("abcde", len, 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    group: list[Item] = []
    reached = 0
    try:
        for item in items:
            group.append(item)
            reached += size_of(item)
            if reached >= size:
                yield group
                group, reached = [], 0
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Map a function over a stream; threads work ahead of the results that are asked for.

    The stream itself is read in the caller's thread, so that a generator and what it writes stay in one place.

    Args:
        function: What to call for each item.
        items: The stream.
        workers: Number of threads, and of items that are worked on ahead; 0 for none.

    Yields:
        The results, in the order of the items. An error of the stream is raised behind the results before it.
    """
    if workers == 0:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = _submit_all(function, items, pool)
        ahead = deque(islice(futures, workers))
        while ahead:
            ahead.extend(islice(futures, 1))
            yield ahead.popleft().result()


def _submit_all(
    function: Callable[[Item], Result], items: Iterable[Item], pool: ThreadPoolExecutor
) -> Iterator[Future[Result]]:
    try:
        for item in items:
            yield pool.submit(function, item)
    except Exception as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        yield failed


def batch_by_length(
    lengths: Sequence[int], *, max_rows: int, max_tokens: int | None = None, equal_lengths: bool = False
) -> list[np.ndarray]:
    """Cut rows into batches of similar length.

    Args:
        lengths: Number of tokens of each row.
        max_rows: Number of rows of a batch, if `max_tokens` is `None`.
        max_tokens: Number of tokens of a batch, padding included; a longer row is a batch of its own.
        equal_lengths: Whether to batch rows of exactly the same length only, so that nothing is padded.

    Returns:
        The batches, integer arrays of row numbers; the longest rows come first, so that too large a batch fails soon.

    Example:
        >>> [batch.tolist() for batch in batch_by_length([3, 9, 4, 8], max_rows=2)]
        [[1, 3], [2, 0]]
    """
    descending = -np.asarray(lengths, dtype=np.int64)
    longest_first = np.argsort(descending, kind="stable")
    descending = descending[longest_first]
    batches = []
    start = 0
    while start < len(longest_first):
        longest = -int(descending[start])
        end = start + (max_rows if max_tokens is None else max(1, max_tokens // longest))
        if equal_lengths:
            end = min(end, int(np.searchsorted(descending, -longest, side="right")))
        batches.append(longest_first[start:end])
        start = end
    return batches


def pad_rows(rows: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> dict[str, torch.Tensor]:
    """Pad rows of token ids at their ends, whatever the tokenizer's own side: a row's positions begin at its start.

    Args:
        rows: The rows.
        tokenizer: The backbone's tokenizer, for its pad token, which rows of the same length do not need.

    Returns:
        `input_ids` and `attention_mask`, integers of shape `(rows, tokens)`.

    Raises:
        ValueError: If the rows differ in length and the tokenizer has no pad token.
    """
    lengths = torch.tensor([len(row) for row in rows])
    pad_token_id = 0 if lengths.min() == lengths.max() else require_pad_token(tokenizer)
    input_ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad_token_id)
    attention_mask = (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask}
