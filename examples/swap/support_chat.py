"""A support chat with a history per customer, trimmed to a budget of tokens, and models chosen at run time."""

import os

from langchain_core.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory
from langchain_core.messages import trim_messages
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableField, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_google_genai import ChatGoogleGenerativeAI

PRODUCTS = "The Comet bicycle weighs 11 kg. The Comet costs 640 euros. The Meteor bicycle has 24 gears."

chat = ChatGoogleGenerativeAI(model="gemini-1.5-pro", google_api_key=os.environ["GOOGLE_API_KEY"], stop=["Bye."])
llm = chat.configurable_fields(temperature=ConfigurableField(id="temperature"))

histories: dict[str, InMemoryChatMessageHistory] = {}


def history_of(session_id: str) -> BaseChatMessageHistory:
    return histories.setdefault(session_id, InMemoryChatMessageHistory())


trimmer = trim_messages(max_tokens=60, strategy="last", token_counter=chat, include_system=False, start_on="human")
prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "You sell bicycles. Answer in {language}. Context:\n{products}"),
        MessagesPlaceholder("history"),
        ("human", "{question}"),
    ]
)
chain = RunnablePassthrough.assign(history=lambda x: trimmer.invoke(x["history"])) | prompt | llm
support = RunnableWithMessageHistory(chain, history_of, input_messages_key="question", history_messages_key="history")


def ask(session: str, question: str, **configurable: object) -> str:
    reply = support.invoke(
        {"question": question, "language": "English", "products": PRODUCTS},
        config={"configurable": {"session_id": session, **configurable}},
    )
    finish = reply.response_metadata["finish_reason"]
    print(f"{session}: {question}\n   {reply.content} ({finish}, {reply.usage_metadata['output_tokens']} tokens)")
    return reply.content


if __name__ == "__main__":
    ask("eva", "How much does the Comet weigh?")
    ask("tom", "How many gears has the Meteor?", temperature=0.9)
    ask("eva", "What does the Comet cost?")
    ask("eva", "How many gears has the Meteor?")
    print("stored:", {name: len(history.messages) for name, history in histories.items()})
    print("kept of eva:", len(trimmer.invoke(histories["eva"].messages)))
    warm = chat.bind(generation_config={"temperature": 1.2, "max_output_tokens": 60})
    variants = warm.batch(["Name the Comet.", "Name the Meteor."])
    print("variants:", len(variants))
