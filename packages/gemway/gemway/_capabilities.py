"""The features and limits of models, by name. A table; pure.

The rows follow Google's model pages (ai.google.dev/gemini-api/docs/models, .../thinking, .../image-generation,
.../whats-new-gemini-3.6) and the models.dev data. Names are never refused: gateways add and rename models every
week, so an unknown Gemini counts as one of the newest generation and anything else as another provider's model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from gemway._exceptions import ConfigurationError

_TEXT: Final = frozenset({"text"})
_TEXT_IMAGE: Final = frozenset({"text", "image"})
_DOCUMENTS: Final = frozenset({"text", "image", "pdf"})
_EVERYTHING: Final = frozenset({"text", "image", "audio", "video", "pdf"})

_CLASSIC_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ALL_RATIOS: Final = (*_CLASSIC_RATIOS, "1:4", "4:1", "1:8", "8:1")

_FROM_MINIMAL: Final = ("minimal", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Inputs, outputs, options and limits of one kind of model.

    Attributes:
        family: `"gemini"`, `"gemma"`, or `"other"` for another provider's model behind the gateway.
        generation: 2.5, 3.0, 3.1, ...; 0.0 for `"other"`.
        input_tokens: the window for the prompt, in tokens.
        output_tokens: the most tokens of one answer, thoughts included.
        inputs: kinds of content that are read, of text, image, audio, video, pdf.
        outputs: kinds of content that are made, of text, image, audio, video.
        tools: whether functions can be declared.
        structured_output: whether an answer can be bound to a schema.
        thinking: whether thinking is set by a `"budget"` of tokens or a `"level"`; None where neither is taken.
        thinking_levels: the levels that are taken, least first.
        default_thinking_level: the level that the model uses by default; None if Google does not document it.
        thinking_budget: smallest and largest budget in tokens, 0 (off) and -1 (dynamic) aside.
        can_disable_thinking: whether a budget of 0 switches thinking off.
        sampling: False where temperature, top_p and top_k are ignored or refused.
        prefill: False where a conversation that ends with a model turn is refused.
        system_instruction: False where a system instruction is refused (Gemma before 4).
        image_sizes: the values of `imageSize`; empty where there is no such option.
        aspect_ratios: the values of `aspectRatio`.
        image_model: whether the model is made for pictures and has its image options.
        slow: whether a minute without a byte is normal, so that timeouts should be long.
    """

    family: Literal["gemini", "gemma", "other"] = "gemini"
    generation: float = 3.0
    input_tokens: int = 1_048_576
    output_tokens: int = 65_536
    inputs: frozenset[str] = _EVERYTHING
    outputs: frozenset[str] = _TEXT
    tools: bool = True
    structured_output: bool = True
    thinking: Literal["budget", "level"] | None = "level"
    thinking_levels: tuple[str, ...] = ("low", "medium", "high")
    default_thinking_level: str | None = None
    thinking_budget: tuple[int, int] | None = None
    can_disable_thinking: bool = False
    sampling: bool = True
    prefill: bool = True
    system_instruction: bool = True
    image_sizes: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()
    image_model: bool = False
    slow: bool = False

    @property
    def requires_signatures(self) -> bool:
        """Whether function calls must come back with their thought signature (ai.google.dev, Thought signatures)."""
        return self._is_gemini_3

    @property
    def function_response_parts(self) -> bool:
        """Whether media can go inside a function response (ai.google.dev, Function calling, multimodal)."""
        return self._is_gemini_3

    @property
    def tools_with_server_tools(self) -> bool:
        """Whether declared functions and server tools go together (ai.google.dev, Tool combination)."""
        return self.tools and self._is_gemini_3

    @property
    def structured_output_with_tools(self) -> bool:
        """Whether a response schema and declared functions go together (ai.google.dev, Tool combination)."""
        return self.tools and self._is_gemini_3

    @property
    def _is_gemini_3(self) -> bool:
        return self.family == "gemini" and self.generation >= 3


_WITHOUT_THINKING: Final = Capabilities(generation=2.0, output_tokens=8_192, thinking=None, thinking_levels=())
_GEMINI_25: Final = Capabilities(
    generation=2.5,
    thinking="budget",
    thinking_levels=(),
    thinking_budget=(1, 24_576),
    can_disable_thinking=True,
)
_PRO_25: Final = replace(_GEMINI_25, thinking_budget=(128, 32_768), can_disable_thinking=False, slow=True)
_GEMINI_3: Final = Capabilities()
_PRO_31: Final = replace(_GEMINI_3, generation=3.1, default_thinking_level="high", slow=True)
_MINIMAL_31: Final = replace(_GEMINI_3, generation=3.1, thinking_levels=_FROM_MINIMAL, default_thinking_level="minimal")
_FIXED: Final = replace(_GEMINI_3, sampling=False, prefill=False)
_FLASH_LITE_35: Final = replace(_FIXED, generation=3.5, thinking_levels=_FROM_MINIMAL, default_thinking_level="minimal")
_FLASH_37: Final = replace(_FIXED, generation=3.7, default_thinking_level="medium")
_NEWEST: Final = replace(_FIXED, generation=4.0, default_thinking_level="medium", slow=True)

_IMAGE: Final = Capabilities(
    input_tokens=65_536,
    output_tokens=32_768,
    inputs=_DOCUMENTS,
    outputs=_TEXT_IMAGE,
    tools=False,
    structured_output=False,
    thinking=None,
    thinking_levels=(),
    image_sizes=("512", "1K", "2K", "4K"),
    aspect_ratios=_ALL_RATIOS,
    image_model=True,
    slow=True,
)
_IMAGE_25: Final = replace(_IMAGE, generation=2.5, input_tokens=32_768, image_sizes=(), aspect_ratios=_CLASSIC_RATIOS)
# Sizes and ratios: ai.google.dev/gemini-api/docs/image-generation, the table of each model.
_IMAGE_3_PRO: Final = replace(_IMAGE, image_sizes=("1K", "2K", "4K"), aspect_ratios=_CLASSIC_RATIOS)
_IMAGE_31: Final = replace(
    _IMAGE,
    generation=3.1,
    input_tokens=131_072,
    inputs=_DOCUMENTS | {"video"},
    thinking="level",
    thinking_levels=("minimal", "high"),
    default_thinking_level="minimal",
)
_IMAGE_31_PREVIEW: Final = replace(_IMAGE_31, input_tokens=65_536, output_tokens=65_536, inputs=_DOCUMENTS)
_IMAGE_31_LITE: Final = replace(
    _IMAGE_31, input_tokens=65_536, output_tokens=4_096, inputs=_DOCUMENTS, tools=True, image_sizes=("1K",)
)

# They read text, make sound and take neither tools nor schemas (ai.google.dev/gemini-api/docs/speech-generation).
_SPEECH: Final = Capabilities(
    generation=2.5,
    input_tokens=8_192,
    output_tokens=16_384,
    inputs=_TEXT,
    outputs=frozenset({"audio"}),
    tools=False,
    structured_output=False,
    thinking=None,
    thinking_levels=(),
)
_EMBEDDING: Final = replace(_SPEECH, generation=0.0, output_tokens=1, outputs=frozenset())

_GEMMA: Final = Capabilities(
    family="gemma",
    generation=4.0,
    input_tokens=262_144,
    output_tokens=32_768,
    inputs=_DOCUMENTS,
    thinking_levels=("minimal", "high"),  # no others and no budget: 400 (earendil-works/pi#2812)
)
_OLD_GEMMA: Final = replace(
    _GEMMA,
    generation=3.0,
    input_tokens=131_072,
    output_tokens=8_192,
    inputs=_TEXT_IMAGE,
    tools=False,
    structured_output=False,
    thinking=None,
    thinking_levels=(),
    system_instruction=False,
)

_OTHER: Final = Capabilities(
    family="other", generation=0.0, input_tokens=128_000, output_tokens=32_768, thinking=None, thinking_levels=()
)
_OTHER_IMAGE: Final = replace(_IMAGE, family="other", generation=0.0)
_RESEARCH: Final = replace(_OTHER, input_tokens=131_072, output_tokens=65_536, structured_output=False, slow=True)
_MUSIC: Final = replace(
    _OTHER, input_tokens=1_048_576, output_tokens=65_536, inputs=_DOCUMENTS, outputs=frozenset({"text", "audio"})
)
_VIDEO: Final = replace(_SPEECH, family="other", generation=0.0, inputs=_DOCUMENTS, outputs=frozenset({"video"}))

# The longest name that a model id contains decides, so a row covers its -preview, -001, -latest and gateway forms.
_MODELS: Final[dict[str, Capabilities]] = {
    "gemini-1.": replace(_WITHOUT_THINKING, generation=1.5),
    "gemini-1.5-pro": replace(_WITHOUT_THINKING, generation=1.5, input_tokens=2_097_152),
    "gemini-2-": _WITHOUT_THINKING,
    "gemini-2.0": _WITHOUT_THINKING,
    "gemini-2.0-flash-preview-image": replace(_IMAGE_25, generation=2.0, output_tokens=8_192),
    "gemini-2.0-flash-exp-image": replace(_IMAGE_25, generation=2.0, output_tokens=8_192),
    "gemini-2.5": _PRO_25,
    "gemini-2.5-pro": _PRO_25,
    "gemini-2.5-pro-preview-tts": _SPEECH,
    "gemini-2.5-flash": _GEMINI_25,
    "gemini-2.5-flash-lite": replace(_GEMINI_25, thinking_budget=(512, 24_576)),
    "gemini-2.5-flash-image": _IMAGE_25,
    "gemini-2.5-flash-preview-tts": _SPEECH,
    "gemini-2.5-computer-use": replace(
        _PRO_25, input_tokens=128_000, output_tokens=64_000, inputs=_DOCUMENTS, structured_output=False
    ),
    "gemini-robotics-er-1.5": _GEMINI_25,
    "gemini-3-pro": replace(_PRO_31, generation=3.0, thinking_levels=("low", "high")),
    "gemini-3-pro-image": _IMAGE_3_PRO,
    "gemini-3-pro-image-preview": replace(_IMAGE_3_PRO, input_tokens=131_072),
    "gemini-3-flash": replace(_GEMINI_3, thinking_levels=_FROM_MINIMAL, default_thinking_level="high"),
    "gemini-3.1-pro": _PRO_31,
    "gemini-pro-latest": _PRO_31,
    "gemini-3.1-flash-lite": _MINIMAL_31,
    "gemini-3.1-flash-image": _IMAGE_31,
    "gemini-3.1-flash-image-preview": _IMAGE_31_PREVIEW,
    "gemini-3.1-flash-lite-image": _IMAGE_31_LITE,
    "gemini-3.1-flash-live": replace(
        _MINIMAL_31, input_tokens=131_072, outputs=frozenset({"text", "audio"}), structured_output=False
    ),
    "gemini-3.1-flash-tts": replace(_SPEECH, generation=3.1),
    "gemini-3.5-flash": replace(
        _GEMINI_3, generation=3.5, thinking_levels=_FROM_MINIMAL, default_thinking_level="medium"
    ),
    "gemini-3.5-flash-lite": _FLASH_LITE_35,
    "gemini-flash-lite-latest": _FLASH_LITE_35,
    "gemini-3.5-live-translate": replace(
        _SPEECH,
        generation=3.5,
        input_tokens=16_384,
        output_tokens=32_768,
        inputs=frozenset({"audio"}),
        outputs=frozenset({"text", "audio"}),
    ),
    "gemini-3.6-flash": replace(_FIXED, generation=3.6, thinking_levels=_FROM_MINIMAL, default_thinking_level="medium"),
    "gemini-3.7-flash": _FLASH_37,
    "gemini-flash-latest": _FLASH_37,
    "gemini-3.8-flash": replace(_FLASH_37, generation=3.8),
    "gemini-4-argon": _NEWEST,
    "gemini-omni-flash": replace(
        _VIDEO, family="gemini", generation=3.5, input_tokens=131_072, output_tokens=65_536, slow=True
    ),
    "gemini-embedding": _EMBEDDING,
    "nano-banana": _IMAGE_25,
    "nano-banana-2": _IMAGE_31,
    "nano-banana-pro": _IMAGE_3_PRO,
    "gemma": _OLD_GEMMA,
    "gemma-4": _GEMMA,
    "deep-research": replace(_RESEARCH, outputs=_TEXT_IMAGE),
    "lyria": replace(_MUSIC, tools=False, structured_output=False),
    "veo": _VIDEO,
}

# Hints in names that are in no row.
_GEMINI_KINDS: Final = {"image": _IMAGE_31, "tts": _SPEECH, "embedding": _EMBEDDING, "gemini": _NEWEST}
_OTHER_KINDS: Final = {"image": _OTHER_IMAGE, "": _OTHER}


@lru_cache(maxsize=512)
def capabilities(model: str) -> Capabilities:
    """Return the capabilities of *model*. Never fails, whatever the name.

    The name may carry `models/`, vendor prefixes and suffixes, or be one that a gateway made of a known name.

    Raises:
        ConfigurationError: *model* is not text.
    """
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be a name such as 'gemini-2.5-flash', not {type(model).__name__}")
    name = _to_google_spelling(model)
    row = max(_names_within(name, _MODELS), key=len, default=None)
    if row:
        return _MODELS[row]
    version = re.search(r"gemini-(\d+(?:\.\d+)?)", name)
    kinds = _GEMINI_KINDS if "gemini" in name else _OTHER_KINDS
    guess = kinds[next(iter(_names_within(name, kinds)))]
    return replace(guess, generation=float(version[1])) if version else guess


def _names_within(name: str, known: Iterable[str]) -> list[str]:
    return [one for one in known if one in name]


def _to_google_spelling(model: str) -> str:
    """Return *model* in Google's spelling: `Vendor/Gemini_2-5 Pro` is `gemini-2.5-pro`."""
    name = re.sub(r"[\s_]+", "-", model.strip().lower().rsplit("/", 1)[-1])
    return re.sub(r"gemini-?(\d)(?:[-.](\d))?(?!\d)", _spell_version, name)


def _spell_version(match: re.Match[str]) -> str:
    major, minor = match.groups()
    return f"gemini-{major}.{minor}" if minor else f"gemini-{major}"
