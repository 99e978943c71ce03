"""Messages through Anthropic's Python SDK: texts, streams, tools, counts."""

import json
from typing import Literal

import anthropic
import pytest
from pydantic import BaseModel

from world import HORSE, LONG, MODEL, PIXEL, SHORT, WEATHER, conforms, is_horse, is_weather

TOOL = {"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER}
OTHER_TOOL = {
    "name": "saddle",
    "input_schema": {
        "type": "object",
        "properties": {"tight": {"type": "boolean"}},
        "required": ["tight"],
        "additionalProperties": False,
    },
}


class Horse(BaseModel):
    """A horse."""

    colour: Literal["bay", "roan", "grey"]
    tame: bool


def user(text):
    return [{"role": "user", "content": text}]


def asked(said=SHORT, /, **more):
    # The API has a temperature; this SDK has it no more, so it goes as it is.
    return {"model": MODEL, "messages": user(said), "max_tokens": 64, "extra_body": {"temperature": 0}, **more}


def create(ant, wanted):
    return conforms(ant.messages.create(**wanted))


def raw(ant, wanted):
    """The events of a stream, pings left out."""
    events = [conforms(event) for event in ant.messages.create(**wanted, stream=True)]
    return [event for event in events if event.type != "ping"]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


# --- texts ---


def test_create(ant, same):
    message = create(ant, asked())
    assert message.id.startswith("msg_") and message.type == "message" and message.role == "assistant"
    assert message.model == MODEL and message.stop_reason == "end_turn" and message.stop_sequence is None
    assert [block.type for block in message.content] == ["text"] and "Paris" in text_of(message)
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens > 0
    assert message.usage.cache_creation_input_tokens is not None and message.usage.output_tokens > 0
    assert message._request_id, "from the header `request-id`"
    same([text_of(message), message.usage.output_tokens])


def test_events(ant, same):
    whole = create(ant, asked())
    events = raw(ant, asked())
    kinds = [event.type for event in events]
    deltas = kinds.count("content_block_delta")
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start, block, *middle, end, _ = events
    assert start.message.content == [] and start.message.stop_reason is None and start.message.id.startswith("msg_")
    assert start.message.usage.input_tokens + start.message.usage.cache_read_input_tokens > 0
    assert block.index == 0 and block.content_block.type == "text" and block.content_block.text == ""
    assert all(event.index == 0 for event in middle)
    assert end.delta.stop_reason == "end_turn" and end.usage.output_tokens == whole.usage.output_tokens
    text = "".join(event.delta.text for event in middle if event.type == "content_block_delta")
    assert text == text_of(whole)
    same(text)


def test_stream_helper(ant, same):
    with ant.messages.stream(**asked(LONG)) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    whole = create(ant, asked(LONG))
    assert text == text_of(message) == text_of(whole) and message.stop_reason == whole.stop_reason
    assert message.usage.output_tokens == whole.usage.output_tokens and stream.request_id
    same(text)


@pytest.mark.parametrize("number", range(4))
def test_long_streams(ant, number, same):
    """Long enough to be under way when a node is killed."""
    with ant.messages.stream(**asked(f"Tell me story {number}.", max_tokens=400)) as stream:
        message = stream.get_final_message()
    assert message.stop_reason in ("end_turn", "max_tokens")
    same([text_of(message), message.stop_reason, message.usage.output_tokens])


def test_limit(ant):
    message = create(ant, asked(LONG, max_tokens=5))
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 5


def test_system(ant, same):
    pirate = "You are a pirate. Speak like one."
    as_text = create(ant, asked("Who are you?", system=pirate))
    as_blocks = create(ant, asked("Who are you?", system=[{"type": "text", "text": pirate}]))
    assert text_of(as_text) == text_of(as_blocks) != text_of(create(ant, asked("Who are you?")))
    same(text_of(as_text))


def test_blocks_and_turns(ant, same):
    blocks = [{"type": "text", "text": SHORT, "cache_control": {"type": "ephemeral"}}]
    assert text_of(create(ant, asked(blocks))) == text_of(create(ant, asked()))
    turns = [*user("My name is Ada."), {"role": "assistant", "content": "Hello Ada."}, *user("What is my name?")]
    message = create(ant, asked(messages=turns))
    assert text_of(message) != text_of(create(ant, asked("What is my name?")))
    same(text_of(message))


def test_stop_sequences(ant):
    whole = text_of(create(ant, asked(LONG)))
    word = whole.split()[4]
    wanted = asked(LONG, stop_sequences=["never said", word])
    message = create(ant, wanted)
    assert text_of(message) == whole[: whole.index(word)]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", word)
    with ant.messages.stream(**wanted) as stream:
        final = stream.get_final_message()
    assert (text_of(final), final.stop_reason, final.stop_sequence) == (text_of(message), "stop_sequence", word)


def test_user_and_top_k(ant):
    message = create(ant, asked(extra_body={"temperature": 1, "top_k": 1}, metadata={"user_id": "u-1"}))
    assert text_of(message) == text_of(create(ant, asked())), "the likeliest of one is the likeliest"


def test_parse(ant):
    try:
        message = ant.messages.parse(
            model=MODEL, max_tokens=64, messages=user("Describe a horse."), output_format=Horse
        )
    except anthropic.BadRequestError as error:
        assert "output_config" in error.message
    else:
        assert isinstance(message.parsed_output, Horse)


def test_schema_of_a_plain_request(ant):
    try:
        message = create(
            ant, asked("Describe a horse.", output_config={"format": {"type": "json_schema", "schema": HORSE}})
        )
    except anthropic.BadRequestError as error:
        assert "output_config" in error.message
    else:
        assert is_horse(json.loads(text_of(message)))


# --- tools ---


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}], ids=["any", "tool"])
def test_forced_tool(ant, choice, same):
    message = create(ant, asked("How warm is it in Oslo?", tools=[TOOL], tool_choice=choice))
    call = calls_of(message)[0]
    assert message.stop_reason == "tool_use" and call.id and call.name == "get_weather" and is_weather(call.input)
    same(call.input)


def test_one_of_several_tools(ant, same):
    tools = [OTHER_TOOL, TOOL]
    named = create(ant, asked("Saddle up.", tools=tools, tool_choice={"type": "tool", "name": "get_weather"}))
    assert [call.name for call in calls_of(named)] == ["get_weather"]
    one = create(ant, asked("Saddle up.", tools=tools, tool_choice={"type": "any", "disable_parallel_tool_use": True}))
    assert len(calls_of(one)) == 1
    same(calls_of(one)[0].input)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_unforced_tool(ant, choice):
    message = create(ant, asked("Say hello.", tools=[TOOL], tool_choice={"type": choice}))
    calls = calls_of(message)
    assert (message.stop_reason == "tool_use") == bool(calls) and not (choice == "none" and calls)
    assert calls or text_of(message)


def test_streamed_tool_call(ant, same):
    wanted = asked("How warm is it in Oslo?", tools=[TOOL], tool_choice={"type": "any"})
    events = raw(ant, wanted)
    starts = [event for event in events if event.type == "content_block_start"]
    block = starts[-1].content_block
    assert block.type == "tool_use" and block.id and block.name == "get_weather" and block.input == {}
    pieces = [
        event.delta for event in events if event.type == "content_block_delta" and event.index == starts[-1].index
    ]
    assert {piece.type for piece in pieces} == {"input_json_delta"}
    assert is_weather(json.loads("".join(piece.partial_json for piece in pieces)))
    assert events[-2].delta.stop_reason == "tool_use"
    with ant.messages.stream(**wanted) as stream:
        final = stream.get_final_message()
    assert is_weather(calls_of(final)[0].input)
    same(calls_of(final)[0].input)


@pytest.mark.parametrize(
    "result", ['{"degrees": 21}', [{"type": "text", "text": '{"degrees": 21}'}]], ids=["text", "blocks"]
)
def test_tool_round_trip(ant, result, same):
    turns = user("How warm is it in Oslo?")
    first = create(ant, asked(messages=turns, tools=[TOOL], tool_choice={"type": "any"}))
    turns += [
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call in calls_of(first)],
        },
    ]
    answer = create(ant, asked(messages=turns, tools=[TOOL], tool_choice={"type": "none"}))
    assert text_of(answer) and answer.stop_reason in ("end_turn", "max_tokens")
    same(text_of(answer))


# --- counts ---


@pytest.mark.parametrize("more", [{}, {"system": "Be brief."}, {"tools": [TOOL]}], ids=["plain", "system", "tools"])
def test_count_tokens(ant, more):
    counted = conforms(ant.messages.count_tokens(model=MODEL, messages=user(SHORT), **more)).input_tokens
    usage = create(ant, asked(**more)).usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


# --- refusals: these errors have no `param`, so the text must name it ---

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


@pytest.mark.parametrize(
    "more,name",
    [
        ({"messages": user([IMAGE])}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "horse", "content": "neigh"}]}, "role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"temperature": 3}}, "temperature"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "fly"}}, "tool_choice"),
        ({"tools": [{"name": "x", "input_schema": {"type": "horse"}}]}, "tools"),
        ({"messages": user([{"type": "tool_result", "tool_use_id": "toolu_0", "content": "21"}])}, "tool_use_id"),
    ],
    ids=["image", "nothing", "role", "no tokens", "temperature", "no such tool", "schema", "a result of no call"],
)
def test_refused_by_name(ant, more, name):
    with pytest.raises(anthropic.BadRequestError) as refused:
        create(ant, asked(**more))
    assert refused.value.type == "invalid_request_error" and name in refused.value.api_message


def test_a_limit_is_required(http):
    answer = http.post("/v1/messages", json={"model": MODEL, "messages": user("Hello")})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error" and "max_tokens" in error["message"]
