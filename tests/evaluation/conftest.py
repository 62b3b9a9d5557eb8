import numpy as np
import pytest

from sentence_ordering.evaluation.measuring import Answers


@pytest.fixture(scope="session")
def answers_of():
    """Make answers of documents: for each its right places, and its predicted places for every input order."""

    def answers_of(*documents):
        answers = Answers()
        for true, *places in documents:
            answers.true.append(np.array(true, dtype=np.int64))
            answers.places.append(np.array(places, dtype=np.int64).reshape(len(places), len(true)))
            answers.scores.append(answers.places[-1].astype(np.float32))
        return answers

    return answers_of
