"""Review a contract: a cached system prompt, a document in the question, and a conversation that was stored as JSON."""

import base64
import json
from typing import Literal

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, messages_from_dict, messages_to_dict
from pydantic import BaseModel, Field

CONTRACT = """The tenant pays 900 euros a month. The rent is due on the third day of the month.
The notice period is three months. Pets are allowed with the consent of the landlord."""

# Yesterday's session, as Claude left it: thoughts with their signature, a call and its result.
STORED = [
    {"type": "human", "data": {"content": "Which clauses are there?"}},
    {
        "type": "ai",
        "data": {
            "content": [
                {"type": "thinking", "thinking": "I should list the clauses.", "signature": "ErUBCkYIBRgCIkDx3w=="},
                {"type": "text", "text": "I look them up."},
                {"type": "tool_use", "id": "toolu_01A9", "name": "list_clauses", "input": {"kind": "all"}},
            ],
            "tool_calls": [{"name": "list_clauses", "args": {"kind": "all"}, "id": "toolu_01A9", "type": "tool_call"}],
        },
    },
    {"type": "tool", "data": {"content": "rent, notice, pets", "tool_call_id": "toolu_01A9"}},
    {"type": "ai", "data": {"content": [{"type": "text", "text": "There are clauses on rent, notice and pets."}]}},
]


class Finding(BaseModel):
    """A clause of the contract and how risky it is for the tenant."""

    clause: str = Field(description="the words of the clause")
    risk: Literal["low", "medium", "high"] = Field(description="risk for the tenant")


llm = ChatAnthropic(model="claude-sonnet-4-5", max_tokens=1500, temperature=0, default_headers={"x-team": "legal"})

system = SystemMessage(
    content=[
        {"type": "text", "text": "You review contracts for tenants."},
        {"type": "text", "text": f"The contract:\n{CONTRACT}", "cache_control": {"type": "ephemeral"}},
    ]
)


def question(text: str, *, attach: bool = False) -> HumanMessage:
    blocks: list = [{"type": "text", "text": text}]
    if attach:
        data = base64.b64encode(CONTRACT.encode()).decode()
        source = {"type": "base64", "media_type": "text/plain", "data": data}
        blocks.insert(0, {"type": "document", "source": source, "title": "contract.txt"})
    return HumanMessage(content=blocks)


def text_of(message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(block["text"] for block in message.content if block["type"] == "text")


if __name__ == "__main__":
    conversation = [system, *messages_from_dict(STORED)]
    for text in ("How long is the notice period?", "When is the rent due?"):
        conversation.append(question(text))
        conversation.append(llm.invoke(conversation))
        print(f"Q: {text}\nA: {text_of(conversation[-1])}")

    stored = json.dumps(messages_to_dict(conversation))
    conversation = messages_from_dict(json.loads(stored))
    conversation.append(question("Are pets allowed?", attach=True))
    reply = llm.invoke(conversation, max_tokens=300)
    print(f"A: {text_of(reply)}")
    print("tokens:", reply.usage_metadata["input_tokens"] > 0)

    task = [system, ("human", "Extract the clause 'The tenant pays 900 euros a month.' The risk is low.")]
    finding = llm.with_structured_output(Finding).invoke(task)
    print(f"{finding.risk}: {finding.clause}")
