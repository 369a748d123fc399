"""What `google_options` gives to Google's client: keys, addresses, connections, errors. Without Google's packages."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import ssl
import time
import warnings

import httpx
import pytest
from fault_server import CLOSE, EVENTS, LAST, STALL, FaultServer, answer, event, full, head, message, piece, play
from fault_server import reply as answer_with
from gemway import ConfigurationError
from gemway.google import google_options
from gemway_emulator import reply

try:
    import httpx2
except ImportError:  # it comes with frameworks, not with the core
    httpx2 = None

KEY = "sk-very-secret-0123456789abcdef"
CALL, STREAM = ("/v1/models/gemini-2.5-flash:" + verb for verb in ("generateContent", "streamGenerateContent?alt=sse"))
ASK = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
GOOGLES_KEY = {"x-goog-api-key": "replaced-by-gemway"}


class Google:
    """Sends as google-genai does: through an httpx client of the given kind."""

    def __init__(self, library, *, asynchronous: bool) -> None:
        self.library = library
        self.asynchronous = asynchronous

    def __str__(self) -> str:
        return f"{self.library.__name__}-{'async' if self.asynchronous else 'sync'}"

    def post(self, options, path=CALL, body=ASK, *, times=1, **more):
        """Post *body* and return the last response, read."""
        content = json.dumps(body).encode()
        address, transport = options["http_options"]["base_url"], options["http_options"]["client_args"]["transport"]
        more.setdefault("headers", GOOGLES_KEY)
        settings = {"transport": transport, "timeout": 5, "follow_redirects": True}
        if not self.asynchronous:
            with self.library.Client(**settings) as client:
                return [client.post(address + path, content=content, **more) for _ in range(times)][-1]

        async def ask():
            async with self.library.AsyncClient(**settings) as client:
                return [await client.post(address + path, content=content, **more) for _ in range(times)][-1]

        return asyncio.run(ask())


WAYS = [Google(httpx, asynchronous=asynchronous) for asynchronous in (False, True)]
WAYS += [Google(httpx2, asynchronous=asynchronous) for asynchronous in (False, True) if httpx2]
every_way = pytest.mark.parametrize("google", WAYS, ids=str)


def options_for(server, **options):
    return google_options(**{"base_url": server.base_url, "api_key": KEY, **options})


@every_way
def test_the_token_takes_the_place_of_googles_key(server, google):
    """One Bearer token, no key of Google's, the path that gateways serve, and the user's own headers."""
    headers = {**GOOGLES_KEY, "authorization": "Bearer somebody-else", "x-tenant": "blue"}

    response = google.post(options_for(server, headers={"x-team": "green"}), headers=headers)

    [request] = server.requests
    assert isinstance(response, google.library.Response)
    assert response.json()["candidates"][0]["content"]["parts"][0]["text"] == "ok"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (request.headers["x-tenant"], request.headers["x-team"]) == ("blue", "green")
    assert "x-goog-api-key" not in request.headers
    assert request.path == "/v1beta/models/gemini-2.5-flash:generateContent"


@every_way
@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({"auth_header": "cf-aig-authorization"}, "cf-aig-authorization", f"Bearer {KEY}"),
        ({"auth_scheme": ""}, "authorization", KEY),
        ({"api_key": None, "auth": httpx.BasicAuth("me", "pw")}, "authorization", "Basic bWU6cHc="),
    ],
    ids=["header", "scheme", "auth"],
)
def test_other_credentials(server, google, options, header, value):
    """The header, its scheme and the whole signing can be different."""
    google.post(options_for(server, **options))

    assert server.requests[0].headers[header] == value


@every_way
def test_a_callable_key_is_asked_once_more_after_a_401(server, google):
    """An expired token costs one more request, and no error."""
    keys = iter(["sk-old", "sk-new"])
    server.script(answer_with({"error": {"code": 401, "message": "expired"}}, 401))

    response = google.post(options_for(server, api_key=lambda: next(keys)))

    assert response.status_code == 200
    assert [one.headers["authorization"] for one in server.requests] == ["Bearer sk-old", "Bearer sk-new"]


@every_way
def test_bytes_leave_in_the_standard_alphabet(server, google):
    """Base64 for URLs becomes standard base64, snake_case camelCase; what is the user's own stays as it is."""
    own = {"data": "a-b_c", "snake_case": {"some_key": 1}}
    part = {"inlineData": {"mime_type": "image/png", "data": "_-8="}, "thought_signature": "--__"}
    call = {"functionCall": {"name": "keep", "args": own}}
    result = {"functionResponse": {"name": "keep", "response": own}}
    schema = {"type": "OBJECT", "properties": {"first_name": {"type": "STRING"}}, "property_ordering": ["first_name"]}
    declaration = {"name": "f_n", "parameters_json_schema": {"type": "object", "properties": {"a_b": {}}}}

    body = {
        "contents": [{"role": "user", "parts": [part, call, result]}],
        "generationConfig": {"responseSchema": schema},
        "tools": [{"function_declarations": [declaration]}],
    }
    google.post(options_for(server), body=body)

    sent = server.requests[0].json
    assert sent["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "/+8="}, "thoughtSignature": "++//"},
        call,
        result,
    ]
    assert sent["generationConfig"]["responseSchema"]["properties"] == schema["properties"]
    assert sent["generationConfig"]["responseSchema"]["propertyOrdering"] == ["first_name"]
    declared = sent["tools"][0]["functionDeclarations"]
    assert declared == [{"name": "f_n", "parametersJsonSchema": declaration["parameters_json_schema"]}]


def test_members_that_the_user_added_to_a_request_keep_their_spelling(server):
    """`HttpOptions(extra_body=...)` can send what only this gateway knows; Google's own members become camelCase."""
    extension = {"my_option": {"some_key": 1, "data": "a-b_c"}}

    WAYS[0].post(options_for(server), body={**ASK, **extension, "safety_settings": [], "cached_content": "c"})

    assert server.requests[0].json == {**ASK, **extension, "safetySettings": [], "cachedContent": "c"}


def test_large_bytes_leave_in_the_standard_alphabet(server):
    """Pictures too, and whatever only has the same name stays as it is."""
    large = "_-8a" * 100_000
    own = {"functionCall": {"name": "keep", "args": {"data": large, "more": {"data": "a-b\\" * 10_000}}}}
    picture = {"inlineData": {"mime_type": "image/png", "data": large}}

    WAYS[0].post(options_for(server), body={"contents": [{"role": "user", "parts": [picture, own, picture]}]})

    first, second, third = server.requests[0].json["contents"][0]["parts"]
    assert first == third == {"inlineData": {"mimeType": "image/png", "data": "/+8a" * 100_000}}
    assert second == own


@every_way
def test_the_key_goes_to_the_gateway_only(server, google):
    """Neither a redirect nor another address in the request takes the key elsewhere."""
    server.script(play(head(302, 0, location="http://127.0.0.1:9/elsewhere")))
    options = options_for(server)

    redirected = google.post(options)

    assert redirected.status_code == 501
    assert "never followed" in redirected.json()["error"]["message"]
    assert len(server.requests) == 1
    options["http_options"]["base_url"] = "http://127.0.0.1:9"
    with pytest.raises(ConfigurationError, match="sends to .* only"):
        google.post(options)


@every_way
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (play(CLOSE), "RemoteProtocolError"),
        (play(STALL), "ReadTimeout"),
        (play(full(message())[:-9], CLOSE), "RemoteProtocolError"),
    ],
    ids=["closed", "silent", "cut"],
)
def test_lost_connections_are_errors_of_the_library(server, google, fault, name):
    """Google's client and its retries know the exceptions of their own HTTP library, and no others."""
    server.script(default=fault)

    with pytest.raises(getattr(google.library, name)) as caught:
        google.post(options_for(server), timeout=0.5)

    assert KEY not in repr(caught.value) + repr(vars(caught.value))
    assert len(server.requests) == 1


@every_way
def test_retries_can_be_asked_for(server, google):
    """With `max_retries` a failure is repeated here, for streams too as long as none has begun."""
    overloaded = answer_with({"error": {"code": 503, "message": "overloaded"}}, 503, retry_after_ms="1")
    server.script(overloaded, answer(), overloaded, answer())

    assert google.post(options_for(server, max_retries=1)).status_code == 200
    assert google.post(options_for(server, max_retries=1), STREAM).status_code == 200
    assert len(server.requests) == 4


SHAPES = {
    "Google": ({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}, None),
    "OpenAI": ({"error": {"message": "slow down", "type": "rate_limit", "code": "too_fast"}}, "too_fast"),
    "FastAPI": ({"detail": "slow down"}, None),
    "bare": ({"message": "slow down"}, None),
    "list": ([{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}], None),
    "text": (b"slow down", None),
    "text in JSON": ({"error": "slow down"}, None),
}


@every_way
@pytest.mark.parametrize(("body", "reason"), SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("path", [CALL, STREAM], ids=["call", "stream"])
def test_foreign_errors_become_googles(server, google, body, reason, path):
    """Status, code, word and hint stand where Google's client looks for them."""
    server.script(answer_with(body, 429, retry_after="7"))

    response = google.post(options_for(server), path)

    error = response.json()["error"]
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert (response.status_code, error["code"], error["status"]) == (429, 429, "RESOURCE_EXHAUSTED")
    assert error["message"] == "slow down"
    assert details["RetryInfo"]["retryDelay"] == "7s"
    assert details.get("ErrorInfo", {}).get("reason") == reason


@every_way
@pytest.mark.parametrize(
    ("sent", "body", "status", "word"),
    [
        (401, {"error": {"message": "bad token"}}, 401, "UNAUTHENTICATED"),
        (403, {"error": {"message": "no balance", "code": "insufficient_user_quota"}}, 403, "RESOURCE_EXHAUSTED"),
        (503, {"error": {"message": "no channel", "code": "model_not_found"}}, 404, "NOT_FOUND"),
        (200, {"error": {"message": "slow down", "code": 429}}, 429, "RESOURCE_EXHAUSTED"),
        (200, {"code": 429, "message": "slow down"}, 429, "RESOURCE_EXHAUSTED"),
        (500, {"error": {"message": "oh no"}}, 500, "INTERNAL"),
        (529, {"error": {"message": "overloaded"}}, 529, "UNAVAILABLE"),
        (413, b"<html><title>413 Too Large</title></html>", 413, "INVALID_ARGUMENT"),
        (200, b"<html><title>Welcome</title></html>", 501, "UNIMPLEMENTED"),
        (200, b"", 502, "UNAVAILABLE"),
        (
            400,
            {"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}},
            400,
            "INVALID_ARGUMENT",
        ),
    ],
    ids=[
        "401",
        "balance",
        "503 for 404",
        "200 for 429",
        "200 for 429, bare",
        "500",
        "529",
        "413",
        "page",
        "nothing",
        "Google's own",
    ],
)
def test_errors_get_googles_words(server, google, sent, body, status, word):
    """Gateways remap statuses; Google's client sees the one that is meant."""
    server.script(answer_with(body, sent))

    error = google.post(options_for(server)).json()["error"]

    assert (error["code"], error["status"]) == (status, word)
    assert error["message"]


@every_way
def test_an_echoed_key_is_redacted(server, google):
    """A gateway that repeats the token does not bring it into error messages."""
    server.script(
        answer_with({"error": {"code": 400, "message": f"what is {KEY}?", "status": "INVALID_ARGUMENT"}}, 400)
    )

    response = google.post(options_for(server))

    assert KEY not in response.text + repr(response.headers)


@every_way
def test_events_come_as_google_writes_them(server, google):
    """Comments, end marks and line ends that Google's client would cut a text at are no more in the stream."""
    text = "one\u2028two\u0085three"
    dirty = b": ping\n\nevent: message\n" + event(json.dumps(message(text), ensure_ascii=False).encode())
    server.script(play(EVENTS + piece(dirty) + piece(b"data: [DONE]\n\n") + LAST))

    lines = list(google.post(options_for(server), STREAM).iter_lines())

    assert [line for line in lines if line] == [line for line in lines if line.startswith("data: ")]
    [data] = [line.removeprefix("data: ") for line in lines if line]
    assert json.loads(data) == message(text)


@every_way
def test_an_error_in_a_stream_is_an_event_in_googles_form(server, google):
    """What came before it is handed on, and nothing after it."""
    broken = event(message("half", finish=None)) + event({"error": {"message": "overloaded", "code": "server_error"}})
    server.script(play(EVENTS + piece(broken + event(message("late"))) + LAST))

    lines = [line for line in google.post(options_for(server), STREAM).iter_lines() if line]

    first, last = (json.loads(line.removeprefix("data: ")) for line in lines)
    assert first == message("half", finish=None)
    assert (last["error"]["code"], last["error"]["status"]) == (500, "INTERNAL")
    assert last["error"]["message"] == "overloaded"


@every_way
@pytest.mark.parametrize("body", [[message("one", None), message(" two")]], ids=["array"])
def test_an_array_for_a_call_is_one_answer(server, google, body):
    """A gateway that answers a call with the chunks of a stream gives one answer all the same."""
    server.script(answer_with(body))

    candidate = google.post(options_for(server)).json()["candidates"][0]

    assert "".join(part["text"] for part in candidate["content"]["parts"]) == "one two"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_the_first_event_is_not_delayed(server, asynchronous):
    """An event is handed on when it is complete, whatever the gateway does after it."""
    server.script(play(EVENTS + piece(event(message("first", finish=None))), STALL))
    options = options_for(server)
    args = {"transport": options["http_options"]["client_args"]["transport"], "timeout": 20}
    address = server.base_url + STREAM
    begun = time.monotonic()
    if asynchronous:

        async def first() -> str:
            async with httpx.AsyncClient(**args) as client, client.stream("POST", address, json=ASK) as response:
                return await anext(response.aiter_lines())

        line = asyncio.run(first())
    else:
        with httpx.Client(**args) as client, client.stream("POST", address, json=ASK) as response:
            line = next(response.iter_lines())

    assert json.loads(line.removeprefix("data: ")) == message("first", finish=None)
    assert time.monotonic() - begun < 10
    assert server.idle()


@every_way
def test_a_model_is_described_where_the_gateway_does_not(server, google):
    """LlamaIndex asks for the model at construction; gateways without the route answer 404 or with their web page."""
    options = options_for(server)
    transport = options["http_options"]["client_args"]["transport"]
    request = httpx.Request("GET", f"{server.base_url}/v1beta/models/gemini-2.5-pro")
    for fault in (
        answer_with({"error": {"message": "Invalid URL (GET /v1beta/models/x)", "type": "invalid_request_error"}}, 404),
        answer_with(b"<!doctype html><html></html>", content_type="text/html"),
    ):
        server.script(fault)
        found = transport.handle_request(request).json()
        assert (found["name"], found["inputTokenLimit"]) == ("models/gemini-2.5-pro", 1_048_576)

    server.script(answer_with({"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}, 404))
    assert transport.handle_request(request).status_code == 404
    transport.close()


def test_models_in_openais_form_become_googles(server):
    """A gateway that lists its models under /v1 only, in OpenAI's form, has a list for Google's client."""
    server.script(answer_with({"detail": "Not Found"}, 404), answer_with({"data": [{"id": "gemini-2.5-pro"}]}))
    transport = options_for(server)["http_options"]["client_args"]["transport"]

    listed = transport.handle_request(httpx.Request("GET", f"{server.base_url}/v1/models?pageSize=50")).json()
    transport.close()

    assert [model["name"] for model in listed["models"]] == ["models/gemini-2.5-pro"]
    assert [request.path for request in server.requests] == ["/v1beta/models?pageSize=50", "/v1/models?pageSize=50"]


@pytest.mark.parametrize("copied", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy], ids=["pickle", "copy"])
def test_options_travel(server, copied):
    """Options can be pickled and copied, before and after the first call, and work where they arrive."""
    google, options = WAYS[0], options_for(server)

    assert google.post(copied(options)).status_code == 200
    assert google.post(options).status_code == 200
    assert google.post(copied(options)).status_code == 200


def test_nothing_shows_the_key(server):
    """Neither the options nor what they hold has the key in its text."""
    options = [options_for(server, headers={"x-t": KEY}), options_for(server, framework="langchain")]

    assert KEY not in repr(options)
    assert "transport" in options[1]["client_args"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_nothing_is_left_open(server, asynchronous):
    """After the clients are closed no socket is, without and after a stream that was given up."""
    begun = play(EVENTS + piece(event(message("one", finish=None))), STALL)
    server.script(answer(), begun, answer(), begun)
    options = options_for(server)
    args = {"transport": options["http_options"]["client_args"]["transport"], "timeout": 20}
    address = server.base_url

    async def ask() -> None:
        async with httpx.AsyncClient(**args) as client:
            await client.post(address + CALL, json=ASK)
            async with client.stream("POST", address + STREAM, json=ASK):
                pass

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        if asynchronous:
            asyncio.run(ask())
            asyncio.run(ask())
        else:
            for _ in range(2):
                with httpx.Client(**args) as client:
                    client.post(address + CALL, json=ASK)
                    with client.stream("POST", address + STREAM, json=ASK):
                        pass
        gc.collect()

    assert server.idle()


@pytest.mark.parametrize("library", [library for library in (httpx, httpx2) if library], ids=lambda it: it.__name__)
def test_a_forgotten_stream_closes_its_connection(server, library):
    """A stream that is neither read to its end nor closed costs no ResourceWarning, nor does the client around it."""

    def forget() -> None:
        options = options_for(server)
        client = library.Client(transport=options["http_options"]["client_args"]["transport"])
        response = client.send(client.build_request("POST", server.base_url + STREAM, json=ASK), stream=True)
        assert next(response.iter_lines())
        response.myself = response  # a cycle, as httpx makes one: the garbage collector finds all of it at once

    server.script(default=play(EVENTS + piece(event(message("one", finish=None))), STALL))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(5):
            forget()
        gc.collect()

    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []
    assert server.idle()


def test_wrong_options_are_named(emulator):
    """A missing setting, an unknown option and one without meaning here say what to write."""
    with pytest.raises(ConfigurationError, match="GEMWAY_BASE_URL"):
        google_options(api_key="k")
    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        google_options(base_url=emulator.base_url)
    with pytest.raises(TypeError, match="did you mean 'proxy'"):
        google_options(base_url=emulator.base_url, api_key="k", proxi="x")
    with pytest.raises(ConfigurationError, match="proxy="):
        google_options(base_url=emulator.base_url, api_key="k", http_client=httpx.Client())
    with pytest.raises(TypeError, match="http_options that it returns"):
        google_options(base_url=emulator.base_url, api_key="k", http_options={"timeout": 3})
    with pytest.raises(TypeError, match="Vertex AI"):
        google_options(base_url=emulator.base_url, api_key="k", vertexai=True)
    with pytest.raises(ConfigurationError, match="langchain.*LlamaIndex"):
        google_options(base_url=emulator.base_url, api_key="k", framework="crewai")


@every_way
@pytest.mark.filterwarnings("ignore:.*unencrypted")
@pytest.mark.parametrize("place", ["argument", "environment"])
def test_a_proxy_is_used(server, google, place, monkeypatch):
    """`proxy=` and HTTP_PROXY lead to the gateway, as they do for gemway's own clients."""
    monkeypatch.setenv("HTTP_PROXY", server.base_url if place == "environment" else "")
    proxy = {"proxy": server.base_url} if place == "argument" else {}

    response = google.post(google_options(base_url="http://gateway.invalid", api_key=KEY, **proxy))

    assert response.status_code == 200
    assert server.requests[0].path == "http://gateway.invalid/v1beta/models/gemini-2.5-flash:generateContent"


@every_way
def test_certificates_are_checked_as_the_options_say(certificate, google):
    """An unknown certificate is refused in the words of the HTTP library; `verify=` takes a context that knows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")

    with FaultServer(context) as server:
        address = server.base_url.replace("http:", "https:")
        with pytest.raises(google.library.ConnectError, match="certificate"):
            google.post(google_options(base_url=address, api_key=KEY))
        assert google.post(google_options(base_url=address, api_key=KEY, verify=trust)).status_code == 200


class CountingLimiter:
    """Lets every request start, and counts them."""

    count = 0

    def acquire(self, cost=1.0):
        self.count += cost


@every_way
def test_a_limiter_is_asked_before_each_request(server, google):
    """`limiter=` limits Google's client as it limits gemway's own."""
    limiter = CountingLimiter()

    google.post(options_for(server, limiter=limiter), times=2)

    assert limiter.count == len(server.requests) == 2


def test_extra_body_and_casing_are_obeyed(emulator):
    """The options that change a gemway client's body change this one."""
    emulator.enqueue(reply.text("ok"))
    body = {
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}]
    }
    options = google_options(
        base_url=emulator.base_url,
        api_key=emulator.api_key,
        extra_body={"generationConfig": {"seed": 7}},
        inline_data_casing="snake",
    )

    WAYS[0].post(options, body=body)

    sent = emulator.requests[0].json
    assert sent["generationConfig"] == {"seed": 7}
    assert sent["contents"][0]["parts"] == [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}]
