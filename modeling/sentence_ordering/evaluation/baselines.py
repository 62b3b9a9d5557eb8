"""What a model has to beat: random orders, the order that is given, and a classifier that sees bags of words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from ..model.encoding import invert_order, sort_scores
from ..training.gaps import choose_pairs
from .measuring import Corpus, Orderer, natural_order

# A Chinese or Japanese character, another word, or a punctuation mark.
WORD = r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]"
MAX_PAIRS = 300_000


def make_baselines(corpus: Corpus, seed: int) -> dict[str, Orderer]:
    """Make the baselines for a corpus.

    Args:
        corpus: The corpus; the bag-of-words model needs its training documents, and is left out without them.
        seed: Seed of the random orders and of the training.

    Returns:
        The orderers by name.
    """
    rng = np.random.default_rng(seed)
    baselines: dict[str, Orderer] = {
        "random order": _as_orderer(lambda sentences: rng.random(len(sentences))),
        "input order": _as_orderer(lambda sentences: np.arange(len(sentences))),
    }
    score = train_bag_of_words(filter(None, map(natural_order, corpus.train or ())), seed)
    return baselines if score is None else baselines | {"bag of words": _as_orderer(score)}


def train_bag_of_words(
    documents: Iterable[Sequence[str]], seed: int = 0
) -> Callable[[Sequence[str]], np.ndarray] | None:
    """Train a linear classifier to tell from the words of two sentences which one comes first.

    It sees which words and pairs of neighbouring words (hashed) each of the two sentences has. Its weights for the one
    are those for the other with the opposite sign, so that the answer does not depend on which is called the first;
    the votes of all pairs of a document then sum to n times the sentence's own part of the decision, less a constant:
    sorting by that part is ordering by summed votes.

    Args:
        documents: Lists of sentences in natural order.
        seed: Seed of the choice and order of the pairs; at most 300,000 are learned from.

    Returns:
        A function from sentences to scores, shape `(sentences,)`, low for what comes early; None if the documents
        have fewer than two pairs of sentences.

    Example:
        >>> score = train_bag_of_words([["Once upon a time.", "He ate.", "The end."]])
        >>> score(["The end.", "Once upon a time."])  # the first is higher: it comes later
    """
    rng = np.random.default_rng(seed)
    documents = [document for document in documents if len(document) >= 2]
    sentences: list[str] = []
    earlier: list[np.ndarray] = []
    later: list[np.ndarray] = []
    learned = 0
    for index in rng.permutation(len(documents)):
        if learned >= MAX_PAIRS:
            break
        first, second = choose_pairs(len(documents[index]), rng)
        earlier.append(first + len(sentences))
        later.append(second + len(sentences))
        sentences += documents[index]
        learned += len(first)
    if learned < 2:
        return None
    vectorizer = HashingVectorizer(token_pattern=WORD, ngram_range=(1, 2), binary=True)
    words = vectorizer.transform(sentences)
    sign = np.where(np.arange(learned) % 2 == 0, 1, -1)  # Half of the pairs are shown the wrong way round.
    one, other = np.concatenate(later), np.concatenate(earlier)
    one, other = np.where(sign > 0, one, other), np.where(sign > 0, other, one)
    classifier = SGDClassifier(loss="log_loss", alpha=1e-5, fit_intercept=False, random_state=seed % 2**32)
    classifier.fit(words[one] - words[other], sign)
    return lambda given: vectorizer.transform(given) @ classifier.coef_[0]


def _as_orderer(score: Callable[[Sequence[str]], np.ndarray]) -> Orderer:
    """Order by scores, as the pipeline does."""

    def order(documents: Iterator[list[str]]) -> Iterator[dict[str, Any]]:
        for sentences in documents:
            scores = score(sentences) if sentences else np.empty(0)
            by_score = sort_scores(scores, np.ones(len(sentences), dtype=bool))
            yield {
                "order": by_score.tolist(),
                "scores": scores[by_score].tolist(),
                "positions": invert_order(by_score).tolist(),
            }

    return order
