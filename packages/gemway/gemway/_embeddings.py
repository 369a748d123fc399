"""Turn texts and media into embedding requests, and their responses into vectors. Pure: sends nothing.

Gateways serve embeddings on up to three routes. `EmbeddingJob` decides which requests to send next and reads
their responses; the clients send.

    batch    POST /v1beta/models/{model}:batchEmbedContents   one content per input (https://ai.google.dev/api/embeddings)
    single   POST /v1beta/models/{model}:embedContent         one request per input
    openai   POST /v1/embeddings                              OpenAI's form, which several gateways serve with the same key
"""

from __future__ import annotations

import binascii
import math
import re
import sys
from array import array
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias, get_args

from gemway._body import LargeBody, encode
from gemway._error_bodies import is_missing_stream_route
from gemway._exceptions import (
    APIError,
    APIStatusError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    RequestTooLargeError,
    ResponseValidationError,
    UnprocessableEntityError,
    UnsupportedContentError,
)
from gemway._json import JsonMapping, JsonObject, members, merge_deep, snake
from gemway._media import to_part
from gemway._protocol import Call, model_path
from gemway._warnings import warn_once
from gemway.types import UsageMetadata

# NumPy is optional, so there is no better type: a list of floats, an array of the standard library, or NumPy's.
Vector: TypeAlias = Any
EmbedRoute = Literal["batch", "single", "openai"]
ROUTES: Final[tuple[EmbedRoute, ...]] = get_args(EmbedRoute)

# Google refuses more: "at most 100 requests can be in one batch".
MAX_BATCH_INPUTS: Final = 100
# Well below the 20 MB that Google allows for inline data, since proxies in front of gateways allow less.
MAX_BATCH_BYTES: Final = 8 * 2**20

# The names of OpenAIEmbeddings, GoogleGenerativeAIEmbeddings, OpenAIEmbedding and GoogleGenAIEmbedding.
EMBEDDING_ALIASES: Final = {
    "dimensions": "output_dimensionality",
    "output_dimension": "output_dimensionality",
    "chunk_size": "batch_size",
    "embed_batch_size": "batch_size",
    "num_workers": "concurrency",
    "normalize_embeddings": "normalize",
}

# Options of those classes that have no meaning here: tokens are counted by Google, texts are never cut.
EMBEDDING_IGNORED: Final = frozenset(
    {
        *("deployment", "embedding_ctx_length", "check_embedding_ctx_length", "tiktoken_enabled", "skip_empty"),
        *("allowed_special", "disallowed_special", "show_progress_bar", "retry_min_seconds", "retry_max_seconds"),
        "retry_exponential_base",
        *("openai_api_version", "openai_api_type", "request_options", "api_type", "azure_endpoint", "mode"),
    }
)

# The width of a vector when no output_dimensionality is sent.
_FULL_WIDTHS: Final = {"gemini-embedding": 3072, "text-embedding": 768, "embedding-001": 768}

# gemini-embedding-2 has no task type; the task stands in the text (https://ai.google.dev/gemini-api/docs/embeddings).
# Queries and documents differ for retrieval; for the symmetric tasks both have the same form.
_TASK_WORDS: Final = {
    "RETRIEVAL_QUERY": "search result",
    "QUESTION_ANSWERING": "question answering",
    "FACT_VERIFICATION": "fact checking",
    "CODE_RETRIEVAL_QUERY": "code retrieval",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "SEMANTIC_SIMILARITY": "sentence similarity",
}


@dataclass(frozen=True)
class EmbeddingResult:
    """The vectors of an `embed_content` call.

    Attributes:
        vectors: one vector per input, in the order of the inputs: lists of floats, or with `as_numpy=True` one
            float32 array of shape (inputs, width).
        usage_metadata: the tokens of all requests together, or None if the gateway does not count them.
        route: the route that answered: `"batch"`, `"single"` or `"openai"`.
    """

    vectors: Vector
    usage_metadata: UsageMetadata | None
    route: EmbedRoute


@dataclass(frozen=True)
class EmbeddingOptions:
    """The options of an `embed_content` call, checked."""

    model: str
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None
    normalize: bool = True
    as_numpy: bool = False
    embed_route: EmbedRoute | None = None
    batch_size: int = MAX_BATCH_INPUTS
    concurrency: int = 4
    extra_body: JsonMapping | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        width = self.output_dimensionality
        if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
            raise ConfigurationError(f"output_dimensionality must be a positive number of dimensions, not {width!r}")
        if self.embed_route is not None and self.embed_route not in ROUTES:
            raise ConfigurationError(f"embed_route must be one of {', '.join(ROUTES)}, not {self.embed_route!r}")
        for name, count in (("batch_size", self.batch_size), ("concurrency", self.concurrency)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ConfigurationError(f"{name} must be a positive number, not {count!r}")

    @property
    def puts_task_in_text(self) -> bool:
        """Whether the model reads its task from the text instead of from `taskType`."""
        return "gemini-embedding-2" in self.model


@dataclass(frozen=True)
class EmbeddingBatch:
    """One request: which inputs it holds, and the call that sends them."""

    indexes: Sequence[int]
    call: Call
    route: EmbedRoute


def read_embedding_options(options: JsonMapping, *, fields: Collection[str], where: str) -> JsonObject:
    """Return the options of an embedding class by our names, without those that have no meaning here.

    Args:
        options: the user's keyword arguments.
        fields: the names that the class itself has; they are not changed.
        where: the name of the class, for messages.
    """
    named: JsonObject = {}
    for name, value in options.items():
        if name in fields:
            named[name] = value
        elif name in EMBEDDING_IGNORED:
            warn_once(("ignored", name), f"{where}: {name!r} has no meaning for Gemini and is ignored")
        elif name == "embedding_config":
            named |= _from_embedding_config(value, where)
        else:
            named[EMBEDDING_ALIASES.get(name, name)] = value
    return named


def _from_embedding_config(value: Any, where: str) -> JsonObject:
    """Read the `embedding_config` of LlamaIndex's GoogleGenAIEmbedding: google-genai's EmbedContentConfig, or a dict."""
    named: JsonObject = {}
    for name, member in members(value, "embedding_config").items():
        if name in {"taskType", "outputDimensionality"}:
            named[snake(name)] = member
        elif name == "httpOptions":
            named["http_options"] = member
        else:
            warn_once(("ignored", "embedding_config", name), f"{where}: embedding_config: {name!r} is ignored")
    return named


class EmbeddingJob:
    """The requests of one `embed_content` call: those to send next, and the vectors so far.

    The first batch goes out alone and finds the route. All others follow at the same time. A batch that is too large
    is halved. A batch that the gateway rejects is halved too, one request at a time, until the input that it rejects
    stands alone, so that the error can name it. No input is sent again once its vector is there.
    """

    def __init__(self, contents: object, options: EmbeddingOptions, route: EmbedRoute | None) -> None:
        self._options = options
        self._inputs = [_to_content(item, place, options) for place, item in enumerate(_as_list(contents))]
        if not self._inputs:
            raise UnsupportedContentError("there is nothing to embed: pass at least one text")
        self._sizes = [_size_of(content) for content in self._inputs]
        self._vectors: list[Vector] = [None] * len(self._inputs)
        fixed_route = options.embed_route or route
        self._candidates: list[EmbedRoute] = [fixed_route] if fixed_route else list(ROUTES)
        self._route_is_known = fixed_route is not None
        self._one_at_a_time = False
        self._groups = self._split_into_batches()
        self._usages: list[UsageMetadata] = []
        self._failure: APIError | None = None
        self._failed_at: int | None = None

    @property
    def route(self) -> EmbedRoute:
        """The route that is used, or tried next."""
        return self._candidates[0]

    @property
    def route_is_known(self) -> bool:
        """Whether the route has answered, or was given."""
        return self._route_is_known

    @property
    def has_failed(self) -> bool:
        """Whether a request failed for good, so that no other should be sent."""
        return self._failure is not None

    def next_batches(self) -> list[EmbeddingBatch]:
        """Return the requests to send now, at the same time; empty when the job is done."""
        if self._failure is not None or not self._groups:
            return []
        if self.route == "single":
            self._groups = [[index] for group in self._groups for index in group]
        count = len(self._groups) if self._route_is_known and not self._one_at_a_time else 1
        sent, self._groups = self._groups[:count], self._groups[count:]
        return [EmbeddingBatch(group, self._to_call(group), self.route) for group in sent]

    def take_response(self, batch: EmbeddingBatch, payload: object) -> None:
        """Keep the vectors of *batch*. A response that holds none counts as a missing route."""
        try:
            vectors, usage = _READERS[batch.route](payload)
            self._check_vectors(vectors, batch)
        except ResponseValidationError as error:
            self.take_error(batch, error)
            return
        for index, vector in zip(batch.indexes, vectors, strict=True):
            self._vectors[index] = self._finish_vector(vector)
        if usage is not None:
            self._usages.append(usage)
        self._route_is_known = True
        self._candidates = [batch.route]

    def take_error(self, batch: EmbeddingBatch, error: APIError) -> None:
        """Decide how to go on after a failed request: another route, smaller batches, or the end."""
        if not self._route_is_known and _is_missing_route(error) and len(self._candidates) > 1:
            self._candidates = self._candidates[1:]
            self._groups = [list(batch.indexes), *self._groups]
        elif len(batch.indexes) > 1 and isinstance(
            error, RequestTooLargeError | BadRequestError | UnprocessableEntityError
        ):
            self._groups = [*_halves(batch.indexes, _index_in_message(error)), *self._groups]
            self._route_is_known = True  # a gateway that rejects an input serves the route
            self._candidates = [batch.route]
            self._one_at_a_time = self._one_at_a_time or not isinstance(error, RequestTooLargeError)
        elif self._failure is None or batch.indexes[0] < (self._failed_at or 0):
            self._failure, self._failed_at = error, batch.indexes[0]

    def result(self) -> EmbeddingResult:
        """Return all vectors, or raise the error that ended the job."""
        usage = _sum_usage(self._usages)
        if self._failure is None:
            vectors = self._stack_vectors() if self._options.as_numpy else self._vectors
            return EmbeddingResult(vectors, usage, self.route)
        error, self._failure = self._failure, None
        error.input_index = self._failed_at
        error.partial = EmbeddingResult(self._vectors, usage, self.route)
        if len(self._inputs) > 1:
            error.message = f"input {self._failed_at} of {len(self._inputs)}: {error.message}"
            error.args = (f"input {self._failed_at} of {len(self._inputs)}: {error.args[0] if error.args else error}",)
        raise error

    def _split_into_batches(self) -> list[list[int]]:
        """Return the indexes of the inputs in groups that fit into one request, in order."""
        most = min(self._options.batch_size, MAX_BATCH_INPUTS)
        groups: list[list[int]] = []
        size = 0
        for index, bytes_of_input in enumerate(self._sizes):
            if not groups or len(groups[-1]) == most or size + bytes_of_input > MAX_BATCH_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(index)
            size += bytes_of_input
        return groups

    def _to_call(self, indexes: Sequence[int]) -> Call:
        return _WRITERS[self.route]([self._inputs[index] for index in indexes], self._options)

    def _check_vectors(self, vectors: Sequence[Vector], batch: EmbeddingBatch) -> None:
        """Raise `ResponseValidationError` unless there is one usable vector per input."""
        if len(vectors) != len(batch.indexes):
            raise ResponseValidationError(
                f"the gateway returned {len(vectors)} embeddings for {len(batch.indexes)} inputs on the {batch.route}"
                " route; some models merge several texts into one vector. Try embed_route='single'."
            )
        requested_width = self._options.output_dimensionality
        width = requested_width or len(vectors[0])
        for index, vector in zip(batch.indexes, vectors, strict=True):
            if len(vector) != width or not width:
                raise ResponseValidationError(
                    f"the embedding of input {index} has {len(vector)} dimensions instead of {width}"
                    + ("; the gateway may ignore output_dimensionality" if requested_width else "")
                )
            # A sum is not finite if one of its terms is not: one pass in C instead of a loop over 3,072 numbers.
            if not math.isfinite(_sum_of(vector, index)):
                raise ResponseValidationError(f"the embedding of input {index} holds numbers that are not finite")

    def _finish_vector(self, vector: Vector) -> Vector:
        """Normalise a shortened vector to length 1.

        Google normalises vectors of the full width only (https://ai.google.dev/gemini-api/docs/embeddings, "Ensuring
        quality for smaller dimensions"), so cosine and dot product would differ for shorter ones.
        """
        values = vector if isinstance(vector, list) else vector.tolist()
        if self._options.normalize and len(values) < _full_width(self._options.model):
            length = math.hypot(*values)
            if length and abs(length - 1) > 1e-6:
                values = [value / length for value in values]
        return _to_float32(values) if self._options.as_numpy else values

    def _stack_vectors(self) -> Vector:
        widths = {len(vector) for vector in self._vectors}
        if len(widths) > 1:
            raise ResponseValidationError(f"the gateway returned embeddings of different widths: {sorted(widths)}")
        return _numpy().stack(self._vectors)


def _as_list(contents: object) -> list[object]:
    """Return the inputs. One text, part, content or picture is a list of one."""
    if isinstance(contents, str | bytes | Mapping) or not isinstance(contents, Iterable) or hasattr(contents, "parts"):
        return [contents]
    return list(contents)


def _to_content(item: object, index: int, options: EmbeddingOptions) -> JsonObject:
    """Return one input as a wire content: a text, media, a part, a content, or a list of these as one input."""
    dumped = item.model_dump(by_alias=True, exclude_none=True) if hasattr(item, "model_dump") else item
    if isinstance(dumped, Mapping) and "parts" in dumped:
        parts = list(dumped["parts"])
    elif isinstance(dumped, list | tuple):
        parts = [_to_wire_part(part) for part in dumped]
    else:
        parts = [_to_wire_part(dumped)]
    if not parts or all(part.get("text") == "" for part in parts):
        raise UnsupportedContentError(f"input {index} is empty; an embedding needs at least one character")
    return {"parts": _with_task(parts, options)}


def _to_wire_part(item: object) -> JsonObject:
    if isinstance(item, str):
        return {"text": item}
    return dict(item) if isinstance(item, Mapping) else to_part(item)


def _with_task(parts: list[JsonObject], options: EmbeddingOptions) -> list[JsonObject]:
    """Put the task in front of the first text, for models that read it there."""
    if not options.puts_task_in_text or not (options.task_type or options.title):
        return parts
    task = (options.task_type or "RETRIEVAL_DOCUMENT").upper()
    if task == "RETRIEVAL_DOCUMENT":
        prefix = f"title: {options.title or 'none'} | text: "
    elif task in _TASK_WORDS:
        prefix = f"task: {_TASK_WORDS[task]} | query: "
    else:
        return parts
    # Several parts of one input become one vector, so the task stands once, at their beginning.
    for place, part in enumerate(parts):
        if isinstance(part.get("text"), str):
            return [*parts[:place], {**part, "text": prefix + part["text"]}, *parts[place + 1 :]]
    return parts


def _size_of(content: JsonMapping) -> int:
    """Return roughly how many bytes an input takes in a request."""
    # Room for the names around it. The limit is so far below Google's that an estimate is good enough.
    size = 100
    for part in content["parts"]:
        blob = part.get("inlineData") or part.get("inline_data") or {}
        size += len(part.get("text") or "") + len(blob.get("data") or "")
    return size


def _embed_request(content: JsonMapping, options: EmbeddingOptions) -> JsonObject:
    body: JsonObject = {"model": f"models/{options.model.removeprefix('models/')}", "content": content}
    if options.task_type and not options.puts_task_in_text:
        body["taskType"] = options.task_type.upper()
    if options.title and not options.puts_task_in_text:
        body["title"] = options.title
    if options.output_dimensionality:
        body["outputDimensionality"] = options.output_dimensionality
    return body


def _write_batch(contents: Sequence[JsonMapping], options: EmbeddingOptions) -> Call:
    wire = {"requests": [_embed_request(content, options) for content in contents]}
    path = f"/v1beta/models/{model_path(options.model)}:batchEmbedContents"
    return Call(options.model, path, _encode(wire, options))


def _write_single(contents: Sequence[JsonMapping], options: EmbeddingOptions) -> Call:
    path = f"/v1beta/models/{model_path(options.model)}:embedContent"
    return Call(options.model, path, _encode(_embed_request(contents[0], options), options))


def _write_openai(contents: Sequence[JsonMapping], options: EmbeddingOptions) -> Call:
    """OpenAI's form holds texts only, and no task. Numbers come back as base64, which is read without a Python loop."""
    texts = []
    for content in contents:
        if not all(isinstance(part.get("text"), str) for part in content["parts"]):
            raise UnsupportedContentError(
                "this gateway serves embeddings on /v1/embeddings only, which takes texts; pictures and other media"
                " need a gateway with :embedContent or :batchEmbedContents"
            )
        texts.append("\n".join(part["text"] for part in content["parts"]))
    body: JsonObject = {
        "model": options.model.removeprefix("models/"),
        "input": texts,
        "encoding_format": "base64",
    }
    if options.output_dimensionality:
        body["dimensions"] = options.output_dimensionality
    return Call(options.model, "/v1/embeddings", _encode(body, options))


def _encode(body: JsonMapping, options: EmbeddingOptions) -> bytes | LargeBody:
    return encode(merge_deep(body, options.extra_body) if options.extra_body else body)


_WRITERS: Final = {"batch": _write_batch, "single": _write_single, "openai": _write_openai}


def _read_batch(payload: object) -> tuple[list[Vector], UsageMetadata | None]:
    entries = _member(payload, "embeddings")
    return [_values_of(entry) for entry in entries], _usage_of(payload)


def _read_single(payload: object) -> tuple[list[Vector], UsageMetadata | None]:
    entry = payload.get("embedding") if isinstance(payload, Mapping) else None
    if entry is None:
        # A gateway may answer this route with the list of the batch route.
        entries = _member(payload, "embeddings")
        return [_values_of(entry) for entry in entries], _usage_of(payload)
    return [_values_of(entry)], _usage_of(payload)


def _read_openai(payload: object) -> tuple[list[Vector], UsageMetadata | None]:
    entries = [entry for entry in _member(payload, "data") if isinstance(entry, Mapping)]
    if all(isinstance(entry.get("index"), int) for entry in entries):
        # OpenAI's reference numbers the entries and promises no order.
        entries = sorted(entries, key=lambda entry: entry["index"])
    usage = payload.get("usage") if isinstance(payload, Mapping) else None
    counts = (
        {"promptTokenCount": usage.get("prompt_tokens"), "totalTokenCount": usage.get("total_tokens")}
        if usage
        else None
    )
    return [_values_of(entry) for entry in entries], UsageMetadata.model_validate(counts) if counts else None


_READERS: Final = {"batch": _read_batch, "single": _read_single, "openai": _read_openai}


def _member(payload: object, name: str) -> list[object]:
    entries = payload.get(name) if isinstance(payload, Mapping) else None
    if not isinstance(entries, list):
        raise ResponseValidationError(
            f"the gateway's answer to an embedding request has no {name!r}; it may run a generation instead",
            body=payload,
        )
    return entries


def _values_of(entry: object) -> Vector:
    """Return the numbers of one embedding: a list, or a float32 array out of base64."""
    values = (entry.get("values") or entry.get("embedding")) if isinstance(entry, Mapping) else entry
    if isinstance(values, str):
        return _from_base64(values)
    if not isinstance(values, list):
        raise ResponseValidationError("the gateway returned an embedding without numbers")
    return values


def _from_base64(text: str) -> array[float]:
    """Decode OpenAI's base64 form: little-endian float32 numbers."""
    try:
        numbers = array("f", b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        message = f"the gateway returned an embedding that is neither numbers nor base64 of float32 ({error})"
    else:
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers
    raise ResponseValidationError(message)


def _sum_of(vector: Vector, index: int) -> float:
    try:
        return float(sum(vector))
    except TypeError:
        message = f"the embedding of input {index} holds something that is not a number"
    raise ResponseValidationError(message)


def _usage_of(payload: object) -> UsageMetadata | None:
    usage = (payload.get("usageMetadata") or payload.get("usage_metadata")) if isinstance(payload, Mapping) else None
    return UsageMetadata.model_validate(usage) if isinstance(usage, Mapping) else None


def _sum_usage(usages: Sequence[UsageMetadata]) -> UsageMetadata | None:
    if len(usages) < 2:
        return usages[0] if usages else None
    prompt = [usage.prompt_token_count for usage in usages]
    total = [usage.total_token_count for usage in usages]
    return UsageMetadata(
        prompt_token_count=sum(count or 0 for count in prompt) if any(c is not None for c in prompt) else None,
        total_token_count=sum(count or 0 for count in total) if any(c is not None for c in total) else None,
    )


def _is_missing_route(error: APIError) -> bool:
    """Whether an error may mean that the gateway has no such route, and not that the request is wrong.

    one-hub answers unknown verbs with a generation and CLIProxyAPI with an empty 200, so a response that holds no
    embedding counts as well. A 404 that names the model means the model.
    """
    if isinstance(error, ResponseValidationError):
        return True
    if isinstance(error, NotFoundError) or error.status_code in (405, 501):
        return is_missing_stream_route(error)
    text = error.message.lower()
    return isinstance(error, APIStatusError) and any(
        words in text for words in ("not supported", "not implemented", "unsupported", "invalid url", "unknown action")
    )


# Google names the place: "* BatchEmbedContentsRequest.requests[3].content: contents is not specified".
_REQUEST_INDEX: Final = re.compile(r"requests\[(\d{1,6})\]")


def _index_in_message(error: APIError) -> int | None:
    place = _REQUEST_INDEX.search(error.message)
    return int(place[1]) if place else None


def _halves(indexes: Sequence[int], rejected: int | None) -> list[list[int]]:
    """Split a rejected batch: around the input that the error names, else in the middle."""
    if rejected is not None and rejected < len(indexes):
        groups = [list(indexes[:rejected]), list(indexes[rejected : rejected + 1]), list(indexes[rejected + 1 :])]
        return [group for group in groups if group]
    middle = len(indexes) // 2
    return [list(indexes[:middle]), list(indexes[middle:])]


def _full_width(model: str) -> int:
    return next((width for name, width in _FULL_WIDTHS.items() if name in model), 0)


def _to_float32(values: Sequence[float]) -> Vector:
    return _numpy().asarray(values, dtype="float32")


def _numpy() -> ModuleType:
    try:
        import numpy
    except ImportError:
        message = "as_numpy=True needs NumPy; install it with: pip install numpy"
    else:
        return numpy
    raise ConfigurationError(message)
