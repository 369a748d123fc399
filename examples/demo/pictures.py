"""A picture at 16:9 and 2K, written to a file and then edited."""

from __future__ import annotations

from gemway import Client, types

from examples.demo.report import Exchange, Report
from examples.demo.screen import Screen
from examples.gateway import IMAGE_MODEL

TITLE = "A picture at 16:9 and 2K, made and edited"
PROMPT = "a neon fox, cinematic"
EDIT = "make it night and add a full moon"


def run(screen: Screen, report: Report) -> None:
    """Make a picture, save it, send it back with a change."""
    with Client() as client:
        made = report.exchange("A picture, made", PROMPT)
        screen.prompt(PROMPT)
        with screen.working("painting (a real model takes 10 to 60 seconds)"):
            answer = client.generate_image(PROMPT, model=IMAGE_MODEL, aspect_ratio="16:9", image_size="2K")
        _keep_first_picture(answer, made, "fox.png", screen, report)

        edited = report.exchange("The same picture, edited", EDIT)
        screen.prompt(EDIT)
        with screen.working("editing"):
            options = {"aspect_ratio": "16:9", "image_size": "2K", "images": [answer.images[0]]}
            answer = client.generate_image(EDIT, model=IMAGE_MODEL, **options)
        _keep_first_picture(answer, edited, "fox-edited.png", screen, report)


def _keep_first_picture(
    answer: types.GenerateContentResponse, exchange: Exchange, name: str, screen: Screen, report: Report
) -> None:
    usage = answer.usage_metadata or types.UsageMetadata()
    exchange.count({"input_tokens": usage.prompt_token_count or 0, "output_tokens": usage.candidates_token_count or 0})
    picture = report.keep(exchange, answer.images[0], name)
    screen.note(f"{picture.path}: {picture.width}x{picture.height} pixels, {picture.path.stat().st_size:,} bytes")
