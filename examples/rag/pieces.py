"""Cut the text of documents into pieces, so that a changed line changes one piece. Pure: no model, no files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import NAMESPACE_URL, uuid5

from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import TextNode


def splitter(size: int) -> SentenceSplitter:
    """Return the splitter that makes pieces of at most *size* tokens, which end between paragraphs or lines."""
    # LlamaIndex looks for sentences with files of nltk; lines need none. An overlap would put a changed line in two
    # pieces, and pieces that end with a paragraph need none.
    return SentenceSplitter(
        chunk_size=size,
        chunk_overlap=0,
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=lambda text: text.splitlines(keepends=True),
    )


def cut(text: str, size: int, earlier: Iterable[str] = ()) -> list[str]:
    """Cut *text* into pieces of at most *size* tokens.

    Args:
        earlier: the pieces of an earlier state of the text. Those that are still in it stay as they are, and only the
            text between them is cut anew. Without this, one added line would move the borders of all pieces after it.
    """
    pieces: list[str] = []
    end, kept = 0, False
    for start, piece in [*_still_there(text, earlier), (len(text), "")]:
        changed = text[end:start].strip()
        if changed and kept and len(joined := _split_with_room(f"{pieces[-1]}\n{changed}", size)) == 1:
            # A few lines after a piece that has room for them: a log that grows must not end in pieces of one line.
            pieces[-1:] = joined
        elif changed:
            pieces += _split_with_room(changed, size)
        if piece:
            pieces.append(piece)
        end, kept = start + len(piece), True
    return pieces


def _split_with_room(text: str, size: int) -> list[str]:
    whole = splitter(size).split_text(text)
    # Pieces get an eighth less than they may have, so that one still is one when a line of it becomes longer.
    return whole if len(whole) == 1 else splitter(size - size // 8).split_text(text)


def _still_there(text: str, earlier: Iterable[str]) -> list[tuple[int, str]]:
    """Return where the pieces of *earlier* stand in *text*, in order and without overlaps."""
    # Between white space only: "an" is not a piece of "plan".
    matches = [re.search(rf"(?<!\S){re.escape(piece)}(?!\S)", text) for piece in earlier]
    places = [(match.start(), match.group()) for match in matches if match and match.group()]
    apart: list[tuple[int, str]] = []
    for start, piece in sorted(places):
        if not apart or start >= apart[-1][0] + len(apart[-1][1]):
            apart.append((start, piece))
    return apart


def to_nodes(document: str, page: int | None, texts: Iterable[str]) -> list[TextNode]:
    """Turn pieces of a document into nodes. The same text in the same place always gets the same id."""
    metadata = {"file_name": document} | ({"page": page} if page else {})
    # The name of a file is for people; the model and the embedding see the text alone.
    hidden = list(metadata)
    seen: dict[str, int] = {}
    nodes = []
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
        node_id = str(uuid5(NAMESPACE_URL, f"{document}\n{page}\n{seen[text]}\n{text}"))
        nodes.append(
            TextNode(
                id_=node_id,
                text=text,
                metadata=metadata,
                excluded_embed_metadata_keys=hidden,
                excluded_llm_metadata_keys=hidden,
            )
        )
    return nodes
