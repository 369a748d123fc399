"""Embed 10,000 texts: time and processor time for each text, next to a hand-written loop and the peers.

    python tests/benchmarks/embedding_speed.py                 all that are installed, three rounds
    python tests/benchmarks/embedding_speed.py --texts 1000    fewer texts

Each contender runs in a process of its own and talks to a server in another one, which sends canned vectors of 768
numbers. The loop posts 100 texts at a time with httpx and takes the lists out of the JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import resource
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable

BATCH, WIDTH = 100, 768
MODEL = "gemini-embedding-001"
VALUES = [((7 * i) % 97) / 971 - 0.05 for i in range(WIDTH)]
GOOGLE = json.dumps({"embeddings": [{"values": VALUES}] * BATCH}).encode()
PACKED = base64.b64encode(struct.pack(f"<{WIDTH}f", *VALUES)).decode()
OPENAI = json.dumps(
    {
        "object": "list",
        "model": MODEL,
        "data": [{"object": "embedding", "index": i, "embedding": PACKED} for i in range(BATCH)],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
).encode()


async def serve() -> None:
    """Answer every request for 100 vectors, and print the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                body = OPENAI if b"/v1/embeddings" in head else GOOGLE
                begin = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                writer.write(begin + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def loop(address: str, texts: list[str]) -> int:
    import httpx

    vectors: list[list[float]] = []
    with httpx.Client(headers={"authorization": "Bearer sk-local"}) as client:
        for start in range(0, len(texts), BATCH):
            requests = [
                {"model": f"models/{MODEL}", "content": {"parts": [{"text": text}]}}
                for text in texts[start : start + BATCH]
            ]
            response = client.post(f"{address}/v1beta/models/{MODEL}:batchEmbedContents", json={"requests": requests})
            vectors += [each["values"] for each in response.json()["embeddings"]]
    return len(vectors)


def gemway_lists(address: str, texts: list[str]) -> int:
    from gemway import Client

    return len(Client(base_url=address, api_key="sk-local").embed_content(MODEL, texts).vectors)


def gemway_numpy(address: str, texts: list[str]) -> int:
    from gemway import Client

    return len(Client(base_url=address, api_key="sk-local").embed_content(MODEL, texts, as_numpy=True).vectors)


def langchain_gemway(address: str, texts: list[str]) -> int:
    from langchain_gemway import GemwayEmbeddings

    return len(GemwayEmbeddings(model=MODEL, base_url=address, api_key="sk-local").embed_documents(texts))


def llama_index_gemway(address: str, texts: list[str]) -> int:
    from llama_index.embeddings.gemway import GemwayEmbedding

    model = GemwayEmbedding(model=MODEL, base_url=address, api_key="sk-local")
    return len(model.get_text_embedding_batch(texts))


def langchain_google(address: str, texts: list[str]) -> int:
    from langchain_google_genai import GoogleGenerativeAIEmbeddings

    model = GoogleGenerativeAIEmbeddings(model=f"models/{MODEL}", google_api_key="sk-local", base_url=address)
    return len(model.embed_documents(texts, batch_size=BATCH))


def langchain_openai(address: str, texts: list[str]) -> int:
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(
        model=MODEL,
        api_key="sk-local",
        base_url=f"{address}/v1",
        chunk_size=BATCH,
        check_embedding_ctx_length=False,
    )
    return len(model.embed_documents(texts))


CONTENDERS: dict[str, Callable[[str, list[str]], int]] = {
    "loop": loop,
    "gemway, lists": gemway_lists,
    "gemway, numpy": gemway_numpy,
    "GemwayEmbeddings": langchain_gemway,
    "GemwayEmbedding": llama_index_gemway,
    "GoogleGenerativeAIEmbeddings": langchain_google,
    "OpenAIEmbeddings": langchain_openai,
}


def contend(name: str, address: str, count: int) -> None:
    """Print seconds and processor seconds of one run, after a small one that loads everything, and the memory's peak."""
    texts = [f"Text number {number} says that rivers end in the sea." for number in range(count)]
    CONTENDERS[name](address, texts[:BATCH])
    before, began = time.process_time(), time.perf_counter()
    embedded = CONTENDERS[name](address, texts)
    passed, spent = time.perf_counter() - began, time.process_time() - before
    assert embedded == count, embedded
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([passed, spent, peak]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        figures: dict[str, list[list[float]]] = {}
        for _ in range(options.rounds):
            for name in CONTENDERS:
                run = subprocess.run(
                    [sys.executable, "-W", "ignore", __file__, "contend", name, address, str(options.texts)],
                    capture_output=True,
                    text=True,
                    env={**os.environ, "NO_PROXY": "127.0.0.1"},
                )
                if run.returncode == 0:
                    figures.setdefault(name, []).append(json.loads(run.stdout.splitlines()[-1]))
                elif name not in figures:
                    print(f"without {name}: {run.stderr.strip().splitlines()[-1]}")
        wall, cpu, _ = (statistics.median(column) for column in zip(*figures["loop"], strict=True))
        for name, runs in figures.items():
            seconds, spent, peak = (statistics.median(column) for column in zip(*runs, strict=True))
            print(
                f"{name:30} {seconds / options.texts * 1e6:7.0f} us a text ({seconds / wall:4.2f} x)   "
                f"{spent / options.texts * 1e6:7.0f} us of processor ({spent / cpu:4.2f} x)   peak {peak:4.0f} MB"
            )
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["contend"]:
        contend(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
