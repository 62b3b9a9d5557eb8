"""`scripts/mix.py`: a corpus drawn from files of kinds."""

import json

import pytest
from mix import main


@pytest.fixture
def mix(tmp_path):
    """Run the program on 40 documents of one kind; return the first sentences of what was drawn."""
    rows = [json.dumps({"id": f"{n}", "sentences": [f"One {n}.", "Two."]}) for n in range(40)]
    (tmp_path / "one.train.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "mixture.yaml").write_text("documents: {one: 10}\nseed: 3\n")

    def mix(*options):
        output = tmp_path / "corpora" / "mixed.jsonl"
        main([str(tmp_path / "mixture.yaml"), "--input_dir", str(tmp_path), "--output", str(output), *options])
        return [json.loads(line)["sentences"][0] for line in output.open()]

    return mix


def test_a_seed_of_its_own_draws_other_documents(mix):
    assert len(mix()) == 10
    assert mix() == mix("--seed", "3") != mix("--seed", "4")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mixture.yaml", "documents: {one: [", "while parsing"),
        ("mixture.yaml", "documents: {two: 1}", "two.train.jsonl"),
        ("one.train.jsonl", '{"id": "1"}\n', 'one.train.jsonl:1: the object has no "sentences", only the keys'),
        ("one.train.jsonl", '{"id": "1", ', "one.train.jsonl:1: is not JSON"),
    ],
)
def test_what_cannot_be_drawn_from_is_named_without_a_traceback(name, content, message, mix, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit, match=message):
        mix()
