"""LlamaIndex: a chat, streamed, with a picture in the question."""

from gateway import MODEL, configure
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.gemway import Gemway

# One red pixel, as a PNG file.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)

configure(chunk_delay=0.02)
llm = Gemway(model=MODEL)
messages = [
    ChatMessage(role="system", content="You are brief."),
    ChatMessage(role="user", blocks=[TextBlock(text="What do you see?"), ImageBlock(image=PIXEL)]),
]

for chunk in llm.stream_chat(messages):
    print(chunk.delta, end="", flush=True)
print()
