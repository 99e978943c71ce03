"""The doors as curl sees them: raw events, headers, preflights, and a client that hangs up."""

import json
import subprocess

import pytest

from world import EMBEDDING_MODEL, KEYS, MODEL, SHORT, URL

CHAT = {"model": MODEL, "temperature": 0, "max_tokens": 32, "messages": [{"role": "user", "content": SHORT}]}
RESPONSE = {"model": MODEL, "temperature": 0, "max_output_tokens": 32, "input": SHORT}
COMPLETION = {"model": MODEL, "temperature": 0, "max_tokens": 32, "prompt": "Once upon a time"}
EMBEDDING = {"model": EMBEDDING_MODEL, "input": "a horse"}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/responses": RESPONSE,
    "/v1/messages": CHAT,
    "/v1/embeddings": EMBEDDING,
}


def curl(path, body=None, *more, key=KEYS["good"]):
    """Status, headers in lower case, and body."""
    command = ["curl", "-sS", "-N", "-D", "/dev/stderr", "-H", f"Authorization: Bearer {key}", *more, URL + path]
    if body is not None:
        command += ["-H", "content-type: application/json", "--data-binary", "@-"]
    done = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, timeout=120, check=False)
    head = done.stderr.replace("\r", "").strip().split("\n\n")[-1].split("\n")
    assert head[0].startswith("HTTP/"), done.stderr
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), fields, done.stdout


def events(text):
    """Names and data of server-sent events, comments left out."""
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            yield fields.get("event"), fields["data"]


@pytest.mark.parametrize("path", BODIES)
def test_whole(path):
    status, head, body = curl(path, BODIES[path])
    assert (status, head["content-type"]) == (200, "application/json") and head["x-request-id"] and json.loads(body)


@pytest.mark.parametrize(
    "path,ends",
    [
        ("/v1/chat/completions", "[DONE]"),
        ("/v1/completions", "[DONE]"),
        ("/v1/responses", "response.completed"),
        ("/v1/messages", "message_stop"),
    ],
)
def test_stream(path, ends, same):
    status, head, body = curl(path, {**BODIES[path], "stream": True})
    assert status == 200 and head["content-type"].startswith("text/event-stream") and head["x-request-id"]
    assert head["cache-control"] == "no-cache" and body.endswith("\n\n")
    named = list(events(body))
    name, data = named[-1]
    assert (data if ends == "[DONE]" else name) == ends
    assert all(json.loads(data)["type"] == name for name, data in named if name)
    same("".join(words(json.loads(data)) for _, data in named if data != "[DONE]"))


def words(event):
    """What one event adds to the text."""
    delta = event.get("delta", "")
    choices = [
        choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in event.get("choices", [])
    ]
    return (delta if isinstance(delta, str) else delta.get("text", "")) + "".join(choices)


HEADERS = (
    "authorization,content-type,x-api-key,anthropic-version,anthropic-dangerous-direct-browser-access,x-stainless-lang"
)


@pytest.mark.parametrize("path", [*BODIES, "/v1/models", "/v1/messages/count_tokens", "/v1/responses/resp_0"])
def test_preflight(path):
    """A browser asks first, without a key, and goes on only if origin, method and headers are allowed."""
    method = "POST" if path in BODIES else "GET"
    command = [
        "-X",
        "OPTIONS",
        "-H",
        "Origin: https://app.example",
        "-H",
        f"Access-Control-Request-Method: {method}",
        "-H",
        f"Access-Control-Request-Headers: {HEADERS}",
        "-H",
        "Authorization:",
    ]
    status, head, _ = curl(path, None, *command)
    allowed = {name.strip().lower() for name in head.get("access-control-allow-headers", "").split(",")}
    assert status in (200, 204) and head["access-control-allow-origin"] in ("*", "https://app.example")
    assert set(HEADERS.split(",")) <= allowed, "`*` does not cover authorization"
    assert method in head["access-control-allow-methods"] or head["access-control-allow-methods"] == "*"
    assert "access-control-allow-credentials" not in head, "keys are sent, cookies are not"


@pytest.mark.parametrize("key,status", [(KEYS["good"], 200), ("rk_nobody", 401)], ids=["answered", "refused"])
def test_a_page_may_read(key, status):
    """The answer itself repeats the permission, a refusal as well, and shows the headers that clients need."""
    got, head, _ = curl("/v1/chat/completions", CHAT, "-H", "Origin: https://app.example", key=key)
    shown = {name.strip().lower() for name in head.get("access-control-expose-headers", "").split(",")}
    assert got == status and head["access-control-allow-origin"] in ("*", "https://app.example")
    assert {"x-request-id", "request-id", "retry-after"} <= shown or shown == {"*"}


def test_who_hangs_up_is_forgotten():
    """More streams than there are slots are cut after a moment; the next request finds a place."""
    endless = {
        **CHAT,
        "stream": True,
        "max_tokens": 4000,
        "temperature": 1,
        "messages": [{"role": "user", "content": "Tell me a very long story."}],
    }
    for _ in range(10):
        reader = subprocess.Popen(
            [
                "curl",
                "-sS",
                "-N",
                "-H",
                f"Authorization: Bearer {KEYS['good']}",
                "-H",
                "content-type: application/json",
                "-d",
                json.dumps(endless),
                URL + "/v1/chat/completions",
            ],
            stdout=subprocess.PIPE,
        )
        assert reader.stdout.readline().startswith(b"data: ")
        reader.kill()
        reader.wait()
    assert curl("/v1/chat/completions", CHAT)[0] == 200
