"""Responses through OpenAI's Python SDK: kept, continued, streamed, with schemas and tools."""

import json
from typing import Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from world import HORSE, KEYS, LONG, MODEL, PIXEL, SHORT, URL, WEATHER, conforms, is_horse, is_weather

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": WEATHER,
}
FORMAT = {"format": {"type": "json_schema", "name": "horse", "strict": True, "schema": HORSE}}
NAMED = {"type": "function", "name": "get_weather"}


class Horse(BaseModel):
    """A horse."""

    colour: Literal["bay", "roan", "grey"]
    tame: bool


def asked(said=SHORT, /, **more):
    return {"model": MODEL, "input": said, "temperature": 0, "max_output_tokens": 64, **more}


def test_create(oai, same):
    answer = conforms(oai.responses.create(**asked(metadata={"herd": "seven"})))
    assert answer.id.startswith("resp_") and answer.object == "response" and answer.status == "completed"
    assert answer.error is None and answer.incomplete_details is None and answer.metadata == {"herd": "seven"}
    item = answer.output[0]
    assert (item.type, item.role, item.status, item.id[:4]) == ("message", "assistant", "completed", "msg_")
    assert item.content[0].type == "output_text" and item.content[0].annotations == []
    assert "Paris" in answer.output_text and answer._request_id
    usage = answer.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens <= usage.input_tokens
    assert usage.output_tokens_details.reasoning_tokens == 0
    same([answer.output_text, usage.output_tokens])


def test_what_was_asked_is_repeated(oai):
    answer = oai.responses.create(**asked(instructions="Be brief.", top_p=0.9))
    assert (answer.instructions, answer.temperature, answer.top_p) == ("Be brief.", 0, 0.9)
    assert answer.max_output_tokens == 64 and answer.tools == [] and answer.tool_choice == "auto"
    assert answer.parallel_tool_calls is True and answer.text.format.type == "text"


def test_incomplete(oai):
    answer = oai.responses.create(**asked(LONG, max_output_tokens=16))
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.output_tokens == 16 and answer.output[0].status == "incomplete"


def test_stream(oai, same):
    whole = oai.responses.create(**asked())
    events = [conforms(event) for event in oai.responses.create(**asked(), stream=True)]
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens
    same(text)


def test_stream_ends_incomplete(oai, same):
    *_, last = oai.responses.create(**asked(LONG, max_output_tokens=16), stream=True)
    assert last.type == "response.incomplete" and last.response.incomplete_details.reason == "max_output_tokens"
    same(last.response.output_text)


def test_stream_helper(oai, same):
    with oai.responses.stream(**asked()) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_response()
    assert {"response.output_text.delta", "response.output_text.done", "response.completed"} <= kinds
    assert "Paris" in answer.output_text
    same(answer.output_text)


@pytest.mark.parametrize("seed", range(4))
def test_long_streams(oai, seed, same):
    """Long enough to be under way when a node is killed."""
    wanted = asked(f"Tell me story {seed}.", max_output_tokens=400)
    events = list(oai.responses.create(**wanted, stream=True))
    assert events[-1].type in ("response.completed", "response.incomplete")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text
    same([text, events[-1].response.usage.output_tokens])


# --- what is kept ---


def test_retrieve_and_delete(oai):
    made = oai.responses.create(**asked())
    found = oai.responses.retrieve(made.id)
    assert found.to_dict() == made.to_dict()
    oai.responses.delete(made.id)
    for gone in (oai.responses.retrieve, oai.responses.delete, oai.responses.cancel, oai.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            gone(made.id)


def test_a_streamed_one_is_kept(oai):
    *_, last = oai.responses.create(**asked(), stream=True)
    assert oai.responses.retrieve(last.response.id).output_text == last.response.output_text


def test_not_stored(oai):
    made = oai.responses.create(**asked(store=False))
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(made.id)


def test_another_project_does_not_find_it(oai):
    made = oai.responses.create(**asked())
    stranger = OpenAI(base_url=f"{URL}/v1", api_key=KEYS["poor"], max_retries=0)
    with stranger, pytest.raises(openai.NotFoundError):
        stranger.responses.retrieve(made.id)


def test_cancel(oai):
    made = oai.responses.create(**asked())
    with pytest.raises(openai.BadRequestError):
        oai.responses.cancel(made.id)  # only what runs in the background can be cancelled
    try:
        behind = oai.responses.create(**asked(LONG, max_output_tokens=4000, background=True))
    except openai.BadRequestError as error:
        assert error.param == "background"
    else:
        assert behind.status in ("queued", "in_progress")
        assert oai.responses.cancel(behind.id).status == "cancelled"


def test_input_items(oai):
    turns = [{"role": "user", "content": f"Turn {number}."} for number in range(3)]
    made = oai.responses.create(**asked(turns))
    items = conforms(oai.responses.input_items.list(made.id, order="asc"))
    assert [item.content[0].text for item in items.data] == ["Turn 0.", "Turn 1.", "Turn 2."]
    assert all(item.id and item.type == "message" and item.role == "user" for item in items.data)
    newest = [item.id for item in oai.responses.input_items.list(made.id)]
    assert newest == [item.id for item in reversed(items.data)], "the newest come first unless said"
    pages = oai.responses.input_items.list(made.id, limit=2)
    assert pages.has_more and [item.id for item in pages] == newest, "the SDK turns the pages"


def test_previous_response(oai, same):
    first = oai.responses.create(**asked("My name is Ada.", instructions="Be kind."))
    second = oai.responses.create(**asked("What is my name?", previous_response_id=first.id))
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "What is my name?"},
    ]
    inline = oai.responses.create(**asked(turns))
    assert second.previous_response_id == first.id
    assert second.output_text == inline.output_text, "instructions are not carried over, turns are"
    assert second.usage.input_tokens == inline.usage.input_tokens
    same(second.output_text)


def test_no_previous_response(oai):
    with pytest.raises(openai.BadRequestError) as refused:
        oai.responses.create(**asked(previous_response_id="resp_0000"))
    assert refused.value.param == "previous_response_id" and refused.value.code == "previous_response_not_found"


def test_instructions(oai, same):
    told = oai.responses.create(**asked("Who are you?", instructions="You are a pirate. Speak like one."))
    as_turn = oai.responses.create(
        **asked(
            [
                {"role": "system", "content": "You are a pirate. Speak like one."},
                {"role": "user", "content": "Who are you?"},
            ]
        )
    )
    assert told.output_text == as_turn.output_text
    same(told.output_text)


# --- schemas and tools ---


def test_schema(oai, same):
    answer = oai.responses.create(**asked("Describe a horse.", text=FORMAT))
    assert is_horse(json.loads(answer.output_text)) and answer.text.format.type == "json_schema"
    same(answer.output_text)


def test_parse(oai):
    answer = oai.responses.parse(**asked("Describe a horse."), text_format=Horse)
    assert isinstance(answer.output_parsed, Horse)
    with oai.responses.stream(**asked("Describe a horse."), text_format=Horse) as stream:
        assert stream.get_final_response().output_parsed == answer.output_parsed


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_forced_tool(oai, choice, same):
    answer = conforms(oai.responses.create(**asked("How warm is it in Oslo?", tools=[TOOL], tool_choice=choice)))
    call = answer.output[-1]
    assert (call.type, call.name, call.status) == ("function_call", "get_weather", "completed")
    assert call.call_id and call.id and is_weather(json.loads(call.arguments))
    same(call.arguments)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_unforced_tool(oai, choice):
    answer = conforms(oai.responses.create(**asked("Say hello.", tools=[TOOL], tool_choice=choice)))
    kinds = {item.type for item in answer.output}
    assert kinds <= {"message", "function_call"} and kinds and not (choice == "none" and "function_call" in kinds)


def test_streamed_tool_call(oai, same):
    wanted = asked("How warm is it in Oslo?", tools=[TOOL], tool_choice="required")
    with oai.responses.stream(**wanted) as stream:
        events = list(stream)
        answer = stream.get_final_response()

    def of(kind):
        return [event for event in events if event.type == f"response.{kind}"]

    (added,) = of("output_item.added")
    assert (added.item.type, added.item.arguments, added.item.status) == ("function_call", "", "in_progress")
    arguments = "".join(event.delta for event in of("function_call_arguments.delta"))
    assert arguments == of("function_call_arguments.done")[0].arguments == answer.output[0].arguments
    same(arguments)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "inline"])
def test_tool_round_trip(oai, kept, same):
    question = [{"role": "user", "content": "How warm is it in Oslo?"}]
    first = oai.responses.create(**asked(question, tools=[TOOL], tool_choice="required"))
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 21}'}
        for call in first.output
        if call.type == "function_call"
    ]
    before = [] if kept else [*question, *(item.to_dict() for item in first.output)]
    more = {"previous_response_id": first.id} if kept else {}
    answer = oai.responses.create(**asked([*before, *results], tools=[TOOL], tool_choice="none", **more))
    assert answer.output_text and answer.status in ("completed", "incomplete")
    same(answer.output_text)


IMAGE = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}


@pytest.mark.parametrize(
    "more,param",
    [
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "input"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "horse"}}}}, "text.format"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "fly"}}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
    ],
    ids=["image", "temperature", "no tokens", "schema", "no such tool", "a tool of OpenAI's own"],
)
def test_refused_by_name(oai, more, param):
    with pytest.raises(openai.BadRequestError) as refused:
        oai.responses.create(**asked(**more))
    assert (refused.value.param or "").startswith(param)
