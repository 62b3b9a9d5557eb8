"""`pipeline("sentence-ordering")`: documents in, reading orders out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset
from transformers import Pipeline
from transformers.utils import logging

from .answers import Question, Request, answer_request, read_request
from .batching import batch_by_length, group_stream, map_ahead, pad_rows
from .confidence import pair_probabilities
from .encoding import (
    build_row,
    check_document,
    invert_order,
    is_list,
    load_tokenizer,
    require_pad_token,
    sentence_lengths,
    shorten_sentences,
    sort_scores,
    tokenize_documents,
)
from .int8 import quantize_int8
from .passes import OrderingTask, canonical_order, document_rng, plan_passes
from .windows import needs_windows, plan_windows, shorten_long_sentences

logger = logging.get_logger(__name__)

OVERLONG = ("window", "shorten")

# Documents are sorted by length within as many of a stream as make this many batches.
LOOK_AHEAD = 32
# Documents that the tokenizer is given at once where batches are cut by tokens.
DOCUMENTS_AT_ONCE = 32
# Tokens of a batch of the rows of one document, where documents are not batched.
TOKENS_AT_ONCE = 4096
# A document of more rows than this shows a progress bar.
SILENT_ROWS = 200


class SentenceOrderingPipeline(Pipeline):
    """Put the sentences of documents into reading order.

    A document is a list of sentences, or a dict with such a list under `"sentences"`. The answer is always a
    permutation of what was given; no sentence is lost. A dict may have `"constraints"` that the order has to keep
    (`read_constraints`); only `answer="order"` reads them. Options may be given here, or with a call:

    Args:
        answer: What to tell: `"order"`; `"score"`, how well a document is ordered; or `"insert"`, where in a document
            in order the sentences belong that a dict has under `"insert"`.
        alternatives: Number of the most probable orders to tell, the best one included.
        tie_threshold: Probability from 0.5 to 1; neighbours that are in the right order with a lower one are told as
            one group.
        num_shuffles: Number of orders in which the model reads each document; scores are averaged.
        canonical: Whether the model reads sentences in an order derived from their texts, so that their scores do not
            depend on the order in which they are given; by default it does so for all answers but `"order"`.
        overlong: What to do with documents that do not fit into a row: `"window"`, order them by many rows of some of
            their sentences, or `"shorten"`, shorten their longest sentences so that they fit.
        seed: Seed of the shuffles and windows, which depend on it and on the document's text alone.
        max_tokens_per_batch: Number of tokens of a batch, padding included, instead of a number of documents.
        return_pair_probabilities: Whether answers tell for each pair of sentences which is probably read first.
        progress: Called after every batch with the number of documents that it completed, for a progress bar: answers
            come later and many at a time, because documents of similar length share a batch.
        int8: Whether to round the weights of the model's backbone to 8 bits, in place, which is faster on a processor,
            where it then runs; only here, not with a call.

    Example:
        >>> order = pipeline("sentence-ordering", model="user/orderer")
        >>> order(["Then he ate it.", "Tom bought a cake."])["sentences"]
        ['Tom bought a cake.', 'Then he ate it.']
    """

    model: Any
    tokenizer: Any
    _load_tokenizer: Any = None  # Where a model is given as an object, the tokenizer beside it is loaded here.
    _load_image_processor: Any = False
    _load_feature_extractor: Any = False
    _load_processor: Any = False

    def __init__(self, *args: Any, int8: bool = False, **kwargs: Any) -> None:
        if int8 and kwargs.get("device") is None:
            kwargs["device"] = "cpu"
        super().__init__(*args, **kwargs)
        if self.model.config.model_type != "sentence-ordering":
            raise ValueError(
                f"The pipeline needs a trained sentence orderer, but the model is a {self.model.config.model_type!r} "
                "model. Train one first: `AutoModelForSentenceOrdering.from_pretrained(...)` puts a new head on it."
            )
        _check_count("batch_size", self._batch_size, 1)
        _check_count("num_workers", self._num_workers, 0)
        if self.tokenizer is None:
            advice = 'Pass it: `pipeline("sentence-ordering", model=model, tokenizer=tokenizer)`.'
            self.tokenizer = load_tokenizer(self.model.name_or_path, advice, **getattr(self.model, "loaded_from", {}))
        self.model.eval()
        if int8:
            quantize_int8(self.model)
        self._warned_of_shortening = False

    def __call__(  # type: ignore[override]
        self, inputs: Any, **kwargs: Any
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """Order one document, a batch of documents, or a stream of documents.

        Documents of a stream are read ahead, and those of about the same length are batched; answers come in the order
        of the documents. With batches of one document nothing is read ahead.

        Args:
            inputs: One document, a list of documents, a generator or other iterator of documents, a
                `datasets.Dataset` with a column `sentences`, or a torch dataset of documents such as `KeyDataset`.
            **kwargs: `batch_size`, the number of documents of a batch (default 1); `num_workers`, the number of threads
                that tokenize ahead (default 0); and the options of the class.

        Returns:
            For one document a dict, for a list of documents a list of dicts, for a stream an iterator of dicts:
            `order`, `sentences` and `scores` in reading order (`order[k]` is the index of the input sentence read
            k-th, `scores` are floats, lowest first), and `positions` in input order (`positions[i]` is the place of
            input sentence i). If the model was fitted one, `confidence`: the share of pairs that is expected to be in
            the right order, from 0.5 to 1; else `None`. With `return_pair_probabilities` a list of lists
            `pair_probabilities`, in which `[i][j]` is the probability that input sentence i is read before j. With
            `alternatives` or `tie_threshold` also what `answer_order` tells. For the other answers what `answer_score`
            or `answer_insert` returns.

        Raises:
            TypeError: If a document is no list of strings, or an option is unknown.
            ValueError: If an option has a value that it cannot have, documents cannot be batched because the tokenizer
                has no pad token, constraints are wrong or contradict each other, with `overlong="shorten"` a document
                has more sentences than a row may have tokens, or the model gives scores that are NaN or infinite.
        """
        if isinstance(inputs, str):
            raise TypeError(
                f"A document is a list of sentences, but this is one string: {inputs!r:.80}. Split it into sentences "
                "first, and pass the list."
            )
        options = self._preprocess_params | self._postprocess_params | _drop_none(**kwargs)
        read = partial(self._read, question=Question.of(options), overlong=options.get("overlong"))
        if _is_document(inputs):
            [answer] = super().__call__([read(inputs, "document")], **kwargs)
            return answer
        documents = inputs if isinstance(inputs, (list, tuple)) else _as_iterable(inputs)
        requests = (read(document, f"document {index}") for index, document in enumerate(documents))
        return super().__call__(list(requests) if isinstance(inputs, (list, tuple)) else requests, **kwargs)

    def _sanitize_parameters(
        self,
        num_shuffles: int | None = None,
        canonical: bool | None = None,
        overlong: str | None = None,
        seed: int | None = None,
        max_tokens_per_batch: int | None = None,
        answer: str | None = None,
        alternatives: int | None = None,
        tie_threshold: float | None = None,
        return_pair_probabilities: bool | None = None,
        progress: Callable[[int], Any] | None = None,
        **kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if kwargs:
            raise TypeError(f"The sentence-ordering pipeline has no parameter {', '.join(map(repr, kwargs))}.")
        _check_count("num_shuffles", num_shuffles, 1)
        _check_count("max_tokens_per_batch", max_tokens_per_batch, 1)
        _check_count("seed", seed, 0)
        if overlong is not None and overlong not in OVERLONG:
            raise ValueError(f'overlong={overlong!r} is unknown. Use "window" or "shorten".')
        _check_count("alternatives", alternatives, 1)
        question = _drop_none(answer=answer, alternatives=alternatives, tie_threshold=tie_threshold)
        probabilities = return_pair_probabilities or Question(**question).needs_probabilities
        if probabilities and self.model.config.confidence_slope is None:
            raise ValueError(
                "The model's configuration has no `confidence_slope`, so that it gives no probabilities. Fit it on "
                "held-out documents: `model.config.confidence_slope = fit_confidence(trainer.predict(documents))`, "
                "with `from sentence_ordering.training.calibration import fit_confidence`."
            )
        return (
            _drop_none(num_shuffles=num_shuffles, canonical=canonical, overlong=overlong, seed=seed, answer=answer),
            _drop_none(max_tokens_per_batch=max_tokens_per_batch, progress=progress),
            _drop_none(return_pair_probabilities=return_pair_probabilities) | question,
        )

    def _read(self, document: Any, where: str, question: Question, overlong: str | None) -> Request:
        """Check a document as it comes."""
        request = read_request(document, where, question)
        if overlong == "shorten":
            check_document(request.sentences, where, self.model.config.token_limit)
        return request

    def get_iterator(
        self,
        inputs: Iterable[Request],
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """Order a stream of documents; called by the base class, whose own way batches documents as they come."""
        _check_count("batch_size", batch_size, 1)
        _check_count("num_workers", num_workers, 0)
        max_tokens = forward_params.get("max_tokens_per_batch")
        max_rows = batch_size * preprocess_params.get("num_shuffles", 1)
        if batch_size > 1 or max_tokens is not None:
            require_pad_token(self.tokenizer)
        if max_tokens is not None:
            chunk_size, group_size = DOCUMENTS_AT_ONCE, LOOK_AHEAD * max_tokens
        elif batch_size > 1:
            chunk_size, group_size = batch_size, LOOK_AHEAD * max_rows
        else:
            chunk_size, group_size, max_tokens = 1, 1, TOKENS_AT_ONCE

        def size_of(task: OrderingTask) -> int:
            # An empty document has no rows, and yet takes memory.
            return max(1, len(task.rows) if max_tokens is None else sum(task.count_tokens()))

        chunks = group_stream(inputs, lambda document: 1, chunk_size)
        preprocess = partial(self.preprocess, **preprocess_params)
        tasks = chain.from_iterable(map_ahead(preprocess, chunks, num_workers))
        groups = group_stream(tasks, size_of, group_size)
        return (
            self.postprocess(task, **postprocess_params)
            for group in groups
            for task in self._score(group, max_rows, max_tokens, forward_params.get("progress"))
        )

    def preprocess(  # type: ignore[override]
        self,
        requests: list[Request],
        num_shuffles: int = 1,
        canonical: bool | None = None,
        overlong: str = "window",
        seed: int = 0,
        answer: str = "order",
    ) -> list[OrderingTask]:
        """Tokenize documents, and plan what the model is to read of each."""
        if canonical is None:
            # The scores by which an order is judged must not depend on it.
            canonical = answer != "order"
        documents = [request.sentences for request in requests]
        input_orders = [canonical_order(document) if canonical else np.arange(len(document)) for document in documents]
        inputs = [[document[i] for i in order] for document, order in zip(documents, input_orders, strict=True)]
        limit = self.model.config.token_limit
        tasks = []
        for request, input_order, sentences, token_ids in zip(
            requests, input_orders, inputs, tokenize_documents(inputs, self.tokenizer, self.model.config), strict=True
        ):
            rng = document_rng(sentences, seed)
            if overlong == "window" and needs_windows(token_ids, limit):
                kept, cut = shorten_long_sentences(token_ids, limit)
                plan = plan_windows(sentence_lengths(kept), limit, num_shuffles, rng)
            else:
                kept, cut = shorten_sentences(token_ids, limit)
                plan = plan_passes(len(kept), num_shuffles, rng)
            if cut:
                self._warn_of_shortening(len(sentences), cut)
            tasks.append(OrderingTask(request, input_order, kept, plan))
        return tasks

    def _warn_of_shortening(self, count: int, cut: int) -> None:
        if not self._warned_of_shortening:
            self._warned_of_shortening = True
            logger.warning(
                f"A document of {count} sentences is too long for rows of {self.model.config.token_limit} tokens: its "
                f"longest sentences were shortened, by {cut} tokens in all, none was dropped. Further documents are "
                "shortened without a warning."
            )

    def _score(
        self,
        tasks: list[OrderingTask],
        max_rows: int,
        max_tokens: int | None,
        progress: Callable[[int], Any] | None,
    ) -> list[OrderingTask]:
        """Let the model read the rows of documents, until all their plans are finished."""
        unfinished = len(tasks)
        while pending := [task for task in tasks if task.scores is None]:
            rows = [(task, number) for task in pending for number in range(len(task.rows))]
            batches = batch_by_length(
                [tokens for task in pending for tokens in task.count_tokens()],
                max_rows=max_rows,
                max_tokens=max_tokens,
                # Without a pad token there is one document at a time, of which only equally long rows can be batched.
                equal_lengths=self.model.config.padding_sensitive or self.tokenizer.pad_token_id is None,
            )
            silent = max(len(task.rows) for task in pending) <= SILENT_ROWS
            for batch in logging.tqdm(batches, "Ordering a long document", disable=silent, leave=False):
                self._read_rows([rows[index] for index in batch])
                if progress is not None:
                    left = sum(task.scores is None for task in tasks)
                    progress(unfinished - left)
                    unfinished = left
        if progress is not None and unfinished:  # There were only documents without sentences.
            progress(unfinished)
        return tasks

    def _read_rows(self, rows: list[tuple[OrderingTask, int]]) -> None:
        """Let the model read rows of documents as one batch, and the documents know the scores."""
        sentence_token_id = self.model.config.sentence_token_id
        token_ids = [
            build_row([task.token_ids[index] for index in task.rows[number].tolist()], sentence_token_id)
            for task, number in rows
        ]
        logits = self.forward(pad_rows(token_ids, self.tokenizer))["logits"].float().numpy()
        for (task, number), scores in zip(rows, logits, strict=True):
            task.receive(number, scores[: len(task.rows[number])])

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return {"logits": self.model(**model_inputs).logits}

    def postprocess(  # type: ignore[override]
        self, task: OrderingTask, return_pair_probabilities: bool = False, **question: Any
    ) -> dict[str, Any]:
        """Answer what was asked about a document by its scores."""
        assert task.scores is not None
        order = task.input_order[sort_scores(task.scores, np.ones(len(task.scores), dtype=bool))]
        scores = task.scores[invert_order(task.input_order)].astype(np.float64)
        slope = self.model.config.confidence_slope
        answer = answer_request(task.request, Question(**question), scores, order, slope)
        if return_pair_probabilities:
            answer["pair_probabilities"] = pair_probabilities(scores, slope).tolist()
        return answer


def _check_count(name: str, value: int | None, least: int) -> None:
    if value is not None and (not isinstance(value, Integral) or isinstance(value, bool) or value < least):
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}.")


def _drop_none(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _is_document(inputs: Any) -> bool:
    """Tell one document from a list of documents, by its first item; an empty list is an empty document."""
    if isinstance(inputs, Mapping):
        return True
    if not (is_list(inputs) or isinstance(inputs, np.ndarray)):
        return False
    first = next(iter(inputs), None)
    return not (is_list(first) or isinstance(first, (Mapping, np.ndarray)))


def _as_iterable(inputs: Any) -> Iterable[Any]:
    """Turn a stream of documents into something to iterate over."""
    columns = getattr(inputs, "column_names", None)
    if columns is not None and "sentences" not in columns:
        raise ValueError(
            f"The dataset has no column 'sentences', only {columns}. Rename one with `rename_column`, or pass "
            "`KeyDataset(dataset, column)`."
        )
    if columns is not None and hasattr(inputs, "select_columns"):
        asked = [name for name in ("sentences", "constraints", "insert") if name in columns]
        return inputs.with_format(None).select_columns(asked)
    if hasattr(inputs, "columns"):  # A table of pandas or pyarrow gives its columns, or only their names.
        raise TypeError(
            f"Documents are not taken from a {type(inputs).__name__}. Pass its column of documents, as a list."
        )
    if isinstance(inputs, Dataset) and not isinstance(inputs, IterableDataset):
        return (inputs[index] for index in range(len(inputs)))  # type: ignore[arg-type]  # map-style ones have it
    if not isinstance(inputs, Iterable):
        raise TypeError(f"Expected a document or documents, but got a {type(inputs).__name__}: {inputs!r:.80}")
    return inputs


__all__ = ["SentenceOrderingPipeline"]
