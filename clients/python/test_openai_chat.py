"""Chat completions through OpenAI's Python SDK: texts, probabilities, schemas, tools."""

import asyncio
import json
from typing import Literal

import jiter
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from world import HORSE, KEYS, LONG, MODEL, PIXEL, SHORT, URL, WEATHER, conforms, is_horse, is_weather


class Gait(BaseModel):
    name: Literal["walk", "trot"]


class Horse(BaseModel):
    """A horse."""

    colour: Literal["bay", "roan", "grey"]
    tame: bool
    gait: Gait


class GetWeather(BaseModel):
    """The weather in a city."""

    city: Literal["Paris", "Oslo"]
    celsius: bool


HORSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "horse", "strict": True, "schema": HORSE}}
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather in a city.", "strict": True, "parameters": WEATHER},
}
OTHER_TOOL = {
    "type": "function",
    "function": {
        "name": "saddle",
        "parameters": {
            "type": "object",
            "properties": {"tight": {"type": "boolean"}},
            "required": ["tight"],
            "additionalProperties": False,
        },
    },
}


def user(text):
    return [{"role": "user", "content": text}]


def asked(text=SHORT, **more):
    return {"model": MODEL, "messages": user(text), "temperature": 0, "max_tokens": 64, **more}


def gather(stream):
    """The chunks of a stream, each as it should be, and the text of its first choice."""
    chunks = [conforms(chunk) for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1, "one answer has one id"
    texts = [c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == 0]
    return chunks, "".join(texts)


def reasons(chunks):
    return {c.index: c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason}


def calls_of(chunks):
    """The tool calls that a stream's deltas add up to."""
    calls = {}
    for chunk in chunks:
        for delta in (d for c in chunk.choices for d in c.delta.tool_calls or []):
            if delta.index not in calls:
                assert delta.id and delta.type == "function" and delta.function.name, "a call begins with its name"
                calls[delta.index] = {"id": delta.id, "name": delta.function.name, "arguments": ""}
            calls[delta.index]["arguments"] += delta.function.arguments or ""
    return [calls[index] for index in sorted(calls)]


# --- texts ---


def test_whole(oai, same):
    answer = conforms(oai.chat.completions.create(**asked()))
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion" and answer.model == MODEL
    assert answer._request_id
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.finish_reason == "stop"
    assert "Paris" in choice.message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    same([choice.message.content, answer.usage.completion_tokens, answer.usage.prompt_tokens])


def test_stream_is_the_whole(oai, same):
    whole = oai.chat.completions.create(**asked(LONG)).choices[0]
    chunks, text = gather(oai.chat.completions.create(**asked(LONG), stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text == whole.message.content
    assert reasons(chunks) == {0: whole.finish_reason}
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"
    same(text)


def test_include_usage(oai):
    whole = oai.chat.completions.create(**asked()).usage
    chunks, _ = gather(oai.chat.completions.create(**asked(), stream=True, stream_options={"include_usage": True}))
    *before, last = chunks
    assert last.choices == [] and all(chunk.usage is None and chunk.choices for chunk in before)
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)
    assert last.usage.prompt_tokens_details.cached_tokens <= last.usage.prompt_tokens


def test_stream_helper(oai, same):
    with oai.chat.completions.stream(**asked()) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].finish_reason == "stop"
    same(answer.choices[0].message.content)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_change_the_answer(oai, role, same):
    messages = [{"role": role, "content": "You are a pirate. Speak like one."}, *user("Who are you?")]
    answer = oai.chat.completions.create(**{**asked(), "messages": messages})
    plain = oai.chat.completions.create(**asked("Who are you?"))
    assert answer.choices[0].message.content != plain.choices[0].message.content
    same(answer.choices[0].message.content)


def test_content_parts_are_one_text(oai):
    parts = [{"type": "text", "text": SHORT[:10]}, {"type": "text", "text": SHORT[10:]}]
    answer = oai.chat.completions.create(**{**asked(), "messages": user(parts)})
    assert answer.choices[0].message.content == oai.chat.completions.create(**asked()).choices[0].message.content


def test_several_turns(oai, same):
    turns = [*user("My name is Ada."), {"role": "assistant", "content": "Hello Ada."}, *user("What is my name?")]
    answer = oai.chat.completions.create(**{**asked(), "messages": turns})
    last = oai.chat.completions.create(**{**asked(), "messages": turns[-1:]})
    assert answer.usage.prompt_tokens > last.usage.prompt_tokens
    assert answer.choices[0].message.content != last.choices[0].message.content
    same(answer.choices[0].message.content)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_limit(oai, field):
    more = {k: v for k, v in asked(LONG).items() if k != "max_tokens"} | {field: 5}
    answer = oai.chat.completions.create(**more)
    assert answer.usage.completion_tokens == 5 and answer.choices[0].finish_reason == "length"


def test_stop(oai):
    whole = oai.chat.completions.create(**asked(LONG)).choices[0].message.content
    word = whole.split()[4]
    for stop in (word, [word, "never said"]):
        chunks, text = gather(oai.chat.completions.create(**asked(LONG), stop=stop, stream=True))
        assert text == whole[: whole.index(word)] and reasons(chunks) == {0: "stop"}


def test_seed(oai, same):
    def say(seed):
        wild = asked("Tell me a story.", temperature=1, seed=seed)
        return oai.chat.completions.create(**wild).choices[0].message.content

    first = say(7)
    assert first == say(7) and first != say(8)
    same(first)


def test_penalties(oai, same):
    plain = oai.chat.completions.create(**asked(LONG)).choices[0].message.content
    for name in ("frequency_penalty", "presence_penalty"):
        answer = oai.chat.completions.create(**asked(LONG), **{name: 2}).choices[0].message.content
        assert answer != plain
        same(answer, name)


@pytest.mark.parametrize("seed", range(6))
def test_long_streams_at_once(seed, same):
    """Streams long enough to be under way when a node is killed."""

    async def one(client, number):
        wild = asked(f"Tell me story {number}.", temperature=0.8, seed=seed, max_tokens=300)
        stream = await client.chat.completions.create(**wild, stream=True, stream_options={"include_usage": True})
        chunks = [conforms(chunk) async for chunk in stream]
        assert reasons(chunks)[0] in ("stop", "length") and chunks[-1].usage, "the stream is complete"
        text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
        return [text, reasons(chunks)[0], chunks[-1].usage.completion_tokens]

    async def all_at_once():
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEYS["good"], max_retries=0, timeout=180) as client:
            return await asyncio.gather(*(one(client, number) for number in range(6)))

    same(asyncio.run(all_at_once()))


def test_disconnects_free_their_places(oai):
    """More streams than there are slots are left in the middle; who comes then is served."""
    for _ in range(12):
        with oai.chat.completions.create(**asked(LONG, max_tokens=4000, temperature=1), stream=True) as stream:
            next(iter(stream))
    assert "Paris" in oai.chat.completions.create(**asked()).choices[0].message.content


# --- probabilities and several choices ---


def test_logprobs(oai, same):
    wanted = asked(LONG, max_tokens=12, logprobs=True, top_logprobs=3)
    choice = conforms(oai.chat.completions.create(**wanted)).choices[0]
    tokens = choice.logprobs.content
    assert len(tokens) == 12 and b"".join(bytes(t.bytes) for t in tokens).decode() == choice.message.content
    for token in tokens:
        tops = [top.logprob for top in token.top_logprobs]
        assert len(tops) == 3 and tops == sorted(tops, reverse=True) and max(tops) <= 0
        assert token.token == token.top_logprobs[0].token, "temperature 0 takes the likeliest"
        assert token.logprob == pytest.approx(tops[0])
    chunks, _ = gather(oai.chat.completions.create(**wanted, stream=True))
    streamed = [t for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content or []]
    assert [t.token for t in streamed] == [t.token for t in tokens]
    same([t.token for t in streamed])


def test_logprobs_alone_have_no_alternatives(oai):
    choice = oai.chat.completions.create(**asked(max_tokens=4), logprobs=True).choices[0]
    assert len(choice.logprobs.content) == 4 and all(t.top_logprobs == [] for t in choice.logprobs.content)


def test_two_choices(oai, same):
    wanted = asked("Tell me a story.", temperature=1, seed=3, n=2, max_tokens=24)
    answer = conforms(oai.chat.completions.create(**wanted))
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1] and texts[0] != texts[1]
    assert answer.usage.completion_tokens == 48, "both are counted, the prompt once"
    chunks, first = gather(oai.chat.completions.create(**wanted, stream=True))
    second = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == 1)
    assert [first, second] == texts and set(reasons(chunks)) == {0, 1}
    same(texts)


# --- schemas ---


def test_parse(oai, same):
    choice = oai.chat.completions.parse(**asked("Describe a horse.", response_format=Horse)).choices[0]
    assert isinstance(choice.message.parsed, Horse) and choice.finish_reason == "stop"
    same(choice.message.content)


def test_parse_stream(oai, same):
    with oai.chat.completions.stream(**asked("Describe a horse.", response_format=Horse)) as stream:
        stream.until_done()
        message = stream.get_final_completion().choices[0].message
    assert isinstance(message.parsed, Horse)
    same(message.content)


def test_json_schema(oai):
    answer = oai.chat.completions.create(
        **asked("Describe a horse.", temperature=1, seed=1), response_format=HORSE_FORMAT
    )
    assert is_horse(json.loads(answer.choices[0].message.content))


def test_json_object(oai, same):
    answer = oai.chat.completions.create(**asked("A horse as JSON."), response_format={"type": "json_object"}).choices[
        0
    ]
    mode = "off" if answer.finish_reason == "stop" else True  # what was cut off is a JSON object's beginning
    value = jiter.from_json(answer.message.content.encode(), partial_mode=mode)
    assert isinstance(value, dict)
    same(answer.message.content)


# --- tools ---


FORCED = [
    ("required", {"tool_choice": "required"}),
    ("named", {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}),
]


@pytest.mark.parametrize("choice", [f[1] for f in FORCED], ids=[f[0] for f in FORCED])
def test_forced_tool(oai, choice, same):
    answer = conforms(oai.chat.completions.create(**asked("How warm is it in Oslo?"), tools=[TOOL], **choice)).choices[
        0
    ]
    # OpenAI ends a call that was named for the model with `stop`.
    assert answer.finish_reason in ("tool_calls", "stop") and not answer.message.content
    call = answer.message.tool_calls[0]
    assert call.id and call.type == "function" and call.function.name == "get_weather"
    assert is_weather(json.loads(call.function.arguments))
    same(call.function.arguments)


def test_one_of_several_tools(oai, same):
    tools, choice = [OTHER_TOOL, TOOL], {"type": "function", "function": {"name": "get_weather"}}
    message = oai.chat.completions.create(**asked("Saddle up."), tools=tools, tool_choice=choice).choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["get_weather"]
    required = oai.chat.completions.create(
        **asked("Saddle up."), tools=tools, tool_choice="required", parallel_tool_calls=False
    ).choices[0]
    assert required.finish_reason == "tool_calls" and len(required.message.tool_calls) == 1
    same(required.message.tool_calls[0].function.arguments)


@pytest.mark.parametrize("choice", ["none", "auto", None])
def test_unforced_tool(oai, choice, same):
    more = {"tool_choice": choice} if choice else {}
    answer = conforms(oai.chat.completions.create(**asked("Say hello."), tools=[TOOL], **more)).choices[0]
    calls = answer.message.tool_calls or []
    assert (answer.finish_reason == "tool_calls") == bool(calls)
    assert not (choice == "none" and calls)
    for call in calls:
        assert call.function.name == "get_weather" and isinstance(json.loads(call.function.arguments), dict)
    assert calls or answer.message.content
    same([answer.message.content, [call.function.arguments for call in calls]])


def test_streamed_tool_call(oai, same):
    wanted = asked("How warm is it in Oslo?", tools=[TOOL], tool_choice="required")
    whole = oai.chat.completions.create(**wanted).choices[0].message.tool_calls
    chunks, text = gather(oai.chat.completions.create(**wanted, stream=True))
    calls = calls_of(chunks)
    assert text == "" and reasons(chunks) == {0: "tool_calls"}
    assert [c["arguments"] for c in calls] == [c.function.arguments for c in whole]
    same([[c["name"], c["arguments"]] for c in calls])


def test_tool_helpers_parse_arguments(oai):
    tool = openai.pydantic_function_tool(GetWeather)
    wanted = asked("How warm is it in Oslo?", tools=[tool], tool_choice="required")
    parsed = oai.chat.completions.parse(**wanted).choices[0].message.tool_calls[0].function.parsed_arguments
    assert isinstance(parsed, GetWeather)
    with oai.chat.completions.stream(**wanted) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert done[0].parsed_arguments == parsed


def test_tool_round_trip(oai, same):
    messages = user("How warm is it in Oslo?")
    first = oai.chat.completions.create(**{**asked(), "messages": messages}, tools=[TOOL], tool_choice="required")
    message = first.choices[0].message
    messages.append(message.to_dict())
    messages += [{"role": "tool", "tool_call_id": c.id, "content": '{"degrees": 21}'} for c in message.tool_calls]
    answer = oai.chat.completions.create(**{**asked(), "messages": messages}, tools=[TOOL], tool_choice="none").choices[
        0
    ]
    assert answer.message.content and not answer.message.tool_calls
    same(answer.message.content)


# --- refusals ---

IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
REFUSED = [
    # What is asked, and where the error's `param` begins.
    ("image", {"messages": user([{"type": "text", "text": "What is this?"}, IMAGE])}, "messages[0].content[1]"),
    ("no messages", {"messages": []}, "messages"),
    ("a role nobody has", {"messages": [{"role": "horse", "content": "neigh"}]}, "messages[0].role"),
    ("a result of no call", {"messages": [{"role": "tool", "content": "21"}]}, "messages[0]"),
    ("temperature", {"temperature": 3}, "temperature"),
    ("top_p", {"top_p": 1.5}, "top_p"),
    ("frequency_penalty", {"frequency_penalty": 3}, "frequency_penalty"),
    ("presence_penalty", {"presence_penalty": -3}, "presence_penalty"),
    ("n", {"n": 0}, "n"),
    ("five stops", {"stop": list("abcde")}, "stop"),
    ("no tokens", {"max_tokens": 0}, "max_tokens"),
    ("alternatives without logprobs", {"top_logprobs": 2}, "top_logprobs"),
    ("too many alternatives", {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    (
        "a schema that is none",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"type": "horse"}},
            }
        },
        "response_format",
    ),
    ("a format nobody has", {"response_format": {"type": "xml"}}, "response_format"),
    ("a choice without tools", {"tool_choice": "required"}, "tool_choice"),
    (
        "a tool that is not there",
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "fly"}}},
        "tool_choice",
    ),
    ("a tool without a name", {"tools": [{"type": "function", "function": {}}]}, "tools[0]"),
    ("options of a stream that is none", {"stream_options": {"include_usage": True}}, "stream_options"),
]


@pytest.mark.parametrize("more,param", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused_by_name(oai, more, param):
    with pytest.raises(openai.BadRequestError) as refused:
        oai.chat.completions.create(**{**asked(), **more})
    error = refused.value
    assert (error.param or "").startswith(param) and error.type == "invalid_request_error" and error.message


def test_too_long(oai):
    with pytest.raises(openai.BadRequestError) as refused:
        oai.chat.completions.create(**asked("horse " * 20_000))
    assert refused.value.code == "context_length_exceeded" and refused.value.param == "messages"
