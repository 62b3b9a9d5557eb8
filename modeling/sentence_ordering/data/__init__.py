"""Corpora to batches: reading, preparing, shuffling, collating.

Names are imported when they are asked for: reading documents, which is all that ordering takes, needs no `datasets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import import_when_asked

if TYPE_CHECKING:
    from .collation import DataCollatorForSentenceOrdering
    from .cutting import cut_windows
    from .formats import read_documents
    from .loading import choose_split, load_documents
    from .marked_text import split_marked_text
    from .preparation import check_columns, check_positions, prepare_dataset, shuffle_document
    from .shuffling import ShuffledDocuments
    from .splitting import split_by_group, split_by_row

_MODULES = {
    "DataCollatorForSentenceOrdering": "collation",
    "ShuffledDocuments": "shuffling",
    "check_columns": "preparation",
    "check_positions": "preparation",
    "choose_split": "loading",
    "cut_windows": "cutting",
    "load_documents": "loading",
    "prepare_dataset": "preparation",
    "read_documents": "formats",
    "shuffle_document": "preparation",
    "split_by_group": "splitting",
    "split_by_row": "splitting",
    "split_marked_text": "marked_text",
}

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


__getattr__ = import_when_asked(__name__, _MODULES)
