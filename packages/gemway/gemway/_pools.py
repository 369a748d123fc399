"""Connections, shared by all clients of a process: one pool per gateway, for async one per event loop too.

A pool is made of small httpx transports, because the cost of httpcore's own bookkeeping grows with the
square of the connections of one transport (encode/httpcore issue 1035). A forked child forgets its parent's
pools without closing them. Nothing is opened before the first call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import httpx

from gemway._exceptions import ConfigurationError
from gemway._retry import RetryBudget
from gemway._settings import checked_proxy

SLOTS = 8
"""Connections per inner transport."""
_IDLE_SECONDS = 30.0


@dataclass(frozen=True)
class Wiring:
    """What decides whether two clients can share connections."""

    base_url: str
    proxy: str | None = None
    verify: Any = True
    max_connections: int = 1000
    factory: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<Wiring {self.base_url}>"


class SyncLease:
    """One client's share of the pool of its process."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._pool: SyncPool | None = None

    def pool(self) -> SyncPool:
        """Return the pool of this process."""
        pool = self._pool
        if pool is None or pool.closed or pool.generation != _registry.generation:
            pool = self._pool = _registry.sync_pool(self._wiring, self)
        return pool

    def close(self) -> None:
        """Give the share back; the last one closes the pool."""
        pool, self._pool = self._pool, None
        if pool is not None and _registry.left(pool, self):
            pool.close()


class AsyncLease:
    """One client's shares of the pools of the event loops it is used in."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._pools: dict[Any, AsyncPool] = {}

    async def pool(self) -> AsyncPool:
        """Return the pool of the running loop."""
        loop = _running_loop()
        pool = self._pools.get(loop)
        if pool is None or pool.closed or pool.generation != _registry.generation:
            self._pools = {other: kept for other, kept in self._pools.items() if not other.is_closed()}
            pool = self._pools[loop] = await _registry.async_pool(self._wiring, loop, self)
        return pool

    async def aclose(self) -> None:
        """Give all shares back; the last one closes a pool, in the pool's own loop."""
        pools, self._pools = self._pools, {}
        here = asyncio.get_running_loop()
        for loop, pool in pools.items():
            if not _registry.left(pool, self) or loop.is_closed():
                continue
            if loop is here:
                await pool.aclose()
                continue
            try:
                loop.call_soon_threadsafe(_close_soon, loop, pool)
            except RuntimeError:
                pass  # that loop was closed just now, and the pool with it


class _Limit(threading.local):
    """What bounds the network of the call that this thread is making: a moment of the monotonic clock, or None."""

    expires: float | None = None

    def left(self, timeout: float | None) -> float | None:
        """Return *timeout*, or the time until the deadline if that is shorter."""
        if self.expires is None:
            return timeout
        left = max(0.001, self.expires - time.monotonic())  # 0 would mean: do not block
        return left if timeout is None else min(timeout, left)


limit = _Limit()


class _LimitedBackend:
    """httpcore's blocking network, whose single steps also end at the deadline of the call.

    Without it a server that sends a byte now and then could stretch a call for ever: the timeouts of
    httpx are those of one step.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> _LimitedStream:
        return _LimitedStream(self._backend.connect_tcp(host, port, timeout=limit.left(timeout), **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _LimitedStream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.close = stream.close
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, limit.left(timeout))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, limit.left(timeout))

    def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> _LimitedStream:
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, limit.left(timeout)))


def _blocking_transport(**options: Any) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(**options)
    pool = transport._pool
    # httpx has no argument for httpcore's `network_backend`.
    pool._network_backend = _LimitedBackend(pool._network_backend)  # type: ignore[assignment]  # quacks like one
    return transport


class _CarefulBackend:
    """httpcore's asyncio network, which does not leave a socket open when a TLS handshake is cancelled."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def connect_tcp(self, *args: Any, **options: Any) -> Any:
        stream = await self._backend.connect_tcp(*args, **options)
        shake_hands = stream.start_tls

        async def start_tls(*args: Any, **options: Any) -> Any:
            try:
                return await shake_hands(*args, **options)
            except asyncio.CancelledError:
                await stream.aclose()
                raise

        stream.start_tls = start_tls
        return stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _asyncio_transport(**options: Any) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(**options)
    pool = transport._pool
    pool._network_backend = _CarefulBackend(pool._network_backend)  # type: ignore[assignment]  # quacks like one
    return transport


def retry_budget(base_url: str) -> RetryBudget:
    """Return the budget that all clients of this process share for one address."""
    return _registry.budget(base_url)


def forget_retry_budgets() -> None:
    """Let every address begin with a full budget again, for clients made from now on."""
    _registry.forget_budgets()


def _close_soon(loop: Any, pool: AsyncPool) -> None:
    task = loop.create_task(pool.aclose())
    pool.closing = task  # a task needs a reference until it is done


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = "gemway's async methods need asyncio (or uvloop); under trio use the sync methods in a thread"
    raise ConfigurationError(message)


class SyncPool:
    """Connections of one process to one gateway."""

    def __init__(self, wiring: Wiring, generation: int) -> None:
        options = _transport_options(wiring)
        factory = wiring.factory or _blocking_transport
        self.generation = generation
        self.closed = False
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        self._shards = _Shards(lambda: factory(**options))
        self._places = threading.BoundedSemaphore(wiring.max_connections)

    def open(self, request: httpx.Request, wait: float | None) -> tuple[httpx.Response, Callable[[], None]]:
        """Send *request*; return the response and what gives its connection back.

        Waits at most *wait* seconds for a free connection, for ever if None.
        """
        if not self._places.acquire(timeout=wait):
            raise httpx.PoolTimeout("no free connection")
        shard = self._shards.take(self._places)
        try:
            return shard.transport.handle_request(request), partial(self._give_back, shard)
        except BaseException:
            self._give_back(shard)
            raise

    def close(self) -> None:
        """Close every connection that is not in use; those in use close when their answer ends."""
        self.closed = True
        for transport in self._shards.clear():
            transport.close()

    def _give_back(self, shard: _Shard) -> None:
        self._places.release()
        for idle in self._shards.give_back(shard, close=self.closed):
            idle.close()


class AsyncPool:
    """Connections of one event loop to one gateway."""

    def __init__(self, wiring: Wiring, generation: int) -> None:
        options = _transport_options(wiring)
        factory = wiring.factory or _asyncio_transport
        self.generation = generation
        self.closed = False
        self.closing: Any = None
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        self._shards = _Shards(lambda: factory(**options))
        self._places = asyncio.Semaphore(wiring.max_connections)

    async def open(
        self, request: httpx.Request, wait: float | None
    ) -> tuple[httpx.Response, Callable[[], Awaitable[None]]]:
        """Send *request*; return the response and what gives its connection back.

        Waits at most *wait* seconds for a free connection, for ever if None.
        """
        if wait is not None and self._places.locked():
            await self._wait(wait)
        else:
            await self._places.acquire()
        shard = self._shards.take(self._places)
        try:
            return await shard.transport.handle_async_request(request), partial(self._give_back, shard)
        except BaseException:
            await self._give_back(shard)
            raise

    async def aclose(self) -> None:
        """Close every connection that is not in use; those in use close when their answer ends."""
        self.closed = True
        for transport in self._shards.clear():
            await transport.aclose()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._places.acquire(), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            message = "no free connection"
        else:
            return
        raise httpx.PoolTimeout(message)

    async def _give_back(self, shard: _Shard) -> None:
        self._places.release()
        for idle in self._shards.give_back(shard, close=self.closed):
            await idle.aclose()


class _Shard:
    """One small transport and how many of its slots are taken."""

    __slots__ = ("busy", "transport", "used")

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.busy = 0
        self.used = time.monotonic()


class _Shards:
    """A stack of free slots: taking and giving back cost the same however many connections there are."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._free: list[_Shard] = []
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    def take(self, places: Any) -> _Shard:
        """Return the shard whose slot was given back last: its connection is warm. Without one, free the place."""
        with self._lock:
            try:
                if not self._free:
                    self._free.extend([_Shard(self._make())] * SLOTS)
            except BaseException:
                places.release()
                raise
            shard = self._free.pop()
            shard.busy += 1
            return shard

    def give_back(self, shard: _Shard, *, close: bool = False) -> list[Any]:
        """Return a slot; also return the transports that are to be closed: idle ones, or all with *close*."""
        now = time.monotonic()
        with self._lock:
            shard.busy -= 1
            shard.used = now
            if close:
                return [] if shard.busy else [shard.transport]
            self._free.append(shard)
            if now - self._swept < _IDLE_SECONDS:
                return []
            self._swept = now
            return self._remove(lambda one: not one.busy and now - one.used > _IDLE_SECONDS)

    def clear(self) -> list[Any]:
        """Forget all slots; return the transports of which none is taken, to be closed."""
        with self._lock:
            idle = self._remove(lambda one: not one.busy)
            self._free = []
            return idle

    def _remove(self, condition: Callable[[_Shard], bool]) -> list[Any]:
        gone = {id(shard): shard.transport for shard in self._free if condition(shard)}
        if gone:
            self._free = [shard for shard in self._free if id(shard) not in gone]
        return list(gone.values())


def _transport_options(wiring: Wiring) -> dict[str, Any]:
    """Return what an httpx transport needs to know: proxy, trust, limits."""
    proxy = wiring.proxy or checked_proxy(environment_proxy(wiring.base_url))
    if proxy and proxy.startswith("socks") and not find_spec("socksio"):
        raise ConfigurationError("a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'")
    if isinstance(wiring.verify, ssl.SSLContext):
        context = wiring.verify
    elif wiring.base_url.startswith("http://") and not (proxy or "").startswith("https"):
        context = _unused_context()
    else:
        context = _ssl_context(wiring.verify, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    limits = httpx.Limits(max_connections=SLOTS, max_keepalive_connections=SLOTS, keepalive_expiry=_IDLE_SECONDS)
    return {"verify": context, "limits": limits, "trust_env": False, **({"proxy": proxy} if proxy else {})}


@lru_cache(maxsize=8)
def _ssl_context(verify: Any, cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context(verify=verify)
    except OSError as error:
        message = f"the certificates of SSL_CERT_FILE={cert_file!r}, SSL_CERT_DIR={cert_dir!r} cannot be read: {error}"
    raise ConfigurationError(message)


@lru_cache(maxsize=1)
def _unused_context() -> ssl.SSLContext:
    """Return a context for plain http: reading the trust store would take 20 ms for nothing."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def environment_proxy(base_url: str) -> str | None:
    """Return the proxy that HTTP(S)_PROXY, ALL_PROXY and NO_PROXY name for an address."""
    # Both are documented in the module's source and used by requests; the type stubs lack the second.
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    url, proxies = httpx.URL(base_url), getproxies_environment()
    host = url.host if url.port is None else f"{url.host}:{url.port}"
    if not proxies or proxy_bypass_environment(host, proxies):
        return None
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


class _LoopPools:
    """The pools of one event loop, closed when the loop shuts its async generators down."""

    def __init__(self) -> None:
        self.pools: dict[Wiring, AsyncPool] = {}
        self._keeper = self._keep()

    async def start(self) -> None:
        """Register with the running loop: `asyncio.run` and its kin then close what is open."""
        await self._keeper.__anext__()

    async def _keep(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            pools, self.pools = list(self.pools.values()), {}
            for pool in pools:
                await pool.aclose()


class _Registry:
    """All pools of this process."""

    def __init__(self) -> None:
        self.generation = 0
        self._lock = threading.Lock()
        self._sync_pools: dict[Wiring, SyncPool] = {}
        self._loops: dict[Any, _LoopPools] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._forgotten: list[Any] = []

    def sync_pool(self, wiring: Wiring, user: object) -> SyncPool:
        with self._lock:
            pool = self._sync_pools.get(wiring)
            if pool is None or pool.closed:
                pool = self._sync_pools[wiring] = SyncPool(wiring, self.generation)
            pool.users.add(user)
            return pool

    async def async_pool(self, wiring: Wiring, loop: Any, user: object) -> AsyncPool:
        with self._lock:
            self._loops = {other: pools for other, pools in self._loops.items() if not other.is_closed()}
            found = self._loops.get(loop)
            pools = self._loops.setdefault(loop, found or _LoopPools())
            pool = pools.pools.get(wiring)
            if pool is None or pool.closed:
                pool = pools.pools[wiring] = AsyncPool(wiring, self.generation)
            pool.users.add(user)
        if found is None:
            await pools.start()
        return pool

    def left(self, pool: SyncPool | AsyncPool, user: object) -> bool:
        """Note that *user* gave its share back; return whether it was the last one."""
        with self._lock:
            pool.users.discard(user)
            return not pool.users and pool.generation == self.generation

    def budget(self, base_url: str) -> RetryBudget:
        with self._lock:
            return self._budgets.setdefault(base_url, RetryBudget())

    def forget_budgets(self) -> None:
        with self._lock:
            self._budgets = {}

    def forget(self) -> None:
        """In a forked child: neither use nor close what belongs to the parent."""
        self._forgotten.append((self._sync_pools, self._loops))
        self._lock = threading.Lock()
        self.generation += 1
        self._sync_pools, self._loops, self._budgets = {}, {}, {}

    def close(self) -> None:
        """At the end of the process: close what blocking clients left open."""
        for pool in self._sync_pools.values():
            pool.close()


_registry = _Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forget)
atexit.register(_registry.close)
