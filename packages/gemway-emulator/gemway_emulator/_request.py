"""Read a normalised request the way a model would: turns, tools, results, the form of the answer. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gemway_emulator._language import OWN_WORDS
from gemway_emulator._models import Model
from gemway_emulator._signatures import decode_blob

Json = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """One declared function; *schema* is a JSON Schema in either dialect."""

    name: str
    description: str
    schema: Json


@dataclass(frozen=True)
class Medium:
    """One input that is not text; *data* is empty for files named by URI."""

    mime_type: str
    data: bytes = b""
    uri: str = ""


@dataclass(frozen=True)
class Request:
    """One generateContent request as a model reads it; `Emulator(respond=function)` hands it to the function.

    *body* is the JSON in one shape: camelCase names, no nulls, enums by name. *streamed* is true on the streaming route.
    """

    model: Model
    body: Json
    streamed: bool = False

    @property
    def contents(self) -> list[Json]:
        """All turns, oldest first."""
        return self.body.get("contents") or []

    @property
    def config(self) -> Json:
        """The generationConfig, empty if absent."""
        return self.body.get("generationConfig") or {}

    @cached_property
    def system(self) -> str:
        """The text of the system instruction."""
        return text_of(self.body.get("systemInstruction") or {})

    @cached_property
    def prompt(self) -> str:
        """The newest user text."""
        return text_of(self.contents[self._question_index]) if self._question_index >= 0 else ""

    @cached_property
    def earlier(self) -> list[tuple[str, str]]:
        """(role, text) of the turns before the newest user text."""
        turns = self.contents[: max(self._question_index, 0)]
        return [(turn.get("role") or "user", text) for turn in turns if (text := text_of(turn))]

    @cached_property
    def media(self) -> list[Medium]:
        """The pictures, sounds and files that came with the newest user text or later."""
        turns = self.contents[max(self._question_index, 0) :]
        return [medium for turn in turns for part in _list_all_parts(turn) if (medium := _to_medium(part))]

    @cached_property
    def newest_picture(self) -> Medium | None:
        """The last picture in the conversation, from either side; thought pictures do not count."""
        # Image models of Gemini 3 send drafts as thought parts; an edit means the finished picture.
        parts = [part for turn in self.contents for part in _list_all_parts(turn) if not part.get("thought")]
        media = (medium for part in reversed(parts) if (medium := _to_medium(part)))
        return next((medium for medium in media if medium.mime_type.startswith("image/") and medium.data), None)

    @cached_property
    def declarations(self) -> list[Json]:
        """The functionDeclarations of all tools."""
        return [entry for tool in self.body.get("tools") or [] for entry in tool.get("functionDeclarations") or []]

    @cached_property
    def tools(self) -> list[Tool]:
        """The declared functions that may be called, in order."""
        allowed, tools = self._calling_config.get("allowedFunctionNames"), []
        for entry in self.declarations:
            if not allowed or entry.get("name") in allowed:
                schema = entry.get("parametersJsonSchema") or entry.get("parameters")
                schema = schema or {"type": "object", "properties": {}}
                tools.append(Tool(entry.get("name", ""), entry.get("description", ""), schema))
        return tools

    @property
    def mode(self) -> str:
        """AUTO, ANY or NONE; VALIDATED and an absent mode count as AUTO."""
        # VALIDATED leaves the choice between text and calls to the model, like AUTO, and guarantees valid arguments.
        mode = str(self._calling_config.get("mode") or "AUTO")
        return mode if mode in ("ANY", "NONE") else "AUTO"

    @property
    def turn(self) -> int:
        """How often the model has spoken since the newest user text: 0 at first, 1 after the first tool results."""
        return sum(turn.get("role") == "model" for turn in self.contents[self._question_index + 1 :])

    @property
    def schema(self) -> Json | None:
        """The JSON Schema that the answer must fit, or None."""
        return self.config.get("responseJsonSchema") or self.config.get("responseSchema")

    @property
    def wants_json(self) -> bool:
        """Whether the answer must be JSON, or one bare value of an enum."""
        return self.config.get("responseMimeType") in ("application/json", "text/x.enum")

    @cached_property
    def called(self) -> list[str]:
        """Names of the functions called since the newest user text."""
        return [call.get("name", "") for call in self._parts_since_question("functionCall")]

    @cached_property
    def results(self) -> list[tuple[str, Any]]:
        """(name, response) of the function responses since the newest user text."""
        return [
            (result.get("name", ""), result.get("response"))
            for result in self._parts_since_question("functionResponse")
        ]

    @cached_property
    def material(self) -> str:
        """The text that values are taken from: the newest user text, and the results of the tools called for it."""
        return "\n".join([self.prompt, *(to_text(response) for _, response in self.results)])

    @cached_property
    def background(self) -> str:
        """The system instruction and the conversation before the prompt, without turns that introduce the emulator."""
        earlier_texts = [text for _, text in self.earlier if not text.startswith(OWN_WORDS)]
        return "\n".join(filter(None, [self.system, *earlier_texts]))

    @property
    def awaits_results(self) -> bool:
        """Whether the last turn hands tool results over."""
        return bool(self.contents) and any("functionResponse" in part for part in self.contents[-1].get("parts", []))

    @property
    def modalities(self) -> list[str]:
        """TEXT, IMAGE, AUDIO; what the model does by default if the request names none."""
        requested = self.config.get("responseModalities")
        return requested or (["TEXT", "IMAGE"] if self.model.makes_images else ["TEXT"])

    @property
    def thinks_aloud(self) -> bool:
        """Whether thought summaries are asked for."""
        return bool((self.config.get("thinkingConfig") or {}).get("includeThoughts"))

    @property
    def thinks(self) -> bool:
        """Whether the request asks for thinking, aloud or not."""
        thinking = self.config.get("thinkingConfig") or {}
        return bool(thinking.get("includeThoughts") or thinking.get("thinkingBudget") or thinking.get("thinkingLevel"))

    def _parts_since_question(self, kind: str) -> list[Json]:
        parts = [part for turn in self.contents[self._question_index + 1 :] for part in turn.get("parts", [])]
        return [part[kind] for part in parts if kind in part]

    @property
    def _calling_config(self) -> Json:
        return (self.body.get("toolConfig") or {}).get("functionCallingConfig") or {}

    @cached_property
    def _question_index(self) -> int:
        """Index of the newest user turn with text of its own, or -1."""
        return max((index for index, turn in enumerate(self.contents) if is_question(turn)), default=-1)


def is_question(turn: Json) -> bool:
    """Whether *turn* asks something new: it comes from the user and holds no tool result."""
    parts = turn.get("parts", [])
    answers_tool = any("functionResponse" in part for part in parts)
    return (turn.get("role") or "user") == "user" and not answers_tool and bool(parts)


def text_of(turn: Json) -> str:
    """The visible text of one content."""
    return "\n".join(part["text"] for part in turn.get("parts", []) if part.get("text") and not part.get("thought"))


def _list_all_parts(turn: Json) -> list[Json]:
    """The parts of a turn, and those inside its function responses."""
    parts: list[Json] = turn.get("parts", [])
    nested = [part["functionResponse"].get("parts") or [] for part in parts if "functionResponse" in part]
    return [*parts, *(part for group in nested for part in group)]


def _to_medium(part: Json) -> Medium | None:
    if blob := part.get("inlineData"):
        return Medium(blob.get("mimeType") or "application/octet-stream", decode_blob(blob))
    if file := part.get("fileData"):
        return Medium(file.get("mimeType") or "", uri=file.get("fileUri") or "")
    return None


def to_text(response: Any) -> str:
    """A function response as text; only the value if the client wrapped one."""
    # Google wants an object; frameworks wrap plain results as `result`, `output`, `content` or `return_value`.
    if isinstance(response, dict) and len(response) == 1:
        return to_text(next(iter(response.values())))
    return response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
