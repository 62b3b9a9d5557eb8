"""The text on the page: split into sentences, shuffled, with sentences locked at places."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from functools import cache

from ..data import load_documents
from ..data.formats import split_sentences

ONE_A_LINE = "one sentence a line"
# Names and codes of some of the languages that sentencex knows the abbreviations of; others can be typed in as codes.
LANGUAGES = [
    ("One sentence a line", ONE_A_LINE),
    ("English", "en"),
    ("Arabic", "ar"),
    ("Chinese", "zh"),
    ("French", "fr"),
    ("German", "de"),
    ("Hindi", "hi"),
    ("Italian", "it"),
    ("Japanese", "ja"),
    ("Polish", "pl"),
    ("Portuguese", "pt"),
    ("Russian", "ru"),
    ("Spanish", "es"),
    ("Turkish", "tr"),
]
# Short stories, and several of them as one long document.
EXAMPLES = 6
LONG_EXAMPLE = 40


@dataclass(frozen=True)
class Document:
    """A text as sentences, in the order that they are given to a model.

    Args:
        source: The text and its language, as they stand on the page.
        natural: The sentences in the order of the text.
        given: Indices of `natural` in the order given.
        locks: Pairs of a sentence, an index of the order given, and the place that its answer must have it at.
    """

    source: tuple[str, str] = ("", "")
    natural: tuple[str, ...] = ()
    given: tuple[int, ...] = ()
    locks: tuple[tuple[int, int], ...] = ()

    @property
    def sentences(self) -> list[str]:
        """The sentences in the order given."""
        return [self.natural[index] for index in self.given]

    def read(self, text: str, language: str) -> Document:
        """Split a text into sentences.

        Args:
            text: The text.
            language: A code such as `"en"`, or `ONE_A_LINE`.

        Returns:
            This document if it is already that of the text, or a new one in the order of the text.

        Raises:
            ValueError: If the text has no sentences.
        """
        if self.source == (text, language):
            return self
        if language == ONE_A_LINE:
            sentences = [line for line in map(str.strip, text.splitlines()) if line]
        else:
            # In text that was copied, lines end inside of sentences; where a line is empty, a paragraph ends.
            paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
            sentences = [sentence for paragraph in paragraphs for sentence in split_sentences(paragraph, language)]
        if not sentences:
            raise ValueError("There are no sentences yet. Paste a text, or load an example.")
        return Document((text, language), tuple(sentences), tuple(range(len(sentences))))

    def shuffle(self) -> Document:
        """Give the sentences in another order, without locks; one of fewer than two sentences stays as it is."""
        given = list(self.given)
        while len(given) > 1 and tuple(given) == self.given:
            random.shuffle(given)
        return replace(self, given=tuple(given), locks=())

    def unshuffle(self) -> Document:
        """Give the sentences in the order of the text, without locks."""
        return replace(self, given=tuple(range(len(self.natural))), locks=())

    def lock(self, sentence: int, place: int) -> Document:
        """Lock a sentence at a place instead of where it was locked before; both as indices.

        Raises:
            ValueError: If there is no such sentence or place, or another sentence is locked there.
        """
        count = len(self.given)
        for name, number in (("sentence", sentence), ("place", place)):
            if not 0 <= number < count:
                raise ValueError(f"There is no {name} {number + 1}: the document has {count} sentences.")
        others = tuple((other, at) for other, at in self.locks if other != sentence)
        taken = [other for other, at in others if at == place]
        if taken:
            raise ValueError(f"Sentence {taken[0] + 1} is already locked at place {place + 1}. Unlock all first.")
        return replace(self, locks=(*others, (sentence, place)))

    def unlock(self) -> Document:
        """Remove all locks."""
        return replace(self, locks=())

    def request(self) -> dict[str, object]:
        """Return what the pipeline is to order."""
        if not self.locks:
            return {"sentences": self.sentences}
        return {"sentences": self.sentences, "constraints": {"fixed": dict(self.locks)}}


@cache
def examples() -> dict[str, str]:
    """Return texts to try, one sentence a line, by their titles."""
    stories = load_documents("bigbench_narratives")["validation"]["sentences"]
    short = [story for story in stories if len(story) >= 5][:EXAMPLES]
    titled = {f"{number}. {story[0]}": "\n".join(story) for number, story in enumerate(short, start=1)}
    long = [sentence for story in stories[:LONG_EXAMPLE] for sentence in story]
    return titled | {f"A long document ({len(long)} sentences)": "\n".join(long)}
