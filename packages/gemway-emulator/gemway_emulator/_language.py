"""The little this emulator knows of language: words that mean something, and which sentence is nearest to a question. Pure."""

from __future__ import annotations

import re
from collections import Counter

_WITHOUT_MEANING = """
a about after all also am an and any are as at be been but by can could did do does for from get give had has have he her his how
i if in into is it its just let like make may me might more most my no not now of off on one only or our out over please she
should so some such tell than that the their them then there these they this those to too up us use used using very was we were
what when where which while who whom whose why will with would yes you your
"""
_STOP_WORDS = frozenset(_WITHOUT_MEANING.split())
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Inc|approx))\.$")
# A sentence ends at its full stop, or at the quotation mark behind it if a new sentence begins there.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"”])\s+(?=[A-Z\"“])")
_NAME = re.compile(r"\b[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*")
_AFTER_NAME = re.compile(r" (?:is|was|has|had|lives?|works?)\b")

# The beginning of the text that the emulator sends if it has no answer. Such turns are not searched for later answers.
OWN_WORDS = "This is the gemway emulator"


def split_sentences(text: str) -> list[str]:
    """Split *text* into sentences; line breaks end one too."""
    sentences: list[str] = []
    for line in text.splitlines():
        is_open = False
        for piece in filter(None, _SENTENCE_END.split(line.strip())):
            sentences.append(f"{sentences.pop()} {piece}" if is_open else piece)
            is_open = bool(_ABBREVIATION.search(piece))
    return sentences


def words(text: str) -> list[str]:
    """The words of *text*, lower case; identifiers are split at underscores and capitals."""
    return re.findall(r"\w+", re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower())


def content_words(text: str) -> list[str]:
    """The stems of the words that mean something, in order."""
    return [
        _cut_to_stem(word) for word in words(text) if word not in _STOP_WORDS and (len(word) > 1 or not word.isascii())
    ]


def topic(text: str) -> str:
    """The subject of *text*, in at most six of its own words."""
    meaningful = [word for word in re.findall(r"[\w'-]+", text) if word.lower() not in _STOP_WORDS]
    return " ".join(meaningful[-6:] if text.rstrip().endswith("?") else meaningful[:6])


def capitalised_names(text: str) -> list[str]:
    """Capitalised names in *text*; at the beginning of a sentence only those that a verb shows to be one."""
    names = []
    for sentence in split_sentences(text):
        for match in _NAME.finditer(sentence):
            name, rest = match[0], sentence[match.end() :]
            if match.start() or _AFTER_NAME.match(rest) or (" " in name and rest[:1] == ","):
                names.append(name)
    return [name for name in dict.fromkeys(names) if name.lower() not in _STOP_WORDS]


def nearest_sentence(text: str, background: str) -> str:
    """The sentence of *text*, or else of *background*, that shares most words with the question in *text*.

    Without such a sentence, one that introduces the emulator.
    """
    sentences = split_sentences(text) or [""]
    question = next((sentence for sentence in reversed(sentences) if sentence.endswith("?")), sentences[-1])
    # A label before the question (`Question: who ...`) is none of its words.
    question = re.sub(r"^\W*\w+:\s+", "", question)
    asked, about = set(content_words(question)), topic(question) or topic(text)
    for context in (text.replace(question, " "), background):
        stems = {sentence: set(content_words(sentence)) for sentence in split_sentences(context)}
        stems = {sentence: known for sentence, known in stems.items() if not sentence.endswith("?")}
        frequency = Counter(word for known in stems.values() for word in known)
        # Most shared words win; among sentences with as many, rare words weigh more.
        scores = {
            sentence: (len(shared), sum(1 / frequency[word] for word in shared))
            for sentence, known in stems.items()
            if (shared := known & asked)
        }
        if scores:
            return max(scores, key=lambda sentence: scores[sentence])
    return f"{OWN_WORDS}; it has no language model to answer{f': {about}' if about else ''}."


def _cut_to_stem(word: str) -> str:
    """A crude stem: enough for call/calls/calling/called."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] in "ey" else word
