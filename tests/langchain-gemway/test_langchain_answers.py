"""Answers, streams, usage, events, tokens, and LangChain's own machinery."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gemway
import pytest
from gemway.types import GenerateContentResponse
from gemway_emulator import Emulator, reply
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core import exceptions as langchain
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_gemway import ChatGemway, register
from langchain_gemway._responses import AnswerContext, ChunkReader
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

Make = Callable[..., ChatGemway]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
SAMPLES = bytes(range(64))


def whole(*parts: dict[str, Any], **candidate: Any) -> Any:
    """A reply that is these parts."""
    answer = {"candidates": [{"content": {"role": "model", "parts": [*parts]}, "finishReason": "STOP", **candidate}]}
    return reply.raw(200, json.dumps(answer))


def added(chunks: Any) -> AIMessageChunk:
    first, *others = chunks
    return first + others


def test_invoked_and_streamed_text_are_equal(chat: Make, emulator: Emulator) -> None:
    """Byte for byte, trailing newlines included."""
    text = "code:\n```\nx = 1\n```\n\n\n"
    emulator.enqueue(reply.text(text), reply.text(text, chunks=5))
    model = chat()

    assert model.invoke("Hello").content == text
    assert "".join(chunk.content for chunk in model.stream("Hello")) == text  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mime_type", "kind", "data"),
    [
        ("audio/mp3", "audio", b"ID3" + bytes(20)),
        ("video/mp4", "video", b"\x00\x00\x00\x18ftypmp42" + bytes(8)),
        ("application/pdf", "file", b"%PDF-1.4"),
    ],
)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_media_are_blocks(chat: Make, emulator: Emulator, version: str, mime_type: str, kind: str, data: bytes) -> None:
    """Audio, video and documents keep their type and bytes, and serialise as JSON."""
    encoded = base64.b64encode(data).decode()
    emulator.enqueue(whole({"inlineData": {"mimeType": mime_type, "data": encoded}}))

    message = chat("gemini-2.5-pro", output_version=version).invoke("sing")

    (block,) = message.content_blocks
    assert block == {"type": kind, "base64": encoded, "mime_type": mime_type}
    assert json.loads(message.model_dump_json())["content"] == [block]


def test_raw_samples_become_wav_of_their_rate(chat: Make, emulator: Emulator) -> None:
    """L16 is wrapped with the rate that its type declares."""
    encoded = base64.b64encode(SAMPLES).decode()
    emulator.enqueue(whole({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=16000", "data": encoded}}))

    (block,) = chat("gemini-2.5-flash-preview-tts").invoke("say hi").content_blocks

    wav = base64.b64decode(block["base64"])  # type: ignore[typeddict-item]
    assert (wav[:4], struct.unpack("<I", wav[24:28])[0], wav[44:]) == (b"RIFF", 16000, SAMPLES)


@pytest.mark.parametrize("version", [None, "gemini-3-pro", "gemini-2.5-flash"])
def test_text_is_a_string_whatever_the_model_says_it_is(chat: Make, emulator: Emulator, version: str | None) -> None:
    """In every chunk, with a signature or without, whichever modelVersion the gateway writes."""
    pieces = [{"text": "Hello "}, {"text": "there."}, {"text": "", "thoughtSignature": "S=="}]
    chunks: list[dict[str, Any]] = [{"candidates": [{"content": {"parts": [part]}}]} for part in pieces]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    for chunk in chunks[1:]:
        chunk.update({"modelVersion": version} if version else {})
    emulator.enqueue(reply.stream(chunks), whole(*pieces))
    model = chat()

    assert "".join(chunk.content for chunk in model.stream("Hi")) == "Hello there."  # type: ignore[misc]
    assert model.invoke("Hi").content == "Hello there."


def test_thoughts_that_nobody_asked_for_leave_the_string(chat: Make, emulator: Emulator) -> None:
    """Content stays a string; the thoughts are in content_blocks, invoked and streamed."""
    emulator.enqueue(reply.thoughts("Hm.", "Hello."), reply.thoughts("Hm.", "Hello."))
    model = chat()

    for message in (model.invoke("Hi"), added(model.stream("Hi"))):
        assert message.content == "Hello."
        assert [block["type"] for block in message.content_blocks] == ["reasoning", "text"]


def test_thoughts_that_were_asked_for_are_blocks(chat: Make, emulator: Emulator) -> None:
    """The content is a list then, in every chunk."""
    emulator.enqueue(reply.thoughts("Hm.", "Hello."), reply.thoughts("Hm.", "Hello."))
    model = chat(include_thoughts=True)

    chunks = [*model.stream("Hi")]
    for message in (model.invoke("Hi"), added(chunks)):
        assert [block["type"] for block in message.content] == ["thinking", "text"]  # type: ignore[index]
        assert [block["type"] for block in message.content_blocks] == ["reasoning", "text"]
    assert all(isinstance(chunk.content, list) for chunk in chunks)


def test_pictures_are_data_urls(chat: Make, emulator: Emulator) -> None:
    """v0 content has the shape that picture programs read; content_blocks has LangChain's."""
    emulator.enqueue(whole({"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": PNG}}))

    message = chat("gemini-3.1-flash-image-preview").invoke("a fox")

    assert message.content[1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"  # type: ignore[index]
    assert message.content_blocks[1] == {"type": "image", "base64": PNG, "mime_type": "image/png"}


@pytest.mark.parametrize(
    "framing",
    [
        {"newline": "\n"},
        {"newline": "\r"},
        {"done": True},
        {"comments": True},
        {"space": False},
        {"event_lines": True},
        {"bom": True},
        {"final_newline": False},
    ],
    ids=str,
)
def test_odd_streams_give_one_clean_message(chat: Make, emulator: Emulator, framing: dict[str, Any]) -> None:
    """Finish reasons and usage in every chunk, comments, [DONE] and any line ending."""
    chunks = [
        {
            "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": count, "totalTokenCount": 3 + count},
        }
        for count, text in enumerate(("你好", " wor", "ld"), 1)
    ]
    chunks.append({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}})  # type: ignore[dict-item]
    emulator.enqueue(reply.stream(chunks, **framing))

    message = added(chat().stream("Hello"))

    assert message.content == "你好 world"
    assert message.response_metadata["finish_reason"] == "STOP"
    assert message.usage_metadata == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


CUT = [{"candidates": [{"content": {"parts": [{"text": "Once"}]}}]}]


def test_broken_streams_raise_after_what_arrived(chat: Make, emulator: Emulator) -> None:
    """A stream without finishReason is a retryable connection error, an error inside has its class."""
    emulator.enqueue(
        reply.stream(CUT), reply.stream([*CUT, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}])
    )
    model = chat()
    got: list[str] = []

    with pytest.raises(langchain.ModelConnectionError) as raised:
        got.extend(str(chunk.content) for chunk in model.stream("Hello"))
    assert isinstance(raised.value, gemway.StreamInterruptedError)
    assert raised.value.is_retryable
    with pytest.raises(langchain.ModelAPIError):
        got.extend(str(chunk.content) for chunk in model.stream("Hello"))
    assert got == ["Once", "Once"]


def test_blocked_prompts_are_messages(chat: Make, emulator: Emulator) -> None:
    """With usage, provider, feedback as plain JSON and a refusal block, invoked and streamed."""
    emulator.enqueue(reply.blocked("PROHIBITED_CONTENT"), reply.blocked("PROHIBITED_CONTENT"))
    model = chat()

    for message in (model.invoke("Hello"), added(model.stream("Hello"))):
        metadata = message.response_metadata
        assert metadata["prompt_feedback"]["block_reason"] == "PROHIBITED_CONTENT"
        assert metadata["model_provider"] == "google_genai"
        assert (message.usage_metadata or {})["input_tokens"] > 0
        assert json.dumps(metadata)
        assert [block["type"] for block in message.content_blocks] == ["refusal"]


GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://example.com", "title": "Example"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 5, "endIndex": 9, "text": "aaé"}, "groundingChunkIndices": [0]},
    ],
    "webSearchQueries": ["aaé"],
}


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_citations_count_characters(chat: Make, emulator: Emulator, version: str, way: str) -> None:
    """Google counts bytes; LangChain's citations and our metadata count characters, on the right block."""
    text = "née: aaé."  # the citation is at bytes 6 to 10
    grounding = json.loads(json.dumps(GROUNDING).replace('"startIndex": 5', '"startIndex": 6').replace(": 9", ": 10"))
    emulator.enqueue(reply.text(text, chunks=3, candidate={"groundingMetadata": grounding}))
    model = chat(output_version=version)

    message = model.invoke("Hello") if way == "invoke" else added(model.stream("Hello"))

    (citation,) = message.content_blocks[0]["annotations"]  # type: ignore[typeddict-item]
    assert text[citation["start_index"] : citation["end_index"]] == "aaé"  # type: ignore[typeddict-item]
    assert citation["url"] == "https://example.com"  # type: ignore[typeddict-item]


def test_all_metadata_is_kept(chat: Make, emulator: Emulator) -> None:
    """URL context, citations, ids and the finish message are in response_metadata, as plain JSON."""
    candidate = {
        "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "https://a", "urlRetrievalStatus": "SUCCESS"}]},
        "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 2, "uri": "https://b"}]},
        "finishMessage": "told you",
    }
    emulator.enqueue(reply.text("Hi", candidate=candidate, response={"responseId": "r-1"}))

    metadata = chat().invoke("Hello").response_metadata

    assert metadata["url_context_metadata"]["url_metadata"][0]["retrieved_url"] == "https://a"
    assert metadata["citation_metadata"]["citation_sources"][0]["uri"] == "https://b"
    assert (metadata["finish_message"], metadata["id"]) == ("told you", "r-1")
    assert json.dumps(metadata)


def test_usage_has_every_detail(chat: Make, emulator: Emulator) -> None:
    """Modalities, caches, thoughts and tools; several answers are billed once."""
    usage = {
        "promptTokenCount": 300,
        "toolUsePromptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 1130,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 1447,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    }
    parts = {"parts": [{"text": "a"}], "role": "model"}
    candidates = [{"content": parts, "finishReason": "STOP", "index": index} for index in range(2)]
    emulator.enqueue(reply.raw(200, json.dumps({"candidates": candidates, "usageMetadata": usage})))

    result = chat(n=2).generate([[HumanMessage("Hello")]])

    first, second = (generation.message for generation in result.generations[0])  # type: ignore[union-attr]
    assert first.usage_metadata == {
        "input_tokens": 310,
        "output_tokens": 1137,
        "total_tokens": 1447,
        "input_token_details": {"cache_read": 4, "tool_use": 10, "image": 258},
        "output_token_details": {"reasoning": 7, "image": 1120},
    }
    assert second.usage_metadata is None
    assert (result.llm_output or {})["token_usage"]["total_tokens"] == 1447


COUNTS = st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=8)


@given(COUNTS)
def test_chunks_sum_to_the_final_usage(steps: list[tuple[int, int, int]]) -> None:
    """Whatever cumulative sequence comes, the sum over the chunks is the last; one chunk tells."""
    reader = ChunkReader(AnswerContext("gemini-2.5-flash"))
    chunks = []
    for prompt, answer, thoughts in steps:
        usage = {"promptTokenCount": prompt, "candidatesTokenCount": answer, "thoughtsTokenCount": thoughts}
        candidates = [{"content": {"parts": [{"text": "a"}]}, "index": 0}]
        chunk = GenerateContentResponse.model_validate({"candidates": candidates, "usageMetadata": usage})
        chunks.append(reader.read(chunk))
    said = [chunk for chunk in (*chunks, *reader.end()) if chunk is not None]

    prompt, answer, thoughts = steps[-1]
    total = added(said).usage_metadata or {}
    assert (total["input_tokens"], total["output_tokens"]) == (prompt, answer + thoughts)
    assert sum(chunk.usage_metadata is not None for chunk in said) == 1


@pytest.mark.parametrize("said", ["print(a=", '{"a": 1}', ""])
def test_malformed_calls_are_invalid_tool_calls(chat: Make, emulator: Emulator, said: str) -> None:
    """With the server's words, invoked and streamed; never a call."""
    candidate = {"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0, **({"finishMessage": said} if said else {})}
    emulator.enqueue(
        reply.raw(200, json.dumps({"candidates": [candidate]})), reply.stream([{"candidates": [candidate]}])
    )
    model = chat()

    for message in (model.invoke("Hello"), added(model.stream("Hello"))):
        assert message.tool_calls == []
        (invalid,) = message.invalid_tool_calls
        assert said in (invalid["args"] or "")


MIXED = [
    {"text": "Let me ", "thought": True},
    {"text": "see.", "thought": True},
    {"text": "Here "},
    {"text": "it is."},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S-call=="},
    {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "S-image=="},
]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_events_come_as_blocks_end(chat: Make, emulator: Emulator, way: str) -> None:
    """Thought, text, call and picture pass LangChain's validator; each block is finished before the next begins."""
    chunks: list[dict[str, Any]] = [{"candidates": [{"content": {"parts": [part]}}]} for part in MIXED]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    emulator.enqueue(reply.stream(chunks))
    model = chat("gemini-3.1-flash-image-preview", include_thoughts=True)

    if way == "sync":
        stream = model.stream_events("go", version="v3")
        events, message = [*stream], stream.output
    else:
        astream = await model.astream_events("go", version="v3")
        events, message = [event async for event in astream], await astream

    assert_valid_event_stream(events)
    order = [(event["event"], event.get("index")) for event in events]
    starts = [at for at, (name, _) in enumerate(order) if name == "content-block-start"]
    assert all(order[at - 1][0] in {"message-start", "content-block-finish"} for at in starts)
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "text", "tool_call", "image"]
    assert message.tool_calls[0]["args"] == {"a": 1}
    assert message.content_blocks[3]["extras"]["signature"] == "S-image=="  # type: ignore[typeddict-item]
    assert not any(PNG in str(event) for event in events if event["event"] != "content-block-finish")
    await model.aclose()


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_v1_content_is_what_content_blocks_say(chat: Make, emulator: Emulator, way: str) -> None:
    """Same types in the same order, with signatures."""
    chunks: list[dict[str, Any]] = [{"candidates": [{"content": {"parts": [part]}}]} for part in (*MIXED[:4], MIXED[5])]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    messages = []
    for version in ("v0", "v1"):
        emulator.enqueue(reply.stream(chunks))
        model = chat("gemini-3.1-flash-image-preview", include_thoughts=True, output_version=version)
        messages.append(model.invoke("go") if way == "invoke" else added(model.stream("go")))

    old, new = messages
    assert [block["type"] for block in new.content] == [block["type"] for block in old.content_blocks]  # type: ignore[index]
    assert new.content == new.content_blocks
    assert new.content[-1]["extras"]["signature"] == "S-image=="  # type: ignore[index]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_tokens_are_estimated_without_a_server(chat: Make, emulator: Emulator) -> None:
    """System messages, tools and pictures count; nothing is sent and nothing but us is needed."""
    model = chat()
    question = [HumanMessage("How many legs has a spider?")]
    picture = {"type": "image", "base64": PNG, "mime_type": "image/png"}

    plain = model.get_num_tokens_from_messages(question)  # type: ignore[arg-type]
    assert 5 <= plain <= 15
    assert model.get_num_tokens_from_messages([SystemMessage("Be brief."), *question]) > plain
    assert model.get_num_tokens_from_messages(question, tools=[add]) > plain + 10  # type: ignore[arg-type]
    assert model.get_num_tokens_from_messages([*question, HumanMessage([picture])]) > plain + 200
    assert model.get_num_tokens("How many legs has a spider?") == len(
        model.get_token_ids("How many legs has a spider?")
    )
    assert not emulator.requests


def test_the_gateway_counts_when_told_to(chat: Make, emulator: Emulator) -> None:
    """count_tokens=True asks with everything in the request."""
    model = chat(count_tokens=True)

    counted = model.get_num_tokens_from_messages([SystemMessage("Be brief."), HumanMessage("Hello")], tools=[add])

    assert counted > 0
    assert emulator.requests[0].path.endswith(":countTokens")
    assert "Be brief." in str(emulator.requests[0].json)
    assert "add" in str(emulator.requests[0].json)


def test_registered_models_are_found(gateway_environment: Emulator) -> None:
    """After register(), init_chat_model and create_agent know "gemway:"; registering twice is no harm."""
    register()
    register()

    model = init_chat_model("gemway:gemini-2.5-pro", temperature=0.5)
    agent = create_agent("gemway:gemini-2.5-pro", tools=[add])

    assert isinstance(model, ChatGemway)
    assert (model.model, model.temperature) == ("gemini-2.5-pro", 0.5)
    assert agent.invoke({"messages": [("user", "Add 20 and 22")]})["messages"][-1].text


def test_registering_without_langchain_does_nothing() -> None:
    """Where langchain is not installed register() is a no-op."""
    program = "import sys; sys.modules['langchain'] = None\nfrom langchain_gemway import register\nregister()"

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_configurable_fields_are_honoured(chat: Make, emulator: Emulator) -> None:
    """Model, temperature and key can be configured at run time."""
    fields = {name: ConfigurableField(id=name) for name in ("model", "temperature", "api_key")}
    model = chat("gemini-2.5-pro").configurable_fields(**fields)  # type: ignore[arg-type]

    configured = {"configurable": {"model": "gemini-2.5-flash", "temperature": 0.25, "api_key": "sk-wrong"}}
    with pytest.raises(gemway.AuthenticationError):
        model.invoke("Hello", config=configured)  # type: ignore[arg-type]

    assert "gemini-2.5-flash" in emulator.requests[0].path
    assert emulator.requests[0].json["generationConfig"] == {"temperature": 0.25}


def test_fallbacks_retries_and_batches(chat: Make, emulator: Emulator) -> None:
    """with_fallbacks, with_retry, batch and abatch behave as with any model."""
    emulator.enqueue(*[reply.error(503)] * 2)
    failing = chat(max_retries=0)

    assert failing.with_fallbacks([chat("gemini-2.5-pro")]).invoke("Hello").text
    assert failing.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke("Hello").text
    assert len(chat().batch(["a", "b", "c"])) == 3


async def test_async_batches_answer_every_prompt(chat: Make) -> None:
    """abatch asks all at once."""
    model = chat()

    assert len(await model.abatch(["a", "b", "c"])) == 3
    await model.aclose()


def test_caches_save_requests(chat: Make, emulator: Emulator) -> None:
    """The second call is answered from the cache; a changed setting is another question."""
    model = chat(cache=InMemoryCache(), temperature=0.1)
    first, second = model.invoke("Hello"), model.invoke("Hello")
    assert first.content == second.content
    assert len(emulator.requests) == 1

    model.temperature = 0.9
    model.invoke("Hello")

    assert len(emulator.requests) == 2


def test_rate_limiters_are_asked(chat: Make) -> None:
    """A limiter holds calls back."""
    asked = []

    class Limiter(InMemoryRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            asked.append(blocking)
            return True

    chat(rate_limiter=Limiter()).invoke("Hello")

    assert asked == [True]


def test_empty_answers_warnings_and_name_the_reason(chat: Make, emulator: Emulator) -> None:
    """A limit that thinking used up is named; an empty answer stays a message."""
    usage = {"thoughtsTokenCount": 90, "candidatesTokenCount": 0}
    emulator.enqueue(reply.text("", finish_reason="MAX_TOKENS", usage=usage), reply.text(""))
    model = chat(max_tokens=90)

    with pytest.warns(UserWarning, match=r"90 tokens.*max_tokens=90"):
        assert model.invoke("Hello").content == ""
    with pytest.warns(UserWarning, match="answered with nothing"):
        assert model.invoke("Hello").content == ""


def test_answers_without_candidates_are_errors(chat: Make, emulator: Emulator) -> None:
    """Neither candidates nor feedback: an error, invoked and streamed."""
    emulator.enqueue(
        reply.raw(200, '{"usageMetadata": {}}'), reply.stream([{"usageMetadata": {"promptTokenCount": 1}}])
    )
    model = chat(max_retries=0)

    for ask in (model.invoke, lambda text: [*model.stream(text)]):
        with pytest.raises((gemway.EmptyResponseError, gemway.APIError)) as raised:
            ask("Hello")
        assert isinstance(raised.value, langchain.ModelError)
