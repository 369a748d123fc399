"""Options, credentials, copies: what the constructor promises."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import warnings

import pytest
from gemway import BadRequestError, ConfigurationError
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.loading import RECOGNIZED_LLMS, load_llm
from llama_index.llms.gemway import Gemway
from pydantic import SecretStr

KEY = "sk-very-secret-0123456789"


def test_construction_asks_nothing(emulator: Emulator, gemway) -> None:
    """Neither the constructor nor `.metadata` sends a request."""
    llm = gemway("a-model-of-next-year", max_tokens=100)

    assert llm.metadata.model_name == "a-model-of-next-year"
    assert len(emulator.requests) == 0


def test_one_bearer_credential(emulator: Emulator, llm: Gemway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes as Bearer token and nowhere else; foreign keys in the environment change nothing."""
    monkeypatch.setenv("GOOGLE_API_KEY", "AIza-foreign")

    llm.complete("Hello")
    list(llm.stream_complete("Hello"))

    for request in emulator.requests:
        assert request.headers["authorization"] == f"Bearer {emulator.api_key}"
        assert "x-goog-api-key" not in request.headers
        assert "key=" not in request.path
        assert "foreign" not in str(dict(request.headers))


@pytest.mark.parametrize("ending", ["", "/", "/v1beta", "/v1beta/"])
def test_address_is_joined_once(emulator: Emulator, gemway, ending: str) -> None:
    """Slashes, a version at the end, and `models/` in the model's name are all the same address."""
    gemway("models/gemini-2.5-flash", base_url=emulator.base_url + ending).complete("Hello")

    assert emulator.requests[-1].path == "/v1beta/models/gemini-2.5-flash:generateContent"


def test_address_with_a_prefix() -> None:
    """A path before the API's own is kept."""
    with (
        Emulator(prefix="/gw", any_model=True) as emulator,
        Gemway("gemini-x", api_key="sk-local", base_url=emulator.base_url) as llm,
    ):
        llm.complete("Hello")

        assert emulator.requests[-1].path == "/gw/v1beta/models/gemini-x:generateContent"


def test_unknown_option_names_the_nearest(emulator: Emulator, gemway) -> None:
    """A slip of the pen is a TypeError that knows better; `api_base` is an alias."""
    with pytest.raises(TypeError, match=r"temprature.*temperature"):
        gemway(temprature=0.5)

    llm = Gemway(model="gemini-2.5-flash", api_key=emulator.api_key, api_base=emulator.base_url)
    assert llm.base_url == emulator.base_url
    llm.close()


def test_spellings_of_other_classes(emulator: Emulator, gemway) -> None:
    """What people wrote for OpenAI's class means the same here; a word without meaning is warned about once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another test may have been the first to say it
        llm = gemway(
            additional_kwargs={"labels": {"team": "x"}},
            default_headers={"x-team": "x"},
            max_completion_tokens=7,
            reasoning_effort="low",
            organization="org",
        )

    llm.complete("Hello")

    body = emulator.requests[-1].json
    assert body["generationConfig"]["maxOutputTokens"] == 7
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 1024}
    assert body["labels"] == {"team": "x"}
    assert emulator.requests[-1].headers["x-team"] == "x"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": None}, "GEMWAY_API_KEY"),
        ({"base_url": None}, "GEMWAY_BASE_URL"),
        ({"model": None}, "GEMWAY_MODEL"),
        ({"api_key": "line\nbreak"}, "line break"),
        ({"base_url": "gateway.example"}, "scheme"),
        ({"thinking_level": "low", "thinking_budget": 5}, "exclude each other"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"timeout": -1}, "timeout"),
    ],
    ids=["key", "address", "model", "line-break", "scheme", "thinking", "max-tokens", "timeout"],
)
def test_bad_options_are_refused_at_once(options: dict, words: str) -> None:
    """What cannot work is refused at construction, in words, without the key."""
    given = {"model": "gemini-2.5-flash", "api_key": KEY, "base_url": "https://gateway.example", **options}

    with pytest.raises(ConfigurationError, match=words) as raised:
        Gemway(**given)

    assert KEY not in str(raised.value)
    assert "line\nbreak" not in str(raised.value)


class _Events(BaseEventHandler):
    seen: list = []

    def handle(self, event, **kwargs) -> None:
        self.seen.append(event)


def test_the_key_is_never_shown(emulator: Emulator, gemway) -> None:
    """Neither texts, nor dumps, nor events, nor errors hold the key or a header."""
    emulator.api_key = KEY
    llm = gemway(api_key=KEY, default_headers={"x-secret": "hidden-header"}, max_retries=0)
    events = _Events()
    get_dispatcher().add_event_handler(events)
    try:
        llm.chat([ChatMessage(content="Hello")])
        emulator.enqueue(reply.error(400, message=f"bad key {KEY}"))
        with pytest.raises(BadRequestError) as raised:
            llm.complete("Hello")
    finally:
        get_dispatcher().event_handlers.remove(events)

    shown = [repr(llm), str(llm), json.dumps(llm.to_dict()), llm.to_json(), str(llm.to_payload()), repr(vars(llm))]
    shown += [str(event.model_dump()) for event in events.seen] + [str(raised.value), repr(raised.value)]
    shown += [str(value) for value in vars(raised.value).values()]
    assert events.seen
    assert not any(KEY in text or "hidden-header" in text for text in shown[:5] + shown[6:])
    assert KEY not in shown[5]


def test_validation_errors_do_not_show_the_key() -> None:
    """A value of the wrong type is refused without a dump of the others."""
    with pytest.raises(ValueError, match="temperature") as raised:
        Gemway("m", api_key=KEY, base_url="https://gateway.example", temperature="hot")

    assert KEY not in str(raised.value)


def _twins(llm: Gemway, monkeypatch: pytest.MonkeyPatch, key: str) -> dict[str, Gemway]:
    monkeypatch.setenv("GEMWAY_API_KEY", key)
    monkeypatch.setitem(RECOGNIZED_LLMS, Gemway.class_name(), Gemway)  # core's registry is a user's to fill
    return {
        "pickle": pickle.loads(pickle.dumps(llm)),
        "deepcopy": copy.deepcopy(llm),
        "copy": copy.copy(llm),
        "model_copy": llm.model_copy(update={"temperature": 0.9}),
        "from_dict": Gemway.from_dict(llm.to_dict()),
        "from_json": Gemway.from_json(llm.to_json()),
        "load_llm": load_llm(llm.to_dict()),
    }


@pytest.mark.parametrize("used_before", [False, True], ids=["fresh", "used"])
def test_copies_work(emulator: Emulator, gemway, monkeypatch: pytest.MonkeyPatch, used_before: bool) -> None:
    """Pickled, copied and rebuilt models send the same request; an update of a copy shows in its own only."""
    llm = gemway(temperature=0.1, system_prompt="Be brief.")
    if used_before:
        llm.complete("Hello")

    for way, twin in _twins(llm, monkeypatch, emulator.api_key).items():
        twin.complete("Hello")
        sent = emulator.requests[-1].json["generationConfig"]["temperature"]
        assert sent == (0.9 if way == "model_copy" else 0.1), way
        assert twin.base_url == emulator.base_url
        assert twin.system_prompt == "Be brief."
        twin.close()

    assert llm.temperature == 0.1


def test_a_restored_model_without_a_key_says_so_at_its_first_call(gemway) -> None:
    """Coming back never fails; the call names both ways to give the key."""
    restored = Gemway.from_dict(gemway().to_dict())

    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        restored.complete("Hello")


def test_an_environment_key_does_not_travel(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle holds a key that was given, and none that came from the environment."""
    monkeypatch.setenv("GEMWAY_API_KEY", KEY)
    monkeypatch.setenv("GEMWAY_BASE_URL", emulator.base_url)

    assert KEY.encode() not in pickle.dumps(Gemway("m"))
    assert KEY.encode() in pickle.dumps(Gemway("m", api_key=SecretStr(KEY)))


def test_options_can_be_changed_later(emulator: Emulator, llm: Gemway) -> None:
    """What is assigned after construction is in the next request."""
    llm.temperature = 0.9
    llm.model = "gemini-2.5-pro"
    llm.default_headers = {"x-team": "later"}

    llm.complete("Hello")

    assert emulator.requests[-1].json["generationConfig"] == {"temperature": 0.9}
    assert "gemini-2.5-pro" in emulator.requests[-1].path
    assert emulator.requests[-1].headers["x-team"] == "later"


def test_a_new_key_is_used(emulator: Emulator, llm: Gemway) -> None:
    """An assigned key goes out with the next call, and is shown no more than the first."""
    llm.complete("Hello")
    emulator.api_key = KEY
    llm.api_key = KEY

    llm.complete("Hello")

    assert emulator.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(llm) + llm.to_json()


def test_is_a_function_calling_llm() -> None:
    """The class stands in LlamaIndex's own line."""
    assert BaseLLM in Gemway.__mro__
    assert FunctionCallingLLM in Gemway.__mro__
    assert Gemway.class_name() == "Gemway"


def test_namespace_packages_have_no_init() -> None:
    """`llama_index` is a namespace of many distributions: none of ours claims it."""
    import llama_index.llms
    import llama_index.tools

    assert getattr(llama_index, "__file__", None) is None
    assert getattr(llama_index.llms, "__file__", None) is None
    assert getattr(llama_index.tools, "__file__", None) is None


def test_import_is_light() -> None:
    """Importing brings nothing of Google, OpenAI or Anthropic, no tokenizer and no HTTP client except core's own."""
    code = """
import sys
import llama_index.core
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import create_flexible_model
from llama_index.core.program.function_program import get_function_tool
before = set(sys.modules)
import llama_index.llms.gemway
foreign = ("openai", "google", "anthropic", "tiktoken", "PIL", "httpx", "httpcore")
print([name for name in set(sys.modules) - before if name.split(".")[0] in foreign])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
