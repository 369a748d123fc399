"""Where options come from, and what they may be: argument, then environment, then default.

Nothing here opens a connection. Secrets live in objects that never print them.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from gemway._exceptions import ConfigurationError
from gemway._redaction import MaskedUrl, Secret, SecretMapping, Unreadable
from gemway._warn_once import warn_once

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 120.0
SLOW_READ_TIMEOUT: Final = 300.0
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_MAX_RESPONSE_BYTES: Final = 64 * 2**20
_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1|.*\.localhost)$")
# They say where a message ends; two opinions on that are request smuggling.
_OF_THE_TRANSPORT = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_NO_KEY = "no API key: pass api_key= or set GEMWAY_API_KEY (the gateway expects it as a Bearer token)"
_NO_ADDRESS = (
    "no gateway address: pass base_url= or set GEMWAY_BASE_URL, such as https://gateway.example (without /v1beta)"
)


class Timeouts(NamedTuple):
    """Seconds to wait: for a connection, for silence between data, for sending. None of them is infinite."""

    connect: float
    read: float
    write: float


@dataclass(frozen=True)
class Settings:
    """Everything that the pure core needs to know of a client."""

    base_url: str
    headers: Mapping[str, Secret] = field(default_factory=dict)
    timeout: Timeouts | None = None
    max_retries: int = DEFAULT_MAX_RETRIES
    deadline: float | None = None
    extra_body: Mapping[str, Any] | None = field(default=None, repr=False)
    inline_data_casing: str = "camel"
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    max_continuations: int = 0
    retry_image_timeouts: bool = False
    auth_header: str = "Authorization"
    auth_scheme: str = "Bearer"


def resolve_base_url(base_url: str | None) -> str:
    """Return the address of the gateway from the argument or `GEMWAY_BASE_URL`, normalised."""
    found = base_url or os.environ.get("GEMWAY_BASE_URL")
    if not found:
        raise ConfigurationError(_NO_ADDRESS)
    if not isinstance(found, str) and type(found).__name__ != "URL":  # httpx.URL, yarl.URL
        raise ConfigurationError(f"base_url must be a text such as https://gateway.example, not {kind_of(found)}")
    found = MaskedUrl(found)
    try:
        return normalize(found)
    except ConfigurationError as error:
        failure = error.with_traceback(None)  # the frames below hold the address in clear
    raise failure


def resolve_model(model: str | None) -> str:
    """Return the model from the argument or `GEMWAY_MODEL`."""
    found = model or os.environ.get("GEMWAY_MODEL")
    if found and not isinstance(found, str):
        raise ConfigurationError(f"model must be a name such as 'gemini-2.5-flash', not {kind_of(found)}")
    if not found:
        raise ConfigurationError("no model: pass model= or set GEMWAY_MODEL, such as gemini-2.5-flash")
    return found


def environment_key() -> Secret:
    """Return the key of `GEMWAY_API_KEY`."""
    found = os.environ.get("GEMWAY_API_KEY")
    if not found:
        raise ConfigurationError(_NO_KEY)
    return checked_key(found)


def checked_key(key: Any) -> Secret:
    """Return *key* (`str` or `SecretStr`) as a secret, or say what is wrong with it without showing it."""
    text = key.get_secret_value() if hasattr(key, "get_secret_value") else key
    if not isinstance(text, str):
        raise ConfigurationError(f"api_key must be a str, a SecretStr or a callable, not {kind_of(text)}")
    text = text.strip()
    if not text:
        raise ConfigurationError(f"the API key is empty: {_NO_KEY}")
    if not text.isascii() or not text.isprintable():
        raise ConfigurationError(
            "the API key holds a line break, a control or a non-ASCII character; copy it again (it is not shown here)"
        )
    return Secret(text)


def without_scheme(key: Any, scheme: str) -> Any:
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


def kind_of(value: Any) -> str:
    """Return the name of *value*'s type, for messages about values that must not be shown."""
    return value.kind if isinstance(value, Unreadable) else type(value).__name__


def checked_headers(headers: Any) -> dict[str, Secret]:
    """Return user headers as secrets. Raises `ConfigurationError` for what HTTP cannot carry."""
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers must be a mapping of names to values, not {kind_of(headers)}")
    checked = {}
    for name, value in (headers or {}).items():
        if isinstance(value, Secret):
            checked[name] = value
            continue
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigurationError(f"{name!r} is not a header name")
        if name.lower() in _OF_THE_TRANSPORT:
            raise ConfigurationError(f"the header {name!r} is set by the transport; leave it out")
        if not isinstance(text, str) or not text.isascii() or not (text.isprintable() or not text):
            raise ConfigurationError(
                f"the value of header {name!r} must be printable ASCII text (it is not shown here)"
            )
        checked[name] = Secret(text)
    return checked


def checked_body(extra_body: Any) -> SecretMapping | None:
    """Return what is merged into every body, masked: it may hold a gateway's own credentials."""
    if extra_body is None or isinstance(extra_body, SecretMapping):
        return extra_body
    if not isinstance(extra_body, Mapping):
        raise ConfigurationError(f"extra_body must be a mapping, as JSON objects are, not {kind_of(extra_body)}")
    return SecretMapping(extra_body)


def checked_word(name: str, value: Any, *, empty: bool = False) -> str:
    """Return *value* if it can stand in a header: printable ASCII without spaces at its ends."""
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ConfigurationError(f"{name} must be printable ASCII text, not {value!r}")
    if not value and not empty:
        raise ConfigurationError(f"{name} must not be empty")
    return value


def checked_switch(name: str, value: Any) -> bool:
    """Return *value* if it is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r}")
    return value


def checked_verify(value: Any) -> Any:
    """Return *value* if the HTTP library can check certificates by it."""
    if isinstance(value, bool | str) or hasattr(value, "wrap_socket"):
        return value
    raise ConfigurationError(f"verify must be True, False or an ssl.SSLContext, not {kind_of(value)}")


def checked_function(name: str, value: Any) -> Any:
    """Return *value* if it can be called, or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {kind_of(value)}")
    return value


def checked_object(name: str, value: Any, needs: str, example: str) -> Any:
    """Return *value* if it has a method called *needs*, or None; *example* says what would have one."""
    if value is not None and not callable(getattr(value, needs, None)):
        raise ConfigurationError(f"{name} must be {example}, not {kind_of(value)}")
    return value


def normalize(base_url: str) -> str:
    """Return *base_url* without a trailing slash or API version.

    Gateways document both https://host and https://host/v1beta; sending /v1beta/v1beta/... is answered
    by many with 200 and an HTML page.
    """
    url = base_url.strip()
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base_url {_shown(url)!r} needs a scheme and a host, such as https://{_host_of(url)}")
    if parts.username or parts.password:
        raise ConfigurationError("base_url must not hold a user name or password; pass api_key= or auth=")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must not hold a query or a fragment; pass headers= or extra_body=")
    path = parts.path.rstrip("/")
    if path.endswith("/v1"):
        warnings.warn(f"base_url ends in /v1; using {path[:-3] or '/'} with /v1beta instead", stacklevel=7)
    path = re.sub(r"/v1(beta)?$", "", path)
    if parts.scheme == "http" and not _LOOPBACK.match(parts.hostname):
        _warn_plain_http(parts.hostname)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(url: str) -> SplitResult:
    """Return the parts of an address. Raises `ConfigurationError` where it cannot be one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError as error:
        message = f"base_url {_shown(url)!r} is not an address: {error}"
    else:
        # urlsplit drops line breaks in silence; a host outside ASCII is written as xn--...
        if url.isascii() and url.isprintable() and " " not in url:
            return parts
        message = f"base_url {_shown(url)!r} must be printable ASCII text without spaces"
    raise ConfigurationError(message)


def checked_proxy(proxy: Any) -> str | None:
    """Return the address of a proxy, or say what is wrong with it without its password."""
    if proxy is None:
        return None
    address = proxy.get_secret_value() if hasattr(proxy, "get_secret_value") else str(getattr(proxy, "url", proxy))
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(
            f"proxy must be an address such as http://proxy.example:3128 ({', '.join(_PROXY_SCHEMES)})"
        )
    return address


def checked_count(name: str, value: Any) -> int:
    """Return *value* if it is a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number above 0, not {_short(value)}")
    return value


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise a `TypeError` that names the nearest known option, if one is unknown."""
    names = list(known)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.5)
            raise TypeError(f"unknown option {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}known: {names}")


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
        return Timeouts(CONNECT_TIMEOUT, read, read)
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, tuple) and value:
        value = value[:2]
        return Timeouts(_seconds(value[0]), _seconds(value[-1]), _seconds(value[-1]))
    if hasattr(value, "connect") and hasattr(value, "read"):
        return Timeouts(
            CONNECT_TIMEOUT if value.connect is None else _seconds(value.connect),
            read if value.read is None else _seconds(value.read),
            read if value.write is None else _seconds(value.write),
        )
    seconds = _seconds(value)
    return Timeouts(min(seconds, CONNECT_TIMEOUT), seconds, seconds)


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return *value* if it is a positive number of seconds or None."""
    return None if value is None else _seconds(value, name)


def checked_retries(value: int | None) -> int:
    """Return the number of retries, 2 if None."""
    if value is None:
        return DEFAULT_MAX_RETRIES
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"max_retries must be 0 or more (0 sends one request), not {_short(value)}")
    return value


def _seconds(value: Any, name: str = "timeout") -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and 0 < value < float("inf"):
            return float(value)
    except OverflowError:  # an int that no float can hold
        pass
    raise ConfigurationError(f"{name} must be a positive, finite number of seconds, not {_short(value)}")


def _short(value: Any) -> str:
    """Return the repr of *value*, or its type where that would be long (Python refuses to print huge numbers)."""
    try:
        text = repr(value)
    except ValueError:
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _shown(url: str) -> str:
    """Return the address without anything that may be a secret."""
    return url.split("?", maxsplit=1)[0].rsplit("@", maxsplit=1)[-1]


def _host_of(url: str) -> str:
    return _shown(url).split("//")[-1].lstrip(":/") or "gateway.example"


_warned_hosts: set[str] = set()


def _warn_plain_http(host: str) -> None:
    if host not in _warned_hosts:
        _warned_hosts.add(host)
        warnings.warn(f"the key travels unencrypted to http://{host}; use https://", stacklevel=8)
