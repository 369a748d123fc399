"""The names that `Gemway(...)` takes, with their types, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import httpx
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.types import BaseOutputParser, PydanticProgramMode
    from llama_index.llms.gemway._messages import ToolResultMedia
    from pydantic import SecretStr

    from gemway import Dialect, MediaFetcher

    Key = str | SecretStr | Callable[[], Any] | None
    Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str | None


class GemwayOptions(TypedDict, total=False):
    """Options of `Gemway`: its own fields first, then the names that users of other classes write for them."""

    # the answer
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    n: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logprobs: bool | int | None
    top_logprobs: int | None
    response_modalities: Sequence[str] | None
    image_config: Any
    aspect_ratio: str | None
    image_size: str | None
    thinking_budget: int | None
    thinking_level: Effort
    include_thoughts: bool | None
    media_resolution: str | None
    speech_config: Any
    response_mime_type: str | None
    response_schema: Any
    response_json_schema: Any
    response_format: Any
    generation_config: Any
    safety_settings: Any
    cached_content: str | None
    labels: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None
    tools: Sequence[Any] | None
    tool_choice: Any
    tool_config: Any
    parallel_tool_calls: bool | None
    strict: bool | None
    schema_dialect: Dialect
    tool_result_media: ToolResultMedia
    # the gateway
    api_key: Key
    base_url: str | None
    auth: httpx.Auth | None
    default_headers: Mapping[str, Any] | None
    timeout: float | httpx.Timeout | None
    max_retries: int | None
    deadline: float | None
    http_client: Any
    http_async_client: Any
    proxy: str | None
    verify: Any
    inline_data_casing: Literal["camel", "snake"] | None
    retry_budget: str | None
    retry_image_timeouts: bool | None
    max_connections: int | None
    max_response_bytes: int | None
    max_continuations: int | None
    auth_header: str | None
    auth_scheme: str | None
    on_retry: Callable[..., object] | None
    media_fetcher: MediaFetcher | None
    # LlamaIndex
    context_window: int | None
    is_function_calling_model: bool | None
    callback_manager: CallbackManager | None
    rate_limiter: Any
    system_prompt: str | None
    messages_to_prompt: Callable[..., str] | None
    completion_to_prompt: Callable[..., str] | None
    output_parser: BaseOutputParser | None
    pydantic_program_mode: PydanticProgramMode
    query_wrapper_prompt: BasePromptTemplate | None
    # other names for these
    model_name: str | None
    model_id: str | None
    api_base: str | None
    openai_api_key: Key
    google_api_key: Key
    gemini_api_key: Key
    anthropic_api_key: Key
    openai_api_base: str | None
    anthropic_api_url: str | None
    headers: Mapping[str, Any] | None
    extra_headers: Mapping[str, Any] | None
    additional_headers: Mapping[str, Any] | None
    additional_kwargs: Mapping[str, Any] | None
    model_kwargs: Mapping[str, Any] | None
    async_http_client: Any
    openai_proxy: str | None
    anthropic_proxy: str | None
    request_timeout: float | None
    default_request_timeout: float | None
    retries: int | None
    max_output_tokens: int | None
    max_completion_tokens: int | None
    max_tokens_to_sample: int | None
    stop_sequences: Sequence[str] | None
    candidate_count: int | None
    response_logprobs: bool | None
    modalities: Sequence[str] | None
    reasoning_effort: Effort
    effort: Effort
    function_call: Any
    # options that hold several others
    thinking: Any
    reasoning: Any
    thinking_config: Any
    output_config: Any
    client_options: Any
    http_options: Any
    # options of other classes that mean nothing here; accepted with one warning
    reuse_client: bool | None
    api_version: str | None
    organization: str | None
    default_query: Any
    store: bool | None
    user: str | None
    service_tier: str | None
    verbosity: Any
    vertexai: bool | None
    vertexai_config: Any
    project: str | None
    location: str | None
    transport: str | None
    credentials: Any
    debug_config: Any
    file_mode: str | None
    is_chat_model: bool | None
