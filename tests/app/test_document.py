import pytest

from sentence_ordering.app.document import ONE_A_LINE, Document, examples

LINES = "Tom was hungry.\n\n  He ate.  \nHe slept.\nHe woke."


@pytest.fixture
def document():
    return Document().read(LINES, ONE_A_LINE)


def test_lines_are_sentences(document):
    assert document.sentences == ["Tom was hungry.", "He ate.", "He slept.", "He woke."]


def test_running_text_is_split_in_its_language_and_lines_may_end_within_sentences():
    pytest.importorskip("sentencex")
    text = "Dr. Smith bought\na cake. He ate it\n\nThe end"
    assert Document().read(text, "en").sentences == ["Dr. Smith bought a cake.", "He ate it", "The end"]
    assert Document().read("他饿了。他吃了。", "zh").sentences == ["他饿了。", "他吃了。"]


def test_text_that_is_the_same_keeps_its_shuffle_and_its_locks(document):
    changed = document.shuffle().lock(0, 1)
    assert changed.read(LINES, ONE_A_LINE) is changed
    assert changed.read(LINES + "\nMore.", ONE_A_LINE).locks == ()


def test_text_without_sentences_is_refused():
    with pytest.raises(ValueError, match="There are no sentences yet. Paste a text, or load an example."):
        Document().read(" \n ", ONE_A_LINE)


def test_shuffle_changes_the_order_and_loses_nothing(document):
    for _ in range(20):
        shuffled = document.shuffle()
        assert shuffled.given != document.given
        assert sorted(shuffled.sentences) == sorted(document.sentences)
    assert shuffled.unshuffle().sentences == document.sentences


def test_single_sentence_can_be_shuffled():
    assert Document().read("one", ONE_A_LINE).shuffle().sentences == ["one"]


def test_locks_are_the_pipelines_constraints(document):
    assert document.request() == {"sentences": document.sentences}
    locked = document.lock(0, 1).lock(2, 3).lock(0, 2)
    assert locked.request() == {"sentences": document.sentences, "constraints": {"fixed": {2: 3, 0: 2}}}
    assert locked.unlock().request() == document.request()


@pytest.mark.parametrize(
    ("sentence", "place", "message"),
    [
        (4, 0, "There is no sentence 5: the document has 4 sentences."),
        (0, -1, "There is no place 0: the document has 4 sentences."),
        (0, 1, "Sentence 2 is already locked at place 2. Unlock all first."),
    ],
)
def test_lock_that_cannot_be_is_refused(document, sentence, place, message):
    with pytest.raises(ValueError, match=message):
        document.lock(1, 1).lock(sentence, place)


def test_examples_are_texts_of_one_sentence_a_line():
    *short, long = examples().values()
    assert [len(Document().read(text, ONE_A_LINE).sentences) >= 5 for text in short] == [True] * 6
    assert len(Document().read(long, ONE_A_LINE).sentences) > 100
