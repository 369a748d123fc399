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

# The beginning of the text that it sends if it has no answer. Such turns are not searched for later answers.
OWN_WORDS = "This is the gemway emulator"


def sentences(text: str) -> list[str]:
    """Split *text* into sentences; line breaks end one too."""
    complete: list[str] = []
    for line in text.splitlines():
        pending = ""
        for piece in _SENTENCE_END.split(line.strip()):
            pending = f"{pending} {piece}".strip()
            if pending and not _ABBREVIATION.search(pending):
                complete.append(pending)
                pending = ""
        if pending:
            complete.append(pending)
    return complete


def words(text: str) -> list[str]:
    """The words of *text*, lower case; identifiers are split at underscores and capitals."""
    return re.findall(r"\w+", re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower())


def content_words(text: str) -> list[str]:
    """The stems of the words that mean something, in order."""
    return [_stem_of(word) for word in words(text) if word not in _STOP_WORDS and (len(word) > 1 or not word.isascii())]


def topic(text: str, limit: int = 6) -> str:
    """The subject of *text*, in a few of its own words."""
    meaningful = [word for word in re.findall(r"[\w'-]+", text) if word.lower() not in _STOP_WORDS]
    return " ".join(meaningful[-limit:] if text.rstrip().endswith("?") else meaningful[:limit])


def names(text: str) -> list[str]:
    """Capitalised names in *text*; at the beginning of a sentence only those that a verb shows to be one."""
    candidates = []
    for sentence in sentences(text):
        for match in _NAME.finditer(sentence):
            name, rest = match.group(), sentence[match.end() :]
            if match.start() or _AFTER_NAME.match(rest) or (" " in name and rest[:1] == ","):
                candidates.append(name)
    return [name for name in dict.fromkeys(candidates) if name.lower() not in _STOP_WORDS]


def nearest_sentence(text: str, background: str) -> str:
    """The sentence of *text*, or else of *background*, that shares most words with the question in *text*.

    Without such a sentence, one that introduces the emulator.
    """
    spoken = sentences(text) or [""]
    question = next((sentence for sentence in reversed(spoken) if sentence.endswith("?")), spoken[-1])
    # A label before the question (`Question: who ...`) is none of its words.
    question = re.sub(r"^\W*\w+:\s+", "", question)
    nearest = _nearest(question, text.replace(question, " ")) or _nearest(question, background)
    about = topic(question) or topic(text)
    return nearest or f"{OWN_WORDS}; it has no language model to answer{f': {about}' if about else ''}."


def _nearest(question: str, context: str) -> str:
    """The first of the sentences that share most words with *question*; among those, rare words weigh more."""
    candidates = [sentence for sentence in dict.fromkeys(sentences(context)) if not sentence.endswith("?")]
    stems = {sentence: set(content_words(sentence)) for sentence in candidates}
    frequency = Counter(word for found in stems.values() for word in found)
    question_stems = set(content_words(question))

    def score(sentence: str) -> tuple[int, float]:
        shared = question_stems & stems[sentence]
        return len(shared), sum(1 / frequency[word] for word in shared)

    best = max(candidates, key=score, default="")
    return best if best and score(best)[0] else ""


def _stem_of(word: str) -> str:
    """A crude stem: enough for call/calls/calling/called."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] in "ey" else word
