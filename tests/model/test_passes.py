import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from plans import answer

from sentence_ordering.model.passes import canonical_order, document_rng, plan_passes


class TestPlanLooks:
    def test_one_look_is_the_order_given_and_its_very_scores(self):
        rows, scores = answer(plan_passes(3, 1, np.random.default_rng(0)), lambda row: [0.1, 0.3, 0.2])
        assert [row.tolist() for row in rows] == [[0, 1, 2]]
        assert scores.tolist() == np.float32([0.1, 0.3, 0.2]).tolist()

    def test_scores_are_averaged_by_sentence(self):
        # The score is the sentence's own number, plus its place in the row.
        rows, scores = answer(plan_passes(4, 3, np.random.default_rng(0)), lambda row: row + np.arange(4) / 10)
        assert len({tuple(row) for row in rows}) == 3
        places = np.mean([np.argsort(row) for row in rows], axis=0)
        assert np.allclose(scores, np.arange(4) + places / 10)

    def test_no_sentences_are_not_read(self):
        rows, scores = answer(plan_passes(0, 3, np.random.default_rng(0)), None)
        assert (rows, scores.tolist()) == ([], [])


class TestDocumentRng:
    def test_depends_on_seed_and_text_alone(self):
        draws = [
            document_rng(sentences, seed).integers(2**60)
            for sentences, seed in ((["ab", "c"], 0), (["ab", "c"], 0), (["ab", "c"], 1), (["a", "bc"], 0))
        ]
        assert draws[0] == draws[1]
        assert len(set(draws)) == 3


class TestCanonicalOrder:
    @given(st.lists(st.text(max_size=3), max_size=6).flatmap(lambda texts: st.tuples(*[st.permutations(texts)] * 2)))
    def test_is_the_same_for_every_order_given(self, orders):
        one, other = ([sentences[index] for index in canonical_order(sentences)] for sentences in orders)
        assert one == other

    def test_equal_sentences_keep_their_order(self):
        order = canonical_order(["x", "same", "same", "y", "same"]).tolist()
        assert [index for index in order if index in (1, 2, 4)] == [1, 2, 4]

    def test_is_not_alphabetical(self):
        letters = [*"abcdefgh"]
        assert canonical_order(letters).tolist() != list(range(8))
