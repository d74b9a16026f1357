"""No secret gets out, in any form that it takes on the way."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies

from firstlight.serve.redact import HIDDEN, Redactor, secret_name

# As long as a secret is; of characters that survive in an environment.
secrets = strategies.text(strategies.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=60).filter(
    lambda text: len(set(text)) > 4 and text not in HIDDEN
)
around = strategies.text(max_size=20)


@given(secrets, around, around)
def test_a_secret_of_the_environment_is_found_in_every_form(secret: str, before: str, after: str) -> None:
    redactor = Redactor({"HF_TOKEN": secret})
    raw = secret.encode()
    forms = [secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode()]
    for form in forms:
        text = redactor.text(f"{before}{form}{after}")
        assert secret not in text or secret in before + HIDDEN + after or secret in before + after
        assert HIDDEN in text


@given(secrets, strategies.binary(max_size=8), strategies.binary(max_size=8))
def test_a_secret_is_found_at_every_alignment_of_base64(secret: str, before: bytes, after: bytes) -> None:
    text = Redactor({"API_KEY": secret}).text(base64.b64encode(before + secret.encode() + after).decode())

    assert HIDDEN in text


@given(secrets)
def test_a_secret_lies_nowhere_in_data(secret: str) -> None:
    data = {"a": [{"b": f"x {secret}", secret: 1}], "command": ["run", "--flag", secret]}

    assert json.dumps(secret)[1:-1] not in json.dumps(Redactor({"MY_SECRET": secret}).data(data))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--api-key abc --port 80", f"--api-key {HIDDEN} --port 80"),
        ("--api-key=abc", f"--api-key={HIDDEN}"),
        ("HF_TOKEN=abc run", f"HF_TOKEN={HIDDEN} run"),
        ('{"password": "a b", "x": 1}', f'{{"password": {HIDDEN}, "x": 1}}'),
        (r'"{\"password\": \"a b\", \"x\": 1}"', rf'"{{\"password\": {HIDDEN}, \"x\": 1}}"'),
        ("Authorization: Bearer abcdefghijkl", f"Authorization: {HIDDEN}"),
        ("curl -H 'x: Bearer abcdefghijkl'", f"curl -H 'x: Bearer {HIDDEN}'"),
        ("https://me:pw@example.org/x", f"https://{HIDDEN}@example.org/x"),
        ("got hf_abcdefghijklmnop", f"got {HIDDEN}"),
        ("got rpa_ABCDEFGHIJKLMNOP", f"got {HIDDEN}"),
        ("AKIAABCDEFGHIJKLMNOP", HIDDEN),
        ("the token is wrong", "the token is wrong"),
        ("Prompt executed: 12 tokens in 3 s", "Prompt executed: 12 tokens in 3 s"),
        ("loading tokenizer: bert", "loading tokenizer: bert"),
        ("author: somebody", "author: somebody"),
        ("--token-file /run/token", "--token-file /run/token"),
    ],
)
def test_secrets_are_told_by_name_and_by_look(text: str, shown: str) -> None:
    assert Redactor({}).text(text) == shown


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"api_key": "x", "port": 80}, {"api_key": HIDDEN, "port": 80}),
        ({"a": {"Password": "x"}}, {"a": {"Password": HIDDEN}}),
        (["python", "--token", "x", "--api-key=y"], ["python", "--token", HIDDEN, f"--api-key={HIDDEN}"]),
        (["python", "--token", "--port", "80"], ["python", "--token", "--port", "80"]),
        ({"token_file": "/run/token", "token": None, "auth": True}, {"token_file": "/run/token", "token": None, "auth": True}),
    ],
)
def test_data_is_redacted_by_name(data: Any, shown: Any) -> None:
    assert Redactor({}).data(data) == shown


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("RUNPOD_API_KEY", True),
        ("HF_TOKEN", True),
        ("DB_PASSWORD", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("apiKey", True),
        ("AUTHOR", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("SSH_AUTH_SOCK", True),
        ("TOKEN_FILE", False),
        ("PATH", False),
        ("KEYBOARD", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert secret_name(name) is secret


def test_half_a_character_does_no_harm() -> None:
    assert Redactor({}).text("a \ud800 b").encode()


@pytest.mark.parametrize("repeated", ["-", "a.", "--token", "a-", "eyJaaaaaaaa-", "://", "token ", "token\t= "])
def test_a_long_line_of_odd_text_does_not_take_for_ever(repeated: str) -> None:
    """What took the square of its length would take hours here, and the page with it: the test's own limit ends that."""
    text = repeated * ((256 << 10) // len(repeated))

    assert Redactor({}).text(text + " .\nAPI_KEY=abc").endswith(f"\nAPI_KEY={HIDDEN}")
