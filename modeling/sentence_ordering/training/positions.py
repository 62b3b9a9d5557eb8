"""Where the sentences of each part of a document were put: counted, and drawn as a heat map."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..looks import LIGHT
from ..model.encoding import IGNORE_INDEX, invert_order, sort_scores
from .metrics import join_batches

if TYPE_CHECKING:
    from transformers.trainer_utils import PredictionOutput

PARTS = 10


def plot_positions(evaluation: PredictionOutput, path: str | os.PathLike[str]) -> bool:
    """Draw a heat map of predicted against true positions, both in percent of the document.

    Args:
        evaluation: Scores and labels of shape `(documents, sentences)`.
        path: The PNG file to write.

    Returns:
        Whether it was drawn: that needs matplotlib, which comes with the extra `plot`.
    """
    try:
        import matplotlib
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure
    except ImportError:
        return False
    shares = share_positions(join_batches(evaluation.predictions), join_batches(evaluation.label_ids))
    # A picture cannot follow its page: it keeps its light ground, on which it can be read, on dark pages too.
    colors = LinearSegmentedColormap.from_list("share", [LIGHT["card"], LIGHT["series-1"]])
    style: dict[Any, Any] = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), LIGHT["rule"])
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), LIGHT["ink"])
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.8, 4.0), dpi=100, facecolor=LIGHT["card"])
        axes = figure.add_axes((0.13, 0.12, 0.83, 0.85))
        image = axes.imshow(100 * shares, cmap=colors, vmin=0, origin="lower", extent=(0, 100, 0, 100))
        axes.set(xlabel="true position, % of the document", ylabel="predicted position, % of the document")
        figure.colorbar(image, label="% of the sentences of a true position", shrink=0.8)
        figure.savefig(path)
    return True


def share_positions(scores: np.ndarray, labels: np.ndarray, bins: int = 10) -> np.ndarray:
    """Measure which share of what belongs into a part of the document was put into which part.

    Sentences of documents of different lengths are spread as `count_parts` does.

    Args:
        scores: Shape `(documents, sentences)`.
        labels: Positions of the same shape, -100 for padding.
        bins: Number of equal parts of a document.

    Returns:
        Shares of shape `(bins, bins)`, predicted by true part; each column adds up to 1.

    Example:
        >>> share_positions(np.array([[0.1, 2.0]]), np.array([[1, 0]]), bins=2)
        array([[0., 1.],
               [1., 0.]])
    """
    valid = labels != IGNORE_INDEX
    predicted = invert_order(sort_scores(scores.astype(np.float64), valid))
    true = invert_order(sort_scores(labels, valid))
    counts = valid.sum(axis=1)
    total = np.zeros((bins, bins))
    for count in np.unique(counts[counts >= 2]):
        rows = counts == count
        chosen = valid[rows]
        total += count_parts(predicted[rows][chosen].reshape(-1, count), true[rows][chosen].reshape(-1, count), bins)
    return total / total.sum(axis=0)


def count_parts(predicted: np.ndarray, true: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """Count what belongs into a part of the document and was put into which part.

    The i-th of n sentences is spread over the part from i / n to (i + 1) / n of its document, so that documents of
    different lengths fit on one map.

    Args:
        predicted: Places, shape `(documents, sentences)`; all documents have that many sentences.
        true: Right places, of the same shape.
        parts: Number of equal parts of a document.

    Returns:
        Shape `(parts, parts)`, predicted by true part.

    Example:
        >>> count_parts(np.array([[0, 1]]), np.array([[1, 0]]), parts=2)
        array([[0., 1.],
               [1., 0.]])
    """
    overlap = _overlap_parts(predicted.shape[1], parts)
    return overlap[:, predicted.ravel()] @ overlap[:, true.ravel()].T


def sum_displacements(predicted: np.ndarray, true: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """Sum by how many places sentences are off, by the part of the document that they belong to.

    Args:
        predicted: Places, shape `(documents, sentences)`; all documents have that many sentences.
        true: Right places, of the same shape.
        parts: Number of equal parts of a document, over which sentences are spread as by `count_parts`.

    Returns:
        Shape `(parts,)`; to be divided by the columns of `count_parts`, which are how many sentences belong there.

    Example:
        >>> sum_displacements(np.array([[0, 2, 1, 3]]), np.array([[0, 1, 2, 3]]), parts=4)
        array([0., 1., 1., 0.])
    """
    return _overlap_parts(predicted.shape[1], parts)[:, true.ravel()] @ np.abs(predicted - true).ravel()


def _overlap_parts(count: int, parts: int) -> np.ndarray:
    """Return which share of each place of a document lies in each of its parts, shape `(parts, count)`."""
    edges, start = np.arange(parts + 1) / parts, np.arange(count) / count
    overlap = np.minimum(edges[1:, None], start + 1 / count) - np.maximum(edges[:-1, None], start)
    return overlap.clip(min=0) * count
