"""Corpora to batches: reading, preparing, shuffling, collating."""

from __future__ import annotations

from .collation import DataCollatorForSentenceOrdering
from .preparation import check_columns, check_positions, prepare_dataset, shuffle_document
from .reading import choose_split, load_documents, read_documents, split_marked_text
from .shuffling import ShuffledDocuments

__all__ = [
    "DataCollatorForSentenceOrdering",
    "ShuffledDocuments",
    "check_columns",
    "check_positions",
    "choose_split",
    "load_documents",
    "prepare_dataset",
    "read_documents",
    "shuffle_document",
    "split_marked_text",
]
