"""`gemway doctor`: ask a gateway for one thing of each kind, and show the results. Never shows the key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from gemway import (
    APIConnectionError,
    AuthenticationError,
    Client,
    ConfigurationError,
    Dialect,
    GemwayError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    ResponseValidationError,
    capabilities,
    fold,
    function_declaration,
    response_schema,
    types,
)
from gemway.cli._screen import one_line, plain, printable, screen, warn, working

Verdict = Literal["yes", "partly", "no", "skipped"]
_VERDICT_COLOURS = {"yes": "green", "partly": "yellow", "no": "bold red", "skipped": "dim"}
_CITY_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_TEXT_CHECK = "text"
_PICTURE_SECONDS = 300.0
_WEATHER_QUESTION = "What is the weather in Paris?"


@dataclass(frozen=True)
class Plan:
    """The models and options to examine."""

    model: str
    image_model: str
    embedding_model: str
    pictures: bool = True
    count_tokens: bool = False


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    verdict: Verdict
    detail: str


Check = Callable[[Client, Plan], tuple[Verdict, str]]


def examine(plan: Plan, *, base_url: str | None, timeout: float, as_json: bool = False) -> bool:
    """Show the features of the gateway, each finding as it is made; return whether the gateway answers at all."""
    if plan.count_tokens:
        warn("countTokens is asked: some gateways run and bill a generation for it")
    show = _print_as_json if as_json else _print_as_row
    try:
        # One retry: a doctor that waits out an outage of minutes looks as if it hung.
        client = Client(base_url=base_url, timeout=timeout, max_retries=1)
    except ConfigurationError as error:
        show(Finding("set-up", "no", one_line(error)))
        return False
    where = "--base-url" if base_url else "GEMWAY_BASE_URL"
    show(Finding("address", "yes", f"{client.base_url} (from {where})"))
    answers = False
    with client:
        for finding in _run_all_checks(client, plan):
            show(finding)
            answers = answers or (finding.check == _TEXT_CHECK and finding.verdict == "yes")
    return answers


def _run_all_checks(client: Client, plan: Plan) -> Iterator[Finding]:
    """Yield the result of each check. Where text fails for a reason that explains all else, the rest is not tried."""
    cause: GemwayError | None = None
    for name, check in _CHECKS.items():
        if cause is not None:
            yield Finding(name, "skipped", "not tried, because text failed")
            continue
        error: GemwayError | None = None
        with working(name):
            try:
                finding = Finding(name, *check(client, plan))
            except GemwayError as failure:
                error = failure
                finding = Finding(name, "no", one_line(failure))
        if name == _TEXT_CHECK:
            # Only the first real request shows whether the gateway takes the key; no route checks a key alone.
            yield _judge_api_key(error)
            cause = error if _explains_everything(error) else None
        yield finding


def _judge_api_key(error: GemwayError | None) -> Finding:
    if isinstance(error, AuthenticationError):
        return Finding("key", "no", "GEMWAY_API_KEY is set, and the gateway refuses it")
    return Finding("key", "yes", "GEMWAY_API_KEY is set; it is never shown")


def _explains_everything(error: GemwayError | None) -> bool:
    """Whether no other request can succeed: a refused key, an empty balance, no connection, a web page, no such model."""
    kinds = (AuthenticationError, QuotaExceededError, APIConnectionError, NotFoundError, PermissionDeniedError)
    is_no_gemini_answer = isinstance(error, ResponseValidationError) and not error.is_retryable
    return isinstance(error, kinds) or is_no_gemini_answer


def _print_as_row(finding: Finding) -> None:
    """Print a line of the table. Each is a table of its own, because it is printed before the next one is known."""
    row = Table.grid(padding=(0, 2))
    row.add_column(width=23, no_wrap=True)
    row.add_column(width=7, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(
        finding.check, Text(finding.verdict, _VERDICT_COLOURS[finding.verdict]), Text(printable(finding.detail))
    )
    screen.print(row)


def _print_as_json(finding: Finding) -> None:
    """Print a line of JSON, for programs."""
    plain(screen, json.dumps({"check": finding.check, "works": finding.verdict, "detail": finding.detail}))


def _build_question(text: str, config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}
    return {**request, "generationConfig": config} if config else request


def _check_model_list(client: Client, plan: Plan) -> tuple[Verdict, str]:
    names = client.list_models()
    missing = [model for model in (plan.model, plan.image_model) if model not in names]
    if missing:
        return (
            "partly",
            f"{len(names)} models, without {' and '.join(missing)}; models that are not listed may be served still",
        )
    return "yes", f"{len(names)} models, with {plan.model} and {plan.image_model}"


def _check_text_answer(client: Client, plan: Plan) -> tuple[Verdict, str]:
    began = time.perf_counter()
    response = client.generate_content(plan.model, _build_question("Answer with the one word: ready"))
    words = " ".join(response.text.split())[:40]
    return "yes", f"{plan.model} answered {words!r} in {time.perf_counter() - began:.1f} s, {_token_summary(response)}"


def _token_summary(response: types.GenerateContentResponse) -> str:
    usage = response.usage_metadata
    return f"{usage.total_token_count:,} tokens" if usage and usage.total_token_count else "no usage numbers"


def _check_streaming(client: Client, plan: Plan) -> tuple[Verdict, str]:
    began, first = time.perf_counter(), 0.0
    chunks = []
    with client.stream_generate_content(plan.model, _build_question("Count from one to twenty, in words.")) as stream:
        for chunk in stream:
            first = first or time.perf_counter() - began
            chunks.append(chunk)
    exchange = chunks[0].exchange
    if exchange and exchange.attempts > 1:
        return "partly", "no stream route: answers come in one piece (gemway falls back to that by itself)"
    return "yes", f"{len(chunks)} chunks, the first after {first:.1f} s, {_token_summary(fold(chunks))}"


def _check_tool_call(client: Client, plan: Plan, dialect: Dialect) -> tuple[Verdict, str]:
    declaration = function_declaration("get_weather", "Tell the weather in a city.", _CITY_SCHEMA, dialect=dialect)
    tools: dict[str, Any] = {
        "tools": [{"functionDeclarations": [declaration]}],
        # ANY forces a call (ai.google.dev/gemini-api/docs/function-calling), so that no answer in prose is taken for
        # a gateway that drops tools.
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    response = client.generate_content(plan.model, _build_question(_WEATHER_QUESTION, **tools))
    call = next(iter(response.function_calls), None)
    if call is None or call.name != "get_weather":
        return "no", f"no call came, but: {response.text[:60] or response.finish_reason}"
    if not (isinstance(call.args, dict) and call.args.get("city")):
        return "partly", f"the call lacks its argument: {json.dumps(call.args)[:60]}"
    # The way back is the same in both dialects, so it is tried and billed once.
    if dialect == "openapi":
        return "yes", f"called {call.name}({json.dumps(call.args, ensure_ascii=False)})"
    return _check_tool_result(client, plan, response, call, tools)


def _check_tool_result(
    client: Client, plan: Plan, response: types.GenerateContentResponse, call: types.FunctionCall, tools: dict[str, Any]
) -> tuple[Verdict, str]:
    """Send the result of the call back."""
    result = {"name": call.name, "response": {"output": "21 degrees, sunny"}, **({"id": call.id} if call.id else {})}
    contents = [
        {"role": "user", "parts": [{"text": _WEATHER_QUESTION}]},
        {"role": "model", "parts": [part.to_dict() for part in response.parts]},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    answer = client.generate_content(plan.model, {"contents": contents, "tools": tools["tools"]})
    signed = "signed" if any(part.thought_signature for part in response.parts) else "unsigned"
    if not answer.text:
        return "partly", f"a call came ({signed}), and after its result no text: {answer.finish_reason}"
    return "yes", f"call ({signed}{', with id' if call.id else ', without id'}), result and answer"


def _check_json_answer(client: Client, plan: Plan, dialect: Dialect) -> tuple[Verdict, str]:
    config = response_schema(_CITY_SCHEMA, dialect=dialect)
    response = client.generate_content(plan.model, _build_question("Name the capital of France.", config))
    try:
        city = json.loads(response.text)
    except ValueError:
        return "no", f"the answer is no JSON: {response.text[:60]!r}"
    if not (isinstance(city, dict) and isinstance(city.get("city"), str)):
        return "partly", f"JSON, but not after the schema: {response.text[:60]}"
    return "yes", response.text[:60]


def _check_pictures(client: Client, plan: Plan) -> tuple[Verdict, str]:
    if not plan.pictures:
        return "skipped", "left out by --no-pictures"
    # The smallest size costs least. A model without that size gets none, and picks its own.
    smallest = next((size for size in capabilities(plan.image_model).image_sizes if size == "512"), None)
    response = client.generate_image(
        "a red dot on white",
        model=plan.image_model,
        aspect_ratio="16:9",
        image_size=smallest,
        timeout=_PICTURE_SECONDS,
    )
    image = response.images[0]
    size = f"{image.width}x{image.height} {image.mime_type}, {_token_summary(response)}"
    # Gemini's own 16:9 is 1344x768, 1.6 % off. A square is 44 % off: imageConfig was dropped on the way, as gateways do
    # that copy only the fields they know.
    if abs(image.width / image.height * 9 / 16 - 1) > 0.05:
        return "partly", f"asked for 16:9, got {size}: imageConfig is ignored"
    return "yes", size


def _check_embeddings(client: Client, plan: Plan) -> tuple[Verdict, str]:
    result = client.embed_content(plan.embedding_model, "ready")
    return "yes", f"{plan.embedding_model}: {len(result.vectors[0])} numbers, by the route {result.route!r}"


def _check_token_count(client: Client, plan: Plan) -> tuple[Verdict, str]:
    if not plan.count_tokens:
        return "skipped", "--count-tokens asks it; some gateways bill that as a generation"
    count = client.count_tokens(plan.model, _build_question("How many tokens are these?"))
    return ("yes", f"counted {count}") if count else ("no", "the answer is no count; gemway estimates instead")


_CHECKS: dict[str, Check] = {
    "model list": _check_model_list,
    _TEXT_CHECK: _check_text_answer,
    "streaming": _check_streaming,
    "tools": lambda client, plan: _check_tool_call(client, plan, "json_schema"),
    "tools, OpenAPI dialect": lambda client, plan: _check_tool_call(client, plan, "openapi"),
    "JSON by schema": lambda client, plan: _check_json_answer(client, plan, "json_schema"),
    "JSON, OpenAPI dialect": lambda client, plan: _check_json_answer(client, plan, "openapi"),
    "pictures": _check_pictures,
    "embeddings": _check_embeddings,
    "countTokens": _check_token_count,
}
