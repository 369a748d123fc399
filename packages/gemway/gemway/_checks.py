"""Check the values of options: return the value that the core works with, or raise an error that names the option. Pure.

Checks that stand in the table of options take the option's name and its value. No message shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from gemway._exceptions import ConfigurationError
from gemway._redaction import MaskedUrl, Secret, SecretMapping, Unreadable
from gemway._warnings import warn, warn_once

# Always finite. google-genai has no timeout by default and waits for ever, even through an injected client
# (pydantic-ai #4031). 300 s for pictures and long thinking: they are minutes without a byte.
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 120.0
SLOW_READ_TIMEOUT: Final = 300.0
_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1|.*\.localhost)$")
# They say where a message ends; two opinions on that are request smuggling.
_TRANSPORT_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
NO_KEY = "no API key: pass api_key= or set GEMWAY_API_KEY (the gateway expects it as a Bearer token)"


class Timeouts(NamedTuple):
    """Seconds to wait: for a connection, for silence between data, for sending. None of them is infinite."""

    connect: float
    read: float
    write: float


DEFAULT_TIMEOUTS: Final = {
    False: Timeouts(CONNECT_TIMEOUT, READ_TIMEOUT, READ_TIMEOUT),
    True: Timeouts(CONNECT_TIMEOUT, SLOW_READ_TIMEOUT, SLOW_READ_TIMEOUT),
}
"""By whether a call may be slow: pictures and long thinking take minutes without a byte."""


def checked_key(key: object) -> Secret:
    """Return *key* (`str` or `SecretStr`) as a secret. Errors name the problem without showing the key."""
    text = key.get_secret_value() if hasattr(key, "get_secret_value") else key
    if not isinstance(text, str):
        raise ConfigurationError(f"api_key must be a str, a SecretStr or a callable, not {kind_of(text)}")
    text = text.strip()
    if not text:
        raise ConfigurationError(f"the API key is empty: {NO_KEY}")
    if not text.isascii() or not text.isprintable():
        raise ConfigurationError(
            "the API key holds a line break, a control or a non-ASCII character; copy it again (it is not shown here)"
        )
    return Secret(text)


def without_scheme(key: object, scheme: str) -> Any:
    """Return *key* without *scheme* before it: people copy "Bearer sk-..." from a curl command or a header."""
    if not isinstance(key, Secret) or not scheme:
        return key
    word, _, rest = key.reveal().partition(" ")
    if word.lower() != scheme.lower() or not rest.strip():
        return key
    warn_once(
        ("scheme in key", scheme), f"the API key begins with {word!r}; that word is left out, because gemway adds it"
    )
    return Secret(rest.strip())


def kind_of(value: object) -> str:
    """Return the name of *value*'s type, for messages about values that must not be shown."""
    return value.kind if isinstance(value, Unreadable) else type(value).__name__


def checked_headers(name: str, headers: object) -> dict[str, Secret]:
    """Return user headers as secrets. Raises `ConfigurationError` for characters that HTTP cannot carry."""
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"{name} must be a mapping of names to values, not {kind_of(headers)}")
    checked = {}
    for header, value in (headers or {}).items():
        if isinstance(value, Secret):
            checked[header] = value
            continue
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if not isinstance(header, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header):
            raise ConfigurationError(f"{header!r} is not a header name")
        if header.lower() in _TRANSPORT_HEADERS:
            raise ConfigurationError(f"the header {header!r} is set by the transport; leave it out")
        if not isinstance(text, str) or not text.isascii() or not (text.isprintable() or not text):
            raise ConfigurationError(
                f"the value of header {header!r} must be printable ASCII text (it is not shown here)"
            )
        checked[header] = Secret(text)
    return checked


def checked_body(name: str, value: object) -> SecretMapping:
    """Return a JSON object that is merged into every body, masked: it may hold a gateway's own credentials."""
    if isinstance(value, SecretMapping):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping, as JSON objects are, not {kind_of(value)}")
    return SecretMapping(value)


def checked_word(name: str, value: object) -> str:
    """Return *value* if it can stand in a header: printable ASCII without spaces at its ends."""
    if not checked_word_or_nothing(name, value):
        raise ConfigurationError(f"{name} must not be empty")
    return str(value)


def checked_word_or_nothing(name: str, value: object) -> str:
    """Return *value* if it can stand in a header, or is empty."""
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ConfigurationError(f"{name} must be printable ASCII text, not {value!r}")
    return value


def one_of(*words: str) -> Callable[[str, object], str]:
    """Return a check that lets only *words* pass."""

    def check(name: str, value: object) -> str:
        if value not in words:
            listed = ", ".join(f'"{word}"' for word in words[:-1])
            raise ConfigurationError(f'{name} must be {listed} or "{words[-1]}", not {short(value)}')
        return str(value)

    return check


def checked_switch(name: str, value: object) -> bool:
    """Return *value* if it is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r}")
    return value


def checked_verify(name: str, value: object) -> Any:
    """Return *value* if the HTTP library can check certificates with it."""
    if isinstance(value, bool | str) or hasattr(value, "wrap_socket"):
        return value
    raise ConfigurationError(f"{name} must be True, False or an ssl.SSLContext, not {kind_of(value)}")


def checked_function(name: str, value: object) -> Any:
    """Return *value* if it can be called."""
    if not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {kind_of(value)}")
    return value


def object_with(method: str, example: str) -> Callable[[str, object], Any]:
    """Return a check that lets objects with *method* pass; *example* names one."""

    def check(name: str, value: object) -> Any:
        if not callable(getattr(value, method, None)):
            raise ConfigurationError(f"{name} must be {example}, not {kind_of(value)}")
        return value

    return check


# People paste more than the gateway's address: a whole URL of a call, or the address of its OpenAI-compatible routes.
_ROUTE = re.compile(
    r"/(?:chat/completions|completions|responses|embeddings|images/generations)$"
    r"|(?<=/v1)/messages$|(?<=/v1)/models(?:/[^/]+)?$|(?<=/v1beta)/models(?:/[^/]+)?$"
)
_OPENAI_ROUTES = re.compile(r"/v1(?:beta)?/openai(?:/v1)?$|/openai/v1$|/v1$")


def normalize(base_url: str) -> str:
    """Return *base_url* without a trailing slash, an API version, or the route of a call.

    Gateways document both https://host and https://host/v1beta; sending /v1beta/v1beta/... is answered
    by many with 200 and an HTML page.
    """
    url = base_url.strip()
    parts = _split_address(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"base_url {_without_secrets(url)!r} needs a scheme and a host, such as https://{_host_of(url)}"
        )
    if parts.username or parts.password:
        raise ConfigurationError("base_url must not hold a user name or password; pass api_key= or auth=")
    path = parts.path.rstrip("/")
    route = _ROUTE.search(path)
    root = _OPENAI_ROUTES.sub("", path[: route.start()] if route else path).removesuffix("/v1beta")
    if parts.fragment or (parts.query and (route is None or parts.query != "alt=sse")):
        raise ConfigurationError(
            f"base_url must not hold a query or a fragment; use {parts.scheme}://{parts.netloc}{root} and set the key by itself"
        )
    if path not in (root, f"{root}/v1beta"):
        warn(f"base_url ends in {path[len(root) :]}; using {root or '/'} with /v1beta instead")
    path = root
    if parts.scheme == "http" and not _LOOPBACK.match(parts.hostname):
        warn_once(
            ("plain http", parts.hostname),
            f"the key travels unencrypted to http://{parts.hostname}; use https://",
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split_address(url: str) -> SplitResult:
    """Return the parts of an address. Raises `ConfigurationError` where it cannot be one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError as error:
        message = f"base_url {_without_secrets(url)!r} is not an address: {error}"
    else:
        # urlsplit drops line breaks in silence; a host outside ASCII is written as xn--...
        if url.isascii() and url.isprintable() and " " not in url:
            return parts
        message = f"base_url {_without_secrets(url)!r} must be printable ASCII text without spaces"
    raise ConfigurationError(message)


def checked_proxy(name: str, value: object) -> str:
    """Return the address of a proxy. Errors name the problem without its password."""
    address = value.get_secret_value() if hasattr(value, "get_secret_value") else str(getattr(value, "url", value))
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(
            f"{name} must be an address such as http://proxy.example:3128 ({', '.join(_PROXY_SCHEMES)})"
        )
    return MaskedUrl(address)


def checked_count(name: str, value: object) -> int:
    """Return *value* if it is a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number above 0, not {short(value)}")
    return value


def checked_count_or_zero(name: str, value: object) -> int:
    """Return *value* if it is a whole number, 0 included."""
    return 0 if value == 0 and not isinstance(value, bool) else checked_count(name, value)


@contextmanager
def refuse_invalid(where: str) -> Iterator[None]:
    """Raise a `ConfigurationError` that names the options of *where* which a pydantic model refuses, and no value."""
    try:
        yield
    except ValidationError as error:
        reasons: dict[str, str] = {}
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            reasons.setdefault(str(one["loc"][0]) if one["loc"] else "", one["msg"])
        message = "; ".join(f"{name}: {reason}" if name else reason for name, reason in reasons.items())
    else:
        return
    raise ConfigurationError(f"{where}: {message}")


def to_timeouts(value: Any, *, slow: bool = False) -> Timeouts:
    """Return finite timeouts from seconds, an `httpx.Timeout`, or `None` for the defaults.

    *slow* calls (pictures, long thinking) may be silent for 300 s by default instead of 120 s.
    """
    read = SLOW_READ_TIMEOUT if slow else READ_TIMEOUT
    if value is None:
        return DEFAULT_TIMEOUTS[slow]
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, tuple) and value:
        value = value[:2]
        return Timeouts(
            checked_seconds("timeout", value[0]),
            checked_seconds("timeout", value[-1]),
            checked_seconds("timeout", value[-1]),
        )
    if hasattr(value, "connect") and hasattr(value, "read"):
        return Timeouts(
            CONNECT_TIMEOUT if value.connect is None else checked_seconds("timeout", value.connect),
            read if value.read is None else checked_seconds("timeout", value.read),
            read if value.write is None else checked_seconds("timeout", value.write),
        )
    seconds = checked_seconds("timeout", value)
    return Timeouts(min(seconds, CONNECT_TIMEOUT), seconds, seconds)


def checked_timeout(name: str, value: object) -> Timeouts:
    """Return finite timeouts from seconds or an `httpx.Timeout`."""
    return to_timeouts(value)


def checked_retries(name: str, value: object) -> int:
    """Return *value* if it is a number of retries."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be 0 or more (0 sends one request), not {short(value)}")
    return value


def checked_seconds(name: str, value: object) -> float:
    """Return *value* if it is a positive number of seconds."""
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and 0 < value < float("inf"):
            return float(value)
    except OverflowError:  # an int that no float can hold
        pass
    raise ConfigurationError(f"{name} must be a positive, finite number of seconds, not {short(value)}")


def short(value: object) -> str:
    """Return the repr of *value*, or its type where that would be long (Python refuses to print huge numbers)."""
    try:
        text = repr(value)
    except ValueError:
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _without_secrets(url: str) -> str:
    """Return the address without anything that may be a secret."""
    return url.split("?", maxsplit=1)[0].rsplit("@", maxsplit=1)[-1]


def _host_of(url: str) -> str:
    return _without_secrets(url).split("//")[-1].lstrip(":/") or "gateway.example"
