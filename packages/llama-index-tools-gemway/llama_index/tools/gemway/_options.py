"""The names that `GemwayToolSpec(...)` takes for its client, with their types, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    Key = str | SecretStr | Callable[[], Any] | None


class ClientOptions(TypedDict, total=False):
    """Options of `gemway.Client`, then the names that users of other classes write for them."""

    api_key: Key
    base_url: str | None
    timeout: float | httpx.Timeout | None
    max_retries: int | None
    deadline: float | None
    default_headers: Mapping[str, Any] | None
    auth: httpx.Auth | None
    http_client: Any
    http_async_client: Any
    extra_body: Mapping[str, Any] | None
    inline_data_casing: Literal["camel", "snake"] | None
    max_connections: int | None
    max_response_bytes: int | None
    proxy: str | None
    verify: Any
    auth_header: str | None
    auth_scheme: str | None
    retry_budget: str | None
    retry_image_timeouts: bool | None
    on_retry: Callable[..., object] | None
    # other names for these
    api_base: str | None
    openai_api_base: str | None
    openai_api_key: Key
    google_api_key: Key
    gemini_api_key: Key
    anthropic_api_key: Key
    headers: Mapping[str, Any] | None
    additional_headers: Mapping[str, Any] | None
    additional_kwargs: Mapping[str, Any] | None
    model_kwargs: Mapping[str, Any] | None
    async_http_client: Any
    request_timeout: float | None
    retries: int | None
