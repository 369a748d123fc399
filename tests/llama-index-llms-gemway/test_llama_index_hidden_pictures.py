"""A picture that a gateway wrote into the text of a stream, as markdown cut over many chunks."""

from __future__ import annotations

import io
from base64 import b64encode

from gemway_emulator import reply
from llama_index.core.llms import ChatMessage, ImageBlock
from llama_index.llms.gemway import Gemway
from PIL import Image


async def test_it_is_a_block_of_the_message(gateway_environment):
    """The rest of the text stays, blocking and not."""
    file = io.BytesIO()
    Image.new("RGB", (64, 36), "orange").save(file, "PNG")
    text = f"Here: ![a fox](data:image/png;base64,{b64encode(file.getvalue()).decode()}) Done!"
    streamed = reply.text(text, chunks=30)
    gateway_environment.enqueue(streamed, streamed)
    model, asked = Gemway(model="gemini-2.5-flash-image"), [ChatMessage(content="a fox")]

    blocking = list(model.stream_chat(asked))
    for responses in (blocking, [response async for response in await model.astream_chat(asked)]):
        message = responses[-1].message
        (picture,) = (block for block in message.blocks if isinstance(block, ImageBlock))
        assert picture.resolve_image().read() == file.getvalue()
        assert message.content.split() == ["Here:", "Done!"]
        assert "".join(response.delta for response in responses).split() == ["Here:", "Done!"]
