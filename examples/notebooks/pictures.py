# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Pictures
#
# Make a picture, change it, and show both. With `GEMWAY_BASE_URL` and `GEMWAY_API_KEY` set, this asks your gateway;
# without them it starts an emulator on this machine, which draws gradients instead of foxes.

# %%
import os
from pathlib import Path

from gemway import Client
from gemway.gallery import exhibits, to_html

if not os.environ.get("GEMWAY_BASE_URL"):
    from gemway_emulator import Emulator

    emulator = Emulator().start()
    os.environ.update(GEMWAY_BASE_URL=emulator.base_url, GEMWAY_API_KEY=emulator.api_key, NO_PROXY="127.0.0.1")

client = Client()

# %% [markdown]
# A picture shows itself, without Pillow.

# %%
PROMPT = "a neon fox, cinematic"
first = client.generate_image(PROMPT, aspect_ratio="16:9", image_size="512")
first.images[0]

# %% [markdown]
# `history=` lets the model see what it made. Its thought signatures travel along. Without `image_size` the answer has
# the model's own size, 1K, in the shape of the picture before.

# %%
second = client.generate_image("make it blue", history=[PROMPT, first])
second.images[0]

# %%
third = client.generate_image("add a full moon", history=[PROMPT, first, "make it blue", second], with_text=True)
print(third.text)
third.images[0]

# %% [markdown]
# All three as one page that needs nothing else.

# %%
shown = [
    *exhibits(first, PROMPT, aspect_ratio="16:9", image_size="512"),
    *exhibits(second, "make it blue"),
    *exhibits(third, "add a full moon"),
]
folder = Path("out")
folder.mkdir(exist_ok=True)
page = folder / "gallery.html"
page.write_text(to_html(shown, title="Foxes"), encoding="utf-8")
print(page, f"{page.stat().st_size:,} bytes")
assert [exhibit.image.width for exhibit in shown] == [688, 1376, 1376]
