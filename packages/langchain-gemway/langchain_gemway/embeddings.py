"""GemwayEmbeddings: LangChain's embeddings over a Gemini-native gateway with Bearer auth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import gemway
import gemway.adapters
from gemway import AsyncClient, Client
from gemway.adapters import hide_secrets, refuse_invalid, split_embedding_options
from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, PrivateAttr

from langchain_gemway._errors import langchain_errors

if TYPE_CHECKING:
    from typing_extensions import Self


class GemwayEmbeddings(BaseModel, Embeddings):
    """Embeds documents and queries through a gateway.

        embeddings = GemwayEmbeddings(model="gemini-embedding-001")
        vector = embeddings.embed_query("Where does the Danube end?")

    Documents are embedded for retrieval (`RETRIEVAL_DOCUMENT`) and queries for searching them (`RETRIEVAL_QUERY`),
    unless `task_type` says otherwise for both. Names of OpenAIEmbeddings and GoogleGenerativeAIEmbeddings are
    accepted: `dimensions`, `chunk_size`, `google_api_key`, `openai_api_base` and so on. All options of
    `gemway.Client` are accepted too.

    Args:
        model: an embedding model, such as `"gemini-embedding-001"`.
        task_type: one task for documents and queries alike, such as `"SEMANTIC_SIMILARITY"`.
        output_dimensionality: the width of the vectors, in numbers; the model's full width if None.
        normalize: scale vectors that are shorter than the full width to length 1.
        batch_size: the most texts of one request; at most 100.
        concurrency: how many requests may run at the same time.
        embed_route: `"batch"`, `"single"` or `"openai"`; found out at the first call if None.

    Raises:
        ConfigurationError: for a missing key or address, and for values that cannot work.
        TypeError: for an unknown option; the message suggests the nearest one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=())

    model: str
    task_type: str | None = None
    output_dimensionality: int | None = None
    normalize: bool = True
    batch_size: int = 100
    concurrency: int = 4
    embed_route: Literal["batch", "single", "openai"] | None = None

    _client: Client = PrivateAttr()
    _async_client: AsyncClient = PrivateAttr()

    if not TYPE_CHECKING:

        def __init__(self, **kwargs: Any) -> None:
            hide_secrets(kwargs, known=type(self).model_fields)
            own, shared = split_embedding_options(kwargs, known=type(self).model_fields, where="GemwayEmbeddings")
            own["model"] = gemway.adapters.resolve_model(own.get("model"))
            with refuse_invalid("GemwayEmbeddings"):
                super().__init__(**own)
            http_client, http_async_client = shared.pop("http_client", None), shared.pop("http_async_client", None)
            self._client = Client(**shared, http_client=http_client)
            self._async_client = AsyncClient(**shared, http_client=http_async_client)

    @property
    def base_url(self) -> str:
        """The gateway's address, without the API version."""
        return self._client.base_url

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each of *texts*, in their order."""
        if not texts:
            return []
        with langchain_errors():
            return self._vectors(self._client.embed_content(self.model, texts, **self._request("RETRIEVAL_DOCUMENT")))

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a search query."""
        with langchain_errors():
            return self._vectors(self._client.embed_content(self.model, text, **self._request("RETRIEVAL_QUERY")))[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each of *texts*, in their order."""
        if not texts:
            return []
        request = self._request("RETRIEVAL_DOCUMENT")
        with langchain_errors():
            return self._vectors(await self._async_client.embed_content(self.model, texts, **request))

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a search query."""
        request = self._request("RETRIEVAL_QUERY")
        with langchain_errors():
            return self._vectors(await self._async_client.embed_content(self.model, text, **request))[0]

    def close(self) -> None:
        """Release the connections of blocking calls. A later call opens new ones."""
        self._client.close()

    async def aclose(self) -> None:
        """Release all connections. A later call opens new ones."""
        self.close()
        await self._async_client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _request(self, task_type: str) -> dict[str, Any]:
        return {
            "task_type": self.task_type or task_type,
            "output_dimensionality": self.output_dimensionality,
            "normalize": self.normalize,
            "batch_size": self.batch_size,
            "concurrency": self.concurrency,
            "embed_route": self.embed_route,
        }

    @staticmethod
    def _vectors(result: gemway.EmbeddingResult) -> list[list[float]]:
        return cast("list[list[float]]", result.vectors)
