"""The prompts of LlamaIndex and LangChain get answers their parsers understand."""

from __future__ import annotations

import json
import re

import pytest

core = pytest.importorskip("llama_index.core")
# ruff: noqa: E402 - the templates come from a package that may be absent

from llama_index.core.agent.workflow.codeact_agent import DEFAULT_CODE_ACT_PROMPT
from llama_index.core.base.base_selector import MultiSelection, SingleSelection
from llama_index.core.chat_engine import condense_plus_context, condense_question
from llama_index.core.evaluation import (
    answer_relevancy,
    context_relevancy,
    correctness,
    faithfulness,
    pairwise,
    relevancy,
)
from llama_index.core.extractors import metadata_extractors
from llama_index.core.indices.query.query_transform import prompts as transforms
from llama_index.core.indices.utils import default_parse_choice_select_answer_fn
from llama_index.core.indices.vector_store.retrievers.auto_retriever import prompts as auto
from llama_index.core.output_parsers.selection import SelectionOutputParser
from llama_index.core.prompts import chat_prompts, default_prompts
from llama_index.core.query_engine.citation_query_engine import CITATION_QA_TEMPLATE
from llama_index.core.query_engine.flare import answer_inserter
from llama_index.core.query_engine.flare import base as flare
from llama_index.core.question_gen.output_parser import SubQuestionOutputParser
from llama_index.core.question_gen.prompts import DEFAULT_SUB_QUESTION_PROMPT_TMPL, build_tools_text
from llama_index.core.retrievers.fusion_retriever import QUERY_GEN_PROMPT
from llama_index.core.selectors import prompts as selectors
from llama_index.core.tools import ToolMetadata

CONTEXT = "Paris is the capital of France.\n\nBerlin is the capital of Germany. It has 3.7 million inhabitants."
QUESTION = "What is the capital of Germany?"
CHOICES = "(1) Facts about cooking and recipes\n\n(2) Facts about capital cities such as Germany's"


@pytest.fixture
def complete(ask):
    """Ask with a filled template: text, PromptTemplate, or chat messages."""

    def run(template, **values):
        if hasattr(template, "format_messages"):
            messages = template.format_messages(**values)
        else:
            messages = core.PromptTemplate(template).format_messages(**values)
        system = "\n".join(message.content for message in messages if message.role == "system")
        contents = [
            {"role": "model" if message.role == "assistant" else "user", "parts": [{"text": message.content}]}
            for message in messages
            if message.role != "system"
        ]
        return ask.text(
            {"contents": contents, **({"systemInstruction": {"parts": [{"text": system}]}} if system else {})}
        )

    return run


@pytest.mark.parametrize(
    "template",
    [
        default_prompts.DEFAULT_TEXT_QA_PROMPT,
        default_prompts.DEFAULT_TREE_SUMMARIZE_PROMPT,
        chat_prompts.CHAT_TEXT_QA_PROMPT,
        chat_prompts.CHAT_TREE_SUMMARIZE_PROMPT,
        "Answer the question based only on the following context:\n{context_str}\n\nQuestion: {query_str}",
        "Use the context.\n\nQuestion: {query_str}\nContext: {context_str}\nAnswer:",
    ],
    ids=["text-qa", "tree-summarize", "chat-qa", "chat-tree", "langchain", "langchain-hub"],
)  # fmt: skip
def test_questions_are_answered_from_the_context(complete, template):
    """Verbatim: the sentence that answers."""
    assert complete(template, context_str=CONTEXT, query_str=QUESTION) == "Berlin is the capital of Germany."


def test_an_unanswerable_question_is_said_to_be_one(complete):
    """No sentence shares a word with it."""
    assert (
        complete(default_prompts.DEFAULT_TEXT_QA_PROMPT, context_str=CONTEXT, query_str="Who invented jazz?")
        == "The context does not say."
    )


def test_a_question_about_the_whole_is_answered_with_a_summary(complete):
    """As document summary indices ask."""
    said = complete(
        default_prompts.DEFAULT_TREE_SUMMARIZE_PROMPT,
        context_str=CONTEXT,
        query_str="Describe what the provided text is about.",
    )

    assert "Paris" in said
    assert "Berlin" in said


@pytest.mark.parametrize(
    "template", [default_prompts.DEFAULT_REFINE_PROMPT, chat_prompts.CHAT_REFINE_PROMPT], ids=["text", "chat"]
)
@pytest.mark.parametrize(
    ("existing", "context", "expected"),
    [
        ("Paris is the capital of France.", CONTEXT, "Berlin is the capital of Germany."),
        ("Berlin is the capital of Germany.", "Bananas are yellow.", "Berlin is the capital of Germany."),
    ],
    ids=["better", "useless"],
)
def test_refining_keeps_the_better_answer(complete, template, existing, context, expected):
    """The new context replaces the answer only if it fits the query better."""
    assert complete(template, query_str=QUESTION, existing_answer=existing, context_msg=context) == expected


@pytest.mark.parametrize(
    "template",
    [condense_question.DEFAULT_TEMPLATE, condense_plus_context.DEFAULT_CONDENSE_PROMPT_TEMPLATE],
    ids=["condense-question", "condense-plus-context"],
)
def test_follow_ups_become_standalone_questions(complete, template):
    """Pronouns are replaced by what the talk was about."""
    history = "user: Where does the Eiffel Tower stand?\nassistant: It stands in the west of the city."
    asked = complete(template, chat_history=history, question="When was it built?")

    assert asked == "When was Eiffel Tower built?"


def test_history_aware_questions_of_langchain(ask, say):
    """The instruction is in the system message, the history in the turns."""
    body = {
        "contents": [
            say("Where does the Eiffel Tower stand?"),
            say("In Paris.", role="model"),
            say("When was it built?"),
        ],
        "systemInstruction": {
            "parts": [{"text": "Given a chat history, formulate a standalone question. Do NOT answer it."}]
        },
    }

    assert ask.text(body) == "When was Eiffel Tower built?"


def test_summaries_titles_keywords_and_questions(complete):
    """The metadata extractors get what they store."""
    assert complete(default_prompts.DEFAULT_SUMMARY_PROMPT, context_str=CONTEXT).startswith(
        "Paris is the capital of France."
    )
    assert "Berlin" in complete(metadata_extractors.DEFAULT_SUMMARY_EXTRACT_TEMPLATE, context_str=CONTEXT)
    assert "Paris" in complete(metadata_extractors.DEFAULT_TITLE_NODE_TEMPLATE, context_str=CONTEXT)
    keywords = complete(metadata_extractors.DEFAULT_KEYWORD_EXTRACT_TEMPLATE, context_str=CONTEXT, keywords=3).split(
        ", "
    )
    assert len(keywords) == 3
    assert "capital" in keywords
    assert complete(default_prompts.DEFAULT_KEYWORD_EXTRACT_TEMPLATE, text=CONTEXT, max_keywords=4).startswith(
        "KEYWORDS: "
    )
    assert "germany" in complete(
        default_prompts.DEFAULT_QUERY_KEYWORD_EXTRACT_TEMPLATE, question=QUESTION, max_keywords=4
    )
    questions = complete(
        metadata_extractors.DEFAULT_QUESTION_GEN_TMPL, context_str=CONTEXT, num_questions=2
    ).splitlines()
    assert len(questions) == 2
    assert all(question.endswith("?") for question in questions)


def test_hyde_passages_are_about_the_question(complete):
    """They share its words, so that retrieval finds what the question would."""
    said = complete(default_prompts.DEFAULT_HYDE_PROMPT, context_str=QUESTION)

    assert "capital" in said
    assert "Germany" in said


def test_query_variants_come_one_per_line(complete):
    """As many as asked for, the question first."""
    lines = complete(QUERY_GEN_PROMPT, num_queries=3, query=QUESTION).splitlines()

    assert len(lines) == 3
    assert lines[0] == QUESTION


def test_sub_questions_parse(complete):
    """JSON in fences, one question per tool, with the tool's name."""
    tools = [
        ToolMetadata(name="uber", description="Uber's numbers"),
        ToolMetadata(name="lyft", description="Lyft's numbers"),
    ]
    text = complete(
        DEFAULT_SUB_QUESTION_PROMPT_TMPL,
        tools_str=build_tools_text(tools),
        query_str="Compare the growth of Uber and Lyft",
    )
    parsed = SubQuestionOutputParser().parse(text).parsed_output

    assert [question.tool_name for question in parsed] == ["uber", "lyft"]
    assert "growth" in parsed[0].sub_question


def test_next_questions_of_multi_step_engines(complete):
    """The original question first, then None."""
    template = transforms.DEFAULT_STEP_DECOMPOSE_QUERY_TRANSFORM_TMPL

    assert complete(template, query_str=QUESTION, context_str="capitals", prev_reasoning="None") == QUESTION
    assert complete(template, query_str=QUESTION, context_str="capitals", prev_reasoning="- Q\n- Berlin").startswith(
        "None"
    )


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        (selectors.DEFAULT_SINGLE_SELECT_PROMPT_TMPL, {"num_choices": 2}, [2]),
        (selectors.DEFAULT_MULTI_SELECT_PROMPT_TMPL, {"num_choices": 2, "max_outputs": 2}, [2]),
    ],
    ids=["single", "multi"],
)
def test_selectors_choose_by_number_with_a_reason(complete, template, values, expected):
    """JSON their output parser reads."""
    text = complete(SelectionOutputParser().format(template), context_list=CHOICES, query_str=QUESTION, **values)

    assert [answer.choice for answer in SelectionOutputParser().parse(text).parsed_output] == expected
    assert json.loads(text)[0]["reason"]


@pytest.mark.parametrize("forced", [True, False], ids=["call", "json"])
@pytest.mark.parametrize(
    ("template", "model"),
    [
        (selectors.DEFAULT_SINGLE_PYD_SELECT_PROMPT_TMPL, SingleSelection),
        (selectors.DEFAULT_MULTI_PYD_SELECT_PROMPT_TMPL, MultiSelection),
    ],
    ids=["single", "multi"],
)
def test_pydantic_selectors_get_the_choice_as_an_object(ask, say, template, model, forced):
    """The number and the reason of the choice that fits, by a forced call or as JSON."""
    question = template.format(num_choices=2, max_outputs=2, context_list=CHOICES, query_str=QUESTION)
    body, schema = {"contents": [say(question)]}, model.model_json_schema()
    if forced:
        body["tools"] = [{"functionDeclarations": [{"name": model.__name__, "parametersJsonSchema": schema}]}]
        body["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
        found = model(**ask.parts(body)[0]["functionCall"]["args"])
    else:
        body["generationConfig"] = {"responseMimeType": "application/json", "responseJsonSchema": schema}
        found = model.model_validate_json(ask.text(body))

    [chosen] = found.selections if model is MultiSelection else [found]
    assert chosen.index == 2
    assert "capital" in chosen.reason


def test_tree_selection_and_insertion_answer_with_numbers(complete):
    """ANSWER: n; a bare number."""
    assert complete(
        default_prompts.DEFAULT_QUERY_PROMPT, num_chunks=2, context_list=CHOICES, query_str=QUESTION
    ).startswith("ANSWER: 2")
    assert (
        complete(
            default_prompts.DEFAULT_INSERT_PROMPT,
            num_chunks=2,
            context_list=CHOICES + "\n",
            new_chunk_text="Germany has a capital",
        )
        == "2"
    )


def test_reranking(complete, ask, say):
    """`Doc: n, Relevance: m` for LLMRerank, `[2] > [1]` for RankGPT."""
    documents = "Document 1:\nBananas are yellow.\n\nDocument 2:\nBerlin is the capital of Germany.\n\n"
    text = complete(default_prompts.DEFAULT_CHOICE_SELECT_PROMPT, context_str=documents, query_str=QUESTION)
    assert default_parse_choice_select_answer_fn(text, 2) == ([2], [9.0])

    passages = [
        say("[1] Bananas are yellow."),
        say("Received passage [1].", role="model"),
        say("[2] Berlin is the capital of Germany."),
        say("Received passage [2].", role="model"),
    ]
    last = default_prompts.RANKGPT_RERANK_PROMPT_TMPL.format(query=QUESTION, num=2)
    assert ask.text({"contents": [*passages, say(last)]}) == "[2] > [1]"


def test_judges(complete):
    """YES and NO, scores and verdicts in the form each evaluator parses."""
    good, bad = "Berlin is the capital of Germany.", "Bananas grow under water."
    for template in (faithfulness.DEFAULT_EVAL_TEMPLATE, faithfulness.LLAMA3_8B_EVAL_TEMPLATE):
        names = (
            {"query_str", "context_str"} if "query_str" in template.template_vars else {"query", "reference_contexts"}
        )
        claim, context = sorted(names, key=lambda name: "context" in name)
        assert complete(template, **{claim: good, context: CONTEXT}) == "YES"
        assert complete(template, **{claim: bad, context: CONTEXT}) == "NO"
    for claim, verdict in ((good, "YES"), (bad, "NO")):
        pair = f"Question: {QUESTION}\nResponse: {claim}"
        assert complete(relevancy.DEFAULT_EVAL_TEMPLATE, query_str=pair, context_str=CONTEXT) == verdict
        refined = complete(relevancy.DEFAULT_REFINE_TEMPLATE, query_str=pair, context_msg=CONTEXT, existing_answer="NO")
        assert refined == verdict

    score, _ = correctness.default_parser(
        complete(
            correctness.DEFAULT_EVAL_TEMPLATE,
            query=QUESTION,
            reference_answer="It is Berlin, in Germany.",
            generated_answer=good,
        )
    )
    low, _ = correctness.default_parser(
        complete(
            correctness.DEFAULT_EVAL_TEMPLATE, query=QUESTION, reference_answer="It is Berlin.", generated_answer=bad
        )
    )
    assert score > 4
    assert low < 3
    assert re.search(
        r"\[RESULT\] 4\.0", complete(context_relevancy.DEFAULT_EVAL_TEMPLATE, query_str=QUESTION, context_str=CONTEXT)
    )
    assert re.search(r"\[RESULT\] 2", complete(answer_relevancy.DEFAULT_EVAL_TEMPLATE, query=QUESTION, response=good))
    assert "[[A]]" in complete(
        pairwise.DEFAULT_EVAL_TEMPLATE, query=QUESTION, reference="Berlin", answer_1=good, answer_2=bad
    )


def test_triplets(complete):
    """`(a, b, c)` lines, and JSON for the dynamic extractor."""
    text = complete(default_prompts.DEFAULT_KG_TRIPLET_EXTRACT_PROMPT, max_knowledge_triplets=2, text=CONTEXT)
    assert "(Paris, is, capital of France)" in text
    assert len(text.splitlines()) == 2
    rows = json.loads(
        complete(
            default_prompts.DEFAULT_DYNAMIC_EXTRACT_PROMPT,
            max_knowledge_triplets=5,
            allowed_entity_types=[],
            allowed_relation_types=[],
            text=CONTEXT,
        )
    )
    assert rows[0]["head"] == "Paris"
    assert {"head", "head_type", "relation", "tail", "tail_type"} == rows[0].keys()


def test_sql(complete):
    """A SELECT over the table and columns the schema names, and words for its result."""
    schema = "Table 'city_stats' has columns: city_name (VARCHAR(20)), population (INTEGER), country (VARCHAR(20)), .\n"

    def ask_sql(question):
        return complete(default_prompts.DEFAULT_TEXT_TO_SQL_PROMPT, dialect="sqlite", schema=schema, query_str=question)

    assert (
        ask_sql("Which city has the highest population?")
        == "SELECT city_name, population FROM city_stats ORDER BY population DESC LIMIT 1"
    )
    assert ask_sql("How many cities are there?") == "SELECT COUNT(*) FROM city_stats"
    assert "WHERE city_name = 'Berlin'" in ask_sql("What is the population of Berlin?")


REACT = """You have access to the following tools:
> Tool Name: get_weather
Tool Description: Weather of a city
Tool Args: {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

> Tool Name: add
Tool Description: Add two numbers
Tool Args: {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}

## Output Format
Thought: ...
Action: tool name
Action Input: the input to the tool, in a JSON format
Answer: [your answer here]
"""


def test_react(ask, say):
    """A call in text, then an answer with what was observed."""
    system = {"systemInstruction": {"parts": [{"text": REACT}]}}
    first = ask.text({"contents": [say("What is the weather in Paris?")], **system})
    assert first.startswith("Thought: ")
    assert 'Action: get_weather\nAction Input: {"city": "Paris"}' in first

    second = ask.text(
        {
            "contents": [
                say("What is the weather in Paris?"),
                say(first, role="model"),
                say("Observation: sunny in Paris"),
            ],
            **system,
        }
    )
    assert second.endswith("Answer: sunny in Paris")

    assert "Answer: " in ask.text({"contents": [say("Who are you?")], **system})


def test_react_of_langchain(ask):
    """Everything in one text, with `Final Answer:`."""
    template = (
        "Answer the following questions as best you can. You have access to the following tools:\n\n"
        "search(query: str) - look things up about people\nadd(a: int) - add numbers\n\nUse the following format:\n\n"
        "Question: the input question\nThought: think\nAction: the action to take, should be one of [search, add]\n"
        "Action Input: the input to the action\nObservation: the result\nFinal Answer: the final answer\n\nBegin!\n\n"
        "Question: look up people called Ada\nThought:{scratchpad}"
    )
    assert "Action: search\nAction Input: look up people called Ada" in ask.text(template.replace("{scratchpad}", ""))
    done = template.replace(
        "{scratchpad}", " I look.\nAction: search\nAction Input: Ada\nObservation: Ada Lovelace\nThought:"
    )
    assert ask.text(done).endswith("Final Answer: Ada Lovelace")


def test_code_act(ask, say):
    """Code in tags that computes, then words."""
    system = {
        "systemInstruction": {
            "parts": [{"text": core.PromptTemplate(DEFAULT_CODE_ACT_PROMPT).format(tool_descriptions="")}]
        }
    }
    first = ask.text({"contents": [say("What is 12 * (3 + 4)?")], **system})
    code = re.search(r"<execute>\n(.*)\n</execute>", first, re.DOTALL).group(1)
    scope: dict = {}
    exec(code.replace("print(result)", ""), scope)
    assert scope["result"] == 84

    second = ask.text(
        {
            "contents": [
                say("What is 12 * (3 + 4)?"),
                say(first, role="model"),
                say("The code was executed. Result: 84"),
            ],
            **system,
        }
    )
    assert "84" in second
    assert "<execute>" not in second


def test_flare(complete):
    """One search, then done; tags are filled with their answers."""
    assert (
        complete(flare.DEFAULT_INSTRUCT_PROMPT_TMPL, query_str=QUESTION, existing_answer="") == f"[Search({QUESTION})]"
    )
    assert complete(flare.DEFAULT_INSTRUCT_PROMPT_TMPL, query_str=QUESTION, existing_answer="Berlin.") == "done"
    filled = complete(
        answer_inserter.DEFAULT_ANSWER_INSERT_PROMPT_TMPL,
        prev_response="",
        lookahead_response="It is [Search(capital?)].",
        query_answer_pairs="Query: capital?\nAnswer: Berlin",
    )
    assert filled == "It is Berlin."


def test_citations(complete):
    """The answer names its source."""
    sources = "Source 1:\nBananas are yellow.\n\nSource 2:\nBerlin is the capital of Germany.\n"

    assert (
        complete(CITATION_QA_TEMPLATE, context_str=sources, query_str=QUESTION)
        == "Berlin is the capital of Germany. [2]"
    )


def test_the_title_of_a_source_is_not_cited(complete):
    """The sentence that answers, however well the title fits the question."""
    story = (
        "The Ants and the Grasshopper\n\nA Grasshopper begged the Ants for food. They inquired of him, "
        '"What did you do in summer?" He replied, "I passed the days in singing." They then said in derision: '
        '"If you were foolish enough to sing all the summer, you must dance supperless to bed in the winter."'
    )
    asked = "What did the Ants say to the Grasshopper?"

    said = complete(CITATION_QA_TEMPLATE, context_str=f"Source 1:\n{story}", query_str=asked)

    assert said.startswith("They then said in derision:")
    assert said.endswith('in the winter." [1]')


def test_structured_queries(complete):
    """JSON in fences with query and filters."""
    info = '{"metadata_info": [{"name": "country", "type": "str", "description": "one of Germany, France"}], "content_info": "cities"}'
    text = complete(
        auto.DEFAULT_VECTOR_STORE_QUERY_PROMPT_TMPL,
        schema_str="{}",
        info_str=info,
        query_str="Which cities are in Germany",
    )
    found = json.loads(text.strip("`").removeprefix("json"))

    assert found["filters"] == [{"key": "country", "value": "Germany", "operator": "=="}]


def test_schemas_in_the_text(ask):
    """Pydantic output parsers put the schema into the prompt; LlamaIndex doubles its braces."""
    schema = json.dumps(
        {
            "title": "P",
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
        }
    )
    for text in (schema, schema.replace("{", "{{").replace("}", "}}")):
        prompt = f"Alice is 30 years old.\n\nHere's a JSON schema to follow:\n{text}\n\nOutput a valid JSON object but do not repeat the schema.\n"
        assert json.loads(ask.text(prompt)) == {"name": "Alice", "age": 30}


def test_facts_of_a_memory(ask, say):
    """What the user disclosed, in the tags the memory block reads."""
    from llama_index.core.memory.memory_blocks.fact import DEFAULT_FACT_EXTRACT_PROMPT

    prompt = DEFAULT_FACT_EXTRACT_PROMPT.format(existing_facts="")
    said = ask.text({"contents": [say("My dog is called Rex. How are you?"), say("Fine.", role="model"), say(prompt)]})

    assert "<fact>My dog is called Rex.</fact>" in said
    assert "How are you" not in said
