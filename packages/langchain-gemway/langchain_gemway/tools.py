"""GenerateImage: a tool with which an agent makes pictures and changes them.

It knows where a conversation keeps its pictures: in LangGraph's state, in messages, in artifacts of tools. The request
itself and the choice of what may be retried are the core's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

import gemway
from gemway import AsyncClient, Client, Image
from gemway.adapters import ClientHolder, hide_secrets
from langchain_core.callbacks import AsyncCallbackManagerForToolRun, CallbackManagerForToolRun
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, ToolException
from pydantic import BaseModel, Field, PrivateAttr, create_model

from langchain_gemway._content import UNKNOWN_MODEL, to_parts
from langchain_gemway._errors import langchain_errors

# One picture for each thread, of up to 25 MB in base64: a server that runs for weeks must not keep those of all users.
_REMEMBERED_THREADS = 64
# Errors that the model can do something about: with another prompt it may succeed. It cannot do anything about a refused
# key, an empty account, limits, 5xx and dead connections; those are raised, and the caller's retries see them.
_ERRORS_FOR_MODEL = (
    gemway.BadRequestError,
    gemway.ContentBlockedError,
    gemway.EmptyResponseError,
    gemway.UnsupportedContentError,
    gemway.UnprocessableEntityError,
    gemway.RequestTooLargeError,
)


class Picture(Image):
    """A generated picture. Unlike its base it can be kept in a LangGraph checkpoint."""

    # LangGraph's serializer stores and restores pydantic models by these two names (langgraph.checkpoint.serde, 1.x). It
    # looks for the methods, not for the base class, so a picture needs no pydantic.

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Return the picture as plain data, for checkpoints."""
        return {"data": self.base64, "mime_type": self.mime_type}

    @classmethod
    def model_construct(cls, **fields: Any) -> Picture:
        """Return the picture that `model_dump` described."""
        return cls(**fields)


class _Arguments(BaseModel):
    """The arguments of a call, with the descriptions that the model reads."""

    prompt: str = Field(description="Describe the picture, or the change to make in the newest picture.")
    edit: bool = Field(
        default=False,
        description="True to change the newest picture of the conversation, made or sent by the user; False for a new one.",
    )
    aspect_ratio: str | None = Field(
        default=None, description='Width to height, such as "1:1", "16:9" or "3:4"; leave out for the default.'
    )
    image_size: str | None = Field(default=None, description='"512", "1K", "2K" or "4K"; leave out for the default.')


@lru_cache(maxsize=1)
def _arguments() -> type[BaseModel]:
    """Return the tool's arguments, with LangGraph's state where LangGraph is installed."""
    if find_spec("langgraph") is None or find_spec("langgraph.prebuilt") is None:
        return _Arguments
    from langgraph.prebuilt import InjectedState

    _trust_pictures_in_checkpoints()
    # The whole state, not its "messages": a graph may keep its messages under another name, or be one list of them.
    conversation: Any = (Annotated[Any, InjectedToolArg, InjectedState()], None)
    return create_model("GenerateImageArguments", __base__=_Arguments, __module__=__name__, messages=conversation)


def _trust_pictures_in_checkpoints() -> None:
    """Enter `Picture` among the types that LangGraph restores from a checkpoint.

    LangGraph 1.2 warns about every type outside its own table and, with `LANGGRAPH_STRICT_MSGPACK`, hands out a dict
    in its place. A tool cannot reach the checkpointer's public `with_allowlist`, so this is the one way to give users
    back the pictures that they stored. A picture holds bytes and a MIME type; building one runs nothing.
    """
    try:
        serde = import_module("langgraph.checkpoint.serde._msgpack")
        serde.SAFE_MSGPACK_TYPES |= {(Picture.__module__, Picture.__name__)}  # type: ignore[attr-defined] # a plain set
    except (ImportError, AttributeError, TypeError):
        return  # a LangGraph without the table restores every type


def __getattr__(name: str) -> Any:
    """Let pickles find the arguments, which are made when the first tool is."""
    if name == "GenerateImageArguments":
        return _arguments()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class GenerateImage(ClientHolder, BaseTool):
    """Lets an agent make a picture, and change the newest one of the conversation.

        agent = create_agent(model, tools=[GenerateImage(aspect_ratio="16:9")])

    The newest picture is one that the user sent or named by URL, that a tool or the model made, or that this tool
    made earlier in the same thread. Conversations share nothing: without a thread id (`configurable.thread_id`) only
    the pictures in the conversation itself can be changed. The result shows the picture to the model; its `artifact` is
    the list of images, each with `.data`, `.mime_type` and `.save(path)`.

    A refusal, or a request that the gateway does not accept, reaches the model, which can ask for something else, as
    a tool message of status "error". With `handle_tool_error=False` it is raised. All other errors always are.

    Args:
        model: an image model.
        api_key, base_url, timeout, ...: the options of `gemway.Client`, under all names that ChatGemway takes.
        client: a `gemway.Client` or `gemway.AsyncClient` to use instead.
        aspect_ratio, image_size: the default for calls without one.
        return_images: `"blocks"` shows the picture to the model, `"text"` only states that it was made.
    """

    name: str = "generate_image"
    description: str = (
        "Make a picture from a description, or change the newest picture of the conversation (edit=true)."
        " The user sees the picture."
    )
    args_schema: Any = Field(default_factory=_arguments)  # made with the first tool: it imports LangGraph
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    model: str = gemway.IMAGE_MODEL
    client: Any = Field(default=None, exclude=True, repr=False)
    aspect_ratio: str | None = None
    image_size: str | None = None
    return_images: Literal["blocks", "text"] = "blocks"
    handle_tool_error: Any = True

    _made: OrderedDict[str, Picture] = PrivateAttr(default_factory=OrderedDict)

    if not TYPE_CHECKING:

        def __init__(self, *positional: Any, **options: Any) -> None:
            hide_secrets(options, known=type(self).model_fields)
            # A client of the user's has a key and an address of its own.
            super().__init__(*positional, is_restored=options.get("client") is not None, **options)

    def _run(
        self,
        prompt: str,
        edit: bool = False,
        aspect_ratio: str | None = None,
        image_size: str | None = None,
        messages: Any = None,
        run_manager: CallbackManagerForToolRun | None = None,
        *,
        config: RunnableConfig,  # exactly this: langchain-core hands it to no parameter that is annotated otherwise
    ) -> tuple[Any, list[Picture]]:
        thread = _thread_id(config)
        with self._errors_for_model():
            request = self._request(edit, aspect_ratio, image_size, messages, thread)
            client = self.client if isinstance(self.client, Client) else self._client()
            response = client.generate_image(prompt, **request)
        return self._to_result(response.images, thread)

    async def _arun(
        self,
        prompt: str,
        edit: bool = False,
        aspect_ratio: str | None = None,
        image_size: str | None = None,
        messages: Any = None,
        run_manager: AsyncCallbackManagerForToolRun | None = None,
        *,
        config: RunnableConfig,  # exactly this: langchain-core hands it to no parameter that is annotated otherwise
    ) -> tuple[Any, list[Picture]]:
        thread = _thread_id(config)
        with self._errors_for_model():
            request = self._request(edit, aspect_ratio, image_size, messages, thread)
            if isinstance(self.client, Client):
                # The user's own client only blocks, and a picture takes a minute: the event loop must go on meanwhile.
                response = await asyncio.to_thread(self.client.generate_image, prompt, **request)
            else:
                client = self.client if isinstance(self.client, AsyncClient) else self._async_client()
                response = await client.generate_image(prompt, **request)
        return self._to_result(response.images, thread)

    @contextmanager
    def _errors_for_model(self) -> Iterator[None]:
        """Raise errors that the model can act on as LangChain's `ToolException`, unless the user wants them raised."""
        with langchain_errors():
            try:
                yield
            except _ERRORS_FOR_MODEL as error:
                if not self.handle_tool_error:
                    raise
                raise ToolException(f"No picture was made: {error}") from error

    def _request(
        self,
        edit: bool,
        aspect_ratio: str | None,
        image_size: str | None,
        messages: Any,
        thread: str | None,
    ) -> dict[str, Any]:
        images = [self._newest_picture(messages, thread)] if edit else []
        return {
            "model": self.model,
            "aspect_ratio": aspect_ratio or self.aspect_ratio,
            "image_size": image_size or self.image_size,
            "images": images,
        }

    def _newest_picture(self, messages: Any, thread: str | None) -> Image | str:
        """Return the newest picture: of the conversation if there is one, else the last one made in this thread."""
        newest = next(_pictures(_conversation(messages)), None)
        if newest is None and thread is not None:
            newest = self._made.get(thread)
        if newest is None:
            raise gemway.UnsupportedContentError("there is no picture to edit yet; call with edit=false to make one")
        return newest

    def _to_result(self, images: Sequence[Image], thread: str | None) -> tuple[Any, list[Picture]]:
        pictures = [Picture(image.base64, image.mime_type) for image in images]
        # Remembered only under a thread's id: one tool serves the conversations of many users, and a picture without an
        # id would go to the next user who asks.
        if thread is not None:
            self._made[thread] = pictures[-1]
            self._made.move_to_end(thread)
            while len(self._made) > _REMEMBERED_THREADS:
                self._made.popitem(last=False)
        text = "; ".join(f"made a picture: {_measured(picture)}" for picture in pictures)
        if self.return_images == "text":
            return text, pictures
        blocks = [{"type": "image", "base64": one.base64, "mime_type": one.mime_type} for one in pictures]
        return [{"type": "text", "text": text}, *blocks], pictures

    def __getstate__(self) -> dict[Any, Any]:
        # Pictures belong to users, and stay in this process: a pickle of the tool goes to workers and caches.
        state: dict[Any, Any] = super().__getstate__()
        private = {**(state.get("__pydantic_private__") or {}), "_made": OrderedDict()}
        return {**state, "__pydantic_private__": private}


def _measured(picture: Image) -> str:
    try:
        return f"{picture.width} x {picture.height} pixels, {picture.mime_type}"
    except ValueError:
        return picture.mime_type


def _thread_id(config: RunnableConfig | None) -> str | None:
    """Return the id of the conversation, or None if the caller gave none."""
    thread = ((config or {}).get("configurable") or {}).get("thread_id")
    return None if thread is None or thread == "" else str(thread)


def _conversation(state: Any) -> Sequence[Any]:
    """Return the messages of a graph's state: a mapping, an object or the list of messages itself."""
    if isinstance(state, list | tuple):
        return state
    values = state if isinstance(state, Mapping) else getattr(state, "__dict__", {})
    if isinstance(messages := values.get("messages"), list | tuple):
        return messages
    # A graph may keep its messages under any name: the first list that ends in a message is taken for the conversation.
    lists = (value for value in values.values() if isinstance(value, list | tuple))
    return next((value for value in lists if value and isinstance(value[-1], BaseMessage)), ())


def _pictures(messages: Sequence[Any]) -> Iterator[Image | str]:
    """Yield the pictures of a conversation, newest first; those that are named by URL as their URL."""
    for message in reversed(messages):
        if isinstance(message, BaseMessage):
            yield from _pictures_in_artifact(getattr(message, "artifact", None))
            if isinstance(message.content, list):
                for block in reversed(message.content):
                    yield from _pictures_in_block(block)


def _pictures_in_artifact(artifact: Any) -> Iterator[Image]:
    """Yield those items of a tool's artifact that are certainly pictures, last one first.

    Artifacts are each tool's own business: rows of a database may well have a field named `data`.
    """
    for item in reversed(artifact) if isinstance(artifact, list) else ():
        if isinstance(item, Image):
            yield item
        elif isinstance(item, Mapping) and str(item.get("mime_type")).lower().startswith("image/"):
            picture = Picture(str(item.get("data") or ""))  # without the declared type: the bytes must show it
            if picture.mime_type.startswith("image/"):
                yield picture


def _pictures_in_block(block: Any) -> Iterator[Image | str]:
    if not isinstance(block, Mapping) or "text" in block or block.get("type") in _WITHOUT_PICTURES:
        return
    shows_picture = block.get("type") in _PICTURE_BLOCKS
    try:
        parts = to_parts(block, UNKNOWN_MODEL)
    except gemway.UnsupportedContentError:
        if shows_picture:
            raise  # a picture that cannot be read is still the one that the user means
        return
    for part in reversed(parts):
        media = part.get("inlineData") or part.get("fileData")
        if media is None or part.get("thought"):
            continue
        mime_type = media.get("mimeType") or ("image/" if shows_picture else "")
        if mime_type.lower().startswith("image/"):
            yield Image(media["data"], mime_type) if "data" in media else media["fileUri"]


_PICTURE_BLOCKS = frozenset({"image", "image_url", "input_image"})
_WITHOUT_PICTURES = frozenset(
    {"text", "reasoning", "thinking", "tool_call", "tool_use", "refusal", "invalid_tool_call"}
)
