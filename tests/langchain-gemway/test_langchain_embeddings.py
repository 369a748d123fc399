"""GemwayEmbeddings behaves as LangChain's embeddings do, and takes the options that people write for others."""

from __future__ import annotations

import copy
import pickle

import pytest
from gemway import AuthenticationError, ConfigurationError
from langchain_core.exceptions import ModelAuthenticationError
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_gemway import GemwayEmbeddings, register
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

MODEL = "gemini-embedding-001"


@pytest.fixture
def embeddings(gateway_environment):
    return GemwayEmbeddings(model=MODEL)


@pytest.mark.usefixtures("gateway_environment")
class TestStandardUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return GemwayEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": MODEL}

    @property
    def init_from_env_params(self):
        environment = {"GEMWAY_API_KEY": "sk-local", "GEMWAY_BASE_URL": "http://127.0.0.1:9"}
        return environment, {"model": MODEL}, {"base_url": "http://127.0.0.1:9"}


@pytest.mark.usefixtures("gateway_environment")
class TestStandardIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return GemwayEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": MODEL}


def test_documents_and_queries_have_their_task_types(embeddings, emulator):
    """Documents are embedded for retrieval, queries for searching them."""
    embeddings.embed_documents(["a", "b"])
    embeddings.embed_query("c")

    tasks = [one["taskType"] for entry in emulator.requests for one in entry.json["requests"]]
    assert tasks == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]


def test_one_task_type_for_both(gateway_environment):
    """task_type= stands for documents and queries alike."""
    embeddings = GemwayEmbeddings(model=MODEL, task_type="SEMANTIC_SIMILARITY")

    embeddings.embed_documents(["a"])
    embeddings.embed_query("b")

    tasks = {one["taskType"] for entry in gateway_environment.requests for one in entry.json["requests"]}
    assert tasks == {"SEMANTIC_SIMILARITY"}


async def test_the_async_methods_give_the_same_vectors(embeddings):
    """aembed_documents and aembed_query are native, and equal to the blocking ones."""
    texts = ["a ship sails", "income tax"]

    assert await embeddings.aembed_documents(texts) == embeddings.embed_documents(texts)
    assert await embeddings.aembed_query("sea") == embeddings.embed_query("sea")
    await embeddings.aclose()


async def test_a_call_may_change_its_options(embeddings, emulator):
    """GoogleGenerativeAIEmbeddings and OpenAIEmbeddings take some options at a call, blocking and with asyncio."""
    embeddings.embed_documents(["one", "two"], task_type="CLUSTERING", output_dimensionality=8, chunk_size=1)
    await embeddings.aembed_query("one", task_type="QUESTION_ANSWERING")

    first, second, third = (entry.json["requests"] for entry in emulator.requests)
    assert [len(first), len(second)] == [1, 1]
    assert (first[0]["taskType"], first[0]["outputDimensionality"]) == ("CLUSTERING", 8)
    assert third[0]["taskType"] == "QUESTION_ANSWERING"
    with pytest.raises(TypeError, match="call it once for each"):
        embeddings.embed_documents(["one"], titles=["a"])


def test_no_texts_are_no_request(embeddings, emulator):
    """An empty list is an empty list."""
    assert embeddings.embed_documents([]) == []
    assert emulator.requests == []


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 64, "chunk_size": 2},
        {"output_dimensionality": 64, "batch_size": 2},
    ],
    ids=["OpenAIEmbeddings", "GoogleGenerativeAIEmbeddings"],
)
def test_names_of_other_classes(options, gateway_environment):
    """Width and batch size under the names of OpenAI's and Google's classes."""
    vectors = GemwayEmbeddings(model=f"models/{MODEL}", **options).embed_documents(["a", "b", "c"])

    assert {len(vector) for vector in vectors} == {64}
    assert len(gateway_environment.requests) == 2


def test_keys_and_addresses_of_other_classes(emulator):
    """google_api_key and openai_api_base mean what they meant there; timeouts and headers reach the client."""
    embeddings = GemwayEmbeddings(
        model=MODEL,
        google_api_key=emulator.api_key,
        openai_api_base=f"{emulator.base_url}/v1beta",
        request_timeout=20,
        default_headers={"x-team": "red"},
    )

    assert len(embeddings.embed_query("hello")) > 0
    assert emulator.requests[0].headers["x-team"] == "red"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dimension": 64}, TypeError, "dimension"),
        ({"temperature": 0.5}, TypeError, "belongs to a chat model"),
        ({"batch_size": "many"}, ConfigurationError, "batch_size"),
        ({"embed_route": "files"}, ConfigurationError, "embed_route"),
    ],
    ids=["misspelt", "a chat option", "no number", "unknown route"],
)
def test_wrong_options_are_named(options, error, words, gateway_environment):
    """Nothing is dropped silently."""
    with pytest.raises(error, match=words):
        GemwayEmbeddings(model=MODEL, **options)


def test_a_missing_key_is_an_error_at_construction(emulator):
    """As the models do, with the two ways to give one."""
    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        GemwayEmbeddings(model=MODEL, base_url=emulator.base_url)


def test_errors_are_langchains_too(emulator):
    """A wrong key is gemway's error and LangChain's."""
    embeddings = GemwayEmbeddings(model=MODEL, base_url=emulator.base_url, api_key="sk-wrong")

    with pytest.raises(AuthenticationError) as caught:
        embeddings.embed_query("hello")

    assert isinstance(caught.value, ModelAuthenticationError)


def test_copies_and_pickles_work_and_show_no_key(embeddings):
    """A pickle, a copy and a deep copy embed alike; the key is in no repr, dump or environment pickle."""
    for twin in (pickle.loads(pickle.dumps(embeddings)), copy.copy(embeddings), copy.deepcopy(embeddings)):
        assert twin.embed_query("hello") == embeddings.embed_query("hello")

    shown = f"{embeddings!r} {embeddings.model_dump()} {pickle.dumps(embeddings)!r}"
    assert "sk-local" not in shown


def test_init_embeddings_finds_them_by_name(gateway_environment):
    """register() makes init_embeddings("gemway:...") work."""
    langchain = pytest.importorskip("langchain.embeddings")
    register()

    embeddings = langchain.init_embeddings(f"gemway:{MODEL}")

    assert isinstance(embeddings, GemwayEmbeddings)


def test_a_vector_store_finds_the_right_passage(embeddings):
    """The usual way to use them: a store, documents, a question."""
    store = InMemoryVectorStore(embeddings)
    store.add_texts(["The Danube ends in the Black Sea.", "Income tax is due in May.", "Lima is the capital of Peru."])

    assert store.similarity_search("Where does the Danube end?", k=1)[0].page_content.startswith("The Danube")
