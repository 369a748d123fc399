"""The blocking client. Its twin is `_async_client.py`: equal but for a published table of substitutions."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gemway import _protocol as protocol
from gemway._accumulate import Accumulator, TextChunk
from gemway._call import CallOptions, CallState, GatewayFacts, OpenResponse
from gemway._config import ClientConfig
from gemway._continuation import FollowUps, merge_responses
from gemway._embeddings import (
    MAX_BATCH_INPUTS,
    EmbeddingBatch,
    EmbeddingJob,
    EmbeddingOptions,
    EmbeddingResult,
    EmbedRoute,
)
from gemway._exceptions import APIError, NotFoundError
from gemway._functions import sync_outcome
from gemway._image_requests import IMAGE_MODEL, image_request, require_pictures
from gemway._json import JsonMapping, JsonObject
from gemway._options import ClientOptions, accepts
from gemway._response import ResponseParser, StreamParser
from gemway._turns import ChatSettings, Turns, split_options, to_history
from gemway.types import Content, GenerateContentRequest, GenerateContentResponse

if TYPE_CHECKING:
    from typing_extensions import Self

    from gemway._transport import SyncTransport

T = TypeVar("T")


class Client:
    """Talks to a Gemini-native gateway with Bearer auth.

    Its options are the rows of `gemway._options.ClientOptions`; docs/configuration.md describes each of them.

    It opens its connections at the first call, shares them with other clients of the process, and can be used from
    several threads, pickled and copied. You may close it, but you never have to.

    Raises:
        ConfigurationError: for a missing key or address, and for values that cannot work.
    """

    @accepts(ClientOptions)
    def __init__(self, **options: Any) -> None:
        self._set_up(ClientConfig.of(options, type(self).__name__))

    def _set_up(self, config: ClientConfig) -> None:
        self._setup = config
        self._facts = GatewayFacts()

    @cached_property
    def _transport(self) -> SyncTransport:
        """The transport, made at the first call, so that importing and constructing stay cheap."""
        from gemway._transport import SyncTransport

        return SyncTransport(self._setup)

    @property
    def base_url(self) -> str:
        """The gateway's address, without the API version."""
        return self._setup.settings.base_url

    def generate_content(
        self,
        model: str,
        request: GenerateContentRequest | JsonMapping | object,
        *,
        config: object = None,
        **options: Any,
    ) -> GenerateContentResponse:
        """Send one request to *model* and return its whole answer.

        Args:
            request: a `types.GenerateContentRequest`, or its JSON as a dict in either spelling. Its members may be
                objects of `google.genai.types`, its tools Python functions. Or contents alone, as such objects.
            config: google-genai's `GenerateContentConfig`, or a dict with its fields.
            options: `timeout`, `max_retries`, `deadline` (seconds), `headers` for this call only.

        Raises:
            APIError: one of its subclasses, see `gemway._exceptions`.
            ConfigurationError: for a request that cannot be sent.
        """
        call_options = CallOptions.of(options, "generate_content")
        # Everything that can be wrong with a request is found here, before a connection is taken or a token is spent.
        call = protocol.generate_content(model, request, self._setup.settings, config=config)
        # Off by default: typed gateways such as new-api drop continuationToken, so that a follow-up would start again.
        if self._setup.settings.max_continuations:
            return merge_responses([response for response in self._yield_with_follow_ups(call, call_options)])
        opened = self._send_until_answered(call, call_options)
        message: GenerateContentResponse = opened.first
        return message

    def stream_generate_content(
        self,
        model: str,
        request: GenerateContentRequest | JsonMapping | object,
        *,
        config: object = None,
        **options: Any,
    ) -> Stream[GenerateContentResponse]:
        """Send one request to *model* and return an iterator over the chunks of its answer, which is also a context manager.

        The request is checked now and sent at the first `next` or when you enter the context. Leaving it early
        closes the connection. Raises the errors of `generate_content`, and `StreamInterruptedError` if the stream
        breaks off after its first chunk.
        """
        call_options = CallOptions.of(options, "stream_generate_content")
        call = protocol.generate_content(model, request, self._setup.settings, stream=True, config=config)
        follows_up = self._setup.settings.max_continuations > 0
        return Stream((self._yield_with_follow_ups if follows_up else self._yield_messages)(call, call_options))

    def stream_chunks(
        self, model: str, request: GenerateContentRequest | JsonMapping, **options: Any
    ) -> Stream[GenerateContentResponse | TextChunk]:
        """As `stream_generate_content`, but chunks that only add text stay plain JSON (`TextChunk`).

        For adapters that build their own objects from every chunk; `Accumulator` folds both kinds. The first
        chunk is always a response.
        """
        call_options = CallOptions.of(options, "stream_chunks")
        call = protocol.generate_content(model, request, self._setup.settings, stream=True, text_chunks=True)
        follows_up = self._setup.settings.max_continuations > 0
        return Stream((self._yield_with_follow_ups if follows_up else self._yield_messages)(call, call_options))

    def generate_image(
        self,
        prompt: str,
        *,
        model: str = IMAGE_MODEL,
        aspect_ratio: str | None = None,
        image_size: str | None = None,
        images: Iterable[object] | object = (),
        with_text: bool = False,
        history: Iterable[object] = (),
        **options: Any,
    ) -> GenerateContentResponse:
        """Generate an image from *prompt*, or edit *images*. The results are in `response.images`.

        Args:
            aspect_ratio: such as `"16:9"`; the model's choice if None.
            image_size: `"512"`, `"1K"`, `"2K"` or `"4K"`; the model's choice if None.
            images: the images to edit: bytes, `pathlib.Path`, `data:` URLs, Pillow images, earlier results.
            with_text: also allow text in the answer.
            history: the conversation so far: prompts as text with the responses to them, or contents.

        Raises:
            ContentBlockedError: the prompt or the picture was refused.
            EmptyResponseError: the answer holds no picture; the message holds the model's words.
        """
        call_options = CallOptions.of(options, "generate_image")
        request = image_request(prompt, model, aspect_ratio, image_size, images, with_text=with_text, history=history)
        call = protocol.generate_content(model, request, self._setup.settings)
        opened = self._send_until_answered(call, call_options)
        return require_pictures(opened.first, aspect_ratio)

    def count_tokens(self, model: str, request: GenerateContentRequest | JsonMapping, **options: Any) -> int | None:
        """Return how many tokens a prompt has, or None if the gateway cannot count.

        gemway never calls this itself: some gateways answer it with a billed generation.
        """
        call_options = CallOptions.of(options, "count_tokens")
        payload = self._send_for_json(protocol.count_tokens(model, request, self._setup.settings), call_options)
        return protocol.to_token_count(payload)

    def embed_content(  # noqa: PLR0913 - the options of an embedding request
        self,
        model: str,
        contents: object,
        *,
        task_type: str | None = None,
        title: str | None = None,
        output_dimensionality: int | None = None,
        normalize: bool = True,
        as_numpy: bool = False,
        embed_route: EmbedRoute | None = None,
        batch_size: int = MAX_BATCH_INPUTS,
        concurrency: int = 4,
        **options: Any,
    ) -> EmbeddingResult:
        """Embed *contents*; `.vectors` of the result has one vector per input, in their order.

        Inputs travel in batches as large as the route takes: at most 100 inputs and 8 MB each. The first batch finds
        out which route the gateway serves, unless `embed_route` names it; the client remembers it.

        Args:
            contents: a text, or a list of inputs. An input is a text, a part or a content (as JSON or `types`),
                bytes, a `pathlib.Path`, a `gemway.Image`, or a list of these that makes one input.
            task_type: such as `"RETRIEVAL_QUERY"`, `"RETRIEVAL_DOCUMENT"` or `"SEMANTIC_SIMILARITY"`. For
                gemini-embedding-2, which reads it in the text, it is written there.
            title: the title of a document, for `RETRIEVAL_DOCUMENT`.
            output_dimensionality: the width of the vectors, in numbers; the model's full width if None.
            normalize: scale vectors that are shorter than the full width to length 1, as Google does only for the
                full width (https://ai.google.dev/gemini-api/docs/embeddings).
            as_numpy: return one float32 array of shape (inputs, width) instead of lists of floats.
            embed_route: `"batch"`, `"single"` or `"openai"` (`/v1/embeddings`).
            batch_size: the most inputs of one request.
            concurrency: how many requests may run at the same time.
            options: `timeout`, `max_retries`, `deadline` (seconds, for each request), `headers` for this call only.

        Raises:
            APIError: one of its subclasses. `.input_index` is the input that the gateway rejected, and `.partial` holds
                the vectors that had arrived (None for the others).
            ResponseValidationError: the number of vectors, their width or their numbers are wrong.
            UnsupportedContentError: an input is empty, or cannot be sent on this route.
        """
        call_options = CallOptions.of(options, "embed_content")
        embedding_options = EmbeddingOptions(
            model,
            task_type,
            title,
            output_dimensionality,
            normalize,
            as_numpy,
            embed_route,
            batch_size,
            concurrency,
            self._setup.settings.extra_body,
        )
        job = EmbeddingJob(contents, embedding_options, self._facts.embed_route)
        while batches := job.next_batches():
            self._transport.together(partial(self._embed_batch, job, call_options), batches, concurrency)
        if job.route_is_known:
            self._facts.embed_route = job.route
        return job.result()

    def _embed_batch(self, job: EmbeddingJob, options: CallOptions, batch: EmbeddingBatch) -> None:
        """Send one batch of inputs, and pass the response or the error to the job."""
        if job.has_failed:
            return
        try:
            payload = self._send_for_json(batch.call, options)
        except APIError as error:
            job.take_error(batch, error.with_traceback(None))
        else:
            job.take_response(batch, payload)

    def list_models(self, **options: Any) -> list[str]:
        """Return the names of the gateway's models, without `models/`."""
        call_options = CallOptions.of(options, "list_models")
        names: list[str] = []
        call: protocol.Call | None = protocol.list_models()
        # The path of the next page comes from the gateway, so their number has a limit of ours.
        for _ in range(protocol.MAX_PAGES):
            if call is None:
                break
            page, call = protocol.to_models(call, self._fetch_model_page(call, call_options))
            names += page
        return names

    def _fetch_model_page(self, call: protocol.Call, options: CallOptions) -> object:
        """Return one page. LiteLLM and its kin list models under /v1 only, so a 404 is followed by one more try there."""
        try:
            return self._send_for_json(call, options)
        except NotFoundError:
            pass
        # Outside the `except`, so that an error of this request does not drag the first one along as its context.
        return self._send_for_json(protocol.under_v1(call), options)

    def chat(
        self,
        model: str,
        *,
        config: object = None,
        history: Iterable[object] = (),
        max_function_rounds: int = 10,
        **options: Any,
    ) -> Chat:
        """Return a conversation with *model*, which starts empty or continues *history*.

        Args:
            config: google-genai's `GenerateContentConfig`, or a dict with its fields.
            history: the conversation so far: the user's texts, and contents.
            max_function_rounds: how often for one message Python functions among the tools are called by themselves,
                and their results sent back; 0 for never.
            options: fields of the configuration (`tools`, `system_instruction`, `temperature`, ...), and the options
                of each call: `timeout`, `max_retries`, `deadline`, `headers`.

        Raises:
            ConfigurationError: for a configuration that cannot be sent.
            TypeError: for an unknown option. Fields that are newer than this library go in `config`.
        """
        calls, fields = split_options(options)
        return Chat(self, ChatSettings(model, config, fields, max_function_rounds), model, to_history(history), calls)

    def close(self) -> None:
        """Release this client's connections. A later call opens new ones."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def _yield_messages(self, call: protocol.Call, options: CallOptions) -> Generator[Any, None, None]:
        """Yield the messages of one answer. An error after the first message has `.partial`."""
        opened = self._send_until_answered(call, options)
        # From here on nothing is repeated: a second answer would differ from the chunks that the user has seen already.
        response, parser = opened.response, opened.parser
        try:
            # One read from the socket may hold several events, so more messages may have come together with the first.
            yield opened.first
            for message in opened.rest:
                yield message
            if not parser.complete:
                for data in response.body:
                    for message in parser.feed(data, self._transport.now()):
                        yield message
                for message in parser.finish():
                    yield message
            # A consumer that stops early ends this generator at its `yield`; `finally` closes the connection then, too.
            failure = None
        except APIError as error:
            failure = parser.interrupted(error)
            data = b""  # it may repeat the key, and tracebacks show the locals of this frame
        finally:
            response.close()
        if failure is not None:
            # Raised outside the `except`, without frames: theirs hold bytes in which the server may have echoed the
            # key.
            raise failure.with_traceback(None)

    def _yield_with_follow_ups(self, call: protocol.Call, options: CallOptions) -> Generator[Any, None, None]:
        """Yield the messages of *call*, and of follow-up requests while the model stops with CONTINUATION."""
        follow_ups = FollowUps(call, self._setup.settings.max_continuations)
        while follow_ups.call is not None:
            chunks = self._yield_messages(follow_ups.next_request(), options)
            try:
                for chunk in chunks:
                    yield follow_ups.observe(chunk)
            finally:
                chunks.close()  # also if the consumer leaves early
            follow_ups.finish()

    def _send_for_json(self, call: protocol.Call, options: CallOptions) -> object:
        opened = self._send_until_answered(call, options)
        return opened.first

    def _send_until_answered(self, call: protocol.Call, options: CallOptions) -> OpenResponse:
        """Send *call*, as often as the retry policy wants, until its answer begins. Nothing is repeated after that."""
        transport, settings = self._transport, self._setup.settings
        state = CallState(call, options, settings, self._facts, transport.retry_context, transport.now())
        while True:
            try:
                # Streams and whole answers share this loop. It ends when the first message is complete, so "nothing is
                # repeated after the first event" is true by construction.
                if settings.limiter is not None:
                    transport.wait_for_limiter(settings.limiter)
                response = transport.send(state)
                try:
                    # An error response is never a stream, even if the request asked for one.
                    kind = StreamParser if state.call.streaming and response.status < 300 else ResponseParser
                    parser = kind(state.call, response, settings, silence=state.timeouts.read, expires=state.expires)
                    for data in response.body:
                        for first in (messages := parser.feed(data, transport.now())):
                            return state.succeed(response, parser, first, messages)
                    messages = parser.finish()
                    first = next(messages)
                except BaseException:
                    # Also on cancellation and Ctrl-C: a response that is not closed here keeps its place in the pool.
                    data = b""  # it may repeat the key, and tracebacks show the locals of this frame
                    response.close()
                    raise
                response.close()
                return state.succeed(response, parser, first, messages)
            except APIError as error:
                failure = error.with_traceback(None)
            if options_of_look := state.options_to_list_models(failure, transport.now()):
                self._learn_models(state, options_of_look)
            # Decided in the pure core; only the waiting is done here.
            if delay := state.next_delay(failure, transport.now()):
                transport.sleep(delay)

    def _learn_models(self, state: CallState, options: CallOptions) -> None:
        """Ask the gateway for the names of its models. A failure is left out: the user is to see the first error."""
        try:
            call = protocol.list_models_at_once()
            names, _ = protocol.to_models(call, self._send_for_json(call, options))
        except Exception:  # noqa: BLE001 - the list is an extra: its failure must not replace the user's error
            return
        state.learn_models(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> JsonObject:
        # Sockets, locks and loops stay behind; the copy opens its own connections at its first call.
        return {"setup": self._setup}

    def __setstate__(self, state: JsonObject) -> None:
        self._set_up(state["setup"])

    def __repr__(self) -> str:
        return f"<Client {vars(self).get('_setup', 'without set-up')}>"


class Stream(Generic[T]):
    """The chunks of an answer as they arrive. Iterate over it; in a `with` block it is closed at the end."""

    def __init__(self, chunks: Generator[T, None, None]) -> None:
        self._messages = chunks
        self._held: list[T] = []
        self._begun = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self._begun = True
        return self._held.pop() if self._held else next(self._messages)

    def close(self) -> None:
        """Close the connection. The rest of the answer is lost."""
        self._messages.close()

    def __enter__(self) -> Self:
        # Entering the context sends the request, so that errors before the first chunk appear at the `with` line.
        if not self._begun:
            self._begun = True
            self._held.append(next(self._messages))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Chat:
    """A conversation with one model; made by `Client.chat`.

    Attributes:
        model: the name of the model.
        history: the contents so far, with thought signatures. A message that fails does not change it.
    """

    def __init__(
        self, client: Client, settings: ChatSettings, model: str, history: list[Content], options: CallOptions
    ) -> None:
        self.model = model
        self.history = history
        self._client = client
        self._settings = settings
        self._options = options

    def send(self, message: object) -> GenerateContentResponse:
        """Send *message* (text, a part or a list of them) and return the model's answer.

        Python functions that the model calls are run, and their results sent back, until it answers without calls
        or `max_function_rounds` is reached. Raises as `generate_content`.
        """
        turns = Turns(self._settings, self.history, message)
        while True:
            response = self._client.generate_content(self.model, turns.request(), **vars(self._options))
            calls = turns.answered(response)
            if not calls:
                break
            turns.called([sync_outcome(self._settings.functions, call) for call in calls])
        # Only now: a message that fails half-way leaves the history unchanged, and can be sent again.
        self.history = turns.contents
        return response

    def stream(self, message: object) -> Stream[GenerateContentResponse]:
        """As `send`, but return an iterator over the chunks of the answers, which is a context manager too."""
        return Stream(self._yield_messages(Turns(self._settings, self.history, message)))

    def _yield_messages(self, turns: Turns) -> Generator[Any, None, None]:
        while True:
            whole = Accumulator()
            stream = self._client.stream_generate_content(self.model, turns.request(), **vars(self._options))
            with stream:
                for chunk in stream:
                    whole.add(chunk)
                    yield chunk
            calls = turns.answered(whole.response())
            if not calls:
                break
            turns.called([sync_outcome(self._settings.functions, call) for call in calls])
        self.history = turns.contents

    def __repr__(self) -> str:
        return f"<Chat with {self.model}, {len(self.history)} contents>"
