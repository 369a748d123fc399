"""Base classes for the models of adapters: options, constructor, clients, copies. They know no framework.

    class MyChat(ModelOptions, SomeFrameworksModel): ...

has every option as a field, takes each under all its names, keeps one client of each kind for the options of the
moment, and is closed, copied and pickled like ours.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import PrivateAttr, SecretStr
from pydantic_core import PydanticUndefined

from gemway._async_client import AsyncClient
from gemway._call import CALL_OPTIONS
from gemway._checks import refuse_invalid
from gemway._client import Client
from gemway._config import environment_key, resolve_base_url, resolve_model
from gemway._embeddings import EmbedRoute, read_embedding_options
from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject, merge_deep
from gemway._media import remote_urls, with_media
from gemway._option_reader import canonical_options, hide_secrets, merge_options
from gemway._options import OPTIONS, ROWS, AdapterOptions, OptionMapping, OptionValues, RequestOptions
from gemway._protocol import WireRequest
from gemway._redaction import SecretMapping
from gemway._schema import Dialect
from gemway._warnings import warn
from gemway._wire_options import to_generation_config, to_safety_settings, to_service_tier

if TYPE_CHECKING:
    from typing_extensions import Self

_HTTP_CLIENTS: Final = ("http_client", "http_async_client")
_CLIENT_OPTIONS: Final = tuple(
    name for name, place in OPTIONS.items() if place == "client" and name not in _HTTP_CLIENTS
)
_REQUEST_OPTIONS: Final = tuple(
    name for name, place in OPTIONS.items() if place in {"generationConfig", "request", "tools"}
)
# Sockets and functions cannot go to another process.
_NOT_PICKLED: Final = (*_HTTP_CLIENTS, "on_retry")
# A deep copy copies these. Everything else is shared: it holds locks, connections or code.
_COPIED: Final = (dict, list, SecretMapping)


class ClientCache:
    """One blocking client and one for asyncio, each with the options that it was made of. Copies start empty."""

    def __init__(self) -> None:
        self.sync: tuple[tuple[object, ...], Client] | None = None
        self.asynchronous: tuple[tuple[object, ...], AsyncClient] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return ClientCache, ()


class ClientHolder(AdapterOptions):
    """The base of tools and embeddings: the options of a gateway, and the clients that are made of them.

    An unknown option is a `TypeError` that names the nearest; a missing key, address or model, or a value that cannot
    work, is a `ConfigurationError`, here rather than at the first call. With `is_restored=True`, for models that frameworks
    bring back from storage, a missing key or address is an error at the first call.
    """

    _client_options: ClassVar[tuple[str, ...]] = (*_CLIENT_OPTIONS, "extra_body")
    _model_field: ClassVar[str] = "model"
    _clients: ClientCache = PrivateAttr(default_factory=ClientCache)
    _key_is_from_environment: bool = PrivateAttr(default=False)

    if not TYPE_CHECKING:  # type checkers make the constructor of the fields

        def __init__(self, *positional: Any, is_restored: bool = False, **options: Any) -> None:
            cls = type(self)
            hide_secrets(options, known=cls.model_fields)
            if positional:
                del positional  # no frame shows it: it may be a key
                raise TypeError(f"{cls.__name__} takes its options by name, such as {cls.__name__}(model=...)")
            values = {**_subclass_defaults(cls), **cls._read_options(options)}
            values[cls._model_field] = resolve_model(values.pop("model", None) or values.get(cls._model_field))
            is_from_environment = _find_gateway(values, is_restored=is_restored)
            with refuse_invalid(cls.__name__):
                super().__init__(**values)
            self._key_is_from_environment = is_from_environment
            self._check_options(needs_key=not is_restored)

    @classmethod
    def _read_options(cls, options: OptionMapping) -> OptionValues:
        """Return the options of the constructor by the names of the fields."""
        fields = canonical_options(options, known=cls.model_fields.keys() - OPTIONS.keys(), where=cls.__name__)
        for name in fields:
            if name not in cls.model_fields and name != "model":
                raise TypeError(f"{cls.__name__} got the option {name!r}, which belongs to a chat model")
        return fields

    def _check_options(self, *, needs_key: bool) -> None:
        """Raise for options that cannot work."""
        # Making the client checks every option of it. It opens no connection, and the first call uses it.
        if needs_key or self.api_key is not None:
            self._client()

    # Clients

    def _client(self, changes: OptionMapping | None = None) -> Client:
        """Return the blocking client for the options of this moment; with *changes* one of this call's own."""
        values = self.__dict__
        if changes and (own := _own_client(changes)):
            return Client(**self._client_arguments({**values, **own}, "http_client"))
        made_of = (values["http_client"], *map(values.__getitem__, self._client_options))
        held = self._clients.sync
        if held is None or held[0] != made_of:
            held = self._clients.sync = (made_of, Client(**self._client_arguments(values, "http_client")))
        return held[1]

    def _async_client(self, changes: OptionMapping | None = None) -> AsyncClient:
        """Return the client for asyncio; see `_client`."""
        values = self.__dict__
        if changes and (own := _own_client(changes)):
            return AsyncClient(**self._client_arguments({**values, **own}, "http_async_client"))
        made_of = (values["http_async_client"], *map(values.__getitem__, self._client_options))
        held = self._clients.asynchronous
        if held is None or held[0] != made_of:
            held = self._clients.asynchronous = (
                made_of,
                AsyncClient(**self._client_arguments(values, "http_async_client")),
            )
        return held[1]

    def _client_arguments(self, values: OptionMapping, http_client: str) -> OptionValues:
        """Return the arguments of a client."""
        arguments = {name: values[name] for name in self._client_options if name != "default_headers"}
        return {**arguments, "headers": values["default_headers"], "http_client": values[http_client]}

    def close(self) -> None:
        """Give the connections of blocking calls back. A later call opens new ones."""
        if self._clients.sync is not None:
            self._clients.sync[1].close()

    async def aclose(self) -> None:
        """Give all connections back. A later call opens new ones."""
        self.close()
        if self._clients.asynchronous is not None:
            await self._clients.asynchronous[1].aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Changes and copies

    def __setattr__(self, name: str, value: Any) -> None:
        options = {name: value}
        hide_secrets(options, known=options)
        value = options[name]
        super().__setattr__(name, value)
        # A key that the user assigned is his own, and travels in a pickle as one that he gave to the constructor.
        if name == "api_key":
            self._key_is_from_environment = False

    def model_copy(self, *, update: OptionMapping | None = None, deep: bool = False) -> Self:
        """Return a copy with clients of its own, and with *update* in the place of its options."""
        options = dict(update or {})
        hide_secrets(options, known=options)
        return super().model_copy(update=options, deep=deep)

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = super().__getstate__()
        values = {**state["__dict__"], **dict.fromkeys(_NOT_PICKLED)}
        if self._key_is_from_environment:
            values["api_key"] = None  # looked up again where the pickle is opened
        return {**state, "__dict__": values}

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._clients = ClientCache()  # so that closing one does not close the other's
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = self.__copy__()
        values = vars(copied)
        # Frameworks deep-copy models for parallel branches. Connections, locks and callables cannot be copied, and sharing
        # them is harmless; containers are copied, so that a change in one branch does not show in the other.
        values.update({name: copy.deepcopy(one, memo) for name, one in values.items() if isinstance(one, _COPIED)})
        return copied


class EmbeddingModelOptions(ClientHolder):
    """The base of embedding models: a `ClientHolder` with the options of `embed_content`."""

    task_type: str | None = None
    output_dimensionality: int | None = None
    normalize: bool = True
    embed_route: EmbedRoute | None = None

    @classmethod
    def _read_options(cls, options: OptionMapping) -> OptionValues:
        return super()._read_options(read_embedding_options(options, fields=cls.model_fields, where=cls.__name__))

    def _embed_options(self) -> OptionValues:
        """Return the options of `embed_content` that both frameworks have."""
        return {
            "task_type": self.task_type,
            "output_dimensionality": self.output_dimensionality,
            "normalize": self.normalize,
            "embed_route": self.embed_route,
        }


@dataclass(frozen=True)
class CallChanges:
    """The options in which a call differs from its model, sorted by where they go.

    Attributes:
        model: the model's name for this call.
        dialect: the vocabulary for schemas.
        options: the options of the request: the model's, with the call's on top.
        call: `timeout`, `max_retries`, `deadline` and `headers` for the client's method.
        given: everything that the call gave, by canonical names.
    """

    model: str
    dialect: Dialect
    options: OptionValues
    call: OptionValues
    given: OptionMapping


class ConfigMemory:
    """The last generationConfig, kept as long as the options stay the same. Copies start empty."""

    last: tuple[str, str, OptionValues, JsonObject] | None = None  # model, dialect, options, config

    def __reduce__(self) -> tuple[object, ...]:
        return ConfigMemory, ()


class ModelOptions(ClientHolder, RequestOptions):
    """The base of chat models: a `ClientHolder` with the options of requests, which each call may change."""

    _client_options: ClassVar[tuple[str, ...]] = _CLIENT_OPTIONS  # extra_body goes into the requests that we build
    _config_memory: ConfigMemory = PrivateAttr(default_factory=ConfigMemory)

    def _check_options(self, *, needs_key: bool) -> None:
        for name, row in ROWS.items():
            if row.place == "model" and row.check is not None and (value := self.__dict__.get(name)) is not None:
                row.check(name, value)
        self._generation_config(self._request_options(), self.model, self.schema_dialect)
        super()._check_options(needs_key=needs_key)

    def _request_options(self) -> OptionValues:
        """Return the options of requests that are set."""
        values = self.__dict__
        return {name: value for name in _REQUEST_OPTIONS if (value := values[name]) is not None}

    def _changed_by(
        self, options: OptionMapping, *, known: Collection[str] = (), where: str | None = None
    ) -> CallChanges:
        """Return the options of a call, with the model's below them.

        Args:
            options: the user's options for the call, under any names.
            known: names that the adapter handles itself.
            where: the name of the called method, for messages; default the class's name.
        """
        merged = self._request_options()
        if not options:
            return CallChanges(self.model, self.schema_dialect, merged, {}, {})
        named_options = canonical_options(options, known=known, where=where or type(self).__name__)
        dialect = named_options.get("schema_dialect") or self.schema_dialect
        if "schema_dialect" in named_options and (check := ROWS["schema_dialect"].check) is not None:
            check("schema_dialect", dialect)
        changes = {name: value for name, value in named_options.items() if name in _REQUEST_OPTIONS}
        call = {name: named_options[name] for name in CALL_OPTIONS if name in named_options}
        if headers := named_options.get("default_headers"):
            call["headers"] = headers
        if changes:
            merged = merge_options(merged, changes)
        return CallChanges(named_options.get("model") or self.model, dialect, merged, call, named_options)

    def _generation_config(self, options: OptionMapping, model: str, dialect: Dialect) -> JsonObject:
        """Return the generationConfig for *options*. It is shared with later calls: not to be changed."""
        # Building the configuration checks and converts each option, a schema above all, and nearly every call of a model has
        # the same ones. So the last result is kept.
        settings = {name: value for name, value in options.items() if OPTIONS.get(name) == "generationConfig"}
        last = self._config_memory.last
        if last and last[0] == model and last[1] == dialect and last[2] == settings:
            return last[3]
        config = to_generation_config(settings, model=model, dialect=dialect)
        # A user may change containers in place, and must then get another config.
        copied = {
            name: copy.deepcopy(value) if isinstance(value, dict | list) else value for name, value in settings.items()
        }
        self._config_memory.last = (model, dialect, copied, config)
        return config

    @staticmethod
    def _add_options(body: WireRequest, options: OptionMapping, config: JsonObject) -> WireRequest:
        """Return *body*, which has contents, instruction and tools, with everything else that *options* ask for."""
        if config:
            body["generationConfig"] = config
        if (settings := options.get("safety_settings")) is not None:
            body["safetySettings"] = to_safety_settings(settings)
        if labels := options.get("labels"):
            body["labels"] = labels
        if (tier := options.get("service_tier")) and (word := to_service_tier(tier)):
            body["serviceTier"] = word
        if cached := options.get("cached_content"):
            _use_cache(body, cached)
        if extra := options.get("extra_body"):
            body = WireRequest(merge_deep(body, extra))
        return body

    def _with_media(self, body: WireRequest, call: OptionValues) -> WireRequest:
        """Return *body* with the media that it names by URL, if the user gave a fetcher.

        The time that fetching takes is taken off the deadline in *call*.
        """
        if self.media_fetcher is None or not (urls := remote_urls(body["contents"])):
            return body
        began, deadline = time.monotonic(), call.get("deadline", self.deadline)
        media = self.media_fetcher.fetch(urls, **({} if deadline is None else {"deadline": deadline}))
        _shorten_deadline(call, deadline, began)
        return WireRequest({**body, "contents": with_media(body["contents"], media)})

    async def _awith_media(self, body: WireRequest, call: OptionValues) -> WireRequest:
        """Return the same as `_with_media`; the event loop goes on meanwhile."""
        if self.media_fetcher is None or not (urls := remote_urls(body["contents"])):
            return body
        began, deadline = time.monotonic(), call.get("deadline", self.deadline)
        media = await self.media_fetcher.afetch(urls, **({} if deadline is None else {"deadline": deadline}))
        _shorten_deadline(call, deadline, began)
        return WireRequest({**body, "contents": with_media(body["contents"], media)})


def _subclass_defaults(cls: type[ClientHolder]) -> OptionValues:
    """Return the defaults that a subclass gave to options: they go before the environment's values."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in cls.model_fields.items()
        if name in OPTIONS and field.default is not RequestOptions.model_fields[name].default
    }
    set_by_subclass = {
        name: value for name, value in defaults.items() if value is not None and value is not PydanticUndefined
    }
    hide_secrets(set_by_subclass, known=set_by_subclass)
    return set_by_subclass


def _find_gateway(options: OptionValues, *, is_restored: bool) -> bool:
    """Put address and key among *options*, and return whether the environment gave the key."""
    if options.get("base_url") is not None or not is_restored:
        options["base_url"] = resolve_base_url(options.get("base_url"))
    if options.get("api_key") is not None or options.get("auth") is not None:
        return False
    try:
        options["api_key"] = SecretStr(environment_key().reveal())
    except ConfigurationError:
        if not is_restored:
            raise
    return True


def _own_client(changes: OptionMapping) -> OptionValues:
    """Return those *changes* of a call that only a client of its own can make."""
    return {name: value for name, value in changes.items() if name in _NEEDS_OWN_CLIENT}


_NEEDS_OWN_CLIENT: Final = frozenset({*_CLIENT_OPTIONS, *_HTTP_CLIENTS}) - {*CALL_OPTIONS, "default_headers"}


def _use_cache(body: WireRequest, name: str) -> None:
    """Point to cached content. It holds the instruction and the tools; a request that repeats them is a 400."""
    body["cachedContent"] = name
    repeated = [member for member in ("systemInstruction", "tools", "toolConfig") if body.pop(member, None) is not None]
    if repeated:
        warn(f"with cached_content, {' and '.join(repeated)} must be in the cache; not sent again")


def _shorten_deadline(call: OptionValues, deadline: float | None, began: float) -> None:
    if deadline is not None:
        call["deadline"] = max(0.001, deadline - (time.monotonic() - began))
