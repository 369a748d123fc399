"""`GemwayToolSpec`: tools with which LlamaIndex agents make and change pictures."""

# No `from __future__ import annotations` here: LlamaIndex reads the real annotations of tool functions.
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.core.workflow import Context
from llama_index.tools.gemway._pictures import Gallery, Picture, ids_in, pictures_in, to_blocks, to_id, to_ids

from gemway import (
    IMAGE_MODEL,
    APIStatusError,
    AsyncClient,
    Client,
    ConfigurationError,
    ContentBlockedError,
    EmptyResponseError,
    Image,
    UnsupportedContentError,
)
from gemway.adapters import OPTIONS, ClientHolder, OtherNames, accepts, canonical_options, hide_secrets
from gemway.types import GenerateContentResponse

AspectRatio = Literal[
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1"
]
ImageSize = Literal["512", "1K", "2K", "4K"]
Blocks = list[TextBlock | ImageBlock]

# Pictures come whole, so there is nothing to continue. `extra_body` is an option of requests elsewhere; here the client
# adds it, because the client also builds the requests.
_CLIENT_OPTIONS: Final = {name for name, place in OPTIONS.items() if place == "client"} - {"max_continuations"} | {
    "extra_body"
}
# The key in the context of a run under which the ids of its pictures are kept. The context may be stored as JSON, so it
# holds ids, not pictures.
_MADE_IN_RUN: Final = "gemway_images"


if TYPE_CHECKING:

    class _Constructor(OtherNames, ClientHolder):
        """Every option by every name, for type checkers."""

        model: str = Field(default=IMAGE_MODEL, kw_only=False)
        client: Client | AsyncClient | None = None
        aspect_ratio: str | None = None
        image_size: str | None = None
        return_images: Literal["blocks", "reference"] = "blocks"


class GemwayToolSpec(BaseToolSpec):
    """Make and change pictures with a Gemini image model behind a gateway.

        agent = FunctionAgent(llm=Gemway(...), tools=GemwayToolSpec().to_tool_list())

    A tool answers with a text that names the picture's `image_id`, type and size, and with the picture itself. A
    refusal, or a request that the gateway does not accept, comes back as text that the model can act on.

    Args:
        model: an image model.
        api_key: the key; default `GEMWAY_API_KEY`.
        base_url: the gateway's address; default `GEMWAY_BASE_URL`.
        client: a `gemway.Client` or `gemway.AsyncClient` to use instead of both; its settings serve sync and async.
        aspect_ratio: the shape where the model asks for none, such as `"16:9"`.
        image_size: the size where the model asks for none: `"512"`, `"1K"`, `"2K"` or `"4K"`.
        return_images: `"blocks"` shows pictures to the chat model, which costs their tokens at every later turn;
            `"reference"` gives it only their ids, which is enough to change them. `image(image_id)` returns one.
        options: all options of `gemway.Client`, under any of the names that models take.

    Raises:
        ConfigurationError: no key or no address.
        TypeError: an unknown option; the message names the nearest one.
    """

    spec_functions: list[SPEC_FUNCTION_TYPE] = [  # noqa: RUF012 - BaseToolSpec's own attribute
        ("generate_image", "agenerate_image"),
        ("edit_image", "aedit_image"),
    ]

    if TYPE_CHECKING:
        model: str
        aspect_ratio: str | None
        image_size: str | None
        return_images: Literal["blocks", "reference"]
        _client: Client
        _async_client: AsyncClient
        _gallery: Gallery

        @accepts(_Constructor)
        def __init__(self, **options: Any) -> None: ...

    else:

        def __init__(
            self,
            model: str = IMAGE_MODEL,
            *,
            client: Client | AsyncClient | None = None,
            aspect_ratio: str | None = None,
            image_size: str | None = None,
            return_images: Literal["blocks", "reference"] = "blocks",
            **options: Any,
        ) -> None:
            hide_secrets(options)  # first, so that no traceback shows one
            if return_images not in {"blocks", "reference"}:
                raise ConfigurationError(f'return_images must be "blocks" or "reference", not {return_images!r}')
            self.model = model
            self.aspect_ratio = aspect_ratio
            self.image_size = image_size
            self.return_images = return_images
            self._client, self._async_client = _make_clients(client, options)
            self._gallery = Gallery()

    def image(self, image_id: str) -> Image:
        """Return a picture by its id. Raises KeyError for one that is not (or no longer) kept; 64 are."""
        picture = self._gallery.get(image_id)
        if picture is None:
            raise KeyError(f"no picture {image_id!r}; known: {', '.join(self._gallery.ids()) or 'none'}")
        return picture

    def generate_image(
        self,
        prompt: str,
        aspect_ratio: AspectRatio | None = None,
        image_size: ImageSize | None = None,
        ctx: Context = None,  # type: ignore[assignment]  # LlamaIndex knows only this bare annotation
    ) -> Blocks:
        """Make a new picture from a description. The result names its image_id, with which it can be changed later.

        :param prompt: a detailed description of the picture: subject, style, light, colours, text in it.
        :param aspect_ratio: width to height; leave it out unless a shape is asked for.
        :param image_size: resolution; leave it out unless a size is asked for.
        """
        try:
            response = self._client.generate_image(prompt, **self._picture_options(aspect_ratio, image_size))
        except _ERRORS_FOR_MODEL as error:
            return _explain_to_model(error)
        return self._keep_and_show(response)

    async def agenerate_image(
        self,
        prompt: str,
        aspect_ratio: AspectRatio | None = None,
        image_size: ImageSize | None = None,
        ctx: Context = None,  # type: ignore[assignment]  # LlamaIndex knows only this bare annotation
    ) -> Blocks:
        """Make a new picture from a description; see `generate_image`."""
        try:
            response = await self._async_client.generate_image(
                prompt, **self._picture_options(aspect_ratio, image_size)
            )
        except _ERRORS_FOR_MODEL as error:
            return _explain_to_model(error)
        await self._note_made_pictures(ctx, response)
        return self._keep_and_show(response)

    def edit_image(
        self,
        prompt: str,
        image_ids: list[str] | None = None,
        aspect_ratio: AspectRatio | None = None,
        image_size: ImageSize | None = None,
        ctx: Context = None,  # type: ignore[assignment]  # LlamaIndex knows only this bare annotation
    ) -> Blocks:
        """Change a picture, or combine several, as described. The result is a new picture with its own image_id.

        :param prompt: the changes to make, and the parts of the picture to keep as they are.
        :param image_ids: the pictures to start from; leave it out for the newest picture of the conversation.
        :param aspect_ratio: width to height; leave it out to keep the shape.
        :param image_size: resolution; leave it out unless a size is asked for.
        """
        try:
            images = self._choose_pictures(image_ids, [], self._gallery.ids())
            response = self._client.generate_image(
                prompt, images=images, **self._picture_options(aspect_ratio, image_size)
            )
        except _ERRORS_FOR_MODEL as error:
            return _explain_to_model(error)
        return self._keep_and_show(response)

    async def aedit_image(
        self,
        prompt: str,
        image_ids: list[str] | None = None,
        aspect_ratio: AspectRatio | None = None,
        image_size: ImageSize | None = None,
        ctx: Context = None,  # type: ignore[assignment]  # LlamaIndex knows only this bare annotation
    ) -> Blocks:
        """Change a picture, or combine several, as described; see `edit_image`."""
        try:
            messages = await _read_conversation(ctx)
            made = self._gallery.ids() if ctx is None else await _ids_made_in_run(ctx)
            images = self._choose_pictures(image_ids, messages, made)
            options = self._picture_options(aspect_ratio, image_size)
            response = await self._async_client.generate_image(prompt, images=images, **options)
        except _ERRORS_FOR_MODEL as error:
            return _explain_to_model(error)
        await self._note_made_pictures(ctx, response)
        return self._keep_and_show(response)

    def to_tool_list(
        self,
        spec_functions: list[SPEC_FUNCTION_TYPE] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """Return the tools, for agents (which pass their context) and for direct calls (which have none)."""
        tools = super().to_tool_list(spec_functions, func_to_metadata_mapping)
        return [_PictureTool(fn=tool.fn, async_fn=tool.async_fn, metadata=tool.metadata) for tool in tools]

    def close(self) -> None:
        """Give the connections of the sync functions back. A later call opens new ones."""
        self._client.close()

    async def aclose(self) -> None:
        """Give all connections back. A later call opens new ones."""
        self._client.close()
        await self._async_client.aclose()

    def _picture_options(self, aspect_ratio: str | None, image_size: str | None) -> dict[str, Any]:
        return {
            "model": self.model,
            "aspect_ratio": aspect_ratio or self.aspect_ratio,
            "image_size": image_size or self.image_size,
        }

    def _choose_pictures(self, image_ids: Any, messages: list[ChatMessage], made: list[str]) -> list[Picture]:
        """Return the pictures with these ids, or the newest one if there are no ids."""
        if ids := to_ids(image_ids):
            return [self._find_picture(image_id, messages, made) for image_id in ids]
        # A picture that this run has just made is newer than all messages: the tool's result reaches the memory later.
        mentioned = ids_in(messages)
        unmentioned = [image_id for image_id in made if image_id not in mentioned]
        candidates = (self._gallery.get(image_id) for image_id in reversed(unmentioned))
        newest: Picture | None = next((picture for picture in candidates if picture is not None), None)
        newest = newest or next(pictures_in(messages, self._gallery), None)
        if newest is None:
            raise UnsupportedContentError("there is no picture in this conversation yet; make one with generate_image")
        return [newest]

    def _find_picture(self, image_id: str, messages: list[ChatMessage], made: list[str]) -> Image:
        if (picture := self._gallery.get(image_id)) is not None:
            return picture
        pictures = [picture for picture in pictures_in(messages, self._gallery) if isinstance(picture, Image)]
        ids = [to_id(picture) for picture in pictures]
        if image_id in ids:
            return pictures[ids.index(image_id)]
        available = ", ".join(dict.fromkeys([*made, *ids])) or "none"
        raise UnsupportedContentError(f"there is no picture with the image_id {image_id!r}; known: {available}")

    def _keep_and_show(self, response: GenerateContentResponse) -> Blocks:
        """Keep the pictures of an answer, and return the blocks that show them to the model."""
        blocks: Blocks = []
        for at, picture in enumerate(response.images):
            image_id = self._gallery.add(picture)
            words = response.text if at == 0 else ""  # once, since every later turn costs their tokens again
            blocks += to_blocks(image_id, picture, words, with_picture=self.return_images == "blocks")
        return blocks

    async def _note_made_pictures(self, ctx: Context | None, response: GenerateContentResponse) -> None:
        """Note in the context of the run that it made these pictures, for later calls of the same run."""
        if ctx is not None:
            made = await _ids_made_in_run(ctx)
            await ctx.store.set(_MADE_IN_RUN, [*made, *map(to_id, response.images)])


class _PictureTool(FunctionTool):
    """A tool that takes the context of an agent's run, and works without one."""

    # Only workflows pass a context. FunctionTool raises "Context is required for this tool" without one.

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return super().call(*args, **{"ctx": None, **kwargs})

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return await super().acall(*args, **{"ctx": None, **kwargs})


def _explain_to_model(error: Exception) -> Blocks:
    """Return *error* as the tool's answer. Raise it if the model can do nothing about it and only time can help."""
    status = getattr(error, "status_code", None)
    if status is not None and not 400 <= status < 500:
        raise error
    return [TextBlock(text=f"Image not generated: {error}")]


# A model that reads one of these can ask for something else. 5xx, dead connections and timeouts are raised, because no
# other request would fare better.
_ERRORS_FOR_MODEL: Final = (ContentBlockedError, EmptyResponseError, UnsupportedContentError, APIStatusError)


async def _read_conversation(ctx: Context | None) -> list[ChatMessage]:
    """Return the messages of a run: its memory, and what its agent has not put there yet."""
    if ctx is None:
        return []
    # The names under which LlamaIndex's agents keep both (llama_index.core.agent.workflow).
    memory = await ctx.store.get("memory", default=None)
    scratchpad = await ctx.store.get("scratchpad", default=None)
    return [*(await memory.aget_all() if memory is not None else ()), *(scratchpad or ())]


async def _ids_made_in_run(ctx: Context) -> list[str]:
    return list(await ctx.store.get(_MADE_IN_RUN, default=None) or ())


def _make_clients(client: Client | AsyncClient | None, options: Mapping[str, Any]) -> tuple[Client, AsyncClient]:
    named = canonical_options(options, where="GemwayToolSpec")
    for name in named:
        if name not in _CLIENT_OPTIONS:
            raise TypeError(
                f"GemwayToolSpec got {name!r}, which it does not take; it takes {', '.join(sorted(_CLIENT_OPTIONS))}"
            )
    if client is not None:
        if named:
            raise ConfigurationError(f"client= has its own settings; leave out {', '.join(named)}")
        return _client_of_kind(Client, client), _client_of_kind(AsyncClient, client)
    if "default_headers" in named:
        named["headers"] = named.pop("default_headers")
    sync, asynchronous = named.pop("http_client", None), named.pop("http_async_client", None)
    return Client(http_client=sync, **named), AsyncClient(http_client=asynchronous, **named)


def _client_of_kind(kind: type[Any], client: Client | AsyncClient) -> Any:
    """Return *client* if it is of *kind*, else a client of that kind with the same settings."""
    if isinstance(client, kind):
        return client
    # Both kinds pickle the same state: their settings, without connections.
    twin = object.__new__(kind)
    twin.__setstate__(client.__getstate__())
    return twin
