"""Questions about a handbook: retrieval-augmented generation as one LCEL chain, with sources and follow-up questions."""

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableBranch, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings

HANDBOOK = {
    "holidays.md": "Every employee has 28 days of holiday. Unused days expire at the end of March.",
    "travel.md": "Train travel is booked in second class. Flights need the approval of the head of department.",
    "equipment.md": "A laptop is replaced after four years. Broken screens are repaired by the IT desk in room 204.",
    "remote.md": "Remote work is possible on three days a week. The core hours are from 10 to 15 o'clock.",
}

llm = ChatGoogleGenerativeAI(model="gemini-1.5-pro", max_output_tokens=800, convert_system_message_to_human=True)
embeddings = GoogleGenerativeAIEmbeddings(model="models/gemini-embedding-001", task_type="QUESTION_ANSWERING")

documents = [Document(page_content=text, metadata={"source": source}) for source, text in HANDBOOK.items()]
retriever = InMemoryVectorStore.from_documents(documents, embeddings).as_retriever(search_kwargs={"k": 2})

condense_prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "With the chat history and the latest question, formulate a standalone question. Do not answer."),
        MessagesPlaceholder("chat_history"),
        ("human", "{question}"),
    ]
)
answer_prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer with the context only. If it does not say, say so.\n\nContext:\n{context}"),
        MessagesPlaceholder("chat_history"),
        ("human", "{question}"),
    ]
)


def format_documents(docs: list[Document]) -> str:
    return "\n\n".join(doc.page_content for doc in docs)


search_query = RunnableBranch(
    (lambda x: bool(x["chat_history"]), condense_prompt | llm | StrOutputParser()),
    RunnableLambda(lambda x: x["question"]),
)
chain = (
    RunnablePassthrough.assign(docs=search_query | retriever)
    .assign(context=lambda x: format_documents(x["docs"]))
    .assign(answer=answer_prompt | llm | StrOutputParser())
    .pick(["answer", "docs"])
)


if __name__ == "__main__":
    history: list = []
    for question in ("How many days of holiday does an employee have?", "When do unused holiday days expire?"):
        answer = ""
        sources: list[str] = []
        for chunk in chain.stream({"question": question, "chat_history": history}):
            answer += chunk.get("answer", "")
            sources += [doc.metadata["source"] for doc in chunk.get("docs", [])]
        print(f"Q: {question}\nA: {answer}\n   from {', '.join(sources)}")
        history += [HumanMessage(content=question), AIMessage(content=answer)]

    questions = ("Who approves flights?", "Who repairs broken screens?")
    for result in chain.batch([{"question": each, "chat_history": []} for each in questions]):
        print("A:", result["answer"])
