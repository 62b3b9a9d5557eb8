"""`scripts/label.py` and `scripts/distil.py`: training on what another orderer says."""

import json
from functools import partial

import distil
import label
import pytest
import torch
from transformers import pipeline

from sentence_ordering.model.losses import pairwise_logistic

# Two documents that a teacher has read, and the first again as one that it has not.
LABELS = torch.tensor([[2, 0, 1], [1, 0, -100], [2, 0, 1]]) + distil.DOCUMENT * torch.tensor([[1], [2], [0]])
LABELS[1, 2] = -100
TEACHER = [[0.1, 2.0, 1.5], [1.0, -1.0]]
SCORES = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0], [0.5, -1.0, 2.0]])


def losses(weight, row):
    return distil.TaughtLoss(TEACHER, weight, 1.0)({"logits": SCORES[row : row + 1]}, LABELS[row : row + 1]) * 3


def test_without_the_teacher_and_where_it_has_not_read_the_loss_is_the_pairwise_logistic():
    expected = pairwise_logistic(SCORES[:1], torch.tensor([[2.0, 0.0, 1.0]]), torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(losses(0.0, 0), expected[0])
    torch.testing.assert_close(losses(0.9, 2), expected[0])


def test_the_teachers_probability_is_the_target():
    # Equal scores say one half: against any target log 2 for each of the pair's two directions.
    loss = distil.TaughtLoss(TEACHER, 0.7, 1.0)({"logits": SCORES[1:2]}, LABELS[1:2])
    torch.testing.assert_close(loss, torch.tensor(0.6931), atol=1e-4, rtol=0)
    gap = torch.tensor([[1.0, -1.0]], requires_grad=True)  # Sentence 0 has label 1, so the teacher's score -1.
    distil.TaughtLoss([[1.0, -1.0]], 1.0, 1.0)({"logits": gap}, LABELS[1:2, :2] % distil.DOCUMENT + 1024).backward()
    assert gap.grad[0, 0] > 0  # It should be lower, though its place is behind the other.


@pytest.fixture
def labelled(orderer_folder, stories, tmp_path, monkeypatch):
    """Label forty stories, of which one is too long; return the file and the function that did it."""
    monkeypatch.setattr(label, "DOCUMENTS_AT_ONCE", 8)
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"sentences": story}) + "\n" for story in [*stories[:40], ["word"] * 30])
    )
    output = tmp_path / "labelled.jsonl"

    def run():
        label.main([str(orderer_folder), "--input", str(tmp_path / "in.jsonl"), "--output", str(output)])
        return output

    run()
    return output, run


def order_by_length(documents, factor=1.0):
    """Score sentences by their number of letters."""
    for document in documents:
        places = sorted(range(len(document)), key=lambda index: len(document[index]))
        positions = [places.index(index) for index in range(len(document))]
        yield {"order": places, "positions": positions, "scores": [factor * len(document[index]) for index in places]}


def test_scores_stand_in_natural_order(tmp_path):
    label.label(order_by_length, [["ccc", "a", "bb"], ["a", "dddd", "bb", "ccc"]], tmp_path / "labelled.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "labelled.jsonl").open()]
    assert [row["scores"] for row in rows] == [[3, 1, 2], [1, 4, 2, 3]]


def test_short_documents_are_labelled_with_all_their_sentences(labelled, stories):
    rows = [json.loads(line) for line in labelled[0].open()]
    assert [row["sentences"] for row in rows] == [story for story in stories[:40] if len(story) > 1]
    assert all(len(row["scores"]) == len(row["sentences"]) for row in rows)


@pytest.mark.parametrize("cut", [1, 3000, 10**9])
def test_an_ended_run_goes_on(cut, labelled):
    output, run = labelled
    whole = output.read_bytes()
    output.write_bytes(whole[:-cut] if cut < len(whole) else b"")
    run()
    assert output.read_bytes() == whole


def test_labels_of_other_documents_are_not_gone_on_with(labelled, stories, tmp_path):
    output, run = labelled
    whole = output.read_bytes()
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"sentences": story}) + "\n" for story in stories[40:80]))
    with pytest.raises(SystemExit, match="holds labels of other documents"):
        run()
    assert output.read_bytes() == whole


@pytest.mark.parametrize(("factor", "refused"), [(1.01, False), (1.2, True), (-1.0, True)])
def test_labels_of_another_orderer_are_not_gone_on_with(factor, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(label, "DOCUMENTS_AT_ONCE", 1)
    documents, output = [["ccc", "a", "bb"], ["a", "dddd"]], tmp_path / "labelled.jsonl"
    label.label(order_by_length, documents[:1], output)
    before = output.read_bytes()
    other = partial(order_by_length, factor=factor)
    if refused:
        with pytest.raises(ValueError, match="labelled.jsonl holds labels of another orderer"):
            label.label(other, documents, output)
        assert output.read_bytes() == before
    else:
        label.label(other, documents, output)
        assert len(output.read_text().splitlines()) == 2


def test_a_dry_run_trains_nothing(counted, encoder_folder, tmp_path, capsys):
    row = {"sentences": counted[0], "scores": [0.0] * len(counted[0])}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    options = {"model": encoder_folder, "train_file": tmp_path / "in.jsonl", "output_dir": tmp_path / "out"}
    distil.main([*(f"--{name}={value}" for name, value in options.items()), "--use_cpu", "--dry_run"])
    assert "1 document" in capsys.readouterr().out
    assert list((tmp_path / "out").iterdir()) == []


def test_an_orderer_learns_what_the_teacher_says_against_the_right_order(counted, encoder_folder, tmp_path):
    file = tmp_path / "labelled.jsonl"
    rows = [{"sentences": document, "scores": [-float(i) for i in range(len(document))]} for document in counted[:96]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"model": encoder_folder, "train_file": file, "output_dir": tmp_path / "out", "teacher_weight": 1}
    options |= {"num_train_epochs": 8, "learning_rate": 0.01, "report_to": "none", "pooling": "mean"}
    distil.main([*(f"--{name}={value}" for name, value in options.items()), "--use_cpu", "--disable_tqdm=1"])
    assert "one that the training program gave" in (tmp_path / "out" / "README.md").read_text()
    order = pipeline("sentence-ordering", model=str(tmp_path / "out"))
    assert order(["one 7", "two 7", "three 7"])["positions"] == [2, 1, 0]


def test_a_file_without_scores_is_refused(counted, encoder_folder, tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"sentences": counted[0]}) + "\n")
    options = {"model": encoder_folder, "train_file": tmp_path / "in.jsonl", "output_dir": tmp_path / "out"}
    with pytest.raises(SystemExit, match="The training files have no column `scores`"):
        distil.main([*(f"--{name}={value}" for name, value in options.items()), "--use_cpu"])


def test_other_numbers_of_scores_than_of_sentences_are_refused(counted, encoder_folder, tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"sentences": counted[0], "scores": [1.0]}) + "\n")
    options = {"model": encoder_folder, "train_file": tmp_path / "in.jsonl", "output_dir": tmp_path / "out"}
    with pytest.raises(SystemExit, match="Training row 0 has 1 scores for 3 sentences"):
        distil.main([*(f"--{name}={value}" for name, value in options.items()), "--use_cpu"])
