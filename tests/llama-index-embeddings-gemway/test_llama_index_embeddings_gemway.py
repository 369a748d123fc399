"""GemwayEmbedding behaves as LlamaIndex's embeddings do, and takes the options that people write for others."""

from __future__ import annotations

import io
import pickle

import pytest
from gemway import AuthenticationError, ConfigurationError
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.embeddings.gemway import GemwayEmbedding

MODEL = "gemini-embedding-001"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(24)


@pytest.fixture
def embed_model(gateway_environment):
    return GemwayEmbedding(model=MODEL)


def tasks(emulator) -> list[str | None]:
    return [one.get("taskType") for entry in emulator.requests for one in entry.json["requests"]]


def test_class():
    """The class is one of LlamaIndex's embeddings."""
    assert BaseEmbedding.__name__ in [base.__name__ for base in GemwayEmbedding.__mro__]
    assert GemwayEmbedding.class_name() == "GemwayEmbedding"


def test_texts_and_queries_have_their_task_types(embed_model, emulator):
    """Texts are embedded for retrieval, queries for searching them."""
    embed_model.get_text_embedding_batch(["a", "b"])
    embed_model.get_query_embedding("c")

    assert tasks(emulator) == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]


async def test_the_async_methods_give_the_same_vectors(embed_model):
    """All async methods are native, and equal to the blocking ones."""
    texts = ["a ship sails", "income tax"]

    assert await embed_model.aget_text_embedding_batch(texts) == embed_model.get_text_embedding_batch(texts)
    assert await embed_model.aget_text_embedding("sea") == embed_model.get_text_embedding("sea")
    assert await embed_model.aget_query_embedding("sea") == embed_model.get_query_embedding("sea")
    await embed_model.aclose()


def test_an_index_finds_the_right_passage(embed_model):
    """The usual way to use them: documents, an index, a question."""
    documents = [Document(text=text) for text in ("The Danube ends in the Black Sea.", "Income tax is due in May.")]

    index = VectorStoreIndex.from_documents(documents, embed_model=embed_model)

    assert (
        index.as_retriever(similarity_top_k=1).retrieve("Where does the Danube end?")[0].text.startswith("The Danube")
    )


@pytest.mark.parametrize("picture", [PICTURE, io.BytesIO(PICTURE), "file"], ids=["bytes", "file object", "path"])
def test_pictures_are_embedded_where_the_model_reads_them(picture, gateway_environment, tmp_path):
    """get_image_embedding takes bytes, an open file or a path."""
    if picture == "file":
        path = tmp_path / "logo.png"
        path.write_bytes(PICTURE)
        picture = str(path)
    embed_model = GemwayEmbedding(model="gemini-embedding-2")

    vector = embed_model.get_image_embedding(picture)

    sent = gateway_environment.requests[0].json["requests"][0]["content"]["parts"][0]
    assert sent["inlineData"]["mimeType"] == "image/png"
    assert len(vector) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"model_name": MODEL, "dimensions": 64, "embed_batch_size": 2, "api_base": ...},
        {"model_name": MODEL, "output_dimensionality": 64, "embed_batch_size": 2, "base_url": ...},
    ],
    ids=["OpenAIEmbedding", "GoogleGenAIEmbedding"],
)
def test_names_of_other_classes(options, emulator):
    """Width, batch size and address under the names of OpenAI's and Google's classes."""
    named = {name: emulator.base_url if value is ... else value for name, value in options.items()}

    vectors = GemwayEmbedding(**named, api_key=emulator.api_key).get_text_embedding_batch(["a", "b", "c"])

    assert {len(vector) for vector in vectors} == {64}
    assert len(emulator.requests) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dimension": 64}, TypeError, "dimension"),
        ({"temperature": 0.5}, TypeError, "belongs to a chat model"),
        ({"embed_batch_size": 0}, ConfigurationError, "embed_batch_size"),
        ({"embed_route": "files"}, ConfigurationError, "embed_route"),
    ],
    ids=["misspelt", "a chat option", "no batch", "unknown route"],
)
def test_wrong_options_are_named(options, error, words, gateway_environment):
    """Nothing is dropped silently."""
    with pytest.raises(error, match=words):
        GemwayEmbedding(model=MODEL, **options)


def test_a_missing_key_is_an_error_at_construction(emulator):
    """As the models do, with the two ways to give one."""
    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        GemwayEmbedding(model=MODEL, base_url=emulator.base_url)


def test_a_wrong_key_is_a_typed_error(emulator):
    """Errors are gemway's."""
    embed_model = GemwayEmbedding(model=MODEL, base_url=emulator.base_url, api_key="sk-wrong")

    with pytest.raises(AuthenticationError):
        embed_model.get_text_embedding("hello")


def test_dicts_and_pickles_come_back_and_show_no_key(embed_model, emulator):
    """to_dict, from_dict and pickle embed alike; the key is in none of them."""
    stored = embed_model.to_dict()
    restored = (GemwayEmbedding.from_dict(stored), pickle.loads(pickle.dumps(embed_model)))

    for twin in restored:
        assert twin.get_text_embedding("hello") == embed_model.get_text_embedding("hello")
    assert emulator.api_key not in f"{stored} {embed_model!r} {pickle.dumps(embed_model)!r} {embed_model.to_payload()}"


def test_callbacks_see_the_embedding(gateway_environment):
    """LlamaIndex's callback manager gets its embedding events."""
    handler = LlamaDebugHandler(print_trace_on_end=False)
    embed_model = GemwayEmbedding(model=MODEL, callback_manager=CallbackManager([handler]))

    embed_model.get_text_embedding_batch(["a", "b"])

    assert len(handler.get_event_pairs(CBEventType.EMBEDDING)) == 1
