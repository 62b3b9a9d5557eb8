import json
import re

import numpy as np
import pytest
from kinds import Kind, calibration_errors, fit_slope, main, tabulate

from sentence_ordering.evaluation.measuring import Answers


@pytest.fixture
def corpora(tmp_path, documents):
    """Files of the kinds `one`, `two` and `three`, and the mixtures that name them."""
    rows = [
        json.dumps({"id": str(number), "sentences": document})
        for number, document in enumerate(documents["sentences"][:12])
    ]
    for kind in ("one", "two", "three"):
        (tmp_path / f"{kind}.train.jsonl").write_text("\n".join(rows[:6]) + "\n")
        (tmp_path / f"{kind}.validation.jsonl").write_text("\n".join(rows[6:]) + "\n")
    (tmp_path / "trained.yaml").write_text("documents: {one: 6}")
    (tmp_path / "unseen.yaml").write_text("documents: {two: 6, three: 6}")
    return tmp_path


def options(corpora):
    return ["--input_dir", str(corpora), "--unseen", str(corpora / "unseen.yaml")]


def test_every_kind_of_both_mixtures_is_measured(corpora, orderer_folder, capsys):
    output = corpora / "kinds.json"
    trained = ["--trained", str(corpora / "trained.yaml"), "--documents", "5", "--output", str(output)]
    main([str(orderer_folder), *options(corpora), *trained])
    kinds = json.loads(output.read_text())
    assert [(kind["name"], kind["trained"], kind["documents"]) for kind in kinds] == [
        ("two", False, 5),
        ("three", False, 5),
        ("one", True, 5),
    ]
    assert all(-1 <= kind[tau] <= 1 for kind in kinds for tau in ("kendall_tau", "bag_of_words"))
    assert re.findall(r"^\| (\w+) \|", capsys.readouterr().out, re.M).count("two") == 1


def test_one_unseen_kind_is_refused_because_its_slope_has_nothing_to_be_fitted_on(corpora, orderer_folder):
    with pytest.raises(SystemExit, match="trained.yaml has one kind"):
        main([str(orderer_folder), "--input_dir", str(corpora), "--unseen", str(corpora / "trained.yaml")])


def test_what_is_no_mixture_is_refused(corpora, orderer_folder):
    (corpora / "unseen.yaml").write_text("model: encoder")
    with pytest.raises(SystemExit, match=r"unseen\.yaml is no mixture"):
        main([str(orderer_folder), *options(corpora)])


def test_a_command_without_kinds_says_what_names_them(corpora, orderer_folder):
    with pytest.raises(SystemExit, match="Name kinds to measure on with --unseen or --trained"):
        main([str(orderer_folder), "--input_dir", str(corpora)])


def test_calibration_on_unseen_kinds_is_measured_on_documents_of_their_training_files(corpora, orderer_folder):
    figures = []
    for count in ("1", "6"):
        output = corpora / f"{count}.json"
        main([str(orderer_folder), *options(corpora), "--calibration_documents", count, "--output", str(output)])
        figures.append(json.loads(output.read_text()))
    few, many = ([kind.pop("calibration_error") for kind in kinds] for kinds in figures)
    assert few != many
    assert figures[0] == figures[1]


def test_calibration_on_a_kind_is_that_of_the_slope_of_the_others():
    true = [np.arange(2) for _ in range(40)]
    right = Answers(true, [np.array([[0, 1]])] * 40, [np.array([[0.0, 1.0]])] * 40)
    chance = Answers(
        true, [np.array([[0, 1]]), np.array([[1, 0]])] * 20, [np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])] * 20
    )
    errors = calibration_errors({"right": right, "one": chance, "other": chance})
    assert errors["right"] == pytest.approx(0.5, abs=0.01)  # With what is learnt from chance, all is chance.
    assert errors["one"] == pytest.approx(0.25, abs=0.01)  # Three quarters of the other two kinds' pairs are right.


def test_a_slope_is_steep_where_gaps_are_right_and_flat_where_they_are_not():
    true = [np.arange(4) for _ in range(20)]
    right = Answers(true, [], [np.arange(4.0)[None]] * 20)
    chance = Answers(true, [], [np.array([[1.0, 0.0, 3.0, 2.0]]), np.array([[2.0, 3.0, 0.0, 1.0]])] * 10)
    assert fit_slope([right]) > 1 > fit_slope([right, chance]) > fit_slope([chance])


def test_the_table_has_means_and_the_worst_calibration_error():
    kinds = [Kind("a", False, 9, 0.25, 0.5, 0.125), Kind("b", False, 9, 0.75, 0.25, 0.375)]
    assert tabulate(kinds).splitlines() == [
        "Unseen: 2 kinds, mean tau 0.500, bag of words 0.375, above it on 1; calibration error 0.250, at most 0.375",
        "",
        "| kind | documents | tau | bag of words | calibration error |",
        "|---|--:|--:|--:|--:|",
        "| b | 9 | 0.75 | 0.25 | 0.38 |",
        "| a | 9 | 0.25 | 0.50 | 0.12 |",
    ]
