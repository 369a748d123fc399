"""Turn a request of Google's client into a call of the gateway. Pure: nothing is sent here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from pydantic_core import from_json

from gemway._body import BodyPiece, LargeBody, encode
from gemway._call import CallOptions
from gemway._capabilities import capabilities
from gemway._checks import checked_headers, to_timeouts
from gemway._config import Settings
from gemway._exceptions import ConfigurationError
from gemway._json import JsonMapping, JsonObject, camel, merge_deep
from gemway._protocol import Call, asks_for_pictures, thinks_long, with_snake_inline_data
from gemway.types import GenerateContentRequest

if TYPE_CHECKING:
    import httpx

PLACEHOLDER: Final = "replaced-by-gemway"
"""Stands for an API key in the objects of Google's client, which do not start without one."""

# google-genai 3 asks for /v1, which most gateways do not serve; with GOOGLE_GENAI_USE_VERTEXAI=true in the
# environment it asks for Vertex AI's paths. /v1beta/models/... is the one form that all gateways know.
_VERSIONED = re.compile(r"/(upload/)?v1(?:alpha|beta1?)?/(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/google/)?")
_MODEL = re.compile(r"/v1beta/models/([^?]+?)(?::(\w+))?(?:\?.*)?$")
# A body is parsed only if it contains one of these: a name in snake_case, bytes, or a request for pictures. Most
# requests of a chat contain none of them and are sent byte for byte.
_WORTH_READING = re.compile(rb'"(?:[a-z]+_[a-z_]+|inlineData|thoughtSignature|responseModalities)"\s*:')
# Members of these are names of the user's: arguments of functions, JSON Schema, labels for billing.
_FREE_FORM = frozenset(
    {"args", "response", "parametersJsonSchema", "responseJsonSchema", "default", "example", "enum", "labels"}
)
_REQUEST_MEMBERS = frozenset(GenerateContentRequest.model_fields)
# Google's client writes bodies with json.dumps, so there is one space behind the colon.
_DATA = b'"data": "'
# Only large texts are cut out of a body before it is parsed; blocks of them fit the cache of a processor.
_LARGE = 2**14
_BLOCK = 2**16
_MARK = re.compile(rb"gemway([-+])large[-+]data[-+](\d+)[-+]")
_BASE64 = frozenset({"data", "thoughtSignature"})
# The token takes the place of the first two; the others belong to the connection, and gemway's connections set them.
_REPLACED = frozenset(
    {"x-goog-api-key", "authorization", "host", "connection", "content-length", "accept", "accept-encoding"}
)
# All other header lines may be credentials (x-goog-iam-authorization-token), and never appear in logs or errors.
_NO_SECRETS = re.compile(r"content-type|user-agent|x-goog-(?!iam|user)[\w-]+|x-server-timeout")


@dataclass(frozen=True)
class GoogleCall(Call):
    """One request of Google's client, in the form for gateways.

    Attributes:
        action: the method of a model (`generateContent`), or `""`.
    """

    action: str = ""

    @property
    def names_one_model(self) -> bool:
        """Whether this asks for the description of one model."""
        return self.method == "GET" and bool(self.model) and not self.action

    @property
    def lists_models(self) -> bool:
        """Whether this asks for a page of the list of models."""
        return self.method == "GET" and re.fullmatch(r"/v1(beta)?/models(\?.*)?", self.path) is not None


def to_call(
    verb: str, path: str, headers: Mapping[str, str], body: bytes, settings: Settings
) -> tuple[GoogleCall, dict[str, str]]:
    """Return the call for one request of Google's client, and the header lines that may hold secrets.

    Args:
        path: the URL without the gateway's address, with the query.
        body: the JSON of Google's client; may be empty.
    """
    path, model, action = _to_route(path)
    wire, encoded = _rewrite_body(body, settings) if action else (None, body)
    pictures = action.endswith("enerateContent") and asks_for_pictures(model, wire or {})
    plain, secret = _sorted_headers(headers)
    call = GoogleCall(
        model=model,
        path=path,
        body=encoded if body or verb != "GET" else None,
        streaming=action == "streamGenerateContent",
        makes_pictures=pictures,
        slow=pictures or (bool(action) and thinks_long(model, wire or {})),
        headers=plain,
        method=verb,
        action=action,
    )
    return call, secret


@lru_cache(maxsize=256)
def _to_route(path: str) -> tuple[str, str, str]:
    """Return *path* in the form that gateways serve, the model in it, and the model's method."""
    path = _VERSIONED.sub(r"/\1v1beta/", path, count=1)
    match = _MODEL.match(path)
    return (path, unquote(match[1]), match[2] or "") if match else (path, "", "")


def to_options(secret_headers: Mapping[str, str], timeouts: Mapping[str, float | None]) -> CallOptions:
    """Return the options of a call. Google's client sets no timeout by default and would wait for ever; then ours apply."""
    phases = {phase: timeouts.get(phase) for phase in ("connect", "read", "write")}
    own_timeouts = SimpleNamespace(**phases) if any(phases.values()) else None
    headers = checked_headers("headers", secret_headers) if secret_headers else None
    return CallOptions(timeout=None if own_timeouts is None else to_timeouts(own_timeouts), headers=headers)


def under_v1(call: GoogleCall) -> GoogleCall:
    """Return the same call under /v1 (LiteLLM lists models only there)."""
    return replace(call, path=call.path.replace("/v1beta/", "/v1/", 1))


def model_resource(model: str) -> JsonObject:
    """Return the description of *model* that a gateway without a route for it would give."""
    limits = capabilities(model)
    return {
        "name": f"models/{model.removeprefix('models/')}",
        "displayName": model.removeprefix("models/"),
        "inputTokenLimit": limits.input_tokens,
        "outputTokenLimit": limits.output_tokens,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def _sorted_headers(headers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header lines to pass on: those that are known to be no secret, and all others."""
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    for name, value in headers.items():
        if name not in _REPLACED:
            (plain if _is_no_secret(name) else secret)[name] = value
    return plain, secret


@lru_cache(maxsize=256)
def _is_no_secret(name: str) -> bool:
    return _NO_SECRETS.fullmatch(name) is not None


def _rewrite_body(body: bytes, settings: Settings) -> tuple[JsonMapping | None, bytes | LargeBody]:
    """Return the parsed body, or None if it needs no change, and its bytes with camelCase names and standard base64."""
    changes = bool(settings.extra_body) or settings.inline_data_casing == "snake"
    if not changes and not _WORTH_READING.search(body):
        return None, body
    slim, large = _cut_out_large_data(body)
    try:
        wire = _respell_request(from_json(slim))
    except ValueError:
        return None, body  # no JSON: the gateway's error explains it
    if not isinstance(wire, dict):
        return None, body
    if settings.extra_body:
        wire = merge_deep(wire, settings.extra_body)
    if settings.inline_data_casing == "snake" and isinstance(wire.get("contents"), list):
        wire["contents"] = [with_snake_inline_data(content) for content in wire["contents"]]
    return wire, _put_back_large_data(encode(wire), large) if large else encode(wire)


def _cut_out_large_data(body: bytes) -> tuple[bytes, list[_LargeData]]:
    """Return *body* with a mark in place of each large text named `data`, and those texts.

    A picture is neither parsed nor copied: searches for a single byte find where it begins and ends.
    """
    others: list[bytes] = []
    large: list[_LargeData] = []
    end = search_from = 0
    while len(body) - search_from >= _LARGE and (found := body.find(_DATA, search_from)) >= 0:
        start = search_from = found + len(_DATA)
        stop = body.find(b'"', start)
        # Text that ends with a backslash goes on behind the quotation mark. Other escapes are sent as they are.
        if stop - start >= _LARGE and body[stop - 1 : stop] != b"\\":
            others.append(body[end:start])
            large.append(_LargeData(body, start, stop))
            end = search_from = stop
    others.append(body[end:])
    if not large or any(_MARK.search(other) for other in others):
        return body, []
    marked = [b"%bgemway-large-data-%d-" % (other, number) for number, other in enumerate(others[:-1])]
    return b"".join((*marked, others[-1])), large


def _put_back_large_data(slim: bytes | LargeBody, large: list[_LargeData]) -> LargeBody:
    """Return *slim* with the texts that its marks stand for. `_respell` has changed the marks of base64."""
    text = bytes(slim)
    pieces: list[BodyPiece] = []
    end = 0
    for mark in _MARK.finditer(text):
        data = large[int(mark[2])]
        pieces += [text[end : mark.start()], data.in_standard_base64() if mark[1] == b"+" else data]
        end = mark.end()
    return LargeBody([*pieces, text[end:]])


class _LargeData:
    """A large text within a body, read where it stands: a slice is made when it is sent."""

    def __init__(self, body: bytes, start: int, stop: int, *, is_base64: bool = False) -> None:
        self._body = body
        self._start = start
        self._stop = stop
        self._is_base64 = is_base64

    def in_standard_base64(self) -> _LargeData:
        """Return the same base64 in the standard alphabet."""
        return _LargeData(self._body, self._start, self._stop, is_base64=True)

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, span: slice) -> bytes:
        first, last, _ = span.indices(len(self))
        start, stop = self._start + first, self._start + last
        if not self._is_base64:
            return self._body[start:stop]
        # `translate` takes a fifth longer, since it looks up every byte. Blocks of this size stay in the processor's
        # cache between the two passes: on a whole picture, they take three times as long.
        blocks = (self._body[at : min(at + _BLOCK, stop)] for at in range(start, stop, _BLOCK))
        return b"".join([block.replace(b"-", b"+").replace(b"_", b"/") for block in blocks])


def _respell_request(wire: object) -> object:
    """Return a request in the wire's spelling, without changing the members that are the user's own.

    Google's client writes the members of a request itself in camelCase. A member in snake_case is an extension of the
    gateway, which the user added with `HttpOptions(extra_body=...)`, unless Google has one of that name.
    """
    if not isinstance(wire, dict):
        return wire
    own = {name: value for name, value in wire.items() if "_" in name and name not in _REQUEST_MEMBERS}
    return {**_respell({name: value for name, value in wire.items() if name not in own}), **own}


def _respell(value: object) -> Any:
    """Return *value* with Google's own names in camelCase and its bytes in standard base64.

    Google's Python client mixes both spellings (`inlineData.mime_type`), and gateways with typed structs drop names
    that they do not know. It writes base64 for URLs, and some gateways pass that on to services that expect the
    standard alphabet (RFC 4648, sections 4 and 5).
    """
    if isinstance(value, list):
        return [_respell(item) for item in value]
    if not isinstance(value, dict):
        return value
    return dict(_respell_members(value.items()))


def _respell_members(members: Iterable[tuple[str, object]]) -> Iterable[tuple[str, object]]:
    for spelt, item in members:
        name = camel(spelt)
        if name == "properties" and isinstance(item, dict):  # their names are the user's
            yield name, {key: _respell(schema) for key, schema in item.items()}
        elif name in _FREE_FORM:
            yield name, item
        elif name in _BASE64 and isinstance(item, str):
            yield name, item.replace("-", "+").replace("_", "/")
        else:
            yield name, _respell(item)


class Address(NamedTuple):
    """The parts of a URL, read once: four properties of an httpx.URL take a microsecond."""

    scheme: str
    host: str
    port: int | None
    path: str


def to_address(url: httpx.URL) -> Address:
    """Return *url*, of httpx or httpx2, in parts."""
    return Address(url.scheme, url.host, url.port, url.raw_path.decode("ascii"))


def path_below(base: Address, url: httpx.URL) -> str:
    """Return *url* without the gateway's address.

    Raises:
        ConfigurationError: *url* leads to another address, and the key must not go there.
    """
    address = to_address(url)
    prefix = base.path.rstrip("/")
    if address[:3] == base[:3] and address.path.startswith(f"{prefix}/"):
        return address.path[len(prefix) :]
    gateway = f"{base.scheme}://{base.host}" + (f":{base.port}" if base.port else "") + prefix
    raise ConfigurationError(
        f"google_options() sends to {gateway} only, and {url.scheme}://{url.netloc.decode('ascii')}{url.path} was asked"
        " for; leave base_url out of the http_options that you add"
    )
