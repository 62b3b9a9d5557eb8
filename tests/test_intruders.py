import json

import intruders
import numpy as np
import pytest
import torch
from transformers import pipeline

import sentence_ordering  # noqa: F401  # registers the pipeline's task

ALIKE = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [1.0, -0.1]])


def test_the_least_similar_sentence_is_the_intruder():
    assert intruders.finds_intruder(ALIKE, np.array([False, False, True, False])) == 1
    assert intruders.finds_intruder(ALIKE, np.array([True, False, False, False])) == 0


def test_groups_are_of_similar_sentences():
    vectors = np.array([[1.0, 0.1], [0.1, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert intruders.group_similarity(vectors, np.array([False, True, False, True])) == 1
    assert intruders.group_similarity(vectors, np.array([False, False, True, True])) < 0.1


@pytest.fixture
def vectors(orderer_folder, encoder_folder):
    return intruders.Vectors(pipeline("sentence-ordering", model=str(orderer_folder)), str(encoder_folder))


def test_vectors_are_means_over_the_tokens_of_each_sentence(vectors, stories):
    sentences = stories[0]
    answers = vectors(sentences)
    layers = [kind for kind in answers if kind.startswith("orderer")]
    assert len(layers) == vectors.orderer.config.backbone_config.num_hidden_layers + 1
    assert {array.shape[0] for array in answers.values()} == {len(sentences)}
    # The last layer's are what the head reads.
    ids = intruders.build_row(vectors.tokens(sentences), vectors.orderer.config.sentence_token_id)
    row = torch.tensor([ids])
    with torch.inference_mode():
        states = vectors.orderer.backbone(input_ids=row).last_hidden_state[0]
    start = 1 + len(vectors.tokens(sentences)[0])
    first = states[:start].mean(dim=0)
    np.testing.assert_allclose(answers[layers[-1]][0], first / first.norm(), rtol=1e-4, atol=1e-5)


def test_a_sentence_that_is_read_alone_does_not_depend_on_the_others(vectors, stories):
    alone, together = vectors(stories[0][:1]), vectors(stories[0])
    np.testing.assert_allclose(together[intruders.PLAIN][0], alone[intruders.PLAIN][0], rtol=1e-4, atol=1e-5)
    last = [kind for kind in alone if kind.startswith("orderer")][-1]
    assert np.abs(together[last][0] - alone[last][0]).max() > 1e-3


def test_strangers_are_those_of_the_other_document(vectors):
    corpora = [[[f"{name}{row}{number}" for number in range(4)] for row in range(3)] for name in "ab"]
    read = []
    vectors_of = type(
        "Spy", (), {"limit": 500, "tokens": vectors.tokens, "__call__": lambda self, given: read.append(given)}
    )()
    args = intruders.IntrudersArguments("m", ["a", "b"], documents=2)
    cases = list(intruders.mix(corpora, 1, vectors_of, args))
    assert [case for case, *_ in cases] == ["easy", "hard"] * 4
    for number, (case, _, strange) in enumerate(cases):
        own = f"{'ab'[number // 4]}{number // 2 % 2}"
        [stranger] = [sentence for sentence, is_strange in zip(read[number], strange, strict=True) if is_strange]
        assert stranger[:2] != own and (stranger[0] == own[0]) == (case == "hard")
        assert sum(sentence.startswith(own) for sentence in read[number]) == 4


def test_table_has_a_row_for_each_kind_of_vectors(orderer_folder, encoder_folder, stories, tmp_path, capsys):
    short = sorted((story for story in stories if 4 <= len(story) <= 9), key=lambda story: sum(map(len, story)))
    for name, documents in (("one", short[:4]), ("two", short[4:8])):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"sentences": document}) + "\n" for document in documents)
        )
    files = [str(tmp_path / f"{name}.jsonl") for name in ("one", "two")]
    intruders.main(["--model", str(orderer_folder), "--encoder", str(encoder_folder), "--file", *files])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| vectors | intruder, easy | intruder, hard | groups, easy | groups, hard |"
    assert rows[-1].startswith(f"| {intruders.PLAIN}, centred | ") and rows[-1].count("±") == 4
