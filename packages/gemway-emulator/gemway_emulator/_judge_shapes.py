"""Answer prompts of evaluators: YES or NO, scores, verdicts. Pure."""

from __future__ import annotations

from gemway_emulator._language import (
    content_words,
    overlap,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._template_text import between, ruled


def _is_supported(claim: str, context: str) -> bool:
    said = set(content_words(claim))
    return bool(said) and len(said & set(content_words(context))) / len(said) >= 0.5


def faithful(text: str, prompt: Prompt) -> str:
    """Is the information in the context?"""
    claim = between(text, r"\nInformation:", r"\nContext:")
    context = text.rpartition("\nContext:")[2].rpartition("\nAnswer:")[0]
    return "YES" if _is_supported(claim, context) else "NO"


def yes_refine(text: str, prompt: Prompt) -> str:
    """A YES stays; a NO may become one."""
    existing = between(text, r"existing YES/NO answer:", r"\n\s*We have")
    claim = between(text, r"(?:piece of information|context information):", r"\n\s*We have provided")
    return "YES" if "YES" in existing.upper() or _is_supported(claim, ruled(text)) else "NO"


def relevant(text: str, prompt: Prompt) -> str:
    """Is the response in line with the context?"""
    claim = between(text, r"Query and Response:", r"\nContext:")
    response = claim.rpartition("Response:")[2] or claim
    return "YES" if _is_supported(response, between(text + "\x00", r"\nContext:", r"\nAnswer:|\x00")) else "NO"


def score_result(text: str, prompt: Prompt) -> str:
    """Feedback and `[RESULT] n`."""
    query = between(text, r"Query:", r"\n\s*(?:Response|Context):")
    other = between(text, r"(?:Response|Context):", r"\n\s*Feedback:")
    top = "4.0" if "2 points" in text else "2"
    fits = bool(set(content_words(query)) & set(content_words(other)))
    feedback = "It matches the subject of the query." if fits else "It does not match the subject of the query."
    return f"{feedback} [RESULT] {top if fits else '0'}"


def context_score_refine(text: str, prompt: Prompt) -> str:
    """The existing score stays."""
    return between(text, r"existing evaluation score:", r"\n\s*We have") or "4.0"


def correctness(text: str, prompt: Prompt) -> str:
    """A score on the first line, the reason on the second."""
    query, reference = (
        between(text, "## User Query", "## Reference"),
        between(text, "## Reference Answer", "## Generated"),
    )
    generated = text.rpartition("## Generated Answer")[2]
    right = _is_supported(generated, query if "NO REFERENCE" in reference else reference)
    fits = right or bool(set(content_words(query)) & set(content_words(generated)))
    score = "4.5" if right else "2.5" if fits else "1.0"
    return f"{score}\nThe generated answer {'agrees with the reference' if right else 'differs from the reference'}."


def pairwise(text: str, prompt: Prompt) -> str:
    """`[[A]]`, `[[B]]` or `[[C]]`."""
    query = between(text, r"\[User Question\]", r"\[The Start of Reference\]")
    first = between(text, r"Assistant A.s Answer\]", r"\[The End of Assistant A")
    second = between(text, r"Assistant B.s Answer\]", r"\[The End of Assistant B")
    one, two = overlap(query, first), overlap(query, second)
    verdict = "C" if one == two else "A" if one > two else "B"
    return f"Both answers were compared with the question. [[{verdict}]]"
