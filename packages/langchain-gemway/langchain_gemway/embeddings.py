"""GemwayEmbeddings: LangChain's embeddings over a Gemini-native gateway with Bearer auth.

The routes, batches and vectors are the core's (`client.embed_content`). This module knows LangChain's two methods, the
tasks that belong to them, and other integrations' names for the options of a call.
"""

from __future__ import annotations

from typing import Any, cast

import gemway
from gemway.adapters import EmbeddingModelOptions
from langchain_core.embeddings import Embeddings

from langchain_gemway._errors import langchain_errors

_CALL_OPTIONS = frozenset({"task_type", "title", "output_dimensionality", "batch_size"})
# OpenAIEmbeddings' names for two of them. The constructor takes many more; a call takes those that its peers' calls take.
_CALL_NAMES = {"chunk_size": "batch_size", "dimensions": "output_dimensionality"}


class GemwayEmbeddings(EmbeddingModelOptions, Embeddings):
    """Embeds documents and queries through a gateway.

        embeddings = GemwayEmbeddings(model="gemini-embedding-001")
        vector = embeddings.embed_query("Where does the Danube end?")

    Documents are embedded for retrieval (`RETRIEVAL_DOCUMENT`) and queries for searching them (`RETRIEVAL_QUERY`),
    unless `task_type` sets one task for both. Names of OpenAIEmbeddings and GoogleGenerativeAIEmbeddings are
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

    model: str = ""
    batch_size: int = 100
    concurrency: int = 4

    def embed_documents(self, texts: list[str], **options: Any) -> list[list[float]]:
        """Return one vector for each of *texts*, in their order.

        Args:
            options: `task_type`, `title`, `output_dimensionality` and `batch_size` for this call only, as
                GoogleGenerativeAIEmbeddings takes them, or OpenAIEmbeddings' `chunk_size`.
        """
        # Google embeds documents and questions differently, so that an answer lies near its question rather than near
        # texts that are worded alike (ai.google.dev, Embeddings: task types).
        request = self._request("RETRIEVAL_DOCUMENT", options)
        if not texts:
            return []
        with langchain_errors():
            return self._vectors(self._client().embed_content(self.model, texts, **request))

    def embed_query(self, text: str, **options: Any) -> list[float]:
        """Return the vector of a search query; for *options* see `embed_documents`."""
        request = self._request("RETRIEVAL_QUERY", options)
        with langchain_errors():
            return self._vectors(self._client().embed_content(self.model, text, **request))[0]

    async def aembed_documents(self, texts: list[str], **options: Any) -> list[list[float]]:
        """Return one vector for each of *texts*, in their order; for *options* see `embed_documents`."""
        request = self._request("RETRIEVAL_DOCUMENT", options)
        if not texts:
            return []
        with langchain_errors():
            return self._vectors(await self._async_client().embed_content(self.model, texts, **request))

    async def aembed_query(self, text: str, **options: Any) -> list[float]:
        """Return the vector of a search query; for *options* see `embed_documents`."""
        request = self._request("RETRIEVAL_QUERY", options)
        with langchain_errors():
            return self._vectors(await self._async_client().embed_content(self.model, text, **request))[0]

    def _request(self, task_type: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the options of `embed_content`: those of the object, overridden by the *changes* of one call."""
        call_options = {_CALL_NAMES.get(name, name): value for name, value in changes.items() if value is not None}
        if unknown := call_options.keys() - _CALL_OPTIONS:
            # One title for a whole list would name every document alike, and Google takes one for each text.
            advice = "; to give each text a title, call it once for each" if "titles" in unknown else ""
            raise TypeError(
                f"GemwayEmbeddings got an unexpected option {min(unknown)!r} in a call, which takes"
                f" {', '.join(sorted(_CALL_OPTIONS))}{advice}"
            )
        options = {**self._embed_options(), "batch_size": self.batch_size, "concurrency": self.concurrency}
        return {**options, "task_type": self.task_type or task_type, **call_options}

    @staticmethod
    def _vectors(result: gemway.EmbeddingResult) -> list[list[float]]:
        return cast("list[list[float]]", result.vectors)
