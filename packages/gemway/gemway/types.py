"""The messages of Gemini's generateContent API, named as in Google's REST reference and snake_cased.

One base class is the whole converter: it writes camelCase, reads both spellings, keeps unknown
fields, and accepts `null` for everything. Enumerations are open: unknown words and numbers are kept as they
came. Nothing here interprets an answer beyond the short helpers of `GenerateContentResponse`.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf, isfinite
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from gemway._image import Image

_T = TypeVar("_T")

Enum: TypeAlias = str | int
"""A word of an open enumeration. Some serialisers send its number instead; see `finish_reason`."""

Lenient: TypeAlias = Annotated[_T | Any, Field(union_mode="left_to_right")]
"""Metadata that is typed if it has the documented shape and kept as it came if it has not."""


_HARMLESS_TEXT = 4096
_MOST_VALUES_IN_TEXT = 50_000


def _parse_arguments(args: object) -> object:
    """Return call arguments as an object of plain JSON: some gateways send them as JSON text."""
    if isinstance(args, str):
        # Text that would become far more memory than it is stays text, and with that an invalid call.
        if len(args) > _HARMLESS_TEXT and sum(map(args.count, "{[,")) > _MOST_VALUES_IN_TEXT:
            return args
        try:
            args = from_json(args)
        except ValueError:
            return args
    return _as_json(args)


def _as_json(value: object) -> object:
    """Return *value* with NaN and the infinities as words, as protobuf writes them: JSON has no numbers for them.

    Threads that a store keeps as JSON would be spoilt by them, and Google refuses them in a history.
    """
    if isinstance(value, float):
        return value if isfinite(value) else {inf: "Infinity", -inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value


def _encode_bytes(data: object) -> object:
    """Return bytes as standard base64 text, text as it is."""
    return b64encode(data).decode("ascii") if isinstance(data, (bytes, bytearray, memoryview)) else data


Base64: TypeAlias = Annotated[str, BeforeValidator(_encode_bytes)]
"""Bytes as base64 text: given as bytes they are encoded, given as text they stay as they are."""

Arguments: TypeAlias = Annotated[dict[str, Any] | Any, BeforeValidator(_parse_arguments)]


class WireType(BaseModel):
    """The base of all messages: camelCase out, both spellings in, unknown fields kept, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        coerce_numbers_to_str=True,
        defer_build=True,
        extra="allow",
        frozen=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, Any] | None = None,
    ) -> bool | None:
        """Build the validator. Pydantic would look names up where the caller stands; ours are our module's."""
        # Classes are built at their first use (`defer_build`), which may be anywhere in the user's program.
        names = vars(sys.modules[cls.__module__]) if _types_namespace is None else _types_namespace
        return super().model_rebuild(force=force, raise_errors=raise_errors, _types_namespace=names)

    def to_dict(self) -> dict[str, Any]:
        """Return the message as plain JSON data in the wire's spelling, without fields that were not set."""
        return self.model_dump(exclude_unset=True)


class GenerateContentRequest(WireType):
    """The body of a call. `contents` is required and not empty; everything else is optional."""

    contents: list[Content]
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    safety_settings: list[SafetySetting] | None = None
    generation_config: GenerationConfig | None = None
    cached_content: str | None = None
    service_tier: Enum | None = None
    store: bool | None = None
    # Vertex AI only; typed gateways drop it, like serviceTier and store.
    labels: dict[str, str] | None = None
    # Resumes an answer that ended with CONTINUATION; typed gateways drop it.
    continuation_token: Base64 | None = None


class GenerateContentResponse(WireType):
    """An answer, or one chunk of a streamed answer.

    The helpers look at the first candidate; without content `.text` is `""` and the lists are empty.
    """

    # Absent if the prompt was blocked, and in chunks with nothing but usage.
    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    model_status: Lenient[ModelStatus] | None = None

    @property
    def parts(self) -> list[Part]:
        """The parts of the first candidate."""
        content = self.candidates[0].content if self.candidates else None
        return (content.parts or []) if content else []

    @property
    def text(self) -> str:
        """The visible text, thoughts excluded."""
        return "".join(part.text for part in self.parts if part.text and not part.thought)

    @property
    def thoughts(self) -> str:
        """The text of the model's thoughts (only sent when `include_thoughts` is on)."""
        return "".join(part.text for part in self.parts if part.text and part.thought)

    @property
    def images(self) -> list[Image]:
        """The pictures of the answer. Drafts (pictures marked as thoughts) are not among them.

        Some answers mark every picture as a thought; the last one is then the picture.
        """
        finished: list[Image] = []
        drafts: list[Image] = []
        for part in self.parts:
            if blob := part.inline_data:
                image = Image(blob.data or "", blob.mime_type)
                if image.mime_type.startswith("image/"):
                    (drafts if part.thought else finished).append(image)
        return finished or drafts[-1:]

    @property
    def function_calls(self) -> list[FunctionCall]:
        """The calls that the client is to answer, in order: those that the server answered itself are left out."""
        calls: list[FunctionCall] = []
        for part in self.parts:
            if part.function_call:
                calls.append(part.function_call)
            elif part.function_response:
                result = part.function_response
                at = find_answered_call(result.name, result.id, [(call.name, call.id) for call in calls])
                if at is not None:
                    del calls[at]
        return calls

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, as a word; `None` while it has not."""
        return finish_reason_name(self.candidates[0].finish_reason) if self.candidates else None

    @property
    def block_reason(self) -> str | None:
        """Why the prompt was blocked, or `None` if it was not."""
        reason = self.prompt_feedback.block_reason if self.prompt_feedback else None
        return None if reason is None else _BLOCK_REASONS.get(reason, str(reason))

    @property
    def request_id(self) -> str | None:
        """The gateway's id of the HTTP exchange, if it sent one."""
        return self.exchange.request_id if self.exchange else None

    @cached_property
    def exchange(self) -> CallRecord | None:
        """How the HTTP exchange went: attempts, seconds waited, request id. In a stream, the first chunk knows it."""
        return None

    def with_call_record(self, record: CallRecord | None) -> GenerateContentResponse:
        """Note how the HTTP exchange went, and return the response itself."""
        self.__dict__["exchange"] = record  # a private attribute would cost 3 us per chunk of a stream
        return self


class RateLimit(NamedTuple):
    """One limit of the gateway. A value that its headers leave out is None.

    Attributes:
        limit: how many requests or tokens it allows at a time.
        remaining: how many of them are left.
        resets_after: seconds until the limit is lifted, counted from the arrival of the answer.
    """

    limit: int | None = None
    remaining: int | None = None
    resets_after: float | None = None


class RateLimits(NamedTuple):
    """The limits that the headers of an answer state.

    Attributes:
        requests: `x-ratelimit-*-requests`, `x-ratelimit-*`, or the IETF's `ratelimit` headers.
        tokens: `x-ratelimit-*-tokens`.
        retry_after: seconds after which the gateway wants to be asked again (`retry-after`).
    """

    requests: RateLimit | None = None
    tokens: RateLimit | None = None
    retry_after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the limits that were stated, as plain JSON."""
        stated = {
            name: {key: value for key, value in limit._asdict().items() if value is not None}
            for name, limit in (("requests", self.requests), ("tokens", self.tokens))
            if limit is not None
        }
        return stated if self.retry_after is None else {**stated, "retry_after": self.retry_after}


class CallRecord(NamedTuple):
    """How an answer came about.

    Attributes:
        status_code: the HTTP status.
        request_id: the gateway's id of the exchange, if it sent one.
        attempts: how many requests were sent.
        waited: seconds slept between them.
        keeps_text: whether texts stay as they came, because JSON was asked for; hidden pictures stay in them.
        rate_limits: the limits that the gateway's headers state, if they state any.
    """

    status_code: int = 200
    request_id: str | None = None
    attempts: int = 1
    waited: float = 0.0
    keeps_text: bool = False
    rate_limits: RateLimits | None = None

    def to_metadata(self) -> dict[str, Any]:
        """Return the facts that are worth a place in a framework's metadata, as plain JSON."""
        facts: dict[str, Any] = {"attempts": self.attempts, "waited": self.waited} if self.attempts > 1 else {}
        return {**facts, "rate_limits": self.rate_limits.to_dict()} if self.rate_limits else facts


class Content(WireType):
    """One turn of a conversation: a role (`user` or `model`) and its parts, in order."""

    parts: list[Part] | None = None
    role: str | None = None


class Part(WireType):
    """One piece of a turn: exactly one kind of data, plus modifiers such as `thought` and `thought_signature`."""

    media_resolution: PartMediaResolution | None = None
    code_execution_result: CodeExecutionResult | None = None
    executable_code: ExecutableCode | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    inline_data: Blob | None = None
    text: str | None = None
    thought: bool | None = None
    # Opaque, and checked byte for byte. Gateways such as new-api keep this spelling only, not `thought_signature`.
    thought_signature: Base64 | None = None
    video_metadata: VideoMetadata | None = None
    # The work of Gemini's own tools. Gemini 3 wants it back; typed gateways drop it.
    tool_call: ToolCall | None = None
    tool_response: ToolResponse | None = None
    part_metadata: dict[str, Any] | None = None
    audio_transcription: Transcription | None = None
    media_processing: Enum | None = None
    speech_metadata: SpeechMetadata | None = None
    document_metadata: DocumentMetadata | None = None
    spreadsheet_metadata: SpreadsheetMetadata | None = None
    audio_metadata: AudioMetadata | None = None


class PartMediaResolution(WireType):
    """How many tokens one picture or video may cost (Gemini 3 and later)."""

    level: Enum | None = None
    num_tokens: int | None = None


class CodeExecutionResult(WireType):
    """The output of code that the model ran, and how it ended."""

    outcome: Enum | None = None
    output: str | None = None
    id: str | None = None


class ExecutableCode(WireType):
    """Code that the model wrote and runs on the server."""

    code: str | None = None
    language: Enum | None = None
    id: str | None = None


class FileData(WireType):
    """Media by reference: a Files API URI, a YouTube address or an https URL that the server fetches."""

    display_name: str | None = None
    file_uri: str | None = None
    mime_type: str | None = None


class FunctionCall(WireType):
    """A call of one of the declared functions. `args` is an object; some gateways send it as JSON text."""

    # Dropped by typed gateways, so results must also be in the order of the calls.
    id: str | None = None
    args: Arguments | None = None
    name: str | None = None
    # Streamed arguments, on Vertex AI only.
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class PartialArg(WireType):
    """One piece of streamed call arguments: a JSON path and the value (or a piece of a string) found there."""

    bool_value: bool | None = None
    json_path: str | None = None
    null_value: Any = None
    number_value: float | None = None
    string_value: str | None = None
    will_continue: bool | None = None


class FunctionResponse(WireType):
    """The result of a function call. `response` is an object: `output` or `error`, or any other keys."""

    will_continue: bool | None = None
    scheduling: Enum | None = None
    # Media, from Gemini 3 on. Older models take them as parts of the same turn.
    parts: list[FunctionResponsePart] | None = None
    id: str | None = None
    name: str | None = None
    # Anything but an object is a 400. `output` and `error` are special, otherwise all of it is the output.
    response: dict[str, Any] | None = None


class FunctionResponsePart(WireType):
    """Media inside a function result (Gemini 3 and later)."""

    inline_data: FunctionResponseBlob | None = None
    file_data: FunctionResponseFileData | None = None
    media_processing: Enum | None = None
    media_resolution: PartMediaResolution | None = None
    video_metadata: VideoMetadata | None = None
    document_metadata: DocumentMetadata | None = None
    spreadsheet_metadata: SpreadsheetMetadata | None = None
    audio_metadata: AudioMetadata | None = None


class FunctionResponseBlob(WireType):
    """Media bytes inside a function result, as base64 text."""

    mime_type: str | None = None
    data: Base64 | None = None
    display_name: str | None = None


class FunctionResponseFileData(WireType):
    """Media by reference inside a function result."""

    file_uri: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class VideoMetadata(WireType):
    """Which part of a video to look at: offsets such as `"40s"`, frames per second in (0, 24]."""

    end_offset: str | None = None
    # More than 0, at most 24.
    fps: float | None = None
    start_offset: str | None = None
    content_layers: list[Enum] | None = None


class DocumentMetadata(WireType):
    """Which pages of a document to read."""

    start_page: int | None = None
    end_page: int | None = None
    content_layers: list[Enum] | None = None


class SpreadsheetMetadata(WireType):
    """Which cells of a spreadsheet to read."""

    visible_cells: str | None = None
    sheet_index: int | None = None
    content_layers: list[Enum] | None = None


class AudioMetadata(WireType):
    """Which part of a recording to listen to: offsets such as `"40s"`."""

    start_offset: str | None = None
    end_offset: str | None = None


class Blob(WireType):
    """Media bytes, as base64 text (standard alphabet out, any alphabet in) with their MIME type."""

    data: Base64 | None = None
    display_name: str | None = None
    mime_type: str | None = None


class ToolCall(WireType):
    """A call of a server-side tool, answered by the server; sent back unchanged in the history."""

    id: str | None = None
    tool_type: Enum | None = None
    args: Arguments | None = None


class ToolResponse(WireType):
    """The result of a server-side tool; sent back unchanged in the history."""

    id: str | None = None
    tool_type: Enum | None = None
    response: dict[str, Any] | None = None


class Transcription(WireType):
    """The text of a recording."""

    text: str | None = None
    finished: bool | None = None
    language_code: str | None = None
    speaker_label: str | None = None
    words: list[WordInfo] | None = None
    start_offset: str | None = None
    end_offset: str | None = None


class WordInfo(WireType):
    """One word of a transcription and its time."""

    word: str | None = None
    start_offset: str | None = None
    end_offset: str | None = None


class SpeechMetadata(WireType):
    """Who speaks, and how."""

    speaker: str | None = None
    style: str | None = None


class SafetySetting(WireType):
    """From which probability on one category of harm is blocked."""

    category: Enum | None = None
    method: Enum | None = None
    threshold: Enum | None = None


class ToolConfig(WireType):
    """How tools may be used."""

    retrieval_config: RetrievalConfig | None = None
    # A 400 without function declarations.
    function_calling_config: FunctionCallingConfig | None = None
    # Needed for functions together with Google's own tools; models before Gemini 3 refuse it.
    include_server_side_tool_invocations: bool | None = None


class RetrievalConfig(WireType):
    """Where and in which language to search."""

    lat_lng: LatLng | None = None
    language_code: str | None = None


class LatLng(WireType):
    """A place on Earth, in degrees."""

    latitude: float | None = None
    longitude: float | None = None


class FunctionCallingConfig(WireType):
    """Whether functions may (AUTO, VALIDATED), must (ANY) or must not (NONE) be called, and which."""

    allowed_function_names: list[str] | None = None
    mode: Enum | None = None
    stream_function_call_arguments: bool | None = None


class Tool(WireType):
    """Declared functions, or one server-side tool."""

    retrieval: dict[str, Any] | None = None
    computer_use: ComputerUse | None = None
    file_search: FileSearch | None = None
    google_search: GoogleSearch | None = None
    google_maps: GoogleMaps | None = None
    code_execution: CodeExecution | None = None
    enterprise_web_search: dict[str, Any] | None = None
    function_declarations: list[FunctionDeclaration] | None = None
    # Gemini 1.5 only.
    google_search_retrieval: dict[str, Any] | None = None
    parallel_ai_search: dict[str, Any] | None = None
    url_context: UrlContext | None = None
    mcp_servers: list[McpServer] | None = None
    exa_ai_search: dict[str, Any] | None = None


class ComputerUse(WireType):
    """The model drives a browser, phone or desktop."""

    environment: Enum | None = None
    excluded_predefined_functions: list[str] | None = None
    enable_prompt_injection_detection: bool | None = None
    disabled_safety_policies: list[Enum] | None = None


class FileSearch(WireType):
    """Search in file search stores."""

    file_search_store_names: list[str] | None = None
    top_k: int | None = None
    metadata_filter: str | None = None


class GoogleSearch(WireType):
    """Search the web."""

    search_types: SearchTypes | None = None
    blocking_confidence: Enum | None = None
    exclude_domains: list[str] | None = None
    time_range_filter: Interval | None = None


class SearchTypes(WireType):
    """Kinds of search results: pages, pictures, or both."""

    web_search: WebSearch | None = None
    image_search: ImageSearch | None = None


class WebSearch(WireType):
    """Search for pages."""


class ImageSearch(WireType):
    """Search for pictures."""


class Interval(WireType):
    """A span of time, in RFC 3339."""

    end_time: str | None = None
    start_time: str | None = None


class GoogleMaps(WireType):
    """Search places."""

    auth_config: dict[str, Any] | None = None
    enable_widget: bool | None = None
    grounding_types: dict[str, Any] | None = None


class CodeExecution(WireType):
    """Run code on the server."""


class FunctionDeclaration(WireType):
    """A function that the model may call. `parameters` and `parameters_json_schema` exclude each other."""

    description: str | None = None
    name: str | None = None
    parameters: Schema | None = None
    parameters_json_schema: Any = None
    response: Schema | None = None
    response_json_schema: Any = None
    behavior: Enum | None = None


class Schema(WireType):
    """The OpenAPI subset in which Gemini describes values (see docs/schemas.md)."""

    additional_properties: Any = None
    defs: dict[str, Schema] | None = None
    ref: str | None = None
    any_of: list[Schema] | None = None
    default: Any = None
    description: str | None = None
    enum: list[str] | None = None
    example: Any = None
    format: str | None = None
    items: Schema | None = None
    max_items: int | None = None
    max_length: int | None = None
    max_properties: int | None = None
    maximum: float | None = None
    min_items: int | None = None
    min_length: int | None = None
    min_properties: int | None = None
    minimum: float | None = None
    nullable: bool | None = None
    pattern: str | None = None
    properties: dict[str, Schema] | None = None
    property_ordering: list[str] | None = None
    required: list[str] | None = None
    title: str | None = None
    type: Enum | None = None


class UrlContext(WireType):
    """Read the pages whose addresses stand in the prompt."""


class McpServer(WireType):
    """An MCP server that Google calls."""

    name: str | None = None
    streamable_http_transport: StreamableHttpTransport | None = None


class StreamableHttpTransport(WireType):
    """How an MCP server is reached."""

    headers: dict[str, Any] | None = None
    sse_read_timeout: str | None = None
    terminate_on_close: bool | None = None
    timeout: str | None = None
    url: str | None = None


class GenerationConfig(WireType):
    """How the answer is made. Absent options are left to the model."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    # 1 in practice for image models and for streams.
    candidate_count: int | None = None
    # Thoughts count, too: too few are a billed answer without text.
    max_output_tokens: int | None = None
    # At most 5.
    stop_sequences: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    # Only one of these two.
    response_schema: Schema | None = None
    response_json_schema: Any = None
    response_modalities: list[str] | None = None
    media_resolution: Enum | None = None
    speech_config: SpeechConfig | None = None
    thinking_config: ThinkingConfig | None = None
    image_config: ImageConfig | None = None
    enable_enhanced_civic_answers: bool | None = None
    audio_transcription_config: AudioTranscriptionConfig | None = None
    # Not for images: its enumerations refuse "16:9" and "1K" with a 400 (HKUDS/nanobot#5216).
    response_format: dict[str, Any] | None = None


class SpeechConfig(WireType):
    """How spoken answers sound."""

    voice_config: VoiceConfig | None = None
    language_code: str | None = None
    multi_speaker_voice_config: MultiSpeakerVoiceConfig | None = None


class VoiceConfig(WireType):
    """One voice."""

    replicated_voice_config: ReplicatedVoiceConfig | None = None
    prebuilt_voice_config: PrebuiltVoiceConfig | None = None
    voice: str | None = None


class ReplicatedVoiceConfig(WireType):
    """A voice made after a sample."""

    mime_type: str | None = None
    voice_sample_audio: Base64 | None = None
    consent_audio: Base64 | None = None
    voice_consent_signature: VoiceConsentSignature | None = None


class VoiceConsentSignature(WireType):
    """Proof that a voice may be replicated."""

    signature: str | None = None


class PrebuiltVoiceConfig(WireType):
    """A voice by name."""

    voice_name: str | None = None


class MultiSpeakerVoiceConfig(WireType):
    """Voices by speaker."""

    speaker_voice_configs: list[SpeakerVoiceConfig] | None = None


class SpeakerVoiceConfig(WireType):
    """The voice of one speaker."""

    speaker: str | None = None
    voice_config: VoiceConfig | None = None


class ThinkingConfig(WireType):
    """How much the model thinks: a level (Gemini 3 and later) or a budget in tokens (2.5), never both."""

    include_thoughts: bool | None = None
    # A budget and a level together are a 400.
    thinking_budget: int | None = None
    thinking_level: Enum | None = None


class ImageConfig(WireType):
    """Shape (`aspect_ratio`, such as `"16:9"`) and size (`"512"`, `"1K"`, `"2K"`, `"4K"`) of pictures."""

    # Older versions of new-api drop the whole imageConfig (new-api#1999, #2470).
    aspect_ratio: str | None = None
    image_size: str | None = None
    person_generation: str | None = None
    prominent_people: Enum | None = None
    output_mime_type: str | None = None
    output_compression_quality: int | None = None
    image_output_options: ImageConfigImageOutputOptions | None = None


class ImageConfigImageOutputOptions(WireType):
    """Encoding of pictures."""

    compression_quality: int | None = None
    mime_type: str | None = None


class AudioTranscriptionConfig(WireType):
    """How recordings are transcribed."""

    language_codes: list[str] | None = None
    language_auto: LanguageAuto | None = None
    language_hints: LanguageHints | None = None
    custom_vocabulary: list[str] | None = None
    adaptation_phrases: list[str] | None = None
    word_timestamp: bool | None = None
    diarization: bool | None = None
    mode: Enum | None = None
    source_text: str | None = None


class LanguageAuto(WireType):
    """Let the model find the language."""


class LanguageHints(WireType):
    """Languages to expect."""

    language_codes: list[str] | None = None


class Candidate(WireType):
    """One answer."""

    # Absent, `{}` or without parts where nothing was written or all of it was blocked.
    content: Content | None = None
    citation_metadata: Lenient[CitationMetadata] | None = None
    # The server's words about the reason. Google's own client drops them.
    finish_message: str | None = None
    token_count: int | None = None
    finish_reason: Enum | None = None
    grounding_metadata: Lenient[GroundingMetadata] | None = None
    avg_logprobs: float | None = None
    index: int | None = None
    logprobs_result: Lenient[LogprobsResult] | None = None
    safety_ratings: Lenient[list[SafetyRating]] | None = None
    url_context_metadata: Lenient[UrlContextMetadata] | None = None
    continuation_token: Base64 | None = None


class CitationMetadata(WireType):
    """Where the answer quotes from (Vertex spells it `citations`)."""

    citation_sources: list[Citation] | None = None
    # Vertex AI's name for the same list.
    citations: list[Citation] | None = None


class Citation(WireType):
    """One quotation: offsets in bytes, and its source."""

    end_index: int | None = None
    license: str | None = None
    publication_date: Date | None = None
    start_index: int | None = None
    title: str | None = None
    uri: str | None = None


class Date(WireType):
    """A calendar date."""

    day: int | None = None
    month: int | None = None
    year: int | None = None


class GroundingMetadata(WireType):
    """The sources of a grounded answer."""

    image_search_queries: list[str] | None = None
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None
    retrieval_metadata: RetrievalMetadata | None = None
    search_entry_point: SearchEntryPoint | None = None
    web_search_queries: list[str] | None = None
    google_maps_widget_context_token: str | None = None
    retrieval_queries: list[str] | None = None
    source_flagging_uris: list[SourceFlaggingUri] | None = None


class GroundingChunk(WireType):
    """One source."""

    image: GroundingChunkImage | None = None
    maps: GroundingChunkMaps | None = None
    retrieved_context: GroundingChunkRetrievedContext | None = None
    web: GroundingChunkWeb | None = None


class GroundingChunkImage(WireType):
    """A picture found by a search."""

    source_uri: str | None = None
    image_uri: str | None = None
    title: str | None = None
    domain: str | None = None


class GroundingChunkMaps(WireType):
    """A place found on the map."""

    place_answer_sources: PlaceAnswerSources | None = None
    place_id: str | None = None
    text: str | None = None
    title: str | None = None
    uri: str | None = None
    route: GroundingChunkMapsRoute | None = None


class PlaceAnswerSources(WireType):
    """Where facts about a place come from."""

    review_snippet: list[ReviewSnippet] | None = None
    flag_content_uri: str | None = None
    review_snippets: list[ReviewSnippet] | None = None


class ReviewSnippet(WireType):
    """A piece of a review."""

    author_attribution: AuthorAttribution | None = None
    flag_content_uri: str | None = None
    google_maps_uri: str | None = None
    relative_publish_time_description: str | None = None
    review: str | None = None
    review_id: str | None = None
    title: str | None = None


class AuthorAttribution(WireType):
    """Who wrote a review."""

    display_name: str | None = None
    photo_uri: str | None = None
    uri: str | None = None


class GroundingChunkMapsRoute(WireType):
    """A route between places."""

    distance_meters: int | None = None
    duration: str | None = None
    encoded_polyline: str | None = None


class GroundingChunkRetrievedContext(WireType):
    """A passage found in a store."""

    document_name: str | None = None
    rag_chunk: RagChunk | None = None
    text: str | None = None
    title: str | None = None
    uri: str | None = None
    custom_metadata: list[GroundingChunkCustomMetadata] | None = None
    file_search_store: str | None = None
    page_number: int | None = None
    media_id: str | None = None


class RagChunk(WireType):
    """A passage of a document."""

    page_span: RagChunkPageSpan | None = None
    text: str | None = None
    chunk_id: str | None = None
    file_id: str | None = None


class RagChunkPageSpan(WireType):
    """The pages of a passage."""

    first_page: int | None = None
    last_page: int | None = None


class GroundingChunkCustomMetadata(WireType):
    """Metadata that the owner of a store gave."""

    key: str | None = None
    numeric_value: float | None = None
    string_list_value: GroundingChunkStringList | None = None
    string_value: str | None = None


class GroundingChunkStringList(WireType):
    """A list of strings."""

    values: list[str] | None = None


class GroundingChunkWeb(WireType):
    """A page found by a search."""

    domain: str | None = None
    title: str | None = None
    uri: str | None = None


class GroundingSupport(WireType):
    """Which sources support which segment of the answer."""

    confidence_scores: list[float] | None = None
    grounding_chunk_indices: list[int] | None = None
    segment: Segment | None = None
    rendered_parts: list[int] | None = None


class Segment(WireType):
    """A span of one part. Offsets are in **bytes** of its UTF-8 text."""

    start_index: int | None = None
    end_index: int | None = None
    part_index: int | None = None
    text: str | None = None


class RetrievalMetadata(WireType):
    """How the search was decided."""

    google_search_dynamic_retrieval_score: float | None = None


class SearchEntryPoint(WireType):
    """HTML that shows the search."""

    rendered_content: str | None = None
    sdk_blob: Base64 | None = None


class SourceFlaggingUri(WireType):
    """Where to report a source."""

    flag_content_uri: str | None = None
    source_id: str | None = None


class LogprobsResult(WireType):
    """Log probabilities, token by token."""

    chosen_candidates: list[LogprobsResultCandidate] | None = None
    top_candidates: list[LogprobsResultTopCandidates] | None = None
    log_probability_sum: float | None = None


class LogprobsResultCandidate(WireType):
    """One token and its log probability."""

    log_probability: float | None = None
    token: str | None = None
    token_id: int | None = None


class LogprobsResultTopCandidates(WireType):
    """The likeliest tokens at one position."""

    candidates: list[LogprobsResultCandidate] | None = None


class SafetyRating(WireType):
    """How probable one category of harm is."""

    blocked: bool | None = None
    category: Enum | None = None
    overwritten_threshold: Enum | None = None
    probability: Enum | None = None
    probability_score: float | None = None
    severity: Enum | None = None
    severity_score: float | None = None


class UrlContextMetadata(WireType):
    """Which pages were read."""

    url_metadata: list[UrlMetadata] | None = None


class UrlMetadata(WireType):
    """One page, and whether it could be read."""

    retrieved_url: str | None = None
    url_retrieval_status: Enum | None = None


class PromptFeedback(WireType):
    """Why the prompt was blocked, if it was."""

    block_reason: Enum | None = None
    block_reason_message: str | None = None
    safety_ratings: Lenient[list[SafetyRating]] | None = None


class UsageMetadata(WireType):
    """Tokens. `candidates_token_count` excludes thoughts; `prompt_token_count` includes cached tokens."""

    cache_tokens_details: list[ModalityTokenCount] | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    candidates_tokens_details: list[ModalityTokenCount] | None = None
    prompt_token_count: int | None = None
    prompt_tokens_details: list[ModalityTokenCount] | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    tool_use_prompt_tokens_details: list[ModalityTokenCount] | None = None
    total_token_count: int | None = None
    traffic_type: Enum | None = None
    service_tier: str | None = None


class ModalityTokenCount(WireType):
    """Tokens of one modality."""

    modality: Enum | None = None
    token_count: int | None = None


class ModelStatus(WireType):
    """Where the model is in its life."""

    message: str | None = None
    model_stage: Enum | None = None
    retirement_time: str | None = None


# The numbers on which Google's two APIs agree (Candidate.FinishReason, PromptFeedback.BlockReason in the
# generativelanguage v1beta and aiplatform v1 protos); beyond these the same number means different things.
_FINISH_REASONS: dict[str | int, str] = dict(
    enumerate(("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"))
)
_BLOCK_REASONS: dict[str | int, str] = dict(
    enumerate(("BLOCK_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT"))
)


def finish_reason_name(reason: Enum | None) -> str | None:
    """Return the word for a finish reason that may be a number; unknown ones as text."""
    return None if reason is None else _FINISH_REASONS.get(reason, str(reason))


def find_answered_call(
    name: str | None, call_id: str | None, calls: Sequence[tuple[str | None, str | None]]
) -> int | None:
    """Return the place of the call that a function response in the model's own turn answers, or None.

    Servers with tools of their own (MCP) send the call and its response in one turn; such a call is not the client's to
    answer (ai.google.dev/gemini-api/docs/function-calling). Where both have an id, the ids decide; else the names do,
    and of several calls of one name the nearest before the response is meant.

    Args:
        name, call_id: of the response.
        calls: name and id of the calls before it in the same turn that have no response yet, in their order.
    """
    for place in range(len(calls) - 1, -1, -1):
        its_name, its_id = calls[place]
        if call_id == its_id if call_id and its_id else name == its_name:
            return place
    return None
