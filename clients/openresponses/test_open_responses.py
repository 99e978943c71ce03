"""The six cases of the open responses compliance suite, rebuilt over plain HTTP without any SDK.

Every object and event is held to its published schema, and the events of a stream to their order: numbers that
rise by one, items and parts that are opened before they are filled and closed once, ids that stay the same.
"""

import json
import typing

import pytest
from openai.types.responses import Response, ResponseStreamEvent

from world import MODEL, PIXEL, SHORT, WEATHER, is_weather

EVENTS = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": WEATHER,
}
# What the specification has in every response, null or not; the SDK's type lets some of them be left out.
FIELDS = {
    "id",
    "object",
    "created_at",
    "status",
    "error",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "previous_response_id",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "usage",
}


def said(text, role="user"):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


IMAGE = {
    "type": "message",
    "role": "user",
    "content": [
        {"type": "input_text", "text": "What is in this picture?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    ],
}
TURNS = [said("My name is Ada."), said("Hello Ada.", "assistant"), said("What is my name?")]
CASES = {
    "basic": {"input": [said(SHORT)]},
    "system": {"input": [said("You are a pirate. Speak like one.", "system"), said("Who are you?")]},
    "tool": {"input": [said("How warm is it in Oslo?")], "tools": [TOOL], "tool_choice": "required"},
    "multi-turn": {"input": TURNS},
}
every_case = pytest.mark.parametrize("case", CASES)


def asked(case, **more):
    return {"model": MODEL, "temperature": 0, "max_output_tokens": 96, **CASES[case], **more}


def whole(http, case):
    answer = http.post("/v1/responses", json=asked(case))
    assert answer.status_code == 200, answer.text
    return checked(answer.json())


def checked(response):
    """A response that has all fields of the specification, with values that its schema allows."""
    assert FIELDS - set(response) == set()
    Response.model_validate(response)
    assert response["object"] == "response" and response["status"] in ("completed", "incomplete")
    assert all(item["id"] and item["status"] == response["status"] for item in response["output"][-1:])
    return response


def content(response):
    """What a response says or calls, without ids and times."""
    return [
        item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
        for item in response["output"]
    ]


def events_of(http, case):
    """The events of a stream, each of which is named twice alike and valid by its schema."""
    with http.stream("POST", "/v1/responses", json=asked(case, stream=True)) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        answer.read()
    events = []
    for block in answer.text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(":") for line in block.split("\n") if line and not line.startswith(":")]
        fields = {name: value.removeprefix(" ") for name, _, value in lines}
        if not fields or fields["data"] == "[DONE]":
            continue
        event = json.loads(fields["data"])
        assert fields["event"] == event["type"]
        EVENTS[event["type"]].model_validate(event)
        events.append(event)
    return events


def check_order(events):
    """Walks a stream with what is open in hand."""
    first = events[0]["sequence_number"]
    assert [event["sequence_number"] for event in events] == list(range(first, first + len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert all(
        event["response"]["output"] == [] and event["response"]["status"] == "in_progress" for event in events[:2]
    )
    items, parts, filled, closed = {}, {}, {}, []
    for event in events[2:-1]:
        kind, index = event["type"].removeprefix("response."), event["output_index"]
        if kind == "output_item.added":
            assert index == len(items) and event["item"]["status"] == "in_progress"
            items[index] = event["item"]["id"]
        elif kind == "output_item.done":
            assert event["item"]["id"] == items[index] and index not in closed
            closed.append(index)
        else:
            assert event["item_id"] == items[index] and index not in closed
            follow_part(kind, event, (index, event.get("content_index")), parts, filled)
    assert closed == list(items) and all(state == "done" for state in parts.values())


def follow_part(kind, event, place, parts, filled):
    """One event of an open item: a part's life, or a call's arguments."""
    if kind == "content_part.added":
        assert place not in parts
        parts[place] = "open"
    elif kind == "content_part.done":
        assert parts[place] == "open" and event["part"]["text"] == filled[place]
        parts[place] = "done"
    elif kind in ("output_text.delta", "function_call_arguments.delta"):
        assert kind.startswith("function") or parts[place] == "open"
        filled[place] = filled.get(place, "") + event["delta"]
    elif kind in ("output_text.done", "function_call_arguments.done"):
        assert event["text" if kind.startswith("output") else "arguments"] == filled[place]
    else:
        raise AssertionError(f"an event that nobody asked for: {kind}")


@every_case
def test_whole(http, case, same):
    response = whole(http, case)
    kind = "function_call" if case == "tool" else "message"
    assert response["output"][-1]["type"] == kind and response["usage"]["output_tokens"] > 0
    same(content(response))


@every_case
def test_stream(http, case, same):
    events = events_of(http, case)
    check_order(events)
    last = events[-1]
    response = checked(last["response"])
    assert last["type"] == f"response.{response['status']}"
    assert content(response) == content(whole(http, case))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == response["output"] and events[0]["response"]["id"] == response["id"]
    same(content(response))


def test_tool_arguments(http):
    call = whole(http, "tool")["output"][-1]
    assert call["name"] == "get_weather" and call["call_id"] and is_weather(json.loads(call["arguments"]))


def test_image(http):
    """None of our models sees; who sends a picture must be told, and where it lies."""
    answer = http.post("/v1/responses", json={"model": MODEL, "input": [IMAGE]})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error"
    assert error["param"].startswith("input") and "image" in error["message"]
