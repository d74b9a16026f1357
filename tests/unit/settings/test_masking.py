"""What must not be shown of a setting, and what must."""

from __future__ import annotations

import pytest

from firstlight.settings import OPTIONS, load, masking

SECRET = "hunter2hunter2"

HIDDEN = [
    f"http://me:{SECRET}@127.0.0.1:8188/queue",
    f"http://{SECRET}@127.0.0.1/",
    f"/start.sh --token {SECRET}",
    f"/start.sh --api-key={SECRET} --port 80",
    f"HF_TOKEN={SECRET} /start.sh",
    f'env AWS_SECRET_ACCESS_KEY="{SECRET} and more {SECRET}" /start.sh',
    f"exec:curl -H 'Authorization: Bearer {SECRET}' http://127.0.0.1/",
    f"http://127.0.0.1/?access_token={SECRET}&x=1",
    f"PASSWORD={SECRET}",
]

SHOWN = [
    "http://127.0.0.1:8188/queue",
    "/start.sh --token-file /run/secrets/token",
    "log:^Total VRAM",
    "python main.py --max-tokens 3 --tokenizer x",
    "exec:test -e /workspace/token",
    "https://example.org/a@b",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_secret_is_masked(text: str) -> None:
    assert SECRET not in str(masking.masked(text))
    assert masking.MASK in str(masking.masked(text))
    assert SECRET not in masking.quoted(text)


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masking.masked(text) == text


def test_tables_and_lists_are_masked_throughout() -> None:
    table = {
        "http": f"http://a:{SECRET}@h/",
        "headers": {"Authorization": SECRET, "X-Api-Key": SECRET, "Accept": "*/*"},
        "exec": [f"A_TOKEN={SECRET}"],
    }
    masked = masking.masked({"queue": table})
    assert SECRET not in str(masked)
    assert "*/*" in str(masked)


def test_settings_are_shown_without_their_secrets() -> None:
    settings = load({"config": "none", "with_": [f"x --token {SECRET}"], "alive": [f"http://a:{SECRET}@h/"]}, {})
    assert SECRET not in str(settings.shown())
    assert settings.shown().keys() == vars(settings).keys() == {option.field for option in OPTIONS} | {"checks", "companions"}


def test_a_wrong_text_is_quoted_without_its_length() -> None:
    assert len(masking.quoted("x" * 10_000)) < 120
