"""Clients, transports, proxies and credentials of the user's own: used as given, never closed by us."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import inspect
import ssl

import httpx
import pytest
from fault_drivers import KEY, core_calls, core_drivers
from fault_server import (
    CLOSE,
    EVENTS,
    STALL,
    FaultServer,
    both,
    event,
    failure,
    full,
    head,
    message,
    piece,
    play,
    reply,
)
from gemway import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    Client,
    ConfigurationError,
    InternalServerError,
    StreamInterruptedError,
)

try:
    import httpx2
except ImportError:  # it comes with the frameworks, not with the core
    httpx2 = None
LIBRARIES = [pytest.param(httpx, id="httpx")]
LIBRARIES.append(
    pytest.param(httpx2, id="httpx2", marks=pytest.mark.skipif(httpx2 is None, reason="httpx2 is not installed"))
)
libraries = pytest.mark.parametrize("library", LIBRARIES)


class Session:
    """A client of ours around one of theirs, of the kind that a driver needs."""

    def __init__(self, driver, url, inner, **options):
        self.inner = inner
        self._context = driver.session(url, http_client=inner, **options)

    def __enter__(self):
        self.session = self._context.__enter__()
        return self.session

    def __exit__(self, *details):
        assert not self.inner.is_closed
        if inspect.iscoroutinefunction(getattr(self.inner, "aclose", None)):
            self.session.loop.run_until_complete(self.inner.aclose())
        else:
            self.inner.close()
        self._context.__exit__(*details)


def theirs(library, driver, **options):
    kind = library.AsyncClient if driver.asynchronous else library.Client
    return kind(**options)


@core_drivers
@libraries
def test_an_injected_client_carries_the_call(server, driver, library):
    """With its own headers beside ours, its connections used again, and never closed by us."""
    inner = theirs(library, driver, headers={"x-theirs": "yes"})
    with Session(driver, server.base_url, inner) as session:
        assert [session.ask().text for _ in range(3)] == ["ok"] * 3
        assert not inner.is_closed

    request = server.requests[0]
    assert server.connections == 1
    assert request.headers["x-theirs"] == "yes"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.raw.lower().count(b"\r\nhost:") == 1


@core_drivers
@libraries
@pytest.mark.parametrize(
    "fault",
    [
        play(CLOSE),
        failure(503),
        both(full(message())[:-4], EVENTS + piece(b"data: {"), CLOSE),
        reply(b""),
    ],
    ids=["closed", "503", "cut", "empty"],
)
def test_faults_behind_an_injected_client_are_the_same(server, driver, library, fault):
    """Its exceptions become ours, and what may be retried is."""
    server.script(fault)

    with Session(driver, server.base_url, theirs(library, driver)) as session:
        assert session.ask().text == "ok"
    assert len(server.requests) == 2


@core_drivers
@libraries
def test_its_timeouts_are_kept(server, driver, library):
    """Unless the user gave us some."""
    server.script(default=play(STALL))
    with (
        Session(driver, server.base_url, theirs(library, driver, timeout=0.3), timeout=None, max_retries=0) as session,
        pytest.raises(APITimeoutError),
    ):
        session.ask()
    with (
        Session(driver, server.base_url, theirs(library, driver, timeout=9), timeout=0.3, max_retries=0) as session,
        pytest.raises(APITimeoutError),
    ):
        session.ask()
    with (
        Session(driver, server.base_url, theirs(library, driver, timeout=9), timeout=None, max_retries=0) as session,
        pytest.raises(APITimeoutError),
    ):
        session.ask(timeout=0.3)
    with (
        Session(driver, server.base_url, theirs(library, driver, timeout=None), timeout=None) as session,
        pytest.raises(APITimeoutError),
    ):
        session.ask(deadline=0.4)


@core_drivers
@libraries
def test_it_follows_no_redirects_for_us(server, driver, library):
    """Even if it would for others: key and prompt stay here."""
    server.script(default=reply(b"", 307, location=server.base_url + "/elsewhere"))

    with (
        Session(driver, server.base_url, theirs(library, driver, follow_redirects=True)) as session,
        pytest.raises(Exception, match="redirect"),
    ):
        session.ask()
    assert len(server.requests) == 1


@core_drivers
@libraries
def test_its_own_auth_is_applied(server, driver, library):
    """A client that signs its requests goes on doing so."""

    class Signing(library.Auth):
        def auth_flow(self, request):
            request.headers["x-signature"] = "signed"
            yield request

    with Session(driver, server.base_url, theirs(library, driver, auth=Signing())) as session:
        session.ask()

    assert server.requests[0].headers["x-signature"] == "signed"


@core_drivers
@libraries
def test_its_hooks_run(server, driver, library):
    """An event hook that raises for a status is understood as that status."""
    seen = []
    if driver.asynchronous:

        async def hook(response):
            seen.append(response.status_code)
            response.raise_for_status()
    else:

        def hook(response):
            seen.append(response.status_code)
            response.raise_for_status()

    server.script(failure(503), default=failure(500))
    with (
        Session(driver, server.base_url, theirs(library, driver, event_hooks={"response": [hook]})) as session,
        pytest.raises(InternalServerError) as caught,
    ):
        session.ask(max_retries=1)

    assert seen == [503, 500]
    assert KEY not in repr(vars(caught.value)) + repr(getattr(caught.value.__cause__, "request", ""))


@core_drivers
@libraries
def test_its_transport_may_be_anything(driver, library):
    """A mock transport needs no network."""
    calls = []

    def handle(request):
        calls.append(request)
        content = f"data: {__import__('json').dumps(message('mocked'))}\n\n" if "alt=sse" in str(request.url) else None
        return library.Response(200, text=content) if content else library.Response(200, json=message("mocked"))

    inner = theirs(library, driver, transport=library.MockTransport(handle))
    with Session(driver, "https://gateway.example", inner) as session:
        assert session.ask().text == "mocked"
    assert str(calls[0].url).startswith("https://gateway.example/v1beta/models/")


@core_drivers
@libraries
def test_a_stream_left_early_is_closed(server, driver, library):
    """The response of an injected client is closed like ours."""
    if not driver.streams:
        pytest.skip("streams only")
    server.script(play(EVENTS + piece(event(message("half", None))), CLOSE))

    with Session(driver, server.base_url, theirs(library, driver)) as session:
        with pytest.raises(StreamInterruptedError):
            session.ask()
        assert server.idle(1)
        assert session.ask().text == "ok"


@core_calls
def test_a_client_of_the_wrong_kind_is_named(server, driver):
    """A blocking client cannot serve the async one, nor the other way round."""
    with httpx.Client() as blocking:
        wrong = blocking if driver.asynchronous else httpx.AsyncClient()
        with (
            driver.session(server.base_url, http_client=wrong) as session,
            pytest.raises(ConfigurationError, match="http_client"),
        ):
            session.ask()
    if not driver.asynchronous:
        asyncio.run(wrong.aclose())
    assert not server.requests


# auth=


class Rotating(httpx.Auth):
    """Refreshes after a 401, as OAuth flows do."""

    requires_response_body = True

    def __init__(self):
        self.token = "old-token-0123"
        self.seen = []

    def auth_flow(self, request):
        request.headers["authorization"] = f"Bearer {self.token}"
        response = yield request
        if response.status_code == 401:
            self.seen.append(response.json())
            self.token = "new-token-4567"
            request.headers["authorization"] = f"Bearer {self.token}"
            yield request


@core_drivers
@pytest.mark.parametrize("injected", [None, *LIBRARIES])
def test_an_auth_flow_is_driven_by_us(server, driver, injected):
    """It stands for a key, sees the answers, and may send again, whatever carries the bytes."""
    auth = Rotating()
    server.script(failure(401, "expired"))
    options = {"api_key": None, "auth": auth, "max_retries": 0}
    if injected is None:
        with driver.session(server.base_url, **options) as session:
            assert session.ask().text == "ok"
    else:
        with Session(driver, server.base_url, theirs(injected, driver), **options) as session:
            assert session.ask().text == "ok"

    assert [request.headers["authorization"][-4:] for request in server.requests] == ["0123", "4567"]
    assert auth.seen[0]["error"]["message"] == "expired"
    assert server.requests[1].json == server.requests[0].json


@core_drivers
def test_an_auth_flow_that_reads_answers_keeps_its_connection(server, driver):
    """An answer that the flow has read to its end frees the connection as any other does."""
    server.script(failure(401, "expired"))

    with driver.session(server.base_url, api_key=None, auth=Rotating(), max_retries=0) as session:
        assert [session.ask().text for _ in range(3)] == ["ok"] * 3

    assert len(server.requests) == 4
    assert server.connections == 1


@core_drivers
def test_basic_and_digest_auth(server, driver):
    """The flows that come with httpx."""
    driver.ask(server.base_url, api_key=None, auth=httpx.BasicAuth("me", "p4ssw0rd"))
    assert server.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:p4ssw0rd").decode()

    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
    server.script(failure(401, WWW_Authenticate=challenge, set_cookie="a=b; Path=/"))
    assert driver.ask(server.base_url, api_key=None, auth=httpx.DigestAuth("me", "p4ssw0rd")).text == "ok"
    sent = server.requests[-1].headers["authorization"]
    assert sent.startswith("Digest ")
    assert hashlib.md5(b"me:r:p4ssw0rd").hexdigest() not in sent


@core_drivers
def test_a_flow_that_gives_up_is_a_401(server, driver):
    """Its last answer is the answer."""
    server.script(default=failure(401))

    driver.fail(server.base_url, AuthenticationError, api_key=None, auth=Rotating())


class Illegal(httpx.Auth):
    """Writes a header that HTTP cannot carry."""

    def auth_flow(self, request):
        request.headers["x-token"] = "two\nlines"
        yield request


@core_drivers
def test_a_flow_with_an_illegal_header_is_not_repeated(server, driver):
    """It would be refused each time."""
    error = driver.fail(server.base_url, APIConnectionError, api_key=None, auth=Illegal())

    assert (error.attempts, error.is_retryable) == (1, False)


@core_drivers
def test_a_flow_that_breaks_is_not_hidden(server, driver):
    """Its exception comes through, and the pool loses no place."""

    class Broken(httpx.Auth):
        def auth_flow(self, request):
            raise LookupError("no credentials")
            yield request

    with driver.session(server.base_url, api_key=None, auth=Broken(), max_connections=1, deadline=3) as session:
        for _ in range(3):
            with pytest.raises(LookupError, match="no credentials"):
                session.ask()
    assert not server.requests


# Proxies


class Proxy(FaultServer):
    """A forward proxy for plain http and for tunnels."""

    def __init__(self, tls=None):
        super().__init__(tls)
        self.default = self._forward

    async def _forward(self, connection, request):
        if request.method == "CONNECT":
            host, port = request.path.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = asyncio.ensure_future(self._pump(reader, connection.writer))
            await self._pump(connection.reader, writer)
            await back
            connection.over = True
            return
        url = httpx.URL(request.path)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        own = [line for line in request.raw.split(b"\r\n") if not line.lower().startswith(b"proxy-")]
        raw = b"\r\n".join(own).replace(request.path.encode(), url.raw_path, 1)
        writer.write(raw.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        await connection.send(await reader.read(-1) if not request.streams else await self._drained(reader))
        writer.close()
        await connection.close()

    async def _drained(self, reader):
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += await reader.read(65536)
        return data

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
def proxy():
    with Proxy() as proxy:
        yield proxy


def closing(action):
    """Return *action* on a server that closes after its answer, as the little proxy needs it."""

    async def closed(connection, request):
        await action(connection, request)
        if not request.streams:
            await connection.close()

    return closed


@core_drivers
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "argument"])
def test_proxies_are_used(server, proxy, driver, monkeypatch, name):
    """By argument, or by the usual variables."""
    server.default = closing(server.default)
    if name != "argument":
        monkeypatch.setenv(name, proxy.base_url)
    options = {"proxy": proxy.base_url} if name == "argument" else {}

    assert driver.ask(server.base_url, **options).text == "ok"
    assert len(proxy.requests) == 1
    assert proxy.requests[0].path.startswith(server.base_url)
    assert len(server.requests) == 1


@core_drivers
@pytest.mark.parametrize("excluded", ["127.0.0.1", "*", "example.org,127.0.0.1"])
def test_no_proxy_is_obeyed(server, proxy, driver, monkeypatch, excluded):
    """Hosts that are excepted are reached directly."""
    monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
    monkeypatch.setenv("NO_PROXY", excluded)

    assert driver.ask(server.base_url).text == "ok"
    assert not proxy.requests


@core_drivers
def test_a_proxy_of_another_scheme_is_not_used(server, proxy, driver, monkeypatch):
    """HTTPS_PROXY is for https."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)

    driver.ask(server.base_url)
    assert not proxy.requests


@core_drivers
def test_a_proxy_with_a_password(server, proxy, driver):
    """It is sent to the proxy, and shown nowhere."""
    server.default = closing(server.default)
    address = proxy.base_url.replace("//", "//me:p4ssw0rd@")

    with driver.session(server.base_url, proxy=address) as session:
        session.ask()
        assert "p4ssw0rd" not in f"{session.client!r}{session.client._transport._lease._key!r}"

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:p4ssw0rd").decode()
    assert "proxy-authorization" not in server.requests[0].headers


@core_drivers
def test_the_key_is_not_shown_to_a_tunnelling_proxy(proxy, driver, monkeypatch):
    """https goes through CONNECT; what the proxy sees holds no key."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
    with FaultServer() as gateway:
        url = gateway.base_url.replace("http:", "https:")
        driver.fail(url, APIConnectionError, max_retries=0, verify=False)

    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert KEY.encode() not in proxy.requests[0].raw


@core_drivers
@pytest.mark.parametrize("to_gateway", ["http", "https"])
@pytest.mark.parametrize("to_proxy", ["http", "https"])
def test_tls_to_the_proxy_and_through_it(certificate, driver, to_proxy, to_gateway):
    """Both, one of them or none; TLS to the gateway runs within TLS to the proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")
    tls = {"http": None, "https": context}

    with Proxy(tls[to_proxy]) as proxy, FaultServer(tls[to_gateway]) as gateway:
        if to_gateway == "http":
            gateway.default = closing(gateway.default)
        assert driver.ask(gateway.base_url, proxy=proxy.base_url, verify=trust).text == "ok"

    assert [request.method for request in proxy.requests] == ["POST" if to_gateway == "http" else "CONNECT"]
    assert len(gateway.requests) == 1


@core_drivers
@pytest.mark.parametrize("status", [407, 502, 403])
def test_a_proxy_that_refuses_a_tunnel(driver, status):
    """A connection error that says so."""
    with FaultServer() as refusing:
        refusing.script(default=play(head(status, 0)))
        error = driver.fail("https://gateway.example", APIConnectionError, max_retries=0, proxy=refusing.base_url)

    assert str(status) in str(error)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("address", ["proxy.example:3128", "ftp://proxy.example", "http://"])
def test_a_proxy_that_cannot_be_one_is_refused(kind, address):
    """At construction."""
    with pytest.raises(ConfigurationError, match="proxy"):
        kind(base_url="https://gateway.example", api_key=KEY, proxy=address)


@core_drivers
def test_a_socks_proxy_names_what_it_needs(driver):
    """Not an ImportError in the middle of a call."""
    pytest.importorskip("httpx")
    try:
        import socksio  # noqa: F401
    except ImportError:
        driver.fail("https://gateway.example", ConfigurationError, proxy="socks5://127.0.0.1:1")
    else:
        driver.fail("https://gateway.example", APIConnectionError, proxy="socks5://127.0.0.1:1", max_retries=0)
