"""Header lines of requests, the key among them, and the headers of answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gemway._config import Settings
from gemway._protocol import Call
from gemway._redaction import Redactor, Secret
from gemway._version import __version__

_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-oneapi-request-id", "x-goog-request-id", "x-litellm-call-id", "cf-ray")


class HeaderLines(list[tuple[bytes, bytes]]):
    """Raw header lines, the key among them, that are never shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} header lines>"


class RequestHeaders:
    """The header lines of a client's requests.

    Names go out in their usual case. HTTP ignores the case, but not every proxy does: proxy.py adds a second
    Content-Length if the first one is in lower case, and gateways refuse such a request.
    """

    def __init__(self, settings: Settings, fixed_key: Secret | None) -> None:
        self._auth_header = settings.auth_header
        self._scheme = f"{settings.auth_scheme} " if settings.auth_scheme else ""
        self._user = settings.headers
        self._fixed_key = fixed_key
        self._prepared: dict[bool, HeaderLines] = {}
        self._common = {
            "Host": settings.base_url.split("//", 1)[1].split("/", 1)[0],
            "User-Agent": f"gemway/{__version__}",
            "Content-Type": "application/json",
        }

    def lines(self, call: Call, extra: Mapping[str, Secret] | None, key: Secret | None) -> HeaderLines:
        """Return the raw header lines of one request."""
        length = [] if call.body is None else [(b"Content-Length", b"%d" % len(call.body))]
        if extra or call.headers or key is not self._fixed_key:
            return HeaderLines([*self._build_lines(call.headers, extra, key, streaming=call.streaming), *length])
        # Only the length differs between the requests of a client, so everything else is encoded once: for streams,
        # and for whole answers.
        lines = self._prepared.get(call.streaming)
        if lines is None:
            lines = self._prepared[call.streaming] = self._build_lines({}, None, key, streaming=call.streaming)
        return HeaderLines([*lines, *length])

    def _build_lines(
        self, of_call: Mapping[str, str], extra: Mapping[str, Secret] | None, key: Secret | None, *, streaming: bool
    ) -> HeaderLines:
        """Return all header lines but that of the length."""
        fields = {**self._common, **{name.title(): value for name, value in of_call.items()}}
        if streaming:
            # A proxy that buffers to compress would hold the whole stream back (nginx, gzip_types).
            fields["Accept"], fields["Accept-Encoding"] = "text/event-stream", "identity"
        else:
            fields["Accept"], fields["Accept-Encoding"] = "application/json", "gzip, deflate"
        if self._user or extra:
            fields = self._with_user_headers(fields, extra)
        if key is not None:
            fields[self._auth_header] = self._scheme + key.reveal()
        return HeaderLines((name.encode("ascii"), value.encode("ascii")) for name, value in fields.items())

    def _with_user_headers(self, fields: dict[str, str], extra: Mapping[str, Secret] | None) -> dict[str, str]:
        """Return *fields* and the user's headers, those of the call last; one of a name, in whatever case."""
        # Header names are case-insensitive, so a user's `user-agent` must replace ours and not travel next to it.
        merged = {name.lower(): (name, value) for name, value in fields.items()}
        for headers in (self._user, extra or {}):
            merged.update((name.lower(), (name, secret.reveal())) for name, secret in headers.items())
        merged.pop(self._auth_header.lower(), None)  # extra headers never replace the credential
        return dict(merged.values())

    def redactor(self, key: Secret | None, extra: Mapping[str, Secret] | None) -> Redactor:
        """Return the filter for everything that must not be repeated to the user."""
        return Redactor([*self._user.values(), *(extra or {}).values(), *([key] if key else ())])


def to_headers(lines: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return the header lines of an answer by their names in lower case; repeated ones are joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        # RFC 9110 allows bytes beyond ASCII in values; proxies put UTF-8 texts and old servers latin-1 there.
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode("utf-8")
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the gateway's id of an exchange."""
    return next((value for name in _REQUEST_ID_HEADERS if (value := headers.get(name))), None)
