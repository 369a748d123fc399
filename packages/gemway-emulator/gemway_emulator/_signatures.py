"""Thought signatures: issue them, remember them, and recognise them when they come back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any

from gemway_emulator._models import Model

Part = dict[str, Any]
# Clients send them as they are, or as base64 of their ASCII (pydantic-ai, strands).
_SENTINELS = frozenset({b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go"})


class Signatures:
    """All signatures one emulator has issued.

    They are compared as decoded bytes, because Google's own clients re-encode them; as text when strict.
    """

    def __init__(self) -> None:
        self._count = 0
        self._texts: set[str] = set()
        self._values: set[bytes | None] = set()
        self._signed_content: set[str] = set()

    def clear(self) -> None:
        """Forget what was issued; whatever comes back afterwards is foreign."""
        for kept in (self._texts, self._values, self._signed_content):
            kept.clear()

    def sign(self, parts: list[Part], model: Model, asked: str) -> list[Part]:
        """Return *parts*, the answer to the user text *asked*, with the ids and signatures that *model* decides on.

        Those are the ones that are None. Gemini 3 and later give every call an id and sign the first one.
        """
        signed: list[Part] = []
        is_first_call = True
        for part in map(dict, parts):
            call = part.get("functionCall")
            if call and call.get("id", "") is None:
                part["functionCall"] = {name: value for name, value in call.items() if name != "id"}
                if model.signs_calls:
                    self._count += 1
                    part["functionCall"] = {"id": f"call_{self._count:08x}", **part["functionCall"]}
            if part.get("thoughtSignature", "") is None:
                del part["thoughtSignature"]
                if model.signs_images if "inlineData" in part else model.signs_calls and (is_first_call or not call):
                    part["thoughtSignature"] = self._make_signature()
            is_first_call = is_first_call and not call
            self.remember(part, asked)
            signed.append(part)
        return signed

    def remember(self, part: Part, asked: str) -> None:
        """Keep the signature of *part*, if it has one, as issued in the answer to *asked*."""
        signature = part.get("thoughtSignature")
        if isinstance(signature, str):
            self._texts.add(signature)
            self._values.add(decode_base64(signature))
            self._signed_content.add(_content_key(part, asked))

    def find_problem(self, part: Part, asked: str, *, strict: bool) -> str | None:
        """The fault of the signature on *part*, which follows the user text *asked*, or None."""
        signature = part.get("thoughtSignature")
        if not isinstance(signature, str) or signature in self._texts:
            return None
        value = decode_base64(signature)
        if {signature.encode(), value} & _SENTINELS:
            return None
        if value is None:
            return "Base64 decoding failed for thought_signature."
        # Foreign signatures are accepted, since a history may come from a real gateway; an altered one of ours is not.
        is_altered = value not in self._values and _content_key(part, asked) in self._signed_content
        return "Invalid thought signature." if strict or is_altered else None

    def _make_signature(self) -> str:
        # The first bytes hold "+" and "/" in standard base64, so that a client that
        # re-encodes a signature URL-safe is caught in strict mode.
        self._count += 1
        digest = hashlib.sha256(f"{id(self)}-{self._count}".encode()).digest()
        return base64.b64encode(b"\xfb\xef\xbe\xff\xff\xff" + digest).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """The bytes of base64 *text* in either alphabet (not a mix), padded or not; None if it is neither."""
    standard = re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text)
    if not standard and not re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", text):
        return None
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=None if standard else b"-_")
    except (binascii.Error, ValueError):
        return None


def decode_blob(blob: dict[str, Any]) -> bytes:
    """The bytes of an inlineData; base64 may be broken into lines. Empty if it is none."""
    return decode_base64("".join(str(blob.get("data") or "").split())) or b""


def _content_key(part: Part, asked: str) -> str:
    """A part is recognised by its content and the user text that it answers."""
    if call := part.get("functionCall"):
        content = f"call:{call.get('name')}:{json.dumps(call.get('args') or {}, sort_keys=True)}"
    elif blob := part.get("inlineData"):
        content = f"image:{hashlib.sha256(decode_blob(blob)).hexdigest()}"
    else:
        content = f"text:{part.get('text') or ''}"
    return f"{asked}\n{content}"
