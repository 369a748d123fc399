"""Every option of ChatGemway's constructor by every name, so that type checkers and editors know them. Nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

if TYPE_CHECKING:
    import gemway
    import httpx
    from langchain_core.caches import BaseCache
    from langchain_core.callbacks import Callbacks
    from langchain_core.language_models import ModelProfile
    from langchain_core.rate_limiters import BaseRateLimiter
    from pydantic import SecretStr

    from langchain_gemway._messages import LateSystem


class ConstructorOptions(TypedDict, total=False):
    """What `ChatGemway(...)` accepts; `gemway.adapters.canonical` says which names mean the same."""

    model: str | None
    model_name: str | None
    model_id: str | None
    api_key: str | SecretStr | Callable[[], Any] | None
    google_api_key: str | SecretStr | Callable[[], Any] | None
    gemini_api_key: str | SecretStr | Callable[[], Any] | None
    openai_api_key: str | SecretStr | Callable[[], Any] | None
    anthropic_api_key: str | SecretStr | Callable[[], Any] | None
    base_url: str | None
    api_base: str | None
    openai_api_base: str | None
    anthropic_api_url: str | None
    client_options: str | Mapping[str, Any] | None
    http_options: Any
    auth: httpx.Auth | Any | None
    default_headers: Mapping[str, str | SecretStr] | None
    headers: Mapping[str, str | SecretStr] | None
    extra_headers: Mapping[str, str | SecretStr] | None
    additional_headers: Mapping[str, str | SecretStr] | None
    timeout: float | httpx.Timeout | Any | None
    request_timeout: float | httpx.Timeout | Any | None
    default_request_timeout: float | None
    max_retries: int | None
    retries: int | None
    deadline: float | None
    extra_body: Mapping[str, Any] | None
    model_kwargs: Mapping[str, Any] | None
    additional_kwargs: Mapping[str, Any] | None
    inline_data_casing: Literal["camel", "snake"]
    schema_dialect: Literal["json_schema", "openapi"]
    http_client: Any
    http_async_client: Any
    async_http_client: Any
    proxy: str | None
    openai_proxy: str | None
    anthropic_proxy: str | None
    verify: Any
    auth_header: str | None
    auth_scheme: str | None
    retry_budget: str | None
    retry_image_timeouts: bool
    max_connections: int | None
    max_response_bytes: int | None
    max_continuations: int | None
    on_retry: Callable[[gemway.RetryEvent], object] | None
    media_fetcher: gemway.MediaFetcher | None
    late_system: LateSystem
    count_tokens: bool
    streaming: bool | None
    stream_usage: bool | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    max_output_tokens: int | None
    max_completion_tokens: int | None
    max_tokens_to_sample: int | None
    stop: str | Sequence[str] | None
    stop_sequences: str | Sequence[str] | None
    seed: int | None
    n: int | None
    candidate_count: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logprobs: bool | None
    response_logprobs: bool | None
    top_logprobs: int | None
    response_modalities: str | Sequence[Any] | None
    modalities: str | Sequence[Any] | None
    image_config: Any
    aspect_ratio: str | None
    image_size: str | None
    thinking_budget: int | None
    thinking_level: str | None
    reasoning_effort: str | None
    effort: str | None
    include_thoughts: bool | None
    thinking: Mapping[str, Any] | None
    reasoning: Mapping[str, Any] | None
    thinking_config: Any
    output_config: Mapping[str, Any] | None
    media_resolution: Any
    speech_config: Any
    response_mime_type: str | None
    response_schema: Any
    response_json_schema: Any
    response_format: Any
    generation_config: Any
    safety_settings: Any
    cached_content: str | None
    labels: Mapping[str, str] | None
    tool_config: Any
    tool_choice: Any
    function_call: Any
    parallel_tool_calls: bool | None
    strict: bool | None
    # Options of other providers without a meaning here: accepted, and warned about once.
    organization: str | None
    openai_organization: str | None
    service_tier: str | None
    user: str | None
    store: bool | None
    use_responses_api: bool | None
    use_previous_response_id: bool | None
    include_response_headers: bool | None
    logit_bias: Mapping[Any, Any] | None
    disabled_params: Mapping[str, Any] | None
    default_query: Mapping[str, Any] | None
    verbosity: str | None
    betas: Sequence[str] | None
    context_management: Any
    vertexai: bool | None
    project: str | None
    location: str | None
    transport: str | None
    credentials: Any
    api_version: str | None
    convert_system_message_to_human: bool | None
    is_chat_model: bool | None
    container: Any
    http_socket_options: Any
    include: Sequence[str] | None
    inference_geo: str | None
    prompt_cache_options: Any
    reuse_last_container: bool | None
    stream_chunk_timeout: float | None
    tiktoken_model_name: str | None
    truncation: str | None
    user_profile_id: str | None
    # LangChain's own
    name: str | None
    cache: BaseCache | bool | None
    verbose: bool
    callbacks: Callbacks
    tags: list[str] | None
    metadata: dict[str, Any] | None
    custom_get_token_ids: Callable[[str], list[int]] | None
    rate_limiter: BaseRateLimiter | None
    disable_streaming: bool | Literal["tool_calling"]
    output_version: str | None
    profile: ModelProfile | None
