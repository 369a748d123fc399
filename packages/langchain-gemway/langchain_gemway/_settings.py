"""What a ChatGemway was given: its settings under all their names, its connections, and how it is copied.

Nothing is opened here: clients of the core are made when they are first needed, and anew when settings have changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import gemway
import gemway.adapters
from gemway import AsyncClient, Client, ConfigurationError
from gemway.adapters import SecretMapping, hide_secrets, refuse_invalid
from langchain_core.language_models import BaseChatModel, ModelProfile
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr
from pydantic_core import PydanticUndefined

from langchain_gemway._messages import LateSystem
from langchain_gemway._options import CLIENT_OPTIONS, REQUEST_OPTIONS, ConfigMemory, media_dialect
from langchain_gemway._profiles import to_profile

if TYPE_CHECKING:
    from typing_extensions import Self

_FROM_ENVIRONMENT = "GEMWAY_API_KEY"


class GatewayModel(BaseChatModel):
    """The settings of a chat model behind a gateway, and its connections."""

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=())

    model: str
    """The model's name, as the gateway knows it."""
    base_url: str | None = None
    """The gateway's address, without `/v1beta`."""
    api_key: SecretStr | Callable[[], Any] | None = Field(default=None, repr=False)
    """The key, or a function (for async calls also a coroutine function) that returns one."""
    auth: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Auth` that signs requests instead of a key."""
    default_headers: dict[str, SecretStr] | None = Field(default=None, exclude=True, repr=False)
    """Headers for every request. They are secrets: never shown, traced or serialised."""
    timeout: Any = None
    """Seconds of silence after which an attempt is given up, or an `httpx.Timeout`."""
    max_retries: int | None = None
    """Repetitions of a failed attempt; 0 sends one request, default 2."""
    deadline: float | None = None
    """Seconds that a call may take in all, retries included."""
    extra_body: Any = Field(default=None, exclude=True, repr=False)
    """A mapping that is merged into every body, last and deeply. As it may hold credentials, it is treated as a secret."""
    inline_data_casing: Literal["camel", "snake"] = "camel"
    """`"snake"` for gateways that only read `inline_data` and `mime_type`."""
    schema_dialect: Literal["json_schema", "openapi"] = "json_schema"
    """In which words schemas are sent; `"openapi"` for gateways that do not know JSON Schema."""
    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` or `httpx2.Client` to send with; never closed by us."""
    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """Its async counterpart."""
    proxy: Any = Field(default=None, exclude=True, repr=False)
    verify: Any = Field(default=True, exclude=True, repr=False)
    auth_header: str | None = None
    """The header that carries the key; default `Authorization`."""
    auth_scheme: str | None = None
    """What stands before the key in it; default `Bearer`, may be empty."""
    retry_budget: str | None = "shared"
    retry_image_timeouts: bool = False
    max_connections: int | None = None
    max_response_bytes: int | None = None
    max_continuations: int | None = None
    """How often an answer that stops with CONTINUATION is gone on with; default 0."""
    on_retry: Callable[[Any], object] | None = Field(default=None, exclude=True, repr=False)
    media_fetcher: Any = Field(default=None, exclude=True, repr=False)
    """A `gemway.MediaFetcher` for media that messages name by http(s) URL; without one the URLs are sent."""
    late_system: LateSystem = "merge"
    """What becomes of system messages after others: part of the instruction, the user's words, or an error."""
    count_tokens: bool = False
    """Whether `get_num_tokens_from_messages` asks the gateway; some bill a count as a generation."""
    streaming: bool | None = None

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    """The most tokens of an answer, thoughts included."""
    stop: list[str] | None = None
    seed: int | None = None
    n: int | None = None
    """How many answers to one prompt."""
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_modalities: list[Any] | None = None
    """`"TEXT"`, `"IMAGE"`, `"AUDIO"`."""
    image_config: Any = None
    aspect_ratio: str | None = None
    image_size: str | None = None
    thinking_budget: int | None = None
    """Tokens for thinking (Gemini 2.5); 0 is off, -1 the model's choice."""
    thinking_level: str | None = None
    """How hard to think (Gemini 3 and later)."""
    include_thoughts: bool | None = None
    media_resolution: Any = None
    speech_config: Any = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_json_schema: Any = None
    response_format: Any = None
    generation_config: Any = None
    """What is left of a `generation_config` after its known options have found their fields."""
    safety_settings: Any = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    tool_config: Any = None
    tool_choice: Any = None
    tools: Any = Field(default=None, exclude=True, repr=False)
    """Tools for every call, such as `[{"googleSearch": {}}]`; those of `bind_tools` take their place."""
    parallel_tool_calls: bool | None = None
    strict: bool | None = None

    _clients: dict[str, tuple[tuple[Any, ...], Any]] = PrivateAttr(default_factory=dict)
    _memory: ConfigMemory = PrivateAttr(default_factory=ConfigMemory)
    _key_is_from_environment: bool = PrivateAttr(default=False)
    _own_profile: bool = PrivateAttr(default=False)

    if not TYPE_CHECKING:  # the constructor that type checkers see is ChatGemway's

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            hide_secrets(kwargs, known=type(self).model_fields)
            if args:
                name = type(self).__name__
                raise TypeError(f"{name} takes its options by name, such as {name}(model=...)")
            is_restored = kwargs.pop("is_restored", False)
            options = {**_own_defaults(type(self)), **_canonical(kwargs, type(self))}
            options["model"] = gemway.adapters.resolve_model(options.get("model"))
            options["base_url"] = gemway.adapters.resolve_base_url(options.get("base_url"))
            is_from_environment = _find_key(options, lenient=is_restored)
            with refuse_invalid(type(self).__name__):
                super().__init__(**options)
            self._key_is_from_environment = is_from_environment
            self._own_profile = "profile" in options
            self._check(needs_key=not is_restored)
            self._add_version("langchain-gemway", gemway.__version__)

    def _check(self, *, needs_key: bool) -> None:
        """Raise for settings that cannot work, before anything is sent."""
        media_dialect(self.schema_dialect)
        if self.late_system not in {"merge", "inline", "error"}:
            raise ConfigurationError(f'late_system must be "merge", "inline" or "error", not {self.late_system!r}')
        self._memory.config(self._options(), self.model, self.schema_dialect)
        if needs_key or self.api_key is not None:
            self._client()

    def _resolve_model_profile(self) -> ModelProfile | None:
        return to_profile(self.model)

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": _FROM_ENVIRONMENT}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        return {"is_restored": True}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can serialise the model: yes, without its secrets."""
        return True

    def _options(self) -> dict[str, Any]:
        """Return the options of requests that are set."""
        values = self.__dict__
        return {name: value for name in REQUEST_OPTIONS if (value := values[name]) is not None}

    # Connections and copies

    def _client(self, changes: Mapping[str, Any] | None = None) -> Client:
        return cast("Client", self._made("sync", Client, "http_client", changes))

    def _async_client(self, changes: Mapping[str, Any] | None = None) -> AsyncClient:
        return cast("AsyncClient", self._made("async", AsyncClient, "http_async_client", changes))

    def _made(self, kind: str, cls: type, http_client: str, changes: Mapping[str, Any] | None) -> Any:
        """Return the client for the settings of now, a new one only if they have changed."""
        values = self.__dict__
        given = (*[values[name] for name in CLIENT_OPTIONS], values[http_client])
        if changes and not _CLIENT_CHANGES.isdisjoint(changes):
            return cls(**_client_options({**values, **changes}, http_client))
        known = self._clients.get(kind)
        if known and known[0] == given:
            return known[1]
        client = cls(**_client_options(values, http_client))
        self._clients[kind] = (given, client)
        return client

    def close(self) -> None:
        """Give the connections of blocking calls back. A later call opens new ones."""
        if known := self._clients.get("sync"):
            known[1].close()

    async def aclose(self) -> None:
        """Give all connections back. A later call opens new ones."""
        self.close()
        if known := self._clients.get("async"):
            await known[1].aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __setattr__(self, name: str, value: Any) -> None:
        given = {name: value}
        hide_secrets(given, known=given)
        value = given[name]
        super().__setattr__(name, value)
        if not name.startswith("_"):
            vars(self).pop("_serialized", None)  # made of the settings, once
            if name == "api_key":
                self._key_is_from_environment = False
            elif name == "model" and not self._own_profile:
                self.profile = self._resolve_model_profile()

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = super().__getstate__()
        values = {**state["__dict__"], "http_client": None, "http_async_client": None, "on_retry": None}
        if self._key_is_from_environment:
            values["api_key"] = None  # looked up again where the pickle is opened
        private = {**(state.get("__pydantic_private__") or {}), "_clients": {}}
        return {**state, "__dict__": values, "__pydantic_private__": private}

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._clients = {}
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = self.__copy__()
        values = vars(copied)
        values.update({name: copy.deepcopy(one, memo) for name, one in values.items() if isinstance(one, _COPIED)})
        return copied


_COPIED = (dict, list, SecretMapping)
_CLIENT_CHANGES = frozenset(CLIENT_OPTIONS) - {"timeout", "max_retries", "deadline", "default_headers"} | {
    "http_client",
    "http_async_client",
}


def _canonical(kwargs: Mapping[str, Any], cls: type[GatewayModel]) -> dict[str, Any]:
    """Return the options of the constructor by the names of the fields."""
    known = (set(cls.model_fields) - gemway.adapters.OPTIONS.keys()) | {"stream_usage"}
    options = gemway.adapters.canonical(kwargs, known=known, where=cls.__name__)
    options.pop("stream_usage", None)
    if "retry_budget" in kwargs:
        options["retry_budget"] = kwargs["retry_budget"]
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    elif options.get("stop") is not None:
        options["stop"] = list(options["stop"])
    if isinstance(options.get("response_modalities"), str):
        options["response_modalities"] = [options["response_modalities"]]
    if headers := {**(options.get("default_headers") or {}), **(options.pop("extra_headers", None) or {})}:
        options["default_headers"] = headers
    profile = options.get("profile")
    if profile and profile == to_profile(profile.get("name") or ""):
        del options["profile"]  # made here, for the model of that name; copies may ask for another
    return options


def _own_defaults(cls: type[GatewayModel]) -> dict[str, Any]:
    """Return the defaults that a subclass gave to fields of ours: they go before the environment's values."""
    theirs = cls.model_fields
    ours = GatewayModel.model_fields
    changed = {name for name in ours if theirs[name] is not ours[name]}
    defaults = {name: theirs[name].get_default(call_default_factory=True) for name in changed}
    found = {name: value for name, value in defaults.items() if value is not None and value is not PydanticUndefined}
    hide_secrets(found, known=theirs)
    return found


def _find_key(options: dict[str, Any], *, lenient: bool) -> bool:
    """Put the key among the options, and return whether the environment gave it."""
    if options.get("api_key") is not None or options.get("auth") is not None:
        return False
    try:
        options["api_key"] = SecretStr(gemway.adapters.environment_key().reveal())
    except ConfigurationError:
        if not lenient:
            raise
    return True


def _client_options(values: Mapping[str, Any], http_client: str) -> dict[str, Any]:
    """Return the arguments of a client."""
    given = {name: values[name] for name in CLIENT_OPTIONS if values.get(name) is not None}
    given["headers"] = given.pop("default_headers", None)
    return {**given, "retry_budget": values["retry_budget"], "http_client": values.get(http_client)}
