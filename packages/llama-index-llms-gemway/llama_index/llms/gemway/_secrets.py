"""Mask the secrets of a call before LlamaIndex sees them: it hands all arguments to every event handler and span."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from gemway.adapters import hide_secrets

_Class = TypeVar("_Class", bound=type)
_Hide = Callable[[dict[str, Any]], None]


def hide_secrets_of_calls(cls: _Class) -> _Class:
    """Wrap the methods of *cls* that LlamaIndex reports, so that it reports masked options.

    A class decorator, because core wraps the methods in its own spans as soon as the class exists.
    """
    for name, hide in _METHODS.items():
        setattr(cls, name, _wrapped(getattr(cls, name), hide))
    return cls


def _wrapped(method: Callable[..., Any], hide: _Hide) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                hide(kwargs)
            return await method(self, *args, **kwargs)

    else:

        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                hide(kwargs)
            return method(self, *args, **kwargs)

    return call


def _hide_options(kwargs: dict[str, Any]) -> None:
    hide_secrets(kwargs, known=_PARAMETERS)


def _hide_known_secrets(kwargs: dict[str, Any]) -> None:
    hide_secrets(kwargs, known=kwargs)


def _hide_llm_kwargs(kwargs: dict[str, Any]) -> None:
    """Mask the options inside `llm_kwargs`; the other arguments are the prompt's variables, whatever their names."""
    if isinstance(options := kwargs.get("llm_kwargs"), Mapping):
        kwargs["llm_kwargs"] = options = dict(options)
        hide_secrets(options, known=options)


_PARAMETERS: Final = frozenset({"messages", "prompt", "formatted"})
_METHODS: Final[Mapping[str, _Hide]] = {
    **dict.fromkeys(("chat", "achat", "stream_chat", "astream_chat"), _hide_options),
    **dict.fromkeys(("complete", "acomplete", "stream_complete", "astream_complete"), _hide_options),
    **dict.fromkeys(("predict_and_call", "apredict_and_call", "_prepare_chat_with_tools"), _hide_known_secrets),
    **dict.fromkeys(
        (
            *("structured_predict", "astructured_predict"),
            *("stream_structured_predict", "astream_structured_predict"),
        ),
        _hide_llm_kwargs,
    ),
}
