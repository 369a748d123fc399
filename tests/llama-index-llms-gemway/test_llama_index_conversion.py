"""Messages and blocks become Gemini's contents."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable

import pytest
from gemway import UnsupportedContentError
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\x00" * 32
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 32
GIF = b"GIF89a\x01\x00\x01\x00" + b"\x00" * 32
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def sent(emulator: Emulator) -> list[dict]:
    return emulator.requests[-1].json["contents"]


def parts_of(emulator: Emulator, llm: Gemway, *blocks) -> list[dict]:
    """Return the parts that user *blocks* become."""
    emulator.enqueue(reply.text("ok"))
    llm.chat([ChatMessage(role="user", blocks=list(blocks))])
    return sent(emulator)[0]["parts"]


def test_callers_messages_stay_as_they_are(emulator: Emulator, llm: Gemway) -> None:
    """The same call twice sends the same body, and the messages are untouched."""
    messages = [ChatMessage(content="a"), ChatMessage(content="b"), ChatMessage(role="assistant", content="c")]
    before = [message.model_copy(deep=True) for message in messages]

    for _ in range(2):
        emulator.enqueue(reply.text("ok"))
        llm.chat([*messages, ChatMessage(content="d")])

    assert emulator.requests[0].json == emulator.requests[1].json
    assert messages == before


def test_callers_history_stays_as_it_is(emulator: Emulator, llm: Gemway) -> None:
    """`chat_with_tools` adds the user's message to the request only."""
    history = [ChatMessage(content="a"), ChatMessage(role="assistant", content="b")]
    tool = FunctionTool.from_defaults(lambda x: x, name="echo", description="Echo x")
    emulator.enqueue(reply.text("ok"))

    llm.chat_with_tools([tool], user_msg="c", chat_history=history)

    assert len(history) == 2
    assert len(sent(emulator)) == 3


def test_system_and_developer_messages_make_one_instruction(emulator: Emulator, llm: Gemway) -> None:
    """Wherever they stand, in their order, and none of them as the user's words."""
    llm.chat(
        [
            ChatMessage(role="system", content="first"),
            ChatMessage(content="hello"),
            ChatMessage(role="developer", content="second"),
            ChatMessage(role="assistant", content="hi"),
            ChatMessage(content="go"),
            ChatMessage(role="system", content="third"),
        ]
    )

    body = emulator.requests[-1].json
    assert [part["text"] for part in body["systemInstruction"]["parts"]] == ["first", "second", "third"]
    assert "second" not in str(body["contents"])
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]


def test_models_without_system_instruction_get_it_as_text(emulator: Emulator, gemway) -> None:
    """Gemma before 4 refuses a system instruction; its words are not lost."""
    gemway("gemma-3-27b-it").chat([ChatMessage(role="system", content="Be brief."), ChatMessage(content="Hello")])

    body = emulator.requests[-1].json
    assert "systemInstruction" not in body
    assert body["contents"][0]["parts"][0] == {"text": "Be brief."}


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
async def test_system_prompt_applies_everywhere(emulator: Emulator, gemway, mode: str) -> None:
    """In `predict` and in the four structured methods, whatever the program mode."""
    llm = gemway(system_prompt="Answer as a pirate.", pydantic_program_mode=mode)
    prompt = PromptTemplate("Ann is {age} years old.")

    llm.predict(prompt, age=5)
    llm.structured_predict(Person, prompt, age=5)
    await llm.astructured_predict(Person, prompt, age=5)
    list(llm.stream_structured_predict(Person, prompt, age=5))
    [item async for item in await llm.astream_structured_predict(Person, prompt, age=5)]

    instructions = [request.json.get("systemInstruction") for request in emulator.requests]
    assert len(instructions) == 5
    assert all(found and found["parts"] == [{"text": "Answer as a pirate."}] for found in instructions)


@pytest.mark.parametrize("role", list(MessageRole), ids=lambda role: role.value)
def test_every_role_converts(emulator: Emulator, llm: Gemway, role: MessageRole) -> None:
    """All eight roles reach the gateway."""
    messages = [ChatMessage(content="question"), ChatMessage(role=role, content="words of this role")]

    llm.chat([*messages, ChatMessage(content="go on")])

    assert "words of this role" in str(emulator.requests[-1].json)


@pytest.mark.parametrize(
    "messages",
    [[], [ChatMessage(role="system", content="x")], [ChatMessage(content="")]],
    ids=["none", "system", "empty"],
)
@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_nothing_to_answer(emulator: Emulator, llm: Gemway, messages: list, method: str) -> None:
    """An empty or system-only conversation is refused, as a ValueError too, before anything is sent."""
    with pytest.raises(UnsupportedContentError, match="nothing to answer") as raised:
        getattr(llm, method)(messages)

    assert isinstance(raised.value, ValueError)
    assert len(emulator.requests) == 0


def test_empty_text_is_dropped(emulator: Emulator, llm: Gemway) -> None:
    assert parts_of(emulator, llm, TextBlock(text="hello"), TextBlock(text="")) == [{"text": "hello"}]


TEXT_PART = {"text": "a\nb"}
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 32
BLOCKS: dict[str, tuple[Callable[[], object], object]] = {
    "text": (lambda: TextBlock(text="x"), [{"text": "x"}]),
    "image": (lambda: ImageBlock(image=PNG), "image/png"),
    "image-file-object": (lambda: ImageBlock(image=io.BytesIO(PNG)), "image/png"),
    "image-data-url": (lambda: ImageBlock(url="data:image/png;base64," + base64.b64encode(PNG).decode()), "image/png"),
    "audio": (lambda: AudioBlock(audio=WAV, format="wav"), "audio/wav"),
    "audio-mp3": (lambda: AudioBlock(audio=b"ID3\x04" + b"\x00" * 20, format="mp3"), "audio/mpeg"),
    "video": (lambda: VideoBlock(video=b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 20), "video/mp4"),
    "pdf": (lambda: DocumentBlock(data=PDF, title="a.pdf"), "application/pdf"),
    "text-document": (lambda: DocumentBlock(data=b"a\nb!", title="a.txt"), [{"text": "a\nb!"}]),
    "markdown-document": (lambda: DocumentBlock(data=b"# a!", document_mimetype="text/markdown"), [{"text": "# a!"}]),
    "unsigned-thinking": (lambda: ThinkingBlock(content="hm"), []),
    "cache-point": (lambda: CachePoint(cache_control=CacheControl(type="ephemeral")), []),
    "citable": (
        lambda: CitableBlock(title="T", source="s", content=[TextBlock(text="said")]),
        [{"text": "T (s):"}, {"text": "said"}],
    ),
    "citation": (
        lambda: CitationBlock(
            cited_content=TextBlock(text="said"), source="s", title="T", additional_location_info={"page": 1}
        ),
        [{"text": "T (s):"}, {"text": "said"}],
    ),
}


@pytest.mark.parametrize("kind", list(BLOCKS))
def test_every_block_converts(emulator: Emulator, llm: Gemway, kind: str) -> None:
    """Each block goes as what it is; a text is never labelled a PDF."""
    make, expected = BLOCKS[kind]

    parts = parts_of(emulator, llm, TextBlock(text="look"), make())[1:]

    if isinstance(expected, str):
        assert [part["inlineData"]["mimeType"] for part in parts] == [expected]
    else:
        assert parts == expected


def test_tool_calls_and_results_convert(emulator: Emulator, llm: Gemway) -> None:
    """A call and its result pair up, whatever the framework's id, which is not sent."""
    call = ToolCallBlock(tool_call_id="made-up", tool_name="add", tool_kwargs={"a": 1})
    emulator.enqueue(reply.text("ok"))

    llm.chat(
        [
            ChatMessage(content="add"),
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(role="tool", content="2", additional_kwargs={"tool_call_id": "made-up"}),
        ]
    )

    assert sent(emulator)[1:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"output": "2"}}}]},
    ]


def test_legacy_tool_calls_convert(emulator: Emulator, llm: Gemway) -> None:
    """A history of OpenAI's class, with calls in `additional_kwargs`, goes on with ours."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    emulator.enqueue(reply.text("ok"))

    llm.chat(
        [
            ChatMessage(content="add"),
            ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]}),
            ChatMessage(role="tool", content="2", additional_kwargs={"tool_call_id": "c1"}),
        ]
    )

    assert sent(emulator)[1]["parts"] == [{"functionCall": {"name": "add", "args": {"a": 1}}}]


def test_files_are_read_and_addresses_go_by_reference(emulator: Emulator, llm: Gemway, tmp_path) -> None:
    """`path=` is read; an https address is left to the gateway."""
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)

    parts = parts_of(emulator, llm, ImageBlock(path=file), ImageBlock(url="https://example.com/a.png"))

    assert parts[0]["inlineData"]["data"] == base64.b64encode(PNG).decode()
    assert parts[1]["fileData"] == {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}


def test_an_empty_block_is_refused(llm: Gemway) -> None:
    """An empty block cannot be sent, and the error explains it."""
    with pytest.raises(UnsupportedContentError, match="ImageBlock"):
        llm.chat([ChatMessage(blocks=[ImageBlock()])])


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp"), (GIF, "image/gif")],
    ids=["png", "jpeg", "webp", "gif"],
)
def test_unknown_pictures_are_sniffed(emulator: Emulator, llm: Gemway, data: bytes, mime_type: str) -> None:
    """Without a declared type the bytes decide, even if LlamaIndex does not recognize them."""
    block = ImageBlock.model_construct(image=base64.b64encode(data), image_mimetype=None)

    parts = parts_of(emulator, llm, block)

    assert parts[0]["inlineData"]["mimeType"] == mime_type


def test_big_pictures_are_not_copied_around(emulator: Emulator, gemway) -> None:
    """A 12 MB picture comes and goes without being decoded and encoded again."""
    data = PNG + bytes(12_000_000)
    emulator.enqueue(reply.image(data))
    llm = gemway("gemini-3.1-flash-image-preview")

    message = llm.chat([ChatMessage(content="a picture")]).message

    block = next(block for block in message.blocks if isinstance(block, ImageBlock))
    started = time.process_time()
    copied = base64.b64encode(base64.b64decode(block.image))
    one_pass = time.process_time() - started
    assert base64.b64decode(copied) == data
    from llama_index.llms.gemway._messages import to_contents

    started = time.process_time()
    to_contents([message, ChatMessage(content="make it blue")], model=llm.model)
    assert time.process_time() - started < max(one_pass, 0.05)
