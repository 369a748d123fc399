"""Google's own Python client, and frameworks built on it, through a gateway that expects a Bearer token.

from google import genai
from gemway.google import google_options

client = genai.Client(**google_options())  # GEMWAY_BASE_URL and GEMWAY_API_KEY, or arguments
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from gemway._config import ClientConfig
from gemway._exceptions import ConfigurationError
from gemway._option_reader import hide_secrets
from gemway._options import unexpected
from gemway.google._requests import PLACEHOLDER
from gemway.google._transport import GatewayTransport

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["google_options"]

_FRAMEWORKS = ("genai", "langchain")
# Options of gemway.Client that have no meaning here: Google's client builds the requests and reads the answers.
_NOT_HERE = {
    "http_client": "google_options() sends through gemway's own connections; to set a proxy pass proxy=, for TLS verify=",
    "max_continuations": "Google's client reads the answers itself; max_continuations= is an option of gemway.Client",
}
# Arguments of genai.Client that people pass to the wrong function.
_GOOGLES_ARGUMENTS = {
    "http_options": "add your options to the http_options that it returns, for example options['http_options']['timeout']",
    **dict.fromkeys(("vertexai", "project", "location", "credentials"), "a gateway needs none of Vertex AI's settings"),
}


def google_options(
    *,
    base_url: str | None = None,
    api_key: str | SecretStr | Callable[[], Any] | None = None,
    framework: Literal["genai", "langchain"] = "genai",
    **client_options: Any,
) -> dict[str, Any]:
    """Return the arguments that make Google's client talk to a gateway instead of to Google.

    Pass them to `genai.Client(**...)` or LlamaIndex's `GoogleGenAI(model=..., **...)`; with `framework="langchain"`,
    pass them to `ChatGoogleGenerativeAI(model=..., **...)`. For frameworks that take a client of Google's (pydantic-ai's
    `GoogleProvider(client=...)`, instructor, ADK), make that client with them.

    Args:
        base_url: the gateway's address without `/v1beta`; default `GEMWAY_BASE_URL`.
        api_key: the key, or a callable that returns one (asked for each request, again after a 401); default
            `GEMWAY_API_KEY`. It is never given to Google's client, which gets a placeholder.
        framework: `"langchain"` for ChatGoogleGenerativeAI, `"genai"` for all others.
        client_options: options of `gemway.Client`, such as `proxy`, `verify`, `headers`, `auth_header`, `timeout`,
            `deadline` and `max_retries`, which is 0 here: Google's client has retries of its own.

    Raises:
        ConfigurationError: for a missing key or address, and for invalid values.
        TypeError: for an unknown option.
    """
    # google-genai and the frameworks retry on their own. Both together would multiply: 3 x 5 requests for one failure.
    options = {"max_retries": 0, **client_options, "base_url": base_url, "api_key": api_key}
    del api_key, client_options  # no frame of a traceback shows them: in `options` they are masked
    config = _to_config(options)
    transport, address = GatewayTransport(config), str(config)
    if framework == "langchain":
        return {"api_key": PLACEHOLDER, "base_url": address, "client_args": {"transport": transport}}
    if framework != "genai":
        raise ConfigurationError(
            f"framework must be one of {_FRAMEWORKS}, not {framework!r}; LlamaIndex, pydantic-ai, instructor and ADK"
            " take the arguments of genai.Client"
        )
    # With a transport among async_client_args, google-genai leaves aiohttp aside, which would bypass the transport.
    client_args = {"transport": transport}
    return {
        "api_key": PLACEHOLDER,
        "http_options": {"base_url": address, "client_args": client_args, "async_client_args": dict(client_args)},
    }


def _to_config(options: dict[str, Any]) -> ClientConfig:
    hide_secrets(options)
    for name, advice in _GOOGLES_ARGUMENTS.items():
        if name in options:
            raise unexpected(name, (), "google_options", advice)
    for name, advice in _NOT_HERE.items():
        if options.get(name):
            raise ConfigurationError(advice)
    return ClientConfig.of(options, "google_options")
