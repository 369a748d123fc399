"""Load media that messages name by URL, if the user gave a fetcher. Without one, URLs are sent by reference."""

from __future__ import annotations

import time
from typing import Any

from gemway import MediaFetcher
from gemway.adapters import WireRequest, remote_urls, with_media


def fetched(
    body: WireRequest, fetcher: MediaFetcher | None, options: dict[str, Any], deadline: float | None
) -> WireRequest:
    """Return *body* with its remote media in it; the time that took is taken off the deadline in *options*."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    began, limit = time.monotonic(), options.get("deadline", deadline)
    media = fetcher.fetch(urls, deadline=limit) if limit is not None else fetcher.fetch(urls)
    _shorten(options, limit, began)
    return WireRequest({**body, "contents": with_media(body["contents"], media)})


async def afetched(
    body: WireRequest, fetcher: MediaFetcher | None, options: dict[str, Any], deadline: float | None
) -> WireRequest:
    """Return *body* with its remote media in it; the event loop goes on meanwhile."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    began, limit = time.monotonic(), options.get("deadline", deadline)
    media = await (fetcher.afetch(urls, deadline=limit) if limit is not None else fetcher.afetch(urls))
    _shorten(options, limit, began)
    return WireRequest({**body, "contents": with_media(body["contents"], media)})


def _shorten(options: dict[str, Any], deadline: float | None, began: float) -> None:
    if deadline is not None:
        options["deadline"] = max(0.001, deadline - (time.monotonic() - began))
