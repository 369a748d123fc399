"""What type checkers must refuse: names that nobody knows, and values of the wrong kind. Read, never run."""

from __future__ import annotations

from langchain_gemway import ChatGemway
from llama_index.llms.gemway import Gemway

ChatGemway(model="gemini-2.5-flash", temprature=0.5)
ChatGemway(model="gemini-2.5-flash", max_token=100)
ChatGemway(model="gemini-2.5-flash", max_retries="many")
Gemway("gemini-2.5-flash", temprature=0.5)
Gemway("gemini-2.5-flash", max_token=100)
Gemway("gemini-2.5-flash", max_retries="many")
