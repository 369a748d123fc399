"""Show an answer while it is being written, and fold the pieces into one response."""

from pathlib import Path

from gateway import MODEL, configure
from gemway import Client
from gemway.adapters import Accumulator

configure(chunk_delay=0.02)
FABLE = Path(__file__).with_name("data") / "the-crow-and-the-pitcher.txt"
QUESTION = f"Who was thirsty, and what did the Crow drop into the pitcher?\n\n{FABLE.read_text(encoding='utf-8')}"

whole = Accumulator()
with Client().stream_generate_content(MODEL, {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}) as stream:
    for chunk in stream:
        print(chunk.text, end="", flush=True)
        whole.add(chunk)

response = whole.response()
print(f"\n\n{response.usage_metadata.total_token_count} tokens, finish: {response.finish_reason}")
