"""One message of a chat with everything that follows: function calls, their results, and the answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gemway._call import CALL_OPTIONS, CallOptions
from gemway._exceptions import ConfigurationError
from gemway._functions import PythonFunction, python_functions
from gemway._json import JsonMapping, JsonObject, camel, snake
from gemway._options import unexpected
from gemway._request_forms import (
    CONFIG_FIELDS,
    calls_automatically,
    config_with,
    to_content,
    to_contents,
    to_request,
    tools_of,
)
from gemway.types import Content, FunctionCall, GenerateContentResponse


class ChatSettings:
    """The configuration of a chat, and the functions that the model may call.

    Raises:
        ConfigurationError: a tool or an option that cannot be sent.
    """

    def __init__(self, model: str, config: object, more: JsonMapping, rounds: int) -> None:
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
            raise ConfigurationError(f"max_function_rounds must be a whole number, 0 for none, not {rounds!r}")
        config = config_with(config, more)
        self.functions: Mapping[str, PythonFunction] = python_functions(tools_of(config))
        self.rounds = rounds if self.functions and calls_automatically(config) else 0
        self._request: JsonObject = to_request({"contents": []}, {} if config is None else config, model)

    def request(self, contents: Sequence[Any]) -> JsonObject:
        """Return the request for *contents*."""
        return {**self._request, "contents": [*contents]}


class Turns:
    """The turns of a conversation, with one more message of the user and whatever comes of it."""

    def __init__(self, settings: ChatSettings, history: Iterable[Content], message: object) -> None:
        self._settings = settings
        self._rounds = settings.rounds
        self.contents: list[Any] = [*history, Content.model_validate(to_content(message, role="user"))]

    def request(self) -> JsonObject:
        """Return the request for the next answer."""
        return self._settings.request(self.contents)

    def answered(self, response: GenerateContentResponse) -> list[FunctionCall]:
        """Take an answer, and return the calls in it whose functions must run now.

        The model's turn is kept as it came: its parts may carry signatures.
        """
        candidate = response.candidates[0] if response.candidates else None
        if candidate is None or candidate.content is None or not candidate.content.parts:
            return []
        content = candidate.content
        # Converters leave the role out, and without one the turn would count as the user's.
        self.contents.append(content if content.role else content.model_copy(update={"role": "model"}))
        calls = response.function_calls
        # A call of a function that the program has to answer itself ends the loop, together with all other calls of the
        # same answer.
        if not self._rounds or not all(call.name in self._settings.functions for call in calls):
            return []
        self._rounds -= 1
        return list(calls)

    def called(self, results: Sequence[JsonObject]) -> None:
        """Take the results of the calls, in their order."""
        self.contents.append(Content.model_validate({"role": "user", "parts": [*results]}))


def split_options(options: JsonObject) -> tuple[CallOptions, JsonObject]:
    """Split the *options* of a chat into those of each call and fields of the configuration.

    Raises:
        TypeError: an option that is neither. Many gateways drop a field that they do not know, so a misspelled one
            would be lost in silence; fields newer than this library go in `config`, which is sent as it is.
    """
    for name in options:
        if name not in CALL_OPTIONS and camel(name) not in CONFIG_FIELDS:
            raise unexpected(name, [*CALL_OPTIONS, *map(snake, CONFIG_FIELDS)], "chat")
    names = [name for name in options if name in CALL_OPTIONS]
    calls = CallOptions.of({name: options.pop(name) for name in names})
    return calls, options


def to_history(history: Any) -> list[Content]:
    """Return an earlier conversation as contents."""
    return [Content.model_validate(content) for content in to_contents(list(history))]
