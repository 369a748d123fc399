"""Typical errors, and how to react: each names its kind, the status, and the next step."""

import os

from gateway import MODEL, configure
from gemway import (
    APIConnectionError,
    AuthenticationError,
    Client,
    ConfigurationError,
    GemwayError,
    NotFoundError,
    RateLimitError,
)

HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}

ADVICE = {
    ConfigurationError: "fix the set-up; nothing was sent",
    AuthenticationError: "give another key",
    NotFoundError: "ask for another model; list_models() knows which",
    RateLimitError: "wait; retry_after says how long",
    APIConnectionError: "check the address and the network",
}


def show(what: str, client_options: dict[str, object], model: str = MODEL) -> None:
    """Try a call that fails, and print the details that a program gets."""
    try:
        Client(max_retries=0, **client_options).generate_content(model, HELLO)
    except GemwayError as error:
        advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "see the message")
        print(f"{what}: {type(error).__name__} ({advice})\n  {error}\n")


configure()
show("an address without scheme", {"base_url": "gateway.example"})
show("a wrong key", {"api_key": "sk-wrong"})
show("a model that is not there", {}, "no-such-model")
# A port that was just closed: nobody answers there.
show("nobody at the address", {"base_url": "http://127.0.0.1:9", "api_key": os.environ["GEMWAY_API_KEY"]})
