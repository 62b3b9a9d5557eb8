import json

import numpy as np
import pytest
from transfer import Heads, main


@pytest.fixture
def corpora(tmp_path, stories):
    """Files of the kinds `one`, `two` and `three`, and the mixtures that name them."""
    for number, kind in enumerate(("one", "two", "three")):
        lines = [json.dumps({"id": "a", "sentences": story}) for story in stories[12 * number : 12 * number + 12]]
        for split in ("train", "validation"):
            (tmp_path / f"{kind}.{split}.jsonl").write_text("\n".join([*lines, '{"sentences": ["Alone."]}', ""]))
    (tmp_path / "trained.yaml").write_text("documents: {one: 6, two: 6}")
    (tmp_path / "unseen.yaml").write_text("documents: {three: 6}")
    return tmp_path


def test_all_tables_are_printed(corpora, orderer_folder, capsys):
    mixtures = [f"--{name}={corpora / name}.yaml" for name in ("trained", "unseen")]
    main([str(orderer_folder), f"--input_dir={corpora}", *mixtures, "--documents=8"])
    amounts, powers, kinds = capsys.readouterr().out.strip().split("\n\n")
    assert [line.split(" | ")[0] for line in amounts.splitlines()] == [
        "| documents of each",
        "|--:|--:|",
        *(f"| {number}" for number in (1, 2, 4, 8)),
    ]
    assert powers.splitlines()[0] == "| kinds weigh as their documents to the power | 0.0 | 0.5 | 1.0 |"
    assert {line.split(" | ")[0] for line in kinds.splitlines()[2:]} == {"| one", "| two"}


def test_a_kind_without_a_file_is_one_line(corpora, orderer_folder):
    (corpora / "trained.yaml").write_text("documents: {four: 6}")
    mixtures = [f"--{name}={corpora / name}.yaml" for name in ("trained", "unseen")]
    with pytest.raises(SystemExit, match=r"four\.train\.jsonl"):
        main([str(orderer_folder), f"--input_dir={corpora}", *mixtures])


def kind(direction, documents=4, sentences=5):
    """Documents in whose vectors the places grow in a direction."""
    positions = np.arange(sentences) - (sentences - 1) / 2
    return [(positions[:, None] / positions.std() * np.array(direction), positions)] * documents


class TestHeads:
    @pytest.fixture
    def heads(self):
        return Heads({"right": kind([1.0, 0.1]), "wrong": kind([-1.0, 0.1])}, [kind([1.0, 0.0])])

    def test_what_holds_for_another_kind_orders_it(self, heads):
        assert heads.measure({"right": 1.0}) > 0.99
        assert heads.measure({"wrong": 1.0}) < -0.99

    def test_the_kind_that_weighs_more_decides(self, heads):
        assert heads.measure({"right": 3.0, "wrong": 1.0}) > 0.99
        assert heads.measure({"right": 1.0, "wrong": 3.0}) < -0.99

    def test_documents_of_a_kind_weigh_the_same_whatever_their_length(self):
        mixed = Heads({"mixed": kind([1.0], 3, 5) + kind([-1.0], 1, 50)}, [kind([1.0])])
        assert mixed.measure({"mixed": 1.0}) > 0.99

    def test_only_as_many_documents_are_used_as_asked_for(self):
        mixed = Heads({"mixed": kind([1.0], 1) + kind([-1.0], 3)}, [kind([1.0])])
        assert mixed.measure({"mixed": 1.0}, documents=1) > 0.99
        assert mixed.measure({"mixed": 1.0}) < -0.99
