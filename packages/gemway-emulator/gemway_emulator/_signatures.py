"""Thought signatures: issue them, remember them, and recognise them when they come back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re

from gemway_emulator._models import Model
from gemway_emulator._turns import AUTOMATIC, Part

# Clients send them as they are, or as base64 of their ASCII (pydantic-ai, strands).
_SENTINELS = frozenset({b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go"})


class Signatures:
    """All signatures one emulator has issued.

    They are compared as decoded bytes, because Google's own clients re-encode them; as text when strict.
    """

    def __init__(self) -> None:
        self._count = 0
        self._texts: set[str] = set()
        self._values: set[bytes] = set()
        self._signed_content: set[str] = set()

    def clear(self) -> None:
        """Forget what was issued; whatever comes back afterwards is foreign."""
        self._texts.clear()
        self._values.clear()
        self._signed_content.clear()

    def sign(self, parts: list[Part], model: Model, asked: str) -> list[Part]:
        """Return *parts*, the answer to the user text *asked*, with every automatic signature and id decided as *model* does."""
        signed: list[Part] = []
        call_seen = False
        for part in parts:
            signed.append(self._sign_part(part, model, first_call=not call_seen))
            call_seen = call_seen or "functionCall" in part
            self.remember(signed[-1], asked)
        return signed

    def remember(self, part: Part, asked: str) -> None:
        """Keep the signature of *part*, if it has one, as issued in the answer to *asked*."""
        signature = part.get("thoughtSignature")
        if not isinstance(signature, str):
            return
        self._texts.add(signature)
        self._signed_content.add(_content_key(part, asked))
        if (value := decoded(signature)) is not None:
            self._values.add(value)

    def problem(self, part: Part, asked: str, *, strict: bool) -> str | None:
        """What is wrong with the signature on *part*, which follows the user text *asked*, or None."""
        signature = part.get("thoughtSignature")
        if not isinstance(signature, str) or signature in self._texts:
            return None
        value = decoded(signature)
        if {signature.encode(), value} & _SENTINELS:
            return None
        if value is None:
            return "Base64 decoding failed for thought_signature."
        if strict:
            return "Invalid thought signature."
        altered = value not in self._values and _content_key(part, asked) in self._signed_content
        return "Invalid thought signature." if altered else None

    def _sign_part(self, part: Part, model: Model, *, first_call: bool) -> Part:
        signed_part, call = dict(part), part.get("functionCall")
        if call and call.get("id") is AUTOMATIC:
            self._count += 1
            rest = {name: value for name, value in call.items() if name != "id"}
            signed_part["functionCall"] = {"id": f"call_{self._count:08x}", **rest} if model.signs_calls else rest
        if part.get("thoughtSignature") is AUTOMATIC:
            del signed_part["thoughtSignature"]
            if model.signs_images if "inlineData" in part else model.signs_calls and (first_call or not call):
                # The first bytes hold "+" and "/" in standard base64, so that a client that
                # re-encodes a signature URL-safe is caught in strict mode.
                self._count += 1
                digest = hashlib.sha256(f"{id(self)}-{self._count}".encode()).digest()
                signed_part["thoughtSignature"] = base64.b64encode(b"\xfb\xef\xbe\xff\xff\xff" + digest).decode("ascii")
        return signed_part


def decoded(text: str) -> bytes | None:
    """The bytes of base64 *text* in either alphabet (not a mix), padded or not; None if it is neither."""
    standard = re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text)
    if not standard and not re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", text):
        return None
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=None if standard else b"-_")
    except (binascii.Error, ValueError):
        return None


def _content_key(part: Part, asked: str) -> str:
    """What makes a part this emulator's own: its content and the user text it answers."""
    if "functionCall" in part:
        call = part["functionCall"]
        content = f"call:{call.get('name')}:{json.dumps(call.get('args') or {}, sort_keys=True)}"
    elif "inlineData" in part:
        value = decoded(part["inlineData"].get("data") or "") or b""
        content = "image:" + hashlib.sha256(value).hexdigest()
    else:
        content = "text:" + (part.get("text") or "")
    return f"{asked}\n{content}"
