"""Turn exceptions of the HTTP library into ours, without the request, which holds the key."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, cast

import httpcore
import httpx

from gemway._error_bodies import to_status_error
from gemway._exceptions import APIConnectionError, APITimeoutError
from gemway._redaction import Redactor

_PHASES = {"ConnectTimeout": "connect", "ReadTimeout": "read", "WriteTimeout": "write", "PoolTimeout": "pool"}
_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
_FATAL = {"UnsupportedProtocol", "InvalidURL"}
# The base classes of httpcore's exceptions. httpx has classes of the same names; users see those.
_OF_HTTPCORE = ("TimeoutException", "NetworkError", "ProtocolError", "ProxyError", "UnsupportedProtocol")
# A proxy that wants a password or forbids the address does so every time, so a retry is useless.
_REFUSED_BY_PROXY = re.compile(r": 4\d\d\b")
# Modules whose frames have the request, and the key in it, among their locals.
_HOLD_THE_KEY = {"gemway", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio", "asyncio", "ssl", "socket"}


def transport_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of the HTTP libraries that are loaded: an injected client may be an httpx2 one."""
    # Looked up rather than imported: httpx2 is optional, and only a client that was injected can raise its errors.
    modules = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return _request_errors_of(*modules)


@lru_cache(maxsize=4)
def _request_errors_of(*modules: ModuleType) -> tuple[type[Exception], ...]:
    theirs = (error for module in modules for error in (module.RequestError, module.InvalidURL))
    ours = (getattr(httpcore, name) for name in _OF_HTTPCORE)
    return (*theirs, *ours, OSError)


def to_failure(failure: BaseException, url: str, redact: Redactor) -> BaseException:
    """Return the error for a failed request: ours for the HTTP library's, any other without frames that hold the key."""
    if isinstance(failure, transport_errors()):
        return to_connection_error(failure, url, redact)
    response: Any = getattr(failure, "response", None)
    if hasattr(response, "status_code"):  # an event hook of an injected client called raise_for_status
        return to_status_error(response.status_code, response.headers, b"", url=url, now=time.time(), redact=redact)
    # The frames at the top are those that hold header lines; frames of the user's own hooks stay.
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").split(".")[0] in _HOLD_THE_KEY:
        trace = trace.tb_next
    return failure.with_traceback(trace)


def to_connection_error(failure: BaseException, url: str, redact: Callable[[str], str]) -> APIConnectionError:
    """Return our error for one of the HTTP library; its cause is a copy without request and frames."""
    names = {kind.__name__ for kind in type(failure).__mro__}
    text = redact(str(failure)) or type(failure).__name__
    phase = "deadline" if type(failure) is TimeoutError else next((_PHASES[n] for n in _PHASES if n in names), None)
    error: APIConnectionError
    if phase is not None:
        error = APITimeoutError(f"no answer in time ({phase}: {text})")
        error.phase = phase
    # A wrong certificate does not become right by repetition.
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        error = APIConnectionError(f"the certificate is not trusted: {text}. Set SSL_CERT_FILE or pass verify=")
        error.is_retryable = False
    elif "ProxyError" in names:
        error = APIConnectionError(text)
    else:
        error = APIConnectionError(f"no {'connection' if names & _NOT_SENT else 'answer'}: {text}")
    error.url = redact(url)
    # Decides whether a picture may have been made: a request that never left cannot be billed.
    error.sent = not names & _NOT_SENT
    # h11 refuses an illegal header each time; other protocol errors of ours are those of a dying connection.
    if names & _FATAL or ("LocalProtocolError" in names and text.startswith("Illegal")):
        error.is_retryable = False
    if "ProxyError" in names and _REFUSED_BY_PROXY.search(text):
        error.is_retryable = False
    error.__cause__ = _copy_without_request(failure, text)
    return error


def _copy_without_request(failure: BaseException, text: str) -> BaseException:
    """Return a copy of *failure* without request and frames. Errors of httpcore become the httpx errors that users know."""
    kind: Any = type(failure)
    if kind.__module__.startswith("httpcore."):
        kind = getattr(httpx, kind.__name__, kind)
    try:
        return cast("BaseException", kind(text))
    except TypeError:
        return OSError(text)
