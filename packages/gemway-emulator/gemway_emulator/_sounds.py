"""Make sound for requests that want AUDIO: one short tone per word, as the raw PCM Google sends. Pure."""

from __future__ import annotations

import math
from array import array

SPEECH_TYPE = "audio/L16;codec=pcm;rate=24000"
_RATE = 24_000
_SECONDS_PER_WORD = 0.08
_MOST_WORDS = 100


def speak(text: str) -> bytes:
    """Signed 16-bit mono samples at 24 kHz; longer words sound higher."""
    samples = array("h")
    for word in (text.split() or ["?"])[:_MOST_WORDS]:
        pitch = 180 + 20 * min(len(word), 20)
        number = int(_RATE * _SECONDS_PER_WORD)
        samples.extend(int(8000 * math.sin(2 * math.pi * pitch * index / _RATE)) for index in range(number))
    return samples.tobytes()
