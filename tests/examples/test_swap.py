"""Programs written for ChatOpenAI, ChatAnthropic and ChatGoogleGenerativeAI run with ChatGemway after two replaced lines.

The programs in `examples/swap` stay as they were written; here each runs from a copy, in which only the lines of its
table are replaced: the import and the constructor. Their own packages need not be installed.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

import pytest
import source_tree as source
from gemway_emulator import Request, reply

FOLDER = source.ROOT / "examples" / "swap"
PROVIDERS = ("langchain_openai", "langchain_anthropic", "langchain_google_genai", "llama_index.embeddings.google_genai")
CONSTRUCTORS = ("ChatOpenAI(", "ChatAnthropic(", "ChatGoogleGenerativeAI(") + (
    "OpenAIEmbeddings(",
    "GoogleGenerativeAIEmbeddings(",
    "GoogleGenAIEmbedding(",
)
OURS = "from langchain_gemway import ChatGemway"
OUR_EMBEDDINGS = "from langchain_gemway import GemwayEmbeddings"
# Gemini 2.5 thinks by budget, Gemini 3 signs its calls and wants the signatures back.
MODELS = ("gemini-2.5-flash", "gemini-3-flash-preview")
SQL = "SELECT SUM(amount) AS total FROM orders JOIN customers ON customers.id = customer_id WHERE name = 'Ada'"
UNUSED = "SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders)"


@dataclass(frozen=True)
class Swap:
    """What is replaced in a program, and what it must then print and say to the gateway."""

    lines: dict[str, str]
    prints: tuple[str, ...]
    asks: int
    sends: tuple[str, ...] = ()
    withholds: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    script: Callable[[], list[object]] = field(default=list)
    respond: Callable[[Request], object] | None = None


def shorten(request: Request) -> object:
    """A summary, as far as a test needs one: the first 25 words of the text below the instruction."""
    return reply.text(" ".join(request.prompt.partition("\n\n")[2].split()[:25]))


SWAPS = {
    "agent_middleware.py": Swap(
        lines={
            "from langchain_anthropic import ChatAnthropic": OURS,
            'models = [ChatAnthropic(model=m, max_retries=0, betas=["files-api"]) for m in ("claude-opus-4-1", "claude-haiku-4-5")]': 'models = [ChatGemway(model=m, max_retries=0, betas=["files-api"]) for m in ("gemini-2.5-pro", "{model}")]',
        },
        # One failure is retried; after three in a row the other model answers.
        script=lambda: [
            reply.error(503),
            reply.tool_call("read_ticket", {"ticket_id": "T-17"}),
            *[reply.error(500)] * 3,
        ],
        prints=(
            r"\[{model}\] .*out of toner",
            r"\[gemini-2.5-pro\] .*VPN drops",
            "T-17 is closed: toner replaced",
            "the first begins: Here is a summary of the conversation",
            r"open: T-18\n",
        ),
        asks=14,
        warns=("betas",),
    ),
    "contract_review.py": Swap(
        lines={
            "from langchain_anthropic import ChatAnthropic": OURS,
            'llm = ChatAnthropic(model="claude-sonnet-4-5", max_tokens=1500, temperature=0, default_headers={"x-team": "legal"})': 'llm = ChatGemway(model="{model}", max_tokens=1500, temperature=0, default_headers={"x-team": "legal"})',
        },
        prints=(
            r"A: The notice period is three months\.",
            r"A: The rent is due on the third day",
            r"A: .*Are pets allowed",
            "tokens: True",
            r"low: The tenant pays 900 euros a month\.",
        ),
        asks=4,
        sends=("list_clauses", "rent, notice, pets", "text/plain", '"maxOutputTokens":300'),
        # The signature is Anthropic's, and so is the mark for its cache.
        withholds=("ErUBCkYIBRgCIkDx3w", "cache_control", "toolu_01A9"),
    ),
    "extraction_pipeline.py": Swap(
        lines={
            "from langchain_openai import ChatOpenAI": OURS,
            'llm = ChatOpenAI(model="gpt-4o-mini", temperature=0, timeout=30, max_retries=3, api_key=os.environ["OPENAI_API_KEY"])': 'llm = ChatGemway(model="{model}", temperature=0, timeout=30, max_retries=3, api_key=os.environ["GEMWAY_API_KEY"])',
        },
        # One answer that breaks off: the program asks for this mail a second time, with a function.
        script=lambda: [reply.text('{"order": 10', finish_reason="MAX_TOKENS")],
        prints=(
            "second try: Order: 104",
            "1042,Maria Lopez,Madrid,Dune,3,2026-03-01,urgent",
            "1043,Jonas Berg,Bergen,Peer Gynt,1,2026-04-15,normal",
            "1044,Aiko Tanaka,Osaka,Kokoro,12,2026-05-20,low",
        ),
        asks=4,
        sends=('"responseMimeType":"application/json"', '"allowedFunctionNames":["Order"]'),
    ),
    "human_approval.py": Swap(
        lines={
            "from langchain_openai import ChatOpenAI": OURS,
            'llm = ChatOpenAI(model="gpt-4o", temperature=0.0, n=1, presence_penalty=0, organization="org-1", store=False)': 'llm = ChatGemway(model="{model}", temperature=0.0, n=1, presence_penalty=0, organization="org-1", store=False)',
        },
        prints=(
            r"\[one\] .*-> \['approve'\]",
            r"\[one\] .*40.0 euros were refunded for A100",
            r"\[two\] .*-> \['edit'\]",
            r"\[three\] .*-> \['reject'\]",
            r"\[three\] .*ask the manager",
            r"paid: \{'A100': 40.0, 'B200': 15.5\}",
        ),
        asks=9,
        warns=("organization", "store"),
    ),
    "map_reduce_summary.py": Swap(
        lines={
            "from langchain_google_genai import ChatGoogleGenerativeAI": OURS,
            'llm = ChatGoogleGenerativeAI(model="gemini-1.5-flash", temperature=0.2, max_output_tokens=512, retries=3, top_k=40)': 'llm = ChatGemway(model="{model}", temperature=0.2, max_output_tokens=512, retries=3, top_k=40)',
        },
        respond=shorten,
        prints=(r"(done: summarise_chunk\n){5}", "done: collapse", r"Summary: .*\w{3,} \w{3,}"),
        asks=9,
        sends=('"topK":40', '"maxOutputTokens":512'),
    ),
    "multimodal_chat.py": Swap(
        lines={
            "from langchain_google_genai import ChatGoogleGenerativeAI": OURS,
            'llm = ChatGoogleGenerativeAI(model="gemini-1.5-flash", safety_settings=SETTINGS, top_p=0.9, transport="rest")': 'llm = ChatGemway(model="{model}", safety_settings=SETTINGS, top_p=0.9, transport="rest")',
        },
        prints=(
            r"A: I received image/png data of \d+ bytes\. .*What do you see",
            r"calling draw_sales_chart \{'region': 'south'\}",
            r"A: According to the tools: .*\[9, 4, 2\]\. I received image/png data",
            r"image/png .*in one word",
        ),
        asks=4,
        sends=('"category":"HARM_CATEGORY_HARASSMENT"', '"stopSequences":', '"inlineData":'),
        warns=("transport",),
    ),
    "rag_chain.py": Swap(
        lines={
            "from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings": "from langchain_gemway import ChatGemway, GemwayEmbeddings",
            'llm = ChatGoogleGenerativeAI(model="gemini-1.5-pro", max_output_tokens=800, convert_system_message_to_human=True)': 'llm = ChatGemway(model="{model}", max_output_tokens=800, convert_system_message_to_human=True)',
            'embeddings = GoogleGenerativeAIEmbeddings(model="models/gemini-embedding-001", task_type="QUESTION_ANSWERING")': 'embeddings = GemwayEmbeddings(model="models/gemini-embedding-001", task_type="QUESTION_ANSWERING")',
        },
        prints=(
            r"A: Every employee has 28 days of holiday\.\n   from holidays\.md",
            r"A: .*expire at the end of March",
            "A: Flights need the approval of the head of department",
            "A: Broken screens are repaired by the IT desk",
        ),
        asks=10,
        sends=('"maxOutputTokens":800', "QUESTION_ANSWERING"),
        warns=("convert_system_message_to_human",),
    ),
    "react_agent.py": Swap(
        lines={
            "from langchain_openai import ChatOpenAI": OURS,
            'llm = ChatOpenAI(model="gpt-4o", temperature=0, max_tokens=1024, request_timeout=60, max_retries=2, streaming=True)': 'llm = ChatGemway(model="{model}", temperature=0, max_tokens=1024, request_timeout=60, max_retries=2, streaming=True)',
        },
        prints=(
            r"-> get_weather\(\{'city': 'Lisbon'\}\)",
            r"\[agent\] .*sunny, 24 degrees",
            r"-> convert_euros\(\{'amount': 50(\.0)?, 'currency': 'NOK'\}\)",
            r"\[agent\] .*570\.0",
            r"\[agent\] .*there is no rate for XAU",
            r"\[agent\] My name is Ada",
            r"tokens in thread ada: [1-9]\d+",
        ),
        asks=8,
        sends=(":streamGenerateContent", '"maxOutputTokens":1024', '"temperature":0'),
        warns=("parallel_tool_calls",),
    ),
    "sql_agent.py": Swap(
        lines={
            "from langchain_openai import ChatOpenAI": OURS,
            'llm = ChatOpenAI(model_name="gpt-4o", openai_api_key=os.environ["OPENAI_API_KEY"], max_completion_tokens=2000, seed=7)': 'llm = ChatGemway(model_name="{model}", openai_api_key=os.environ["GEMWAY_API_KEY"], max_completion_tokens=2000, seed=7)',
        },
        # The emulator writes no SQL into calls; the last answer, with the rows it was given, is its own.
        script=lambda: [
            reply.tool_call("sql_db_list_tables", {}),
            reply.tool_call("sql_db_schema", {"table_names": ["customers", "orders"]}),
            reply.tool_call("sql_db_query", {"query": "SELECT SUM(total) FROM orders"}),
            reply.tool_call("sql_db_query", {"query": SQL}),
            reply.text("Ada spent 42.50 euros in all."),
            reply.tool_call("sql_db_list_tables", {}),
            reply.tool_call("sql_db_query", {"query": UNUSED}),
        ],
        prints=(
            "-> customers, orders",
            "CREATE TABLE orders",
            "Error: no such column: total",
            r'\[\{"total": 42\.5\}\]',
            r"A: Ada spent 42\.50 euros in all\.",
            r"A: .*Linus",
        ),
        asks=8,
        sends=('"allowedFunctionNames":["sql_db_list_tables"]', "no such column", '"seed":7', '"mode":"VALIDATED"'),
    ),
    "streaming_tools.py": Swap(
        lines={
            "from langchain_anthropic import ChatAnthropic": OURS,
            'llm = ChatAnthropic(model_name="claude-sonnet-4-5", max_tokens_to_sample=4096, timeout=None, thinking=THINKING)': 'llm = ChatGemway(model_name="{model}", max_tokens_to_sample=4096, timeout=None, thinking=THINKING)',
        },
        prints=(
            r"\[get_stock_price \.\.\.\]",
            "ACME is at 104.50 dollars; .*Initech opens a new factory",
            "calls: get_stock_price, get_company_news",
            "thoughts: True - pieces: True",
        ),
        asks=2,
        sends=(":streamGenerateContent", '"includeThoughts":true', '"maxOutputTokens":4096'),
    ),
    "supervisor.py": Swap(
        lines={
            "from langchain_anthropic import ChatAnthropic": OURS,
            'llm = ChatAnthropic(model="claude-sonnet-4-5", max_tokens=2048, default_request_timeout=90.0, stop_sequences=["</end>"])': 'llm = ChatGemway(model="{model}", max_tokens=2048, default_request_timeout=90.0, stop_sequences=["</end>"])',
        },
        # Who acts next, and when the work is done, takes a model to decide.
        script=lambda: [
            reply.text('{"next": "researcher", "instructions": "Find the price of a solar panel."}'),
            reply.tool_call("look_up_fact", {"topic": "solar panels"}),
            reply.text("A solar panel costs 180 euros."),
            reply.text('{"next": "accountant", "instructions": "Multiply 12 by 180."}'),
            reply.tool_call("multiply", {"a": 12, "b": 180}),
            reply.text("12 solar panels cost 2160 euros."),
            reply.text('{"next": "FINISH", "instructions": ""}'),
        ],
        prints=(
            r"supervisor: researcher\nresearcher: .*180 euros",
            r"supervisor: accountant\naccountant: .*2160 euros",
            r"supervisor: FINISH\nuser: What do 12 solar panels cost\?\n",
        ),
        asks=7,
        sends=("yields 400 kWh", "2160.0", '"stopSequences":["</end>"]'),
    ),
    "duplicate_tickets.py": Swap(
        lines={
            "from langchain_openai import OpenAIEmbeddings": OUR_EMBEDDINGS,
            'embedder = OpenAIEmbeddings(model="text-embedding-3-large", api_key=os.environ["OPENAI_API_KEY"], request_timeout=30)': 'embedder = GemwayEmbeddings(model="gemini-embedding-001", api_key=os.environ["GEMWAY_API_KEY"], request_timeout=30)',
        },
        prints=(r"^T-3 repeats T-1\nT-5 repeats T-2\n$",),
        asks=1,
        sends=("batchEmbedContents", "RETRIEVAL_DOCUMENT"),
    ),
    "semantic_search.py": Swap(
        lines={
            "from langchain_openai import OpenAIEmbeddings": OUR_EMBEDDINGS,
            'embeddings = OpenAIEmbeddings(model="text-embedding-3-small", dimensions=512, chunk_size=100, max_retries=3)': 'embeddings = GemwayEmbeddings(model="gemini-embedding-001", dimensions=512, chunk_size=100, max_retries=3)',
        },
        prints=(
            r"What boils water\? -> (kettle|stove) \(0\.\d+\)",
            r"How many hours .*\? -> lamp",
            "without boots: tent",
            "diverse: ",
            "width: 512",
        ),
        asks=6,
        sends=('"outputDimensionality":512', "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
    ),
    "handbook_index.py": Swap(
        lines={
            "from llama_index.embeddings.google_genai import GoogleGenAIEmbedding": "from llama_index.embeddings.gemway import GemwayEmbedding",
            'Settings.embed_model = GoogleGenAIEmbedding(model_name="gemini-embedding-001", embed_batch_size=32)': 'Settings.embed_model = GemwayEmbedding(model_name="gemini-embedding-001", embed_batch_size=32)',
        },
        prints=(
            r"flights\? -> travel\n",
            r"expire\? -> holidays\n",
            r"screens\? -> equipment\n",
            r"width: \d{3,4}\n",
        ),
        asks=5,
        sends=("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
    ),
    "support_chat.py": Swap(
        lines={
            "from langchain_google_genai import ChatGoogleGenerativeAI": OURS,
            'chat = ChatGoogleGenerativeAI(model="gemini-1.5-pro", google_api_key=os.environ["GOOGLE_API_KEY"], stop=["Bye."])': 'chat = ChatGemway(model="{model}", google_api_key=os.environ["GEMWAY_API_KEY"], stop=["Bye."])',
        },
        prints=(
            r"The Comet bicycle weighs 11 kg\. \(STOP, [1-9]\d* tokens\)",
            "The Meteor bicycle has 24 gears",
            "The Comet costs 640 euros",
            r"stored: \{'eva': 6, 'tom': 2\}",
            "kept of eva: [2-4]\n",
            "variants: 2",
        ),
        asks=6,
        sends=('"temperature":0.9', '"temperature":1.2', '"maxOutputTokens":60', '"stopSequences":["Bye."]'),
    ),
}
EVERY = pytest.mark.parametrize("name", sorted(SWAPS))


def original(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def replacements(name: str, model: str) -> list[str]:
    return [line.replace("{model}", model) for line in SWAPS[name].lines.values()]


def swapped(name: str, model: str) -> str:
    """Return the program with the lines of its table replaced; a line that is not there is an error."""
    lines = original(name).splitlines()
    for old, new in zip(SWAPS[name].lines, replacements(name, model), strict=True):
        lines[lines.index(old)] = new
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("model", MODELS)
@EVERY
def test_a_program_runs_after_the_swap(name, model, gateway_environment, tmp_path, capsys, monkeypatch):
    """The program runs to its end, prints what it is for, and every request is one that Google would take."""
    swap = SWAPS[name]
    gateway_environment.enqueue(*swap.script())
    gateway_environment.respond = swap.respond
    program = tmp_path / name
    program.write_text(swapped(name, model), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runpy.run_path(str(program), run_name="__main__")

    printed = capsys.readouterr().out
    assert [each for each in swap.prints if not re.search(each.replace("{model}", re.escape(model)), printed)] == [], (
        printed
    )
    journal = gateway_environment.requests
    assert len(journal) == swap.asks
    assert {entry.status for entry in journal} <= {200} | ({500, 503} if name == "agent_middleware.py" else set())
    assert {entry.headers["authorization"] for entry in journal} == {f"Bearer {gateway_environment.api_key}"}
    sent = "\n".join(chain.from_iterable((entry.path, entry.body.decode()) for entry in journal))
    assert [each for each in swap.sends if each not in sent] == [], sent
    assert [each for each in swap.withholds if each in sent] == [], sent
    assert gateway_environment.pending == 0
    warned = [str(each.message) for each in caught if each.category is UserWarning]
    assert [text for text in warned if not any(option in text for option in swap.warns)] == []


def test_options_without_meaning_are_warned_about_once(gateway_environment, tmp_path):
    """In a fresh process, each option that Gemini does not know is named in one warning at the swapped line."""
    program = tmp_path / "human_approval.py"
    program.write_text(swapped(program.name, MODELS[0]), encoding="utf-8")
    known = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    address = {"GEMWAY_BASE_URL": gateway_environment.base_url, "GEMWAY_API_KEY": gateway_environment.api_key}

    done = subprocess.run(
        [sys.executable, str(program)], env=known | address, capture_output=True, text=True, timeout=100
    )

    assert done.returncode == 0, done.stderr
    line = 1 + program.read_text(encoding="utf-8").splitlines().index(replacements(program.name, MODELS[0])[1])
    for option in SWAPS[program.name].warns:
        assert len(re.findall(rf"human_approval\.py:{line}: UserWarning: .*'{option}'", done.stderr)) == 1, done.stderr
    assert gateway_environment.api_key not in done.stdout + done.stderr


@EVERY
def test_only_imports_and_constructors_are_replaced(name, record_property):
    """The import and a line for each constructor, and nothing else."""
    before, after = original(name).splitlines(), swapped(name, MODELS[0]).splitlines()
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    record_property("replaced lines", f"{name}: {len(changed)} of {len(before)}")

    assert changed == list(SWAPS[name].lines)
    assert changed[0].startswith(("from langchain_", "from llama_index."))
    assert len(changed) <= 3
    for line in changed[1:]:
        assert any(constructor in line for constructor in CONSTRUCTORS), line


def test_every_program_is_listed():
    """A program without a table would not be run."""
    assert {path.name for path in FOLDER.glob("*.py")} == SWAPS.keys()


def test_programs_stay_as_they_were_written():
    """Each is for one other provider, none names ours; every chat provider has at least three; they have 30 to 120 lines."""
    sources = {name: original(name) for name in SWAPS}
    providers = {name: [each for each in PROVIDERS if f"from {each} import" in text] for name, text in sources.items()}

    assert [name for name, found in providers.items() if len(found) != 1] == []
    assert [name for name, text in sources.items() if "gemway" in text.lower()] == []
    assert [name for name, text in sources.items() if not 30 <= len(text.splitlines()) <= 120] == []
    assert min(list(chain(*providers.values())).count(each) for each in PROVIDERS[:3]) >= 3
