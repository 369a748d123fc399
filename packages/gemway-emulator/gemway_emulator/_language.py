"""The little this emulator knows of language: sentences, content words, and which sentence answers a question. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "get",
        "give",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "let",
        "like",
        "make",
        "may",
        "me",
        "might",
        "more",
        "most",
        "my",
        "no",
        "not",
        "now",
        "of",
        "off",
        "on",
        "one",
        "only",
        "or",
        "our",
        "out",
        "over",
        "please",
        "she",
        "should",
        "so",
        "some",
        "such",
        "tell",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "too",
        "up",
        "us",
        "use",
        "used",
        "using",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "yes",
        "you",
        "your",
    ]
)
# What is said about a question that nothing in the prompt answers.
FILLER = "This is the gemway emulator's answer about"
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Inc|approx))\.$")

# A sentence ends at its full stop, or at the quotation mark behind it if a new sentence begins there.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"”])\s+(?=[A-Z\"“])")
_LABEL = re.compile(r"^(?:(?:Response|Answer|Text|Content|Source)(?: \d+)?:\s*)+")


def sentences(text: str) -> list[str]:
    """Split *text* into sentences; line breaks end one too."""
    found: list[str] = []
    for line in text.splitlines():
        pending = ""
        for piece in _SENTENCE_END.split(line.strip()):
            pending = f"{pending} {piece}".strip()
            if pending and not _ABBREVIATION.search(pending):
                found.append(pending)
                pending = ""
        if pending:
            found.append(pending)
    return found


def words(text: str) -> list[str]:
    """The words of *text*, lower case; identifiers are split at underscores and capitals."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text)
    return re.findall(r"\w+", spaced.lower())


def content_words(text: str) -> list[str]:
    """The stems of the words that mean something, in order."""
    return [stem(word) for word in words(text) if word not in _STOP_WORDS and (len(word) > 1 or not word.isascii())]


def stem(word: str) -> str:
    """A crude stem: enough for call/calls/calling/called."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] in "ey" else word


def best_sentences(question: str, context: str, limit: int = 2) -> list[str]:
    """The sentences of *context* that share most with *question*, verbatim, in their order; rare words weigh more.

    Headings answer only what no sentence does.
    """
    spoken = (_LABEL.sub("", sentence) for sentence in sentences(context) if not sentence.endswith("?"))
    candidates = [sentence for sentence in dict.fromkeys(spoken) if len(content_words(sentence)) > 1]
    plain = [sentence for sentence in candidates if not _is_heading(sentence)]
    return _best(question, plain, limit) or _best(question, candidates, limit)


def _best(question: str, candidates: list[str], limit: int) -> list[str]:
    wanted = set(content_words(question))
    frequency = Counter(word for sentence in candidates for word in set(content_words(sentence)))
    scores = {sentence: _score(sentence, wanted, frequency) for sentence in candidates}
    for sentence in candidates:
        if _quotes_answer(question, sentence):
            scores[sentence] += 2 * len(wanted)  # outweighs any number of shared words
    best = sorted(candidates, key=lambda sentence: -scores[sentence])[:limit]
    if not best or scores[best[0]] == 0:
        return []
    kept = [sentence for sentence in best if scores[sentence] >= 0.6 * scores[best[0]]]
    return [sentence for sentence in candidates if sentence in kept]


def topic(text: str, limit: int = 6) -> str:
    """What *text* is about, in a few of its own words."""
    kept = [word for word in re.findall(r"[\w'-]+", text) if word.lower() not in _STOP_WORDS]
    return " ".join(kept[-limit:] if text.rstrip().endswith("?") else kept[:limit])


def keywords(text: str, limit: int) -> list[str]:
    """The most frequent meaningful words of *text*, as they are spelled there."""
    spelled: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_][\w-]+", text):
        if word.lower() not in _STOP_WORDS and len(word) > 2:
            spelled.setdefault(stem(word.lower()), word)
            counts[stem(word.lower())] += 1
    return [spelled[key] for key, _ in counts.most_common(limit)]


def names(text: str) -> list[str]:
    """Capitalised names in *text*, without the words that only begin a sentence."""
    found: list[str] = []
    for sentence in sentences(text):
        for match in re.finditer(r"\b[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*", sentence):
            name = match.group().rstrip("'-")
            if match.start() == 0:
                name = _without_opening(name)
            if name and name != "I" and name not in found:
                found.append(name)
    return found


def joined(items: Iterable[str]) -> str:
    """`a, b and c`."""
    *head, last = list(items) or [""]
    return f"{', '.join(head)} and {last}" if head else last


_OPENINGS = frozenset(
    [
        "create",
        "make",
        "generate",
        "extract",
        "describe",
        "write",
        "find",
        "show",
        "list",
        "call",
        "use",
        "look",
        "search",
        "send",
        "book",
        "calculate",
        "compute",
        "summarize",
        "summarise",
        "translate",
        "draw",
        "paint",
        "convert",
        "return",
        "respond",
        "reply",
        "answer",
        "explain",
        "compare",
        "say",
        "hello",
        "hi",
        "hey",
    ]
)


def _without_opening(name: str) -> str:
    first, _, rest = name.partition(" ")
    lower = first.lower().removesuffix("'s")
    is_opening = lower in _STOP_WORDS or lower in _OPENINGS or (not rest and lower.endswith(("ing", "ed", "ly")))
    return rest if is_opening else name


def overlap(question: str, text: str) -> float:
    """How many of the meaningful words of *question* are in *text*."""
    return float(len(set(content_words(question)) & set(content_words(text))))


def grounded(text: str, context: str) -> str:
    """The sentences of *text*, or else of *context*, that answer the question in *text*; failing that, a word on its topic."""
    question = next((s for s in reversed(sentences(text)) if s.endswith("?")), (sentences(text) or [""])[-1])
    found = best_sentences(question, text.replace(question, " ")) or best_sentences(question, context)
    if found:
        return " ".join(found)
    about = topic(question) or topic(text)
    return f"{FILLER} {about}." if about else "Hello! How can I help?"


def summary(text: str, limit: int = 3) -> str:
    """The sentences of *text* that carry its most frequent words, verbatim."""
    candidates = [s for s in dict.fromkeys(sentences(text)) if len(content_words(s)) > 2 and not s.endswith("?")]
    candidates = [s for s in candidates if not _is_heading(s)] or candidates
    weights = Counter(content_words(text))
    ranked = sorted(
        candidates, key=lambda s: -sum(weights[word] for word in set(content_words(s))) / (len(words(s)) + 4)
    )
    return " ".join(s for s in candidates if s in ranked[:limit]) or topic(text) or "Nothing to summarise."


def stand_alone(question: str, history: str) -> str:
    """*question* with its pronouns replaced by what *history* is about."""
    question = " ".join(question.split()) or "What was asked?"
    spoken = re.sub(r"(?m)^\s*\w+:\s*", "", history)
    subject = next(iter([*reversed(names(spoken)), *keywords(spoken, 1)]), "")
    if not subject or subject.lower() in question.lower():
        return question
    replaced, number = re.subn(r"(?i)\b(?:it|this|that|he|she|they|him|her|them)\b", subject, question, count=1)
    replaced, owners = (
        (replaced, 0) if number else re.subn(r"(?i)\b(?:its|his|their)\b", f"{subject}'s", replaced, count=1)
    )
    return replaced if number or owners else f"{question.rstrip('?.!')} (about {subject})?"


_VERB = re.compile(
    r"\s((?:is|are|was|were|has|have|had|can|will|does|did|founded|wrote|made|became|began|built|led|won|"
    r"[a-z]{3,}(?:ed|es|s))(?:\s+(?:a|an|the|in|at|by|of|to|from|with|on|for|located|known as|born|made|part))*)\s"
)


def triplet(sentence: str) -> tuple[str, str, str] | None:
    """(subject, predicate, object) of a plain sentence."""
    found = _VERB.search(sentence)
    if not found:
        return None
    predicate = re.sub(r"\s+(?:a|an|the)$", "", found.group(1))
    subject = re.sub(r"^(?:The|A|An)\s+", "", sentence[: found.start()].strip())
    rest = re.split(r"[,;.(]", sentence[found.end() :])[0].strip()
    clean = tuple(re.sub(r"[,()]", "", piece).strip() for piece in (subject, predicate, rest))
    return (clean[0], clean[1], clean[2]) if all(clean) else None


def _is_heading(line: str) -> bool:
    """Whether *line* is a title: no verb, no final punctuation, and neither a number nor a `name: value` to tell."""
    return not re.search(r"[.!?:;,…\"”')\]]$|\d|[:=|]", line) and not _VERB.search(line)


# What a question asks for and how a text reports it.
_SPEECH = {"say": "said", "tell": "told", "reply": "replied", "answer": "answered", "ask": "asked", "shout": "shouted"}
_ASKED_SPEECH = re.compile(rf"(?i)\bdid\b.+\b({'|'.join(_SPEECH)})\b(?!\s+about)")


def _quotes_answer(question: str, sentence: str) -> bool:
    """Whether *question* asks what somebody said, and *sentence* quotes it."""
    asked = _ASKED_SPEECH.search(question)
    if asked is None:
        return False
    said = _SPEECH[asked.group(1).lower()]
    return re.search(rf'(?i)\b{said}\b[^"“]*["“]', sentence) is not None


def _score(sentence: str, wanted: set[str], frequency: Counter[str]) -> float:
    shared = wanted & set(content_words(sentence))
    return sum(1 / frequency[word] ** 0.5 for word in shared) if shared else 0.0


def ranked(query: str, options: dict[int, str]) -> list[int]:
    """The numbers of *options*, those that share most words with *query* first."""
    return sorted(options, key=lambda number: (-overlap(query, options[number]), number))
