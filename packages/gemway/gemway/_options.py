"""The table of options: one row for each option of clients and models, and one for each other name of it. Pure.

A row is a field: its name, its type, its default, where the option goes, how its value is checked, and its meaning.
Type checkers read the same rows: `accepts(...)` gives a constructor the signature of such a class. Nothing else in the
project lists options, so a new option is one row here and one line in docs/configuration.md.

Sources of the other names: the page "OpenAI compatibility" of ai.google.dev/gemini-api/docs, and the constructors of
ChatOpenAI, ChatAnthropic, ChatGoogleGenerativeAI and LlamaIndex's OpenAI and GoogleGenAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gemway._checks import (
    checked_body,
    checked_count,
    checked_count_or_zero,
    checked_function,
    checked_headers,
    checked_proxy,
    checked_retries,
    checked_seconds,
    checked_switch,
    checked_timeout,
    checked_verify,
    checked_word,
    checked_word_or_nothing,
    object_with,
    one_of,
)
from gemway._schema import Dialect

if TYPE_CHECKING:
    import httpx

    from gemway._fetcher import MediaFetcher
    from gemway._retry import RetryEvent

    Auth = httpx.Auth
    Seconds = float | httpx.Timeout | tuple[float, ...]
    Address = str | httpx.URL
    _Names = BaseModel
    Headers = Mapping[str, Any]
    JsonObject = Mapping[str, Any]
else:
    # pydantic reads the annotations below. Nothing may import an HTTP library before the first call, and masked values
    # must stay the objects that they are: pydantic would make plain dicts of them.
    Auth = Seconds = MediaFetcher = RetryEvent = Address = Headers = JsonObject = Any
    _Names = object  # the types of other names are for type checkers only

Key = str | SecretStr | Callable[[], Any]
Place = Literal["client", "generationConfig", "request", "tools", "model"]
Mask = Literal["key", "headers", "body", "address", "signer"]
OptionValues: TypeAlias = dict[str, Any]
OptionMapping: TypeAlias = Mapping[str, Any]
"""Options by name. Each row of the table has a type of its own, which `check_options` enforces."""

Check = Callable[[str, Any], Any]
_Options = ParamSpec("_Options")


@dataclass(frozen=True)
class Option:
    """The rest of one row, besides its field's name, type, default and description.

    Attributes:
        place: "client" options make a client; "generationConfig", "request" and "tools" go into each request, and a
            call may change them; "model" options are for the model object itself.
        check: returns the value that the core works with, or raises `ConfigurationError`.
        masked_as: how the value is masked, if it may hold a secret.
        otherwise: the value that a client takes where the option is not given; models and their dumps leave it at None.
        accepts_none: whether None is a value of its own, rather than "not given".
    """

    place: Place
    check: Check | None = None
    masked_as: Mask | None = None
    otherwise: Any = None
    accepts_none: bool = False

    def __call__(self, schema: dict[str, Any]) -> None:
        """Leave the JSON Schema of the field as it is: rows ride in `json_schema_extra`, which pydantic keeps."""


def option(
    place: Place,
    default: Any = None,
    *,
    meaning: str = "",
    check: Check | None = None,
    masked_as: Mask | None = None,
    otherwise: Any = None,
    accepts_none: bool = False,
    is_stored: bool = True,
) -> Any:
    """Return the field of one row. Masked options, and those not *is_stored*, stay out of dumps and reprs."""
    hidden = masked_as not in {None, "address"} or not is_stored
    row = Option(place, check, masked_as, default if otherwise is None else otherwise, accepts_none)
    return Field(
        default,
        description=meaning or None,
        exclude=hidden or None,
        repr=not hidden,
        json_schema_extra=row,
    )


class GatewayOptions(BaseModel):
    """Options of everything that talks to a gateway."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=(), defer_build=True
    )

    api_key: Key | None = option(
        "client",
        masked_as="key",
        meaning="The key, or a function (for async calls also a coroutine function) returning it.",
    )
    base_url: str | None = option(
        "client", masked_as="address", meaning="The gateway's address without `/v1beta`; default `GEMWAY_BASE_URL`."
    )
    timeout: Seconds | None = option(
        "client",
        check=checked_timeout,
        meaning="Seconds of silence after which an attempt is given up, or an `httpx.Timeout`; default 5 to connect and"
        " 120 between data, 300 for images and long thinking.",
    )
    max_retries: int | None = option(
        "client",
        otherwise=2,
        check=checked_retries,
        meaning="How many times to retry a failed attempt; 0 sends one request.",
    )
    deadline: float | None = option(
        "client", check=checked_seconds, meaning="Total seconds for a call, including retries and waits."
    )
    auth: Auth | Any | None = option(
        "client",
        check=object_with("auth_flow", "an httpx.Auth"),
        masked_as="signer",
        meaning="An `httpx.Auth` that signs requests instead of a key.",
    )
    http_client: Any = option(
        "client",
        check=object_with("send", "an httpx.Client or AsyncClient"),
        is_stored=False,
        meaning="An `httpx.Client` or `httpx2.Client` to send with; gemway never closes it.",
    )
    extra_body: JsonObject | None = option(
        "request", check=checked_body, masked_as="body", meaning="Deep-merged into every request body, last; a secret."
    )
    inline_data_casing: Literal["camel", "snake"] | None = option(
        "client", "camel", check=one_of("camel", "snake"), meaning='"snake" for gateways that only read `inline_data`.'
    )
    max_connections: int | None = option(
        "client",
        otherwise=1000,
        check=checked_count,
        meaning="How many connections may be open at once; further calls wait.",
    )
    max_continuations: int | None = option(
        "client",
        otherwise=0,
        check=checked_count_or_zero,
        meaning="How many follow-up requests to send when an answer stops with CONTINUATION; token usage is added up.",
    )
    max_response_bytes: int | None = option(
        "client",
        otherwise=64 * 2**20,
        check=checked_count,
        meaning="The largest answer in bytes, decompressed; a stream counts as a whole.",
    )
    proxy: Address | Any | None = option(
        "client",
        check=checked_proxy,
        masked_as="address",
        is_stored=False,
        meaning="The address of a proxy; default from HTTP(S)_PROXY and NO_PROXY.",
    )
    verify: Any = option(
        "client",
        otherwise=True,
        check=checked_verify,
        is_stored=False,
        meaning="False, an `ssl.SSLContext`, or True for the system's certificates (SSL_CERT_FILE is read).",
    )
    tcp_keepalive: bool | None = option(
        "client",
        otherwise=True,
        check=checked_switch,
        meaning="Keep silent connections alive with TCP probes every 30 s, so that no NAT forgets them.",
    )
    auth_header: str | None = option(
        "client", otherwise="Authorization", check=checked_word, meaning="The header that carries the key."
    )
    auth_scheme: str | None = option(
        "client",
        otherwise="Bearer",
        check=checked_word_or_nothing,
        meaning="The word before the key in it; may be empty.",
    )
    retry_budget: str | None = option(
        "client", "shared", accepts_none=True, meaning="None switches off the budget that prevents retry storms."
    )
    retry_image_timeouts: bool | None = option(
        "client",
        otherwise=False,
        check=checked_switch,
        meaning="Also retry image requests when an image may already have been generated and billed.",
    )
    on_retry: Callable[[RetryEvent], object] | None = option(
        "client", check=checked_function, is_stored=False, meaning="Called with a `RetryEvent` before each wait."
    )
    limiter: Any = option(
        "client",
        check=object_with("acquire", "a limiter with acquire(cost), see gemway.limits"),
        is_stored=False,
        meaning="Asked before each request, retries included; shares a limit with other programs (`gemway.limits`).",
    )


class ClientOptions(GatewayOptions):
    """Options of `Client` and `AsyncClient`."""

    headers: Headers | None = option(
        "client", check=checked_headers, masked_as="headers", meaning="Sent with every request; treated as secrets."
    )


class AdapterOptions(GatewayOptions):
    """Options of an adapter's models, tools and embeddings, which have a blocking client and one for asyncio."""

    model: str = option("model", "", meaning="The model's name at the gateway; default `GEMWAY_MODEL`.")
    default_headers: Headers | None = option(
        "client", check=checked_headers, masked_as="headers", meaning="Sent with every request; treated as secrets."
    )
    http_async_client: Any = option(
        "client",
        check=object_with("send", "an httpx.AsyncClient"),
        is_stored=False,
        meaning="An `httpx.AsyncClient` or `httpx2.AsyncClient` for asyncio methods.",
    )


class RequestOptions(AdapterOptions):
    """Options of a chat model: those of its requests, which a call may change, come last."""

    media_fetcher: MediaFetcher | None = option(
        "model",
        check=object_with("fetch", "a gemway.MediaFetcher"),
        is_stored=False,
        meaning="Loads media that messages name by http(s) URL; without one, the URLs are sent by reference.",
    )
    schema_dialect: Dialect = option(
        "model",
        "json_schema",
        check=one_of("json_schema", "openapi"),
        meaning='The vocabulary for schemas; "openapi" for gateways that do not know JSON Schema.',
    )

    temperature: float | None = option("generationConfig", meaning="Randomness, 0 to 2; the model's default if None.")
    top_p: float | None = option("generationConfig")
    top_k: int | None = option("generationConfig")
    max_tokens: int | None = option("generationConfig", meaning="The most tokens of one answer, thoughts included.")
    stop: str | Sequence[str] | None = option("generationConfig", meaning="Texts that end the answer.")
    seed: int | None = option("generationConfig")
    n: int | None = option("generationConfig", meaning="How many answers to one prompt.")
    presence_penalty: float | None = option("generationConfig")
    frequency_penalty: float | None = option("generationConfig")
    logprobs: bool | int | None = option("generationConfig", meaning="Whether log probabilities come with the answer.")
    top_logprobs: int | None = option("generationConfig", meaning="How many alternatives for each token, 0 to 20.")
    response_modalities: str | Sequence[Any] | None = option("generationConfig", meaning='Such as ["TEXT", "IMAGE"].')
    image_config: Any = option("generationConfig", meaning='Such as {"aspect_ratio": "16:9", "image_size": "2K"}.')
    aspect_ratio: str | None = option("generationConfig", meaning='The shape of images, such as "16:9".')
    image_size: str | None = option("generationConfig", meaning='"512", "1K", "2K" or "4K".')
    thinking_budget: int | None = option(
        "generationConfig", meaning="Tokens for thoughts (Gemini 2.5); 0 is off, -1 is up to the model."
    )
    thinking_level: str | None = option(
        "generationConfig", meaning='"minimal", "low", "medium" or "high" (Gemini 3 and later).'
    )
    include_thoughts: bool | None = option("generationConfig", meaning="Whether summaries of thoughts come along.")
    media_resolution: Any = option("generationConfig")
    speech_config: Any = option("generationConfig")
    response_mime_type: str | None = option("generationConfig")
    response_schema: Any = option("generationConfig", meaning="The schema of the answer, sent in OpenAPI's vocabulary.")
    response_json_schema: Any = option("generationConfig", meaning="The schema of the answer, sent as JSON Schema.")
    response_format: Any = option("generationConfig", meaning="OpenAI's response_format, a class or a JSON Schema.")
    generation_config: Any = option("generationConfig", meaning="Further fields of Google's generationConfig.")

    safety_settings: Any = option("request", meaning="A list of {category, threshold}, or a mapping.")
    cached_content: str | None = option("request", meaning="The name of cached content.")
    labels: Mapping[str, str] | None = option("request")
    service_tier: str | None = option(
        "request",
        meaning="`flex`, `standard` or `priority`. OpenAI's `auto` sends nothing, and `default` means `standard`.",
    )
    tools: Any = option("tools", meaning='Tools for every call, such as [{"googleSearch": {}}].')
    tool_choice: Any = option("tools")
    tool_config: Any = option("tools")
    parallel_tool_calls: bool | None = option("tools")
    strict: bool | None = option("tools", meaning="Whether calls must follow their schemas (mode VALIDATED).")


@dataclass(frozen=True)
class OtherName:
    """The meaning of another class's name for an option: an option of ours, or nothing."""

    option: str | None = None


def means(option: str) -> Any:
    """Return the row of a name that another class gives to *option*."""
    return OtherName(option)


def holds_several() -> Any:
    """Return the row of an option that holds several others; its reader is in `COMPOSED`."""
    return None


def ignored() -> Any:
    """Return the row of an option that means nothing to Gemini: accepted and left out, with one warning."""
    return OtherName()


class OtherNames(_Names):
    """Names from other classes, with the types that they have there. Never instantiated."""

    model_name: str | None = means("model")
    model_id: str | None = means("model")
    google_api_key: Key | None = means("api_key")
    gemini_api_key: Key | None = means("api_key")
    openai_api_key: Key | None = means("api_key")
    anthropic_api_key: Key | None = means("api_key")
    api_base: str | None = means("base_url")
    openai_api_base: str | None = means("base_url")
    anthropic_api_url: str | None = means("base_url")
    headers: Headers | None = means("default_headers")
    additional_headers: Headers | None = means("default_headers")
    extra_headers: Headers | None = means("default_headers")
    model_kwargs: Mapping[str, Any] | None = means("extra_body")
    additional_kwargs: Mapping[str, Any] | None = means("extra_body")
    async_http_client: Any = means("http_async_client")
    openai_proxy: str | None = means("proxy")
    anthropic_proxy: str | None = means("proxy")
    request_timeout: Seconds | None = means("timeout")
    default_request_timeout: float | None = means("timeout")
    retries: int | None = means("max_retries")
    max_output_tokens: int | None = means("max_tokens")
    max_completion_tokens: int | None = means("max_tokens")
    max_tokens_to_sample: int | None = means("max_tokens")
    stop_sequences: str | Sequence[str] | None = means("stop")
    candidate_count: int | None = means("n")
    response_logprobs: bool | None = means("logprobs")
    modalities: str | Sequence[Any] | None = means("response_modalities")
    reasoning_effort: str | None = means("thinking_level")
    effort: str | None = means("thinking_level")
    function_call: Any = means("tool_choice")

    thinking: Mapping[str, Any] | None = holds_several()
    reasoning: Mapping[str, Any] | None = holds_several()
    thinking_config: Any = holds_several()
    output_config: Mapping[str, Any] | None = holds_several()
    client_options: str | Mapping[str, Any] | None = holds_several()
    http_options: Any = holds_several()

    # OpenAI
    organization: str | None = ignored()
    openai_organization: str | None = ignored()
    user: str | None = ignored()
    store: bool | None = ignored()
    metadata: Any = ignored()
    logit_bias: Mapping[object, object] | None = ignored()
    use_responses_api: bool | None = ignored()
    use_previous_response_id: bool | None = ignored()
    previous_response_id: str | None = ignored()
    include: Sequence[str] | None = ignored()
    truncation: str | None = ignored()
    include_response_headers: bool | None = ignored()
    disabled_params: Mapping[str, object] | None = ignored()
    default_query: Mapping[str, object] | None = ignored()
    extra_query: Mapping[str, object] | None = ignored()
    verbosity: str | None = ignored()
    tiktoken_model_name: str | None = ignored()
    prediction: object = ignored()
    safety_identifier: str | None = ignored()
    prompt_cache_key: str | None = ignored()
    prompt_cache_options: object = ignored()
    prompt_cache_retention: object = ignored()
    stream_options: object = ignored()
    stream_usage: bool | None = ignored()
    allowed_openai_params: object = ignored()
    http_socket_options: object = ignored()
    stream_chunk_timeout: float | None = ignored()
    # Anthropic
    betas: Sequence[str] | None = ignored()
    context_management: object = ignored()
    reuse_last_container: bool | None = ignored()
    container: object = ignored()
    inference_geo: str | None = ignored()
    cache_control: object = ignored()
    mid_conversation_system: object = ignored()
    user_profile_id: str | None = ignored()
    task_budget: object = ignored()
    # Google
    vertexai: bool | None = ignored()
    vertexai_config: object = ignored()
    project: str | None = ignored()
    location: str | None = ignored()
    transport: str | None = ignored()
    credentials: object = ignored()
    api_version: str | None = ignored()
    client: object = ignored()
    debug_config: object = ignored()
    convert_system_message_to_human: bool | None = ignored()
    automatic_function_calling: object = ignored()
    should_return_http_response: bool | None = ignored()
    file_mode: str | None = ignored()
    use_file_api: bool | None = ignored()
    # LlamaIndex
    reuse_client: bool | None = ignored()
    is_chat_model: bool | None = ignored()
    engine: str | None = ignored()
    deployment_name: str | None = ignored()
    azure_deployment: str | None = ignored()


ROWS: Final[Mapping[str, Option]] = MappingProxyType(
    {
        name: row
        for table in (RequestOptions, ClientOptions)
        for name, field in table.model_fields.items()
        if isinstance(row := field.json_schema_extra, Option)
    }
)
"""Every row of the table by its name, `headers` of the clients included."""

OPTIONS: Final[Mapping[str, str]] = MappingProxyType({name: ROWS[name].place for name in RequestOptions.model_fields})
"""Canonical option names of models, each with the place that it goes to."""

_OTHERS: Final = {name: row.option for name, row in vars(OtherNames).items() if isinstance(row, OtherName)}
ALIASES: Final[Mapping[str, str]] = MappingProxyType({name: target for name, target in _OTHERS.items() if target})
"""Names that people write for a canonical option. Options that hold several others are in `COMPOSED`."""

IGNORED: Final = frozenset(name for name, target in _OTHERS.items() if target is None)
"""Options of other providers that mean nothing here: accepted, left out, warned about once each."""

REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_args": "http_client= (an httpx.Client), timeout=, proxy= or verify=",
        "openai_client": "http_client= (an httpx.Client)",
        "async_openai_client": "http_async_client= (an httpx.AsyncClient)",
        "async_client": "http_async_client= (an httpx.AsyncClient)",
        "root_client": "http_client= (an httpx.Client)",
        "root_async_client": "http_async_client= (an httpx.AsyncClient)",
        "proxies": "proxy= (one address)",
        "default_metadata": "default_headers=",
        "default_metadata_input": "default_headers=",
        "functions": "tools=",
        "built_in_tool": 'tools=, such as tools=[{"googleSearch": {}}]',
        "code_execution": 'tools=[{"codeExecution": {}}]',
        "web_search_options": 'tools=[{"googleSearch": {}}]',
        "mcp_servers": 'tools=[{"mcpServers": [...]}]',
        "audio": "speech_config=",
        "audio_config": "speech_config=",
        "text": "response_format=",
        "stream": "the model's stream methods",
    }
)
"""Options that take a different form here, each with the form to write instead."""


def accepts(
    options: Callable[_Options, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, _Options], None]]:
    """Return a decorator that gives an `__init__(self, **options)` the signature of a table.

    Type checkers read it from the annotations here, `help()` and notebooks from `__signature__`.
    """

    def decorate(init: Callable[..., None]) -> Callable[Concatenate[Any, _Options], None]:
        fields = cast("type[BaseModel]", options).model_fields
        named = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=ROWS[name].otherwise, annotation=field.annotation)
            for name, field in fields.items()
        ]
        init.__signature__ = Signature([Parameter("self", Parameter.POSITIONAL_ONLY), *named])  # type: ignore[attr-defined]  # as PEP 362 has it
        init.__doc__ = "\n".join(f"{name}: {field.description}" for name, field in fields.items() if field.description)
        return init

    return decorate


def check_options(options: OptionMapping) -> OptionValues:
    """Return *options* of the table with their values checked; None is left out where it means "not given"."""
    checked = {}
    for name, value in options.items():
        row = ROWS[name]
        if value is not None or row.accepts_none:
            checked[name] = row.check(name, value) if row.check is not None and value is not None else value
    return checked


def unexpected(name: str, known: Iterable[str], where: str, advice: str | None = None) -> TypeError:
    """Return the error for an option that nobody knows, or that takes a different form here."""
    if advice is None and name in REFUSED:
        advice = f"use {REFUSED[name]} instead"
    if advice is not None:
        return TypeError(f"{where} got an unexpected option {name!r}; {advice}")
    names = list(known)
    if close := get_close_matches(name, names, n=1):
        return TypeError(f"{where} got an unexpected option {name!r}; did you mean {close[0]!r}?")
    nearest = get_close_matches(name, names, n=1, cutoff=0)[0]
    return TypeError(f"{where} got an unexpected option {name!r}; the nearest option is {nearest!r}")
