"""Connections, shared by all clients of a process: one pool per gateway, for asyncio one per event loop too.

A pool is a stack of idle connections, and a limit for those in use. Each call takes one connection for itself, and the
connection goes back on the stack only if the answer was read to its end; after anything else (a failure, a timeout, a
cancellation, whenever it comes) it is closed and thrown away. So no interleaving can cost a slot: there is no shared
bookkeeping of the HTTP library that an interrupted call could leave half done, and taking a connection costs the same
however many there are (httpcore's own pool: O(n) for each request, encode/httpcore issue 1035).

The last client that uses a pool closes it, by `close()` or by being garbage-collected. A forked child forgets its
parent's pools without closing them. Nothing is opened before the first call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from gemway._body import PIECE, LargeBody
from gemway._checks import Timeouts, checked_proxy
from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject
from gemway._retry import RetryBudget
from gemway._sockets import AsyncNetwork, SyncNetwork

_IDLE_SECONDS = 30.0
# A server may close an idle connection in the very moment in which a request is sent on it. Other calls are repeated
# then; a picture must not be, since it may be made and billed. Servers keep connections for 5 s and more.
_FRESH_SECONDS = 2.0
_PROXY_WANTS_PASSWORD = 407


@dataclass(frozen=True)
class PoolKey:
    """The options that decide whether two clients can share connections."""

    # The key is not among them: it travels in the header lines of each request, so clients with different keys share
    # connections.
    base_url: str
    proxy: str | None = None
    verify: ssl.SSLContext | bool = True
    max_connections: int = 1000
    tcp_keepalive: bool = True

    def __repr__(self) -> str:
        return f"<PoolKey {self.base_url}>"


@lru_cache(maxsize=1024)
def to_target(url: str) -> httpcore.URL:
    """Return *url* in parts, as httpx takes it apart."""
    parts = httpx.URL(url)
    return httpcore.URL(scheme=parts.raw_scheme, host=parts.raw_host, port=parts.port, target=parts.raw_path)


def to_request(
    method: str, url: str, lines: Sequence[tuple[bytes, bytes]], body: bytes | LargeBody | None, timeouts: Timeouts
) -> httpcore.Request:
    """Return one request for a connection of ours."""
    connect, read, write = timeouts
    # After each send, httpcore copies the rest of the piece that it got, so large bodies are handed over in small
    # pieces.
    content = LargeBody([body]) if isinstance(body, bytes) and len(body) > PIECE else body or b""
    extensions = {"timeout": {"connect": connect, "read": read, "write": write, "pool": read}}
    return httpcore.Request(method, to_target(url), headers=lines, content=content, extensions=extensions)


class SyncLease:
    """One client's share of the pool of its process. When the client is gone, so is its share."""

    def __init__(self, key: PoolKey) -> None:
        self._key = key
        self._pool: SyncPool | None = None
        self._end: Callable[[], object] = _leave_nothing

    def pool(self) -> SyncPool:
        """Return the pool of this process."""
        # A fork raises the generation: a socket that two processes share would swap their answers.
        pool = self._pool
        if pool is None or pool.is_closed or pool.generation != _registry.generation:
            self.close()
            pool = self._pool = _registry.sync_pool(self._key)
            self._end = _at_the_end_of(self, _registry.leave, pool, pool.enter())
        return pool

    def close(self) -> None:
        """Leave the pool; the last user closes it."""
        self._pool, end, self._end = None, self._end, _leave_nothing
        end()


class AsyncLease:
    """One client's shares of the pools of the event loops it is used in. When the client is gone, so are they."""

    def __init__(self, key: PoolKey) -> None:
        self._key = key
        self._pools: dict[asyncio.AbstractEventLoop, tuple[AsyncPool, Callable[[], object]]] = {}

    async def pool(self) -> AsyncPool:
        """Return the pool of the running loop."""
        loop = _running_loop()
        pool, _ = self._pools.get(loop, (None, _leave_nothing))
        if pool is None or pool.is_closed or pool.generation != _registry.generation:
            # Programs that call asyncio.run for every request would collect one dead pool for each.
            self._drop_useless_shares()
            pool = await _registry.async_pool(self._key, loop)
            end = _at_the_end_of(self, _registry.leave, pool, pool.enter())
            self._pools[loop] = pool, end
        return pool

    def _drop_useless_shares(self) -> None:
        """Leave the pools of closed loops, and those that are closed."""
        for loop, (pool, end) in list(self._pools.items()):
            if loop.is_closed() or pool.is_closed or pool.generation != _registry.generation:
                del self._pools[loop]
                end()

    async def aclose(self) -> None:
        """Leave all pools; the last user closes a pool, in the pool's own loop."""
        pools, self._pools = self._pools, {}
        for _, end in pools.values():
            end()
        # Sockets of this loop are closed in its next turn, and the caller may end the loop right after this.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _at_the_end_of(user: object, leave: Callable[..., object], *args: object) -> Callable[[], object]:
    """Return a function that calls *leave* once: when you call it, or when *user* is garbage-collected."""
    end = weakref.finalize(user, leave, *args)
    end.atexit = False  # the registry closes open pools at the end of the process
    return end


def retry_budget(base_url: str) -> RetryBudget:
    """Return the budget that all clients of this process share for one address."""
    return _registry.budget(base_url)


def forget_retry_budgets() -> None:
    """Let every address begin with a full budget again, for clients made from now on."""
    _registry.forget_budgets()


def _leave_nothing() -> None:
    """Nothing to give back."""


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = "gemway's async methods need asyncio (or uvloop); under trio use the sync methods in a thread"
    raise ConfigurationError(message)


class _Pool:
    """The half of a pool that waits for nothing: its users, and the connections that are idle."""

    def __init__(self, key: PoolKey, generation: int) -> None:
        self.generation = generation
        self.is_closed = False
        self.connector = Connector(key)
        self.users: set[int] = set()
        self._entered = 0
        self._limit = key.max_connections
        # The places that are taken. A slot that nobody holds any more is no longer among them, whatever happened to it.
        self._taken: weakref.WeakSet[_Slot] = weakref.WeakSet()
        self._idle: deque[Any] = deque()  # the warmest last

    def enter(self) -> int:
        """Add a user; return the number under which it leaves."""
        self._entered += 1
        self.users.add(self._entered)
        return self._entered

    def warm_connection(self, *, is_fresh: bool) -> Any:
        """Return the connection that was used last, or None; those that can be used no more are closed."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            idle_for = time.monotonic() - connection.used
            # has_expired looks whether the socket is readable: a server that closed an idle connection has sent its
            # FIN.
            if idle_for > _IDLE_SECONDS or connection.http.has_expired():
                connection.network.close()
            elif is_fresh and idle_for > _FRESH_SECONDS:
                self._idle.append(connection)
                return None
            else:
                return connection

    def keep(self, connection: Any) -> None:
        """Put a connection back on the stack, and close those at its bottom that nobody has needed for a while."""
        connection.used = time.monotonic()
        self._idle.append(connection)
        # The pool may have been closed while this connection was in use; nobody would close it later.
        if self.is_closed:
            self.close()
        try:
            while connection.used - self._idle[0].used > _IDLE_SECONDS:
                self._idle.popleft().network.close()
        except IndexError:
            pass  # other threads have taken them

    def _all_places_taken(self) -> bool:
        """Whether all places are taken. The length may count the dead, if an interrupt hit the moment of their removal."""
        return len(self._taken) >= self._limit and len(list(self._taken)) >= self._limit

    def close(self) -> None:
        """Close every connection that is not in use; those in use close when their answer ends."""
        self.is_closed = True
        try:
            while True:
                self._idle.pop().network.close()
        except IndexError:
            pass  # that was the last one; other threads and the garbage collector may take some, too


class SyncConnection:
    """A socket, and the HTTP on it."""

    def __init__(self, connector: Connector) -> None:
        self.used = 0.0
        self.network = SyncNetwork(tcp_keepalive=connector.tcp_keepalive)
        self.http = connector.sync_http(self.network)

    def __del__(self) -> None:
        # httpx's response and its stream refer to each other. When such a pair is forgotten, the garbage collector ends
        # its objects oldest first, so this runs before the socket could complain that it is open. No weakref.finalize:
        # its registry would keep the socket for ever if a signal hits its callback.
        if "network" in vars(self):  # an interrupt may end `__init__` before its first line
            self.network.close()


class AsyncConnection:
    """A socket, and the HTTP on it."""

    def __init__(self, connector: Connector) -> None:
        self.used = 0.0
        self.network = AsyncNetwork(tcp_keepalive=connector.tcp_keepalive)
        self.http = connector.async_http(self.network)


class SyncPool(_Pool):
    """Connections of one process to one gateway."""

    def __init__(self, key: PoolKey, generation: int) -> None:
        super().__init__(key, generation)
        # Re-entrant: the garbage collector may end a slot while this thread holds the lock.
        self._lock = threading.RLock()
        self._freed = threading.Condition(self._lock)

    def open(
        self, request: httpcore.Request, *, wait: float, expires: float | None = None, is_fresh: bool = False
    ) -> SyncSlot:
        """Send *request* on a connection of its own; return the slot with the head of the answer, to be closed.

        Args:
            wait: seconds to wait for a free place.
            expires: the moment of the monotonic clock by which the answer must have begun.
            is_fresh: take no connection that was idle for so long that the server may be closing it.
        """
        slot = SyncSlot(self)
        # A call may be interrupted at any instruction. The slot owns its connection from before the first byte is sent,
        # and a slot that nobody holds is no longer counted, so no interrupt can cost a place.
        try:
            with self._lock:
                if len(self._taken) >= self._limit:
                    self._wait_for_place(wait)
                self._taken.add(slot)
            connection = slot.connection = self.warm_connection(is_fresh=is_fresh) or SyncConnection(self.connector)
            connection.network.expires = expires
            try:
                slot.response = connection.http.handle_request(request)
            except (httpcore.ProxyError, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                self.connector.blame_proxy(error, connection.network)
                raise
            if slot.response.status == _PROXY_WANTS_PASSWORD:
                self.connector.refuse_answer_of_proxy()
        except BaseException:
            self.release(slot)
            raise
        return slot

    def release(self, slot: SyncSlot) -> None:
        """Free the place of *slot*, and close the connection that is still in it. Never waits for the network."""
        connection, slot.connection = slot.connection, None
        try:
            if connection is not None:
                connection.network.close()
        finally:
            with self._lock:
                self._taken.discard(slot)
                self._freed.notify()

    def leave_soon(self) -> None:
        """The last user is gone."""
        self.close()

    def _wait_for_place(self, wait: float) -> None:
        """Wait until fewer places are taken than there are. Called with the lock held."""
        ends = time.monotonic() + wait
        while self._all_places_taken():
            left = ends - time.monotonic()
            if left <= 0:
                raise _no_place_error(self._limit, wait)
            self._freed.wait(min(left, 1.0))  # a slot that was garbage-collected notifies nobody


class AsyncPool(_Pool):
    """Connections of one event loop to one gateway."""

    def __init__(self, key: PoolKey, generation: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(key, generation)
        self._loop = loop
        self._waiting: deque[tuple[AsyncSlot, asyncio.Future[None]]] = deque()

    async def open(
        self, request: httpcore.Request, *, wait: float, expires: float | None = None, is_fresh: bool = False
    ) -> AsyncSlot:
        """Send *request* on a connection of its own; return the slot with the head of the answer, to be closed.

        Args:
            wait: seconds to wait for a free place.
            expires: the moment of the monotonic clock by which the answer must have begun.
            is_fresh: take no connection that was idle for so long that the server may be closing it.
        """
        slot = AsyncSlot(self)
        # A call may be cancelled at any await. The slot owns its connection from before the first byte is sent, and a
        # slot that nobody holds is no longer counted, so no cancellation can cost a place.
        try:
            if len(self._taken) >= self._limit and self._all_places_taken():
                await self._wait_for_place(slot, wait)
            self._taken.add(slot)
            connection = slot.connection = self.warm_connection(is_fresh=is_fresh) or AsyncConnection(self.connector)
            connection.network.expires = expires
            try:
                slot.response = await connection.http.handle_async_request(request)
            except (httpcore.ProxyError, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                self.connector.blame_proxy(error, connection.network)
                raise
            if slot.response.status == _PROXY_WANTS_PASSWORD:
                self.connector.refuse_answer_of_proxy()
        except BaseException:
            self.release(slot)
            raise
        return slot

    def release(self, slot: AsyncSlot) -> None:
        """Free the place of *slot*, or hand it to the call that has waited longest. Never waits for the network."""
        connection, slot.connection = slot.connection, None
        try:
            if connection is not None:
                connection.network.close()
        finally:
            self._taken.discard(slot)
            while self._waiting and not self._all_places_taken():
                following, turn = self._waiting.popleft()
                if not turn.done():
                    self._taken.add(following)
                    turn.set_result(None)

    def leave_soon(self) -> None:
        """The last user is gone: close in the loop to which the sockets belong. May be called from any thread."""
        # Transports of asyncio may only be touched in their own loop.
        try:
            self._loop.call_soon_threadsafe(self.close)
        except RuntimeError:
            pass  # that loop is closed, and the pool with it

    async def _wait_for_place(self, slot: AsyncSlot, wait: float) -> None:
        """Wait in line. `release` gives the place to *slot* before it wakes the call, so nobody can come in between."""
        turn = self._loop.create_future()
        self._waiting.append((slot, turn))
        timer = self._loop.call_later(wait, _time_out_waiting_call, turn, _no_place_error(self._limit, wait))
        try:
            await turn
        finally:
            timer.cancel()
            turn.cancel()


def _time_out_waiting_call(turn: asyncio.Future[None], error: Exception) -> None:
    if not turn.done():
        turn.set_exception(error)


def _no_place_error(limit: int, wait: float) -> httpcore.PoolTimeout:
    return httpcore.PoolTimeout(
        f"all {limit} connections were in use for {wait:.3g} s; raise max_connections= or timeout=, or ask less at once"
    )


class _Slot:
    """One place in a pool, the connection in it, and the answer that comes through it.

    Attributes:
        response: the answer; its stream can be read once.
        is_read: whether the stream was read to its end, so that its connection can be used again.
    """

    connection: Any = None
    response: httpcore.Response
    is_read = False

    def lift_deadline(self) -> None:
        """Let the answer take its time: it has begun, and the deadline bounds it no more."""
        if self.connection is not None:
            self.connection.network.expires = None


@dataclass(eq=False)
class SyncSlot(_Slot):
    """A place in a pool of blocking connections."""

    _pool: SyncPool

    def close(self) -> None:
        """Free the place. The connection is used again only if the answer was read to its end."""
        try:
            if self.is_read and self.connection is not None:
                self.response.close()
                if self.connection.http.is_idle():
                    connection, self.connection = self.connection, None
                    self._pool.keep(connection)
        except (OSError, httpcore.NetworkError):
            pass  # the connection broke while it was being given up
        finally:
            self._pool.release(self)


@dataclass(eq=False)
class AsyncSlot(_Slot):
    """A place in a pool of connections of one event loop."""

    _pool: AsyncPool

    async def aclose(self) -> None:
        """Free the place. The connection is used again only if the answer was read to its end."""
        try:
            if self.is_read and self.connection is not None:
                await self.response.aclose()
                if self.connection.http.is_idle():
                    connection, self.connection = self.connection, None
                    self._pool.keep(connection)
        except (OSError, httpcore.NetworkError):
            pass  # the connection broke while it was being given up
        finally:
            self._pool.release(self)


class Connector:
    """Knows the way to a gateway: its address, the proxy in front of it, whom to trust."""

    def __init__(self, key: PoolKey) -> None:
        self.tcp_keepalive = key.tcp_keepalive
        url = httpx.URL(key.base_url)
        self._origin = httpcore.Origin(url.raw_scheme, url.raw_host, url.port or {"http": 80, "https": 443}[url.scheme])
        proxy, self._source = (key.proxy, "proxy=") if key.proxy else environment_proxy(key.base_url)
        self._proxy = None if proxy is None else httpx.Proxy(checked_proxy("proxy", proxy))
        if self._proxy is not None and self._proxy.url.scheme.startswith("socks") and not find_spec("socksio"):
            raise ConfigurationError("a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'")
        self.context = _ssl_context_for(key, self._proxy)
        # Without TLS, an error may be the answer of the proxy as well as the gateway's: a 403 of a company's proxy.
        is_readable = self._proxy is not None and url.scheme == "http"
        self.detour = f" through {self._proxy_for_messages}" if is_readable else ""

    def sync_http(self, network: SyncNetwork) -> httpcore.ConnectionInterface:
        """Return the HTTP on a connection that is made when the first request is sent."""
        if self._proxy is None:
            return httpcore.HTTPConnection(self._origin, self.context, network_backend=network)
        kind = httpcore.SOCKSProxy if self._is_socks_proxy else httpcore.HTTPProxy
        return kind(**self._proxy_options(), network_backend=network).create_connection(self._origin)

    def async_http(self, network: AsyncNetwork) -> httpcore.AsyncConnectionInterface:
        """Return the HTTP on a connection that is made when the first request is sent."""
        if self._proxy is None:
            return httpcore.AsyncHTTPConnection(self._origin, self.context, network_backend=network)
        kind = httpcore.AsyncSOCKSProxy if self._is_socks_proxy else httpcore.AsyncHTTPProxy
        return kind(**self._proxy_options(), network_backend=network).create_connection(self._origin)

    def blame_proxy(self, error: Exception, network: SyncNetwork | AsyncNetwork) -> None:
        """Raise *error* again in words that name the proxy, if it was the proxy that failed or refused."""
        if self._proxy is None or (network.is_connected and not isinstance(error, httpcore.ProxyError)):
            return
        verb = "refused to connect to the gateway" if network.is_connected else "cannot be reached"
        kind = type(error) if isinstance(error, httpcore.ConnectTimeout) else httpcore.ProxyError
        raise kind(f"{self._proxy_for_messages} {verb}: {error}{self._password_advice(str(error))}") from None

    def refuse_answer_of_proxy(self) -> None:
        """Raise `httpcore.ProxyError` for a 407, which only a proxy sends."""
        if self._proxy is not None:
            raise httpcore.ProxyError(
                f"{self._proxy_for_messages} refused the request: 407{self._password_advice('407')}"
            )

    @property
    def _is_socks_proxy(self) -> bool:
        return self._proxy is not None and self._proxy.url.scheme.startswith("socks")

    @property
    def _proxy_for_messages(self) -> str:
        proxy: Any = self._proxy
        return f"the proxy {proxy.url.scheme}://{proxy.url.netloc.decode('ascii')} (from {self._source})"

    def _password_advice(self, text: str) -> str:
        return f"; it wants a user name and a password: {_WITH_PASSWORD}" if text.startswith("407") else ""

    def _proxy_options(self) -> JsonObject:
        proxy: Any = self._proxy
        options = {"proxy_url": str(proxy.url), "proxy_auth": proxy.raw_auth, "ssl_context": self.context}
        if proxy.url.scheme == "https":
            options["proxy_ssl_context"] = self.context
        return options


_WITH_PASSWORD = "http://user:password@host:port"  # noqa: S105 - an example


def _ssl_context_for(key: PoolKey, proxy: httpx.Proxy | None) -> ssl.SSLContext:
    # One context for all clients: reading the trust store takes 20 ms.
    if isinstance(key.verify, ssl.SSLContext):
        return key.verify
    if key.base_url.startswith("http://") and (proxy is None or proxy.url.scheme != "https"):
        return _unused_context()
    return _load_ssl_context(key.verify, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=8)
def _load_ssl_context(verify: ssl.SSLContext | bool, cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context(verify=verify)
    except OSError as error:
        message = f"the certificates of SSL_CERT_FILE={cert_file!r}, SSL_CERT_DIR={cert_dir!r} cannot be read: {error}"
    raise ConfigurationError(message)


@lru_cache(maxsize=1)
def _unused_context() -> ssl.SSLContext:
    """Return a context for plain http: reading the trust store would take 20 ms for nothing."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def environment_proxy(base_url: str) -> tuple[str | None, str]:
    """Return the proxy that HTTP(S)_PROXY, ALL_PROXY and NO_PROXY name for an address, and the variable it is from."""
    # Both are documented in the module's source and used by requests; the type stubs lack the second.
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    # The same rules as httpx's own (`trust_env`), which only its own transports apply.
    url, proxies = httpx.URL(base_url), getproxies_environment()
    host = url.host if url.port is None else f"{url.host}:{url.port}"
    if not proxies or proxy_bypass_environment(host, proxies):
        return None, ""
    kind = url.scheme if proxies.get(url.scheme) else "all"
    proxy = proxies.get(kind)
    names = (f"{kind}_proxy", f"{kind}_proxy".upper())  # the order in which getproxies_environment looks
    name = next((name for name in names if os.environ.get(name)), names[1])
    return proxy if not proxy or "://" in proxy else f"http://{proxy}", name


class _LoopPools:
    """The pools of one event loop, closed when the loop shuts its async generators down."""

    def __init__(self) -> None:
        self.pools: dict[PoolKey, AsyncPool] = {}
        # asyncio.run calls shutdown_asyncgens() before it closes the loop. A generator that waits there is the only
        # hook that a library gets at the end of a loop.
        self._keeper = self._close_at_loop_end()

    async def start(self) -> None:
        """Register with the running loop, so that `asyncio.run` and similar runners close the pools."""
        await self._keeper.__anext__()

    async def _close_at_loop_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            pools, self.pools = list(self.pools.values()), {}
            for pool in pools:
                pool.close()
            await asyncio.sleep(0)  # in which the loop closes the sockets


class _Registry:
    """All pools of this process."""

    def __init__(self) -> None:
        self.generation = 0
        # Re-entrant: the garbage collector may end a client while this thread holds the lock.
        self._lock = threading.RLock()
        self._sync_pools: dict[PoolKey, SyncPool] = {}
        self._loops: dict[asyncio.AbstractEventLoop, _LoopPools] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._forgotten: list[object] = []

    def sync_pool(self, key: PoolKey) -> SyncPool:
        with self._lock:
            pool = self._sync_pools.get(key)
            if pool is None or pool.is_closed:
                pool = self._sync_pools[key] = SyncPool(key, self.generation)
            return pool

    async def async_pool(self, key: PoolKey, loop: asyncio.AbstractEventLoop) -> AsyncPool:
        with self._lock:
            self._loops = {other: pools for other, pools in self._loops.items() if not other.is_closed()}
            existing = self._loops.get(loop)
            pools = self._loops.setdefault(loop, existing or _LoopPools())
            pool = pools.pools.get(key)
            if pool is None or pool.is_closed:
                pool = pools.pools[key] = AsyncPool(key, self.generation, loop)
        if existing is None:
            await pools.start()
        return pool

    def leave(self, pool: SyncPool | AsyncPool, user: int) -> None:
        """Note that *user* gave its share back; the last one closes the pool."""
        with self._lock:
            pool.users.discard(user)
            if pool.users or pool.generation != self.generation:
                return
            pool.is_closed = True  # the next client gets a new one
        # Outside the lock: closing sockets may run finalizers, and those may need the lock again.
        pool.leave_soon()

    def budget(self, base_url: str) -> RetryBudget:
        with self._lock:
            return self._budgets.setdefault(base_url, RetryBudget())

    def forget_budgets(self) -> None:
        with self._lock:
            self._budgets = {}

    def forget(self) -> None:
        """In a forked child: neither use nor close the parent's sockets, which both processes share."""
        # Kept alive on purpose: collecting them would close sockets that the parent still uses.
        self._forgotten.append((self._sync_pools, self._loops))
        self._lock = threading.RLock()
        self.generation += 1
        self._sync_pools, self._loops, self._budgets = {}, {}, {}

    def close(self) -> None:
        """At the end of the process: close the connections of blocking clients."""
        for pool in self._sync_pools.values():
            pool.close()


_registry = _Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forget)
atexit.register(_registry.close)
