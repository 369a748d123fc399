"""GemwayEmbedding: LlamaIndex's embeddings over a Gemini-native gateway with Bearer auth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding

import gemway
import gemway.adapters
from gemway import AsyncClient, Client
from gemway.adapters import hide_secrets, refuse_invalid, split_embedding_options

if TYPE_CHECKING:
    from typing_extensions import Self

# What to_dict() holds and a client takes. Secrets are not among them.
_STORED_CLIENT_OPTIONS = ("base_url", "timeout", "max_retries", "deadline")


class GemwayEmbedding(MultiModalEmbedding):
    """Embeds texts and, with models that read them, pictures through a gateway.

        embed_model = GemwayEmbedding(model="gemini-embedding-001")
        index = VectorStoreIndex.from_documents(documents, embed_model=embed_model)

    Texts are embedded for retrieval (`RETRIEVAL_DOCUMENT`) and queries for searching them (`RETRIEVAL_QUERY`), unless
    `task_type` says otherwise for both. Names of OpenAIEmbedding and GoogleGenAIEmbedding are accepted: `dimensions`,
    `api_base`, `model_name` and so on. All options of `gemway.Client` are accepted too.

    Args:
        model: an embedding model, such as `"gemini-embedding-001"`; also as `model_name=`.
        task_type: one task for texts and queries alike, such as `"SEMANTIC_SIMILARITY"`.
        output_dimensionality: the width of the vectors, in numbers; the model's full width if None.
        normalize: scale vectors that are shorter than the full width to length 1.
        embed_batch_size: how many texts LlamaIndex hands over at a time; a request holds at most 100.
        num_workers: how many requests may run at the same time; default 4.
        embed_route: `"batch"`, `"single"` or `"openai"`; found out at the first call if None.

    Raises:
        ConfigurationError: for a missing key or address, and for values that cannot work.
        TypeError: for an unknown option; the message suggests the nearest one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=())

    embed_batch_size: int = Field(default=100, gt=0, le=2048)
    base_url: str | None = None
    timeout: float | None = None
    max_retries: int | None = None
    deadline: float | None = None
    task_type: str | None = None
    output_dimensionality: int | None = None
    normalize: bool = True
    embed_route: Literal["batch", "single", "openai"] | None = None

    _client: Client | None = PrivateAttr(default=None)
    _async_client: AsyncClient | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:

        def __init__(self, model: str | None = None, *, is_restored: bool = False, **options: Any) -> None:
            hide_secrets(options, known=type(self).model_fields)
            # LlamaIndex's own names of its fields stay as they are; the shared table has others for them.
            kept = {name: options.pop(name) for name in ("embed_batch_size", "num_workers") if name in options}
            named = {**options, "model": model or options.pop("model_name", None)}
            named.pop("model_name", None)
            own, shared = split_embedding_options(named, known=type(self).model_fields, where="GemwayEmbedding")
            name = gemway.adapters.resolve_model(own.pop("model", None))
            if "batch_size" in shared:
                kept["embed_batch_size"] = shared.pop("batch_size")
            with refuse_invalid("GemwayEmbedding"):
                super().__init__(model_name=name, **own, **kept)
            if not is_restored:
                self._open_clients(shared)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores the class."""
        return "GemwayEmbedding"

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Bring an object back from `to_dict()`. The key comes from GEMWAY_API_KEY, at the first call."""
        return super().from_dict({**data, "is_restored": True}, **kwargs)

    def close(self) -> None:
        """Release the connections of blocking calls. A later call opens new ones."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Release all connections. A later call opens new ones."""
        self.close()
        if self._async_client is not None:
            await self._async_client.aclose()

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed([query], "RETRIEVAL_QUERY")[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._aembed([query], "RETRIEVAL_QUERY"))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._embed([text], "RETRIEVAL_DOCUMENT")[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aembed([text], "RETRIEVAL_DOCUMENT"))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed(texts, "RETRIEVAL_DOCUMENT")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aembed(texts, "RETRIEVAL_DOCUMENT")

    def _get_image_embedding(self, img_file_path: Any) -> Embedding:
        return self._embed([_to_media(img_file_path)], None)[0]

    async def _aget_image_embedding(self, img_file_path: Any) -> Embedding:
        return (await self._aembed([_to_media(img_file_path)], None))[0]

    def _get_image_embeddings(self, img_file_paths: list[Any]) -> list[Embedding]:
        return self._embed([_to_media(image) for image in img_file_paths], None)

    async def _aget_image_embeddings(self, img_file_paths: list[Any]) -> list[Embedding]:
        return await self._aembed([_to_media(image) for image in img_file_paths], None)

    def _embed(self, inputs: Sequence[Any], task_type: str | None) -> list[Embedding]:
        client = self._client or self._open_clients({})[0]
        vectors: list[Embedding] = client.embed_content(self.model_name, inputs, **self._request(task_type)).vectors
        return vectors

    async def _aembed(self, inputs: Sequence[Any], task_type: str | None) -> list[Embedding]:
        client = self._async_client or self._open_clients({})[1]
        result = await client.embed_content(self.model_name, inputs, **self._request(task_type))
        vectors: list[Embedding] = result.vectors
        return vectors

    def _request(self, task_type: str | None) -> dict[str, Any]:
        return {
            "task_type": (self.task_type or task_type) if task_type else None,
            "output_dimensionality": self.output_dimensionality,
            "normalize": self.normalize,
            "concurrency": self.num_workers or 4,
            "embed_route": self.embed_route,
        }

    def _open_clients(self, shared: dict[str, Any]) -> tuple[Client, AsyncClient]:
        stored = {name: getattr(self, name) for name in _STORED_CLIENT_OPTIONS if getattr(self, name) is not None}
        others = {name: value for name, value in shared.items() if name not in ("http_client", "http_async_client")}
        self._client = Client(**stored, **others, http_client=shared.get("http_client"))
        self._async_client = AsyncClient(**stored, **others, http_client=shared.get("http_async_client"))
        return self._client, self._async_client


def _to_media(image: Any) -> Any:
    """Return a picture as the core takes it. LlamaIndex names local files by text, or hands over a file object."""
    if isinstance(image, str) and not image.startswith(("data:", "http://", "https://", "gs://", "files/")):
        return Path(image)
    return image.read() if hasattr(image, "read") else image
