"""What models accept, by name."""

import pytest
from gemway._capabilities import _MODELS, capabilities

MEDIA = {"text", "image", "audio", "video", "pdf"}

# id: input tokens, output tokens, thinking, levels, default level, budget, tools, structured output
MODELS = {
    "gemini-2.5-pro": (1_048_576, 65_536, "budget", "", None, (128, 32_768), True, True),
    "gemini-2.5-flash": (1_048_576, 65_536, "budget", "", None, (1, 24_576), True, True),
    "gemini-2.5-flash-lite": (1_048_576, 65_536, "budget", "", None, (512, 24_576), True, True),
    "gemini-2.5-flash-image": (32_768, 32_768, None, "", None, None, False, False),
    "gemini-2.5-computer-use-preview-10-2025": (128_000, 64_000, "budget", "", None, (128, 32_768), True, False),
    "gemini-3-pro-preview": (1_048_576, 65_536, "level", "low high", "high", None, True, True),
    "gemini-3-flash-preview": (1_048_576, 65_536, "level", "minimal low medium high", "high", None, True, True),
    "gemini-3-pro-image": (65_536, 32_768, None, "", None, None, False, False),
    "gemini-3-pro-image-preview": (131_072, 32_768, None, "", None, None, False, False),
    "gemini-3.1-pro-preview": (1_048_576, 65_536, "level", "low medium high", "high", None, True, True),
    "gemini-3.1-pro-preview-customtools": (1_048_576, 65_536, "level", "low medium high", "high", None, True, True),
    "gemini-3.1-flash-lite": (1_048_576, 65_536, "level", "minimal low medium high", "minimal", None, True, True),
    "gemini-3.1-flash-image": (131_072, 32_768, "level", "minimal high", "minimal", None, False, False),
    "gemini-3.1-flash-image-preview": (65_536, 65_536, "level", "minimal high", "minimal", None, False, False),
    "gemini-3.1-flash-lite-image": (65_536, 4_096, "level", "minimal high", "minimal", None, True, False),
    "gemini-3.5-flash": (1_048_576, 65_536, "level", "minimal low medium high", "medium", None, True, True),
    "gemini-3.5-flash-lite": (1_048_576, 65_536, "level", "minimal low medium high", "minimal", None, True, True),
    "gemini-3.6-flash": (1_048_576, 65_536, "level", "minimal low medium high", "medium", None, True, True),
    "gemini-3.7-flash": (1_048_576, 65_536, "level", "low medium high", "medium", None, True, True),
    "gemini-flash-latest": (1_048_576, 65_536, "level", "low medium high", "medium", None, True, True),
    "gemini-3.8-flash": (1_048_576, 65_536, "level", "low medium high", "medium", None, True, True),
    "gemini-4-argon": (1_048_576, 65_536, "level", "low medium high", "medium", None, True, True),
    "gemma-4-31b-it": (262_144, 32_768, "level", "minimal high", None, None, True, True),
    "deep-research-preview-04-2026": (131_072, 65_536, None, "", None, None, True, False),
}  # fmt: skip


@pytest.mark.parametrize(("model", "row"), MODELS.items(), ids=MODELS)
def test_documented_models_have_their_documented_limits(model, row):
    """Windows, thinking and tools are those of Google's model pages."""
    found = capabilities(model)

    assert (
        found.input_tokens,
        found.output_tokens,
        found.thinking,
        " ".join(found.thinking_levels),
        found.default_thinking_level,
        found.thinking_budget,
        found.tools,
        found.structured_output,
    ) == row


RENAMED = {
    "models/gemini-2.5-pro": "gemini-2.5-pro",
    "google/gemini-2.5-pro": "gemini-2.5-pro",
    "vertex_ai/gemini-2.5-flash-lite-preview-06-17": "gemini-2.5-flash-lite",
    "us.gemini-3-flash-preview": "gemini-3-flash-preview",
    "publishers/google/models/gemini-3.1-pro-preview": "gemini-3.1-pro-preview",
    "gemini-2.5-flash-nothinking": "gemini-2.5-flash",
    "gemini-2.5-pro-thinking-1024": "gemini-2.5-pro",
    "gemini-2.5-pro-preview-05-06": "gemini-2.5-pro",
    "gemini-2.5-flash-image-preview": "gemini-2.5-flash-image",
    "gemini-3.1-flash-lite-preview": "gemini-3.1-flash-lite",
    "gemini-3-pro-image-preview-4k": "gemini-3-pro-image-preview",
    "Gemini_2-5 Pro": "gemini-2.5-pro",
    "gemini-3-1-pro": "gemini-3.1-pro-preview",
    "[vip] gemini-3.5-flash:free": "gemini-3.5-flash",
    "nano-banana": "gemini-2.5-flash-image",
    "nano-banana-pro": "gemini-3-pro-image",
    "gemini-flash-lite-latest": "gemini-3.5-flash-lite",
    "gemini-pro-latest": "gemini-3.1-pro-preview",
}


@pytest.mark.parametrize(("name", "model"), RENAMED.items(), ids=RENAMED)
def test_a_gateways_name_for_a_model_is_understood(name, model):
    """Prefixes, suffixes and other spellings change nothing."""
    assert capabilities(name) == capabilities(model)


@pytest.mark.parametrize("model", ["gemini-5-ultra", "gemini-3.9-flash", "gemini-12-pro", "gemini-exp-1206", "gemini"])
def test_an_unknown_gemini_is_of_the_newest_generation(model):
    """It takes levels, needs signatures and is never refused."""
    found = capabilities(model)

    assert found.family == "gemini"
    assert found.generation >= 3
    assert found.thinking == "level"
    assert found.requires_signatures
    assert found.inputs == MEDIA
    assert not found.prefill


def test_an_unknown_gemini_keeps_the_generation_in_its_name():
    """The number in the name is believed."""
    assert capabilities("gemini-5.5-flash").generation == 5.5


def test_an_unknown_gemini_image_model_takes_image_options():
    """`image` in the name is believed too."""
    found = capabilities("gemini-6-image")

    assert found.image_model
    assert found.outputs == {"text", "image"}


@pytest.mark.parametrize("model", ["gpt-5", "claude-opus-4", "my-model", "", "tunedModels/mine"])
def test_other_providers_models_get_nothing_of_geminis(model):
    """No thinkingConfig, no signatures; tools may be declared."""
    found = capabilities(model)

    assert (found.family, found.generation) == ("other", 0.0)
    assert found.thinking is None
    assert not found.requires_signatures
    assert not found.image_model
    assert found.tools


def test_other_providers_image_models_get_time():
    """A picture takes minutes, whoever makes it."""
    assert capabilities("gpt-image-2").image_model
    assert capabilities("gpt-image-2").slow


@pytest.mark.parametrize(
    ("model", "since_3"), [("gemini-2.5-pro", False), ("gemini-3-pro-preview", True), ("gemma-4-31b-it", False)]
)
def test_what_came_with_gemini_3(model, since_3):
    """Signatures, media in tool results and mixed tools are Gemini 3's."""
    found = capabilities(model)

    assert found.requires_signatures is since_3
    assert found.function_response_parts is since_3
    assert found.tools_with_server_tools is since_3
    assert found.structured_output_with_tools is since_3


@pytest.mark.parametrize(
    ("model", "sizes", "ratios"),
    [
        ("gemini-2.5-flash-image", (), 10),
        ("gemini-3-pro-image", ("1K", "2K", "4K"), 10),
        ("gemini-3.1-flash-image", ("512", "1K", "2K", "4K"), 14),
        ("gemini-3.1-flash-lite-image", ("1K",), 14),
        ("gemini-2.5-flash", (), 0),
    ],
)
def test_image_options(model, sizes, ratios):
    """Sizes and ratios are those of the image generation page; text models have none."""
    found = capabilities(model)

    assert found.image_sizes == sizes
    assert len(found.aspect_ratios) == ratios
    assert found.image_model is (ratios > 0)


@pytest.mark.parametrize("model", ["gemini-3.5-flash-lite", "gemini-3.6-flash", "gemini-3.7-flash", "gemini-4-argon"])
def test_models_with_fixed_sampling_take_no_prefill(model):
    """They ignore temperature and refuse a trailing model turn (What's new in Gemini 3.6 Flash)."""
    assert not capabilities(model).sampling
    assert not capabilities(model).prefill


def test_older_models_can_be_sampled_and_prefilled():
    """Everything before takes temperature and a prefill."""
    assert all(capabilities(model).sampling and capabilities(model).prefill for model in ("gemini-2.5-pro", "gpt-5"))


def test_old_gemma_has_no_tools_and_no_system_instruction():
    """Gemma before 4 refuses both."""
    found = capabilities("gemma-3-27b-it")

    assert (found.family, found.tools, found.system_instruction) == ("gemma", False, False)


@pytest.mark.parametrize("known", _MODELS)
def test_the_table_is_consistent(known):
    """Each row says how to set thinking, and only what that way needs."""
    row = _MODELS[known]

    assert bool(row.thinking_levels) == (row.thinking == "level")
    assert bool(row.thinking_budget) == (row.thinking == "budget")
    assert row.default_thinking_level in {None, *row.thinking_levels}
    assert capabilities(known) == row


def test_answers_are_remembered():
    """The same name is looked up once."""
    assert capabilities("gemini-2.5-pro") is capabilities("gemini-2.5-pro")
