"""Constructors as people write them for other classes, with ours put in. Type checkers must take every line.

`test_typing.py` checks this file with mypy and pyright, and calls the functions too: what is typed is also accepted.
"""

from __future__ import annotations

import os

from langchain_gemway import ChatGemway
from llama_index.llms.gemway import Gemway
from pydantic import SecretStr

KEY = os.environ.get("GEMWAY_API_KEY", "sk-local")
URL = os.environ.get("GEMWAY_BASE_URL", "http://127.0.0.1:8080")
MODEL = "gemini-2.5-flash"


def chat_openai() -> list[ChatGemway]:
    """ChatOpenAI's spellings."""
    return [
        ChatGemway(model="gemini-2.5-flash", temperature=0, max_tokens=1024, timeout=None, max_retries=2, api_key=KEY),
        ChatGemway(
            model_name=MODEL,
            openai_api_key=SecretStr(KEY),
            openai_api_base=URL,
            openai_proxy=None,
            request_timeout=60,
            max_completion_tokens=2000,
            stop_sequences=["END"],
            model_kwargs={"labels": {"team": "a"}},
            default_headers={"x-team": "a"},
            streaming=True,
            stream_usage=True,
            n=1,
            seed=7,
            logprobs=True,
            top_logprobs=3,
            presence_penalty=0.1,
            frequency_penalty=0.1,
            output_version="v1",
        ),
        ChatGemway(model=MODEL, openai_api_key=lambda: KEY, reasoning_effort="low", modalities=["TEXT"]),
        ChatGemway(model=MODEL, reasoning={"effort": "medium", "summary": "auto"}, function_call="auto"),
        ChatGemway(
            model=MODEL,
            organization="org-1",
            openai_organization="org-1",
            service_tier="default",
            user="u-1",
            store=False,
            use_responses_api=False,
            use_previous_response_id=False,
            include_response_headers=False,
            logit_bias={1: 2},
            disabled_params={"parallel_tool_calls": None},
            default_query={"a": "b"},
            verbosity="low",
            http_socket_options=[],
            include=["reasoning.encrypted_content"],
            prompt_cache_options={"ttl": "1h"},
            stream_chunk_timeout=30.0,
            tiktoken_model_name="gpt-4o",
            truncation="auto",
            extra_body={"labels": {"team": "a"}},
            http_client=None,
            http_async_client=None,
            response_format={"type": "json_object"},
            parallel_tool_calls=True,
            strict=None,
            tool_choice=None,
        ),
    ]


def chat_anthropic() -> list[ChatGemway]:
    """ChatAnthropic's spellings."""
    return [
        ChatGemway(model_name=MODEL, max_tokens_to_sample=4096, timeout=None, stop=None),
        ChatGemway(
            model=MODEL,
            anthropic_api_key=SecretStr(KEY),
            anthropic_api_url=URL,
            anthropic_proxy=None,
            default_request_timeout=30.0,
            top_k=40,
            top_p=0.9,
            stop="END",
            thinking={"type": "enabled", "budget_tokens": 1024},
            betas=["files-api"],
            context_management={"edits": []},
            container={"skills": []},
            inference_geo="eu",
            reuse_last_container=False,
            user_profile_id="u-1",
        ),
        ChatGemway(model=MODEL, effort="high"),
        ChatGemway(model=MODEL, output_config={"effort": "low"}),
    ]


def chat_google_generative_ai() -> list[ChatGemway]:
    """ChatGoogleGenerativeAI's spellings."""
    return [
        ChatGemway(model=MODEL, google_api_key=KEY, max_output_tokens=800, convert_system_message_to_human=True),
        ChatGemway(
            model=MODEL,
            gemini_api_key=KEY,
            client_options={"api_endpoint": URL},
            additional_headers={"x-team": "a"},
            extra_headers={"x-run": "1"},
            retries=3,
            candidate_count=1,
            response_logprobs=True,
            response_modalities=["TEXT"],
            safety_settings={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
            media_resolution="MEDIA_RESOLUTION_LOW",
            image_config={"aspect_ratio": "16:9"},
            response_mime_type="application/json",
            response_schema={"type": "object", "properties": {"a": {"type": "string"}}},
            cached_content=None,
            labels={"team": "a"},
            include_thoughts=True,
            thinking_budget=512,
            vertexai=False,
            project="p",
            location="us-central1",
            transport="rest",
            credentials=None,
            api_version="v1beta",
        ),
        ChatGemway(model=MODEL, thinking_config={"thinking_budget": 0}, generation_config={"top_k": 3}),
        ChatGemway(model=MODEL, http_options={"timeout": 60_000}, thinking_level="low", is_chat_model=True),
        ChatGemway(model=MODEL, api_base=URL, headers={"x-team": "a"}, additional_kwargs={}, async_http_client=None),
        ChatGemway(model_id=MODEL, callbacks=[], tags=["a"], metadata={"a": 1}, cache=False, verbose=False),
    ]


def llama_index_openai() -> list[Gemway]:
    """LlamaIndex's OpenAI."""
    return [
        Gemway("gemini-2.5-flash", temperature=0.1, max_tokens=512),
        Gemway(
            model=MODEL,
            api_key=KEY,
            api_base=URL,
            timeout=60.0,
            max_retries=3,
            default_headers={"x-team": "a"},
            http_client=None,
            async_http_client=None,
            additional_kwargs={"labels": {"team": "a"}},
            reuse_client=True,
            strict=False,
            reasoning_effort="low",
            logprobs=True,
            top_logprobs=2,
            modalities=["TEXT"],
            system_prompt="Be brief.",
            api_version="v1",
            context_window=100_000,
            is_chat_model=True,
            is_function_calling_model=True,
        ),
        Gemway(model_name=MODEL, openai_api_key=KEY, openai_api_base=URL, openai_proxy=None, request_timeout=60),
        Gemway(model_id=MODEL, max_completion_tokens=100, function_call="auto", model_kwargs={}, reasoning={}),
        Gemway(model=MODEL, organization="org-1", store=False, user="u-1", service_tier="default", verbosity="low"),
    ]


def llama_index_google_genai() -> list[Gemway]:
    """LlamaIndex's GoogleGenAI, and the names of Anthropic's class."""
    return [
        Gemway(
            model=MODEL,
            google_api_key=KEY,
            max_output_tokens=512,
            stop_sequences=["END"],
            candidate_count=1,
            response_logprobs=True,
            retries=2,
            headers={"x-team": "a"},
            generation_config={"top_k": 3},
            cached_content=None,
            vertexai=False,
            vertexai_config=None,
            debug_config=None,
            project="p",
            location="us-central1",
            credentials=None,
            transport="rest",
            file_mode="inline",
        ),
        Gemway(model=MODEL, gemini_api_key=KEY, http_options={"base_url": URL, "timeout": 60_000}),
        Gemway(
            model=MODEL,
            client_options={"api_endpoint": URL},
            additional_headers={"x-team": "a"},
            extra_headers={"x-run": "1"},
        ),
        Gemway(model=MODEL, thinking_config={"include_thoughts": True}, default_query={}),
        Gemway(model=MODEL, anthropic_api_key=KEY, anthropic_api_url=URL, anthropic_proxy=None, effort="low"),
        Gemway(model=MODEL, max_tokens_to_sample=100, default_request_timeout=30.0, output_config={"effort": "low"}),
        Gemway(model=MODEL, thinking={"type": "enabled", "budget_tokens": 1024}),
    ]
