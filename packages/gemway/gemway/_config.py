"""The options of a client, checked once.

Values come from arguments, then from the environment, then from the table of options. Nothing here opens a connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gemway._checks import NO_KEY, Timeouts, checked_key, kind_of, normalize, without_scheme
from gemway._exceptions import ConfigurationError
from gemway._option_reader import hide_secrets
from gemway._options import ROWS, ClientOptions, OptionMapping, OptionValues, check_options, unexpected
from gemway._redaction import MaskedUrl, Secret
from gemway._warnings import warn

_NO_ADDRESS: Final = (
    "no gateway address: pass base_url= or set GEMWAY_BASE_URL, such as https://gateway.example (without /v1beta)"
)
# Sockets and functions cannot be carried to another process.
_NOT_PICKLED: Final = ("http_client", "on_retry")


class Settings(ClientOptions):
    """A client's options, checked and with their defaults: all that the pure core needs to know of a client."""

    if TYPE_CHECKING:  # the types of the table, as the checks narrow them
        base_url: str
        headers: Mapping[str, Secret]
        timeout: Timeouts | None
        max_retries: int
        max_connections: int
        max_continuations: int
        max_response_bytes: int
        tcp_keepalive: bool
        retry_image_timeouts: bool
        auth_header: str
        auth_scheme: str


class ClientConfig:
    """The options of a client, and how they travel to another process.

    The key travels in a pickle only if it was given as text. One that came from the environment or from a callable is
    looked up again where the pickle is opened.

    Attributes:
        settings: the checked options.
        key: the key as a `Secret`, a callable that returns one, or None if `auth` signs the requests.
    """

    def __init__(self, options: OptionMapping, *, needs_key: bool = True) -> None:
        user_options = {**options, "base_url": resolve_base_url(options.get("base_url"))}
        # A row's default is None for models, so that a dump shows only options that were set. The value that counts then stands
        # in `otherwise`, and only clients fill it in.
        defaults = {name: ROWS[name].otherwise for name in ClientOptions.model_fields}
        checked = {**defaults, "headers": {}, **check_options(user_options)}
        checked["api_key"] = without_scheme(_masked_key(checked["api_key"]), checked["auth_scheme"])
        self.settings = Settings.model_construct(**checked)
        # Kept as the user wrote them, checked: a pickle that carried the defaults would freeze them for later versions.
        self._options = {**user_options, **{name: checked[name] for name in user_options if name in checked}}
        self.key = self._find_key(needs_key=needs_key)
        # Two credentials in one request: which one a gateway reads is anybody's guess, and the header would escape the
        # rules for keys (masking, asking again after a 401).
        if any(name.lower() == self.settings.auth_header.lower() for name in self.settings.headers):
            raise ConfigurationError(
                f"pass the token as api_key= (or auth=), not as a header named {self.settings.auth_header}"
            )

    @classmethod
    def of(cls, options: OptionValues, where: str) -> ClientConfig:
        """Return the configuration for the options of a constructor, whose secrets are masked in place.

        Errors are raised from here, because the frames below hold the key in the clear.

        Raises:
            ConfigurationError: a missing key or address, or a value that cannot work.
            TypeError: an unknown option.
        """
        hide_secrets(options)
        try:
            for name in options:
                if name not in ClientOptions.model_fields:
                    raise unexpected(name, ClientOptions.model_fields, where)
            return cls(options)
        except (TypeError, ValueError) as error:
            failure: Exception = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever a strange object raises, its frames must not be shown
            failure = ConfigurationError(f"the options cannot be used: {type(error).__name__} while reading them")
        raise failure

    @property
    def auth(self) -> Any:
        """The `httpx.Auth` that signs requests instead of a key, or None."""
        return self.settings.auth

    @property
    def client(self) -> Any:
        """The HTTP client that the user wants used, or None."""
        return self.settings.http_client

    @property
    def on_retry(self) -> Any:
        """The user's hook, or None."""
        return self.settings.on_retry

    @property
    def has_budget(self) -> bool:
        """Whether the budget of the process limits retries."""
        return self.settings.retry_budget is not None

    def wiring(self) -> OptionValues:
        """Return the options that decide whether two clients can share connections."""
        settings = self.settings
        return {
            "base_url": settings.base_url,
            "proxy": settings.proxy,
            "verify": settings.verify,
            "max_connections": settings.max_connections,
            "tcp_keepalive": settings.tcp_keepalive,
        }

    def _find_key(self, *, needs_key: bool) -> Any:
        if self.settings.api_key is not None or self.auth is not None:
            return self.settings.api_key
        try:
            return without_scheme(environment_key(), self.settings.auth_scheme)
        except ConfigurationError:
            if needs_key:
                raise
            return environment_key  # called, and refused clearly, at the first request

    def __getstate__(self) -> OptionValues:
        if self.client is not None:
            warn("http_client= does not travel in a pickle: the copy opens connections of its own")
        return {name: None if name in _NOT_PICKLED else value for name, value in self._options.items()}

    def __setstate__(self, options: OptionValues) -> None:
        ClientConfig.__init__(self, options, needs_key=False)

    def __copy__(self) -> ClientConfig:
        return self

    def __deepcopy__(self, memo: object) -> ClientConfig:
        return self  # nothing in it changes

    def __str__(self) -> str:
        return self.settings.base_url

    def __repr__(self) -> str:
        return f"<ClientConfig {self}>"


def resolve_base_url(base_url: object) -> str:
    """Return the address of the gateway from the argument or `GEMWAY_BASE_URL`, normalised."""
    address = base_url or os.environ.get("GEMWAY_BASE_URL")
    if not address:
        raise ConfigurationError(_NO_ADDRESS)
    if not isinstance(address, str) and type(address).__name__ != "URL":  # httpx.URL, yarl.URL
        raise ConfigurationError(f"base_url must be a text such as https://gateway.example, not {kind_of(address)}")
    address = MaskedUrl(address)
    try:
        return normalize(address)
    except ConfigurationError as error:
        failure = error.with_traceback(None)  # the frames below hold the address in the clear
    raise failure


def resolve_model(model: object) -> str:
    """Return the model from the argument or `GEMWAY_MODEL`."""
    # `or`, not `is None`: an empty variable in a .env file or a compose file means that it is not set.
    name = model or os.environ.get("GEMWAY_MODEL")
    if not name:
        raise ConfigurationError("no model: pass model= or set GEMWAY_MODEL, such as gemini-2.5-flash")
    if not isinstance(name, str):
        raise ConfigurationError(f"model must be a name such as 'gemini-2.5-flash', not {kind_of(name)}")
    return name


def environment_key() -> Secret:
    """Return the key of `GEMWAY_API_KEY`."""
    text = os.environ.get("GEMWAY_API_KEY")
    if not text:
        raise ConfigurationError(NO_KEY)
    return checked_key(text)


def _masked_key(key: object) -> Any:
    """Return a key that was given as text as a secret; a callable or None unchanged."""
    if key is None or isinstance(key, Secret) or (callable(key) and not hasattr(key, "get_secret_value")):
        return key
    return checked_key(key)
