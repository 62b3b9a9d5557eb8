import json

import pytest

from sentence_ordering.evaluation.results import CorpusResults, Result, Settings, as_json
from sentence_ordering.evaluation.statistics import measure
from sentence_ordering.evaluation.tables import format_markdown, format_number

RIGHT, WRONG = ([0, 1, 2], [0, 1, 2], [0, 1, 2]), ([0, 1, 2], [2, 1, 0], [2, 0, 1])


@pytest.fixture
def make_results(answers_of):
    measurement = measure(answers_of(RIGHT, WRONG, ([0], [0], [0])))
    return lambda: CorpusResults("co|rpus", [Result("<model>", False, measurement)])


def test_markdown_table(make_results):
    title, count, table, *_ = format_markdown([make_results()], Settings(input_orders=2, seed=0)).split("\n\n")
    assert title == "### co\\|rpus"
    assert count == "2 documents, each in 2 input orders; 1 of fewer than 2 sentences or of unknown order left out."
    head, rule, row = table.splitlines()
    assert len(head) == len(rule) == len(row)
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("", "Kendall's tau", "95 % interval", "± over input orders"),
        *("PMR", "accuracy", "Spearman", "first", "last", "same order"),
    ]
    assert row.split() == (
        "| \\<model> | 0.167 | -0.667 to 1.000 | 0.236 | 0.500 | 0.583 | 0.125 | 0.500 | 0.500 | 0.500 |".split()
    )


def test_distances_are_a_table(answers_of):
    # The last sentence is read first.
    true = list(range(10))
    measurement = measure(answers_of((true, [*range(1, 10), 0])))
    text = format_markdown([CorpusResults("c", [Result("m", False, measurement)])], Settings(1, 0))
    _, caption, table = text.rsplit("\n\n", 2)
    assert caption.startswith("Neighbours right, moves needed, and places off, also by the part")
    head, _, row = table.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")][:5] == [
        *("", "neighbours", "moves", "places off", "0–10 %"),
    ]
    assert row.split() == "| m | 0.889 | 1.000 | 1.800".split() + "| 1.000".split() * 9 + "| 9.000 |".split()


def test_several_corpora_have_an_overview(make_results):
    one, other = make_results(), make_results()
    other.corpus = "other"
    other.results.append(Result("bag of words", True, one.results[0].measurement))
    assert format_markdown([one, other], Settings(2, 0)).startswith(
        "### Kendall's tau\n\n"
        "|              | co\\|rpus | other |\n"
        "|--------------|---------:|------:|\n"
        "| \\<model>     |    0.167 | 0.167 |\n"
        "| bag of words |        – | 0.167 |\n\n"
    )


def test_tau_by_length_is_a_table_where_lengths_differ(answers_of):
    measurement = measure(answers_of(RIGHT, ([0, 1], [0, 1], [1, 0])))
    text = format_markdown([CorpusResults("c", [Result("m", False, measurement)])], Settings(2, 0))
    assert text.endswith(
        "| sentences |     2 |     3 |\n|-----------|------:|------:|\n| documents |     1 |     1 |\n"
        "| m         | 0.000 | 1.000 |\n"
    )


def test_json_is_valid_where_means_are_over_nothing(answers_of):
    measurement = measure(answers_of(([0], [0])))
    data = as_json([CorpusResults("c", [Result("m", False, measurement)])], Settings(input_orders=1, seed=7))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    [result] = data["results"]
    assert (data["input_orders"], data["seed"], result["corpus"], result["system"]) == (1, 7, "c", "m")
    assert result["metrics"]["kendall_tau"] == {"mean": None, "interval": None, "spread": None}


def test_numbers_have_three_decimals_and_no_negative_zero():
    assert [format_number(value) for value in (1.0, -0.25, -1e-9, None, float("nan"))] == [
        *("1.000", "-0.250", "0.000", "–", "–"),
    ]
