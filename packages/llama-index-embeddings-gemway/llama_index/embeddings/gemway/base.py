"""GemwayEmbedding: LlamaIndex's embeddings over a Gemini-native gateway with Bearer auth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import Field
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding

from gemway.adapters import EmbeddingModelOptions

if TYPE_CHECKING:
    from llama_index.core.schema import ImageType
    from typing_extensions import Self


class GemwayEmbedding(EmbeddingModelOptions, MultiModalEmbedding):
    """Embeds texts and, with models that read them, pictures through a gateway.

        embed_model = GemwayEmbedding(model="gemini-embedding-001")
        index = VectorStoreIndex.from_documents(documents, embed_model=embed_model)

    Texts are embedded for retrieval (`RETRIEVAL_DOCUMENT`) and queries for searching them (`RETRIEVAL_QUERY`), unless
    `task_type` sets one task for both. The option names of OpenAIEmbedding and GoogleGenAIEmbedding work too, such as
    `dimensions`, `api_base` and `model_name`, and so do all options of `gemway.Client`.

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

    # LlamaIndex's base class has a field `model_name`, which its callbacks and stores read.
    _model_field: ClassVar[str] = "model_name"

    # LlamaIndex hands over 10 texts at a time by default. Google takes up to 100 inputs in one request, so that is the
    # default here; larger batches are cut by the client.
    embed_batch_size: int = Field(default=100, gt=0, le=2048)

    if not TYPE_CHECKING:

        def __init__(self, model: str | None = None, **options: Any) -> None:
            if model is not None:
                options["model"] = model
            super().__init__(**options)

    @classmethod
    def _read_options(cls, options: Mapping[str, object]) -> dict[str, Any]:
        # LlamaIndex has fields of its own for the size of batches and for the number of requests at the same time.
        ours = {"batch_size": "embed_batch_size", "chunk_size": "embed_batch_size", "concurrency": "num_workers"}
        return super()._read_options({ours.get(name, name): value for name, value in options.items()})

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores the class."""
        return "GemwayEmbedding"

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Bring an object back from `to_dict()`. The key comes from GEMWAY_API_KEY, at the first call."""
        return super().from_dict({**data, "is_restored": True}, **kwargs)

    def __setstate__(self, state: dict[str, dict[str, object]]) -> None:
        # By the constructor, as LlamaIndex's components do, so that every option is checked.
        self.__init__(**state["__dict__"], is_restored=True)  # type: ignore[misc]  # as BaseComponent does

    # The hooks of LlamaIndex's base class. Queries and documents have different task types: Gemini places a question near
    # the texts that answer it only if each is embedded for its own task (ai.google.dev, Embeddings).

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed_inputs([query], "RETRIEVAL_QUERY")[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._aembed_inputs([query], "RETRIEVAL_QUERY"))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._embed_inputs([text], "RETRIEVAL_DOCUMENT")[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aembed_inputs([text], "RETRIEVAL_DOCUMENT"))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed_inputs(texts, "RETRIEVAL_DOCUMENT")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aembed_inputs(texts, "RETRIEVAL_DOCUMENT")

    # Pictures have no task type; models that read them compare them with texts of any task.

    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._embed_inputs([_to_core_media(img_file_path)], None)[0]

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return (await self._aembed_inputs([_to_core_media(img_file_path)], None))[0]

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return self._embed_inputs([_to_core_media(image) for image in img_file_paths], None)

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return await self._aembed_inputs([_to_core_media(image) for image in img_file_paths], None)

    def _embed_inputs(self, inputs: Sequence[object], task_type: str | None) -> list[Embedding]:
        result = self._client().embed_content(self.model_name, inputs, **self._request_options(task_type))
        vectors: list[Embedding] = result.vectors
        return vectors

    async def _aembed_inputs(self, inputs: Sequence[object], task_type: str | None) -> list[Embedding]:
        result = await self._async_client().embed_content(self.model_name, inputs, **self._request_options(task_type))
        vectors: list[Embedding] = result.vectors
        return vectors

    def _request_options(self, task_type: str | None) -> dict[str, Any]:
        # The user's task goes before that of the hook; a hook without a task, the one for pictures, has none at all.
        task = (self.task_type or task_type) if task_type else None
        # Without `num_workers`, four requests at a time: the client's own default.
        return {**self._embed_options(), "task_type": task, "concurrency": self.num_workers or 4}


def _to_core_media(image: ImageType) -> object:
    """Return a picture as the core takes it."""
    # LlamaIndex names local files by their paths as text. The core never reads a file that a text names, because such
    # a text may come from a model or a web page; here it comes from the program itself.
    if isinstance(image, str) and not image.startswith(("data:", "http://", "https://", "gs://", "files/")):
        return Path(image)
    return image.read() if hasattr(image, "read") else image
