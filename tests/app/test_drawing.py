import numpy as np
import pytest

from sentence_ordering.app.asking import Answer, insert_sentence, kendall_tau, load_orderer, order_document
from sentence_ordering.app.document import ONE_A_LINE, Document
from sentence_ordering.app.drawing import draw_answer, draw_document, draw_heat_map, draw_insertion
from sentence_ordering.app.game import draw_game, draw_result, read_order

TAG = "<img src=x onerror=alert(1)>"


@pytest.fixture
def document():
    return Document().read(f"Tom was hungry.\nHe ate {TAG}\nHe slept.", ONE_A_LINE)


def answer(order, document, *, slope=1.0):
    scores = np.arange(len(order), dtype=float)
    sure = None if slope is None else [0.9] * len(order)
    sentences = [document.sentences[i] for i in order]
    return Answer(order, sentences, None if slope is None else 0.75, sure, scores, slope)


def test_lines_lead_from_given_to_found_places(document):
    html = draw_answer(answer([2, 0, 1], document), locked=[0])
    assert [path.split('"')[0] for path in html.split(' d="')[1:]] == [
        "M4 2.5C50 2.5 50 0.5 96 0.5",
        "M4 0.5C50 0.5 50 1.5 96 1.5",
        "M4 1.5C50 1.5 50 2.5 96 2.5",
    ]
    assert html.count(">locked<") == 1 and 'Tom was hungry. <em class="note">locked<' in html
    assert html.count(">90%<") == 3 and "<strong>75%</strong>" in html
    # 90 % is four fifths of the way from chance to certainty.
    assert html.count("var(--series-1) 80%") == 6


def test_heat_map_tells_each_pair_once(document):
    html = draw_heat_map(answer([0, 1, 2], document, slope=np.log(3)))
    assert html.count("<rect") == 3
    assert "<title>1 before 2: 75%</title>" in html and "<title>1 before 3: 90%</title>" in html


def test_pair_that_a_lock_has_the_wrong_way_round_is_not_drawn_as_sure(document):
    locked = answer([2, 0, 1], document)
    locked.scores = np.array([9.0, 0.0, 8.0])
    first, second, third = draw_heat_map(locked).split("<rect")[1:]
    assert "1 before 2: 0%" in first and "var(--series-1) 0%" in first
    assert "1 before 3: 27%" in second and "var(--series-1) 0%" in second
    assert "2 before 3: 100%" in third and "var(--series-1) 100%" in third


def test_heat_map_of_a_long_document_shows_some_sentences():
    document = Document().read("\n".join(f"Sentence {i}." for i in range(100)), ONE_A_LINE)
    html = draw_heat_map(answer(list(range(100)), document))
    assert html.count("<rect") == 40 * 39 // 2
    assert "40 of the 100 sentences" in html and "<title>1 before 100: " in html


def test_model_without_a_slope_has_no_shares_and_no_map(document):
    unsure = answer([0, 1, 2], document, slope=None)
    assert "This model tells no confidence." in draw_answer(unsure) and "%" not in draw_answer(unsure)
    assert "confidence_slope" in draw_heat_map(unsure) and "<svg" not in draw_heat_map(unsure)


def test_new_sentence_stands_at_its_most_probable_place(document):
    html = draw_insertion(document, TAG, [0.1, 0.2, 0.6, 0.1])
    assert "in front of sentence 3</strong>, with a probability of 60%" in html
    assert html.index("He ate") < html.index("<strong dir") < html.index("He slept")
    assert "at the end</strong>" in draw_insertion(document, "x", [0.1, 0.2, 0.1, 0.6])


def test_text_is_escaped_everywhere(document):
    own = [1, 0, 2]
    pieces = [
        draw_document(document),
        draw_answer(answer(own, document)),
        draw_insertion(document, TAG, [0.1, 0.2, 0.6, 0.1]),
        draw_game(document),
        draw_result(document, own, answer(own, document)),
    ]
    for html in pieces:
        assert TAG not in html and "&lt;img src=x" in html


def test_result_of_the_game_compares_with_the_text(document):
    shuffled = Document(document.source, document.natural, (2, 1, 0))
    html = draw_result(shuffled, [2, 1, 0], answer([0, 1, 2], shuffled))
    yours, model, text = html.split("<h3>")[1:]
    assert "Kendall&#x27;s tau 1.00" in yours and "Kendall&#x27;s tau -1.00" in model
    assert yours.index("Tom") < yours.index("slept") and model.index("slept") < model.index("Tom")
    assert text.index("Tom") < text.index("slept")


@pytest.mark.parametrize("told", ["", "[0, 1]", "[0, 1, 1]", "[0, 1, 2, 3]"])
def test_order_of_another_text_is_refused(told, document):
    with pytest.raises(ValueError, match="The game shows another text. Start it again."):
        read_order(told, document)


def test_tau_of_orders():
    assert kendall_tau([5, 3, 4], [5, 3, 4]) == 1
    assert kendall_tau([0, 1, 2], [2, 1, 0]) == -1
    assert kendall_tau([0, 1, 2, 3], [0, 1, 3, 2]) == pytest.approx(2 / 3)
    assert np.isnan(kendall_tau([0], [0]))


def test_orderer_is_asked_for_order_locks_and_places(orderer_folder, model, document):
    model.config.confidence_slope = 2.0
    model.config.save_pretrained(orderer_folder)
    batches = []
    found = order_document(str(orderer_folder), document, batches.append)
    assert sorted(found.order) == [0, 1, 2] and batches == [1]
    assert np.mean(found.sure) == pytest.approx(found.confidence)
    assert found.pair_probabilities([0, 2])[0, 1] >= 0.5
    locked = order_document(str(orderer_folder), document.lock(found.order[0], 2), batches.append)
    assert locked.order == [*found.order[1:], found.order[0]]
    places = insert_sentence(str(orderer_folder), document, " He rested. ", batches.append)
    assert len(places) == 4 and sum(places) == pytest.approx(1)
    assert load_orderer(str(orderer_folder)) is load_orderer(str(orderer_folder))


def test_sentence_that_is_empty_is_refused(document):
    with pytest.raises(ValueError, match="There is no sentence to insert yet. Write one."):
        insert_sentence("general", document, "  ", print)
