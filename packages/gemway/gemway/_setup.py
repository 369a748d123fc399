"""What a client was given, checked once, and how that travels to another process. Opens nothing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from gemway._exceptions import ConfigurationError
from gemway._options.names import hide_secrets
from gemway._redaction import Secret
from gemway._settings import (
    DEFAULT_MAX_RESPONSE_BYTES,
    Settings,
    checked_body,
    checked_count,
    checked_function,
    checked_headers,
    checked_key,
    checked_object,
    checked_proxy,
    checked_retries,
    checked_seconds,
    checked_switch,
    checked_verify,
    checked_word,
    environment_key,
    refuse_unknown,
    resolve_base_url,
    to_timeouts,
    without_scheme,
)

_CASINGS = ("camel", "snake")
# What cannot be carried to another process, or must not be.
_NOT_PICKLED = ("http_client", "on_retry")


class Setup:
    """The options of a client.

    The key travels in a pickle only if it was given as a text; one of the environment or of a callable is
    looked up again where the pickle is opened.
    """

    def __init__(self, options: dict[str, Any], *, lenient: bool = False) -> None:
        self.settings = _settings(options)
        self._options = {
            **options,
            "headers": self.settings.headers,
            "extra_body": self.settings.extra_body,
            "api_key": without_scheme(_hidden(options["api_key"]), self.settings.auth_scheme),
        }
        self.auth = checked_object("auth", options["auth"], "auth_flow", "an httpx.Auth")
        self.client = checked_object("http_client", options["http_client"], "send", "an httpx.Client or AsyncClient")
        self.on_retry = checked_function("on_retry", options["on_retry"])
        self.key = self._key(lenient=lenient)
        self.wiring()  # raises what is wrong with it
        if any(name.lower() == self.settings.auth_header.lower() for name in self.settings.headers):
            raise ConfigurationError(
                f"pass the token as api_key= (or auth=), not as a header named {self.settings.auth_header}"
            )

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Setup | Exception:
        """Return the set-up for a constructor's *arguments*, or what is wrong with them.

        Returned and not raised, because the frames below hold what was given.
        """
        options = {name: value for name, value in arguments.items() if name not in ("self", "unknown")}
        hide_secrets(options)
        try:
            refuse_unknown(arguments["unknown"], options)
            return cls(options)
        except (TypeError, ValueError) as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever a strange object raises, its frames must not be shown
            return ConfigurationError(f"the options cannot be used: {type(error).__name__} while reading them")

    def wiring(self) -> dict[str, Any]:
        """Return what decides whether connections can be shared."""
        return {
            "base_url": self.settings.base_url,
            "proxy": checked_proxy(self._options["proxy"]),
            "verify": checked_verify(self._options["verify"]),
            "max_connections": checked_count("max_connections", self._options["max_connections"]),
        }

    @property
    def has_budget(self) -> bool:
        """Whether retries are kept in check by the budget of the process."""
        return self._options["retry_budget"] is not None

    def _key(self, *, lenient: bool) -> Any:
        given = self._options["api_key"]
        if given is not None:
            return given
        if self.auth is not None:
            return None
        try:
            return without_scheme(environment_key(), self.settings.auth_scheme)
        except ConfigurationError:
            if not lenient:
                raise
            return environment_key  # asked, and refused clearly, at the first call

    def __getstate__(self) -> dict[str, Any]:
        options = {name: None if name in _NOT_PICKLED else value for name, value in self._options.items()}
        if self.client is not None:
            warnings.warn(
                "http_client= does not travel in a pickle: the copy opens connections of its own", stacklevel=2
            )
        return {**options, "base_url": self.settings.base_url}

    def __setstate__(self, options: dict[str, Any]) -> None:
        Setup.__init__(self, options, lenient=True)

    def __copy__(self) -> Setup:
        return self

    def __deepcopy__(self, memo: Any) -> Setup:
        return self  # nothing in it changes

    def __str__(self) -> str:
        return self.settings.base_url

    def __repr__(self) -> str:
        return f"<Setup {self}>"


def settled(setup: Setup | Exception) -> Setup:
    """Return *setup*, or raise what was wrong."""
    if isinstance(setup, Exception):
        raise setup
    return setup


def _hidden(key: Any) -> Any:
    """Return a key that was given as text as a secret, a callable or None as it is."""
    if key is None or isinstance(key, Secret) or (callable(key) and not hasattr(key, "get_secret_value")):
        return key
    return checked_key(key)


def _settings(options: dict[str, Any]) -> Settings:
    if options["inline_data_casing"] not in _CASINGS:
        raise ConfigurationError(f"inline_data_casing must be one of {_CASINGS}, not {options['inline_data_casing']!r}")
    timeout, limit = options["timeout"], options["max_response_bytes"]
    return Settings(
        base_url=resolve_base_url(options["base_url"]),
        headers=checked_headers(options["headers"]),
        timeout=None if timeout is None else to_timeouts(timeout),
        max_retries=checked_retries(options["max_retries"]),
        deadline=checked_seconds("deadline", options["deadline"]),
        extra_body=checked_body(options["extra_body"]),
        inline_data_casing=options["inline_data_casing"],
        max_continuations=options["max_continuations"]
        and checked_count("max_continuations", options["max_continuations"]),
        max_response_bytes=DEFAULT_MAX_RESPONSE_BYTES if limit is None else checked_count("max_response_bytes", limit),
        retry_image_timeouts=checked_switch("retry_image_timeouts", options["retry_image_timeouts"]),
        auth_header=checked_word("auth_header", options["auth_header"]),
        auth_scheme=checked_word("auth_scheme", options["auth_scheme"], empty=True),
    )
