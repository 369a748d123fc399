"""Load media that messages name by URL, if the user gave a fetcher. Without one, URLs are sent by reference."""

from __future__ import annotations

from gemway import MediaFetcher, WireRequest, remote_urls, with_media


def fetched(body: WireRequest, fetcher: MediaFetcher | None) -> WireRequest:
    """Return *body* with its remote media in it."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    return WireRequest({**body, "contents": with_media(body["contents"], fetcher.fetch(urls))})


async def afetched(body: WireRequest, fetcher: MediaFetcher | None) -> WireRequest:
    """Return *body* with its remote media in it; the event loop goes on meanwhile."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    return WireRequest({**body, "contents": with_media(body["contents"], await fetcher.afetch(urls))})
