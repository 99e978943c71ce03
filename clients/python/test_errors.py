"""Every way to be refused, as the exception that each SDK documents, at every door."""

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from world import KEYS, MODEL, URL, WORLD

HELLO = [{"role": "user", "content": "Hello"}]
DOORS = {
    "chat": (
        openai,
        lambda client, model, **more: client.chat.completions.create(
            **{"model": model, "messages": HELLO, "max_tokens": 1} | more
        ),
    ),
    "completions": (
        openai,
        lambda client, model, **more: client.completions.create(
            **{"model": model, "prompt": "Hello", "max_tokens": 1} | more
        ),
    ),
    "responses": (
        openai,
        lambda client, model, **more: client.responses.create(
            **{"model": model, "input": "Hello", "max_output_tokens": 16} | more
        ),
    ),
    "embeddings": (
        openai,
        lambda client, model, **more: client.embeddings.create(**{"model": model, "input": "Hello"} | more),
    ),
    "models": (openai, lambda client, model: client.models.retrieve(model)),
    "messages": (
        anthropic,
        lambda client, model, **more: client.messages.create(
            **{"model": model, "messages": HELLO, "max_tokens": 1} | more
        ),
    ),
    "count_tokens": (anthropic, lambda client, model: client.messages.count_tokens(model=model, messages=HELLO)),
    "Anthropic's models": (anthropic, lambda client, model: client.models.retrieve(model)),
}
every_door = pytest.mark.parametrize("door", DOORS)
GENERATING = ["chat", "completions", "responses", "messages"]


def client_of(sdk, key, retries=0):
    if sdk is openai:
        return OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=retries, timeout=120)
    return Anthropic(base_url=URL, api_key=key, max_retries=retries, timeout=120)


def refusal(door, key, error, model=MODEL, **more):
    """The exception, after what all refusals must have."""
    sdk, ask = DOORS[door]
    with client_of(sdk, key) as client, pytest.raises(getattr(sdk, error)) as caught:
        ask(client, model, **more)
    error, body = caught.value, caught.value.response.json()
    assert error.request_id, "`x-request-id` for OpenAI's SDK, `request-id` for Anthropic's"
    if sdk is openai:
        assert set(body["error"]) >= {"message", "type", "param", "code"}
    else:
        assert body["type"] == "error" and set(body["error"]) >= {"type", "message"} and body["request_id"]
        assert body["request_id"] == error.request_id
    return error


@every_door
def test_401(door):
    error = refusal(door, "rk_nobody", "AuthenticationError")
    assert error.status_code == 401 and (DOORS[door][0] is openai or error.type == "authentication_error")


@every_door
def test_403(door):
    error = refusal(door, KEYS["read"], "PermissionDeniedError")
    assert error.status_code == 403 and (DOORS[door][0] is openai or error.type == "permission_error")


@every_door
def test_404_model(door):
    error = refusal(door, KEYS["good"], "NotFoundError", model="no-such-model")
    if DOORS[door][0] is openai:
        assert (error.code, error.param) == ("model_not_found", "model")
    else:
        assert error.type == "not_found_error" and "no-such-model" in error.api_message


def test_404_response(oai):
    with pytest.raises(openai.NotFoundError) as missing:
        oai.responses.retrieve("resp_0000")
    assert missing.value.code != "not_found", "the path is there, the response is not"


@pytest.mark.parametrize("door", GENERATING)
def test_402(door):
    name = "APIStatusError" if DOORS[door][0] is openai else "PaymentRequiredError"
    many = {"max_output_tokens" if door == "responses" else "max_tokens": 2000}
    error = refusal(door, KEYS["poor"], name, model=WORLD["dear_model"], **many)
    assert error.status_code == 402 and error.response.headers["x-should-retry"] == "false"
    assert DOORS[door][0] is openai or error.type == "billing_error"


BIG = "horse " * 2_000_000  # 12 MB, over the limit of 8 MiB


@pytest.mark.parametrize(
    "door,more",
    [
        ("chat", {"messages": [{"role": "user", "content": BIG}]}),
        ("completions", {"prompt": BIG}),
        ("responses", {"input": BIG}),
        ("embeddings", {"input": BIG}),
        ("messages", {"messages": [{"role": "user", "content": BIG}]}),
    ],
    ids=["chat", "completions", "responses", "embeddings", "messages"],
)
def test_413(door, more):
    name = "APIStatusError" if DOORS[door][0] is openai else "ContentTooLargeError"
    error = refusal(door, KEYS["good"], name, **more)
    assert error.status_code == 413 and (DOORS[door][0] is openai or error.type == "request_too_large")


@pytest.mark.parametrize("door", GENERATING)
def test_429(door):
    """A minute's requests are spent at once; then the SDK, which waits as it is told, gets through."""
    sdk, ask = DOORS[door]
    with client_of(sdk, KEYS["hurried"]) as client, pytest.raises(sdk.RateLimitError) as caught:
        for _ in range(200):
            ask(client, MODEL)
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert sdk is openai or caught.value.type == "rate_limit_error"
    with client_of(sdk, KEYS["hurried"], retries=8) as patient:
        assert ask(patient, MODEL)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEYS["good"]},
        {"authorization": f"Bearer {KEYS['good']}"},
        {"authorization": f"bearer {KEYS['good']}"},
    ],
    ids=["x-api-key", "Bearer", "bearer"],
)
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21", "2031-01-01", None])
def test_every_way_to_send_a_key(http, headers, version):
    """Older SDKs of Anthropic send `x-api-key`, newer ones a bearer; any version of the API is fine."""
    http.headers.pop("authorization", None)
    more = {"anthropic-version": version} if version else {}
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 2}
    try:
        answer = http.post("/v1/messages", json=body, headers={**headers, **more})
    finally:
        http.headers["authorization"] = f"Bearer {KEYS['good']}"
    assert answer.status_code == 200 and answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_what_is_no_json(http, path):
    answer = http.post(path, content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


def test_405_and_no_path(http):
    assert http.get("/v1/chat/completions").status_code == 405
    assert http.post("/v1/horses", json={}).json()["error"]["type"] == "invalid_request_error"
