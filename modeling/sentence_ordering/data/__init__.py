"""Corpora to batches: reading, preparing, shuffling, collating."""

from __future__ import annotations

from .collation import DataCollatorForSentenceOrdering
from .cutting import cut_windows
from .formats import read_documents
from .loading import choose_split, load_documents
from .marked_text import split_marked_text
from .preparation import check_columns, check_positions, prepare_dataset, shuffle_document
from .shuffling import ShuffledDocuments
from .splitting import split_by_group, split_by_row

__all__ = [
    "DataCollatorForSentenceOrdering",
    "ShuffledDocuments",
    "check_columns",
    "check_positions",
    "choose_split",
    "cut_windows",
    "load_documents",
    "prepare_dataset",
    "read_documents",
    "shuffle_document",
    "split_by_group",
    "split_by_row",
    "split_marked_text",
]
