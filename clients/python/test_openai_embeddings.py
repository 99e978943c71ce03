"""Embeddings through OpenAI's Python SDK, which asks for base64 unless told otherwise."""

import math

import openai
import pytest

from world import EMBEDDING_MODEL, MODEL, conforms

TEXTS = ["a horse on the ranch", "a pony in the meadow", "the tax law of 1913"]


def embed(oai, given, **more):
    return oai.embeddings.create(model=EMBEDDING_MODEL, input=given, **more)


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_one(oai, same):
    answer = embed(oai, TEXTS[0])
    assert answer.object == "list" and answer.model == EMBEDDING_MODEL and answer.data[0].object == "embedding"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    vector = answer.data[0].embedding
    assert all(isinstance(number, float) for number in vector), "the SDK has decoded it"
    assert math.sqrt(dot(vector, vector)) == pytest.approx(1, abs=1e-3)
    same([round(number, 6) for number in vector])


def test_float_is_base64(oai):
    floats = conforms(embed(oai, TEXTS[0], encoding_format="float")).data[0].embedding
    assert embed(oai, TEXTS[0]).data[0].embedding == pytest.approx(floats, abs=1e-6)


def test_several_in_order(oai):
    answer = embed(oai, TEXTS)
    assert [one.index for one in answer.data] == [0, 1, 2]
    for text, one in zip(TEXTS, answer.data, strict=True):
        assert one.embedding == pytest.approx(embed(oai, text).data[0].embedding, abs=1e-5)


def test_meaning(oai):
    horse, pony, tax = (one.embedding for one in embed(oai, TEXTS).data)
    assert dot(horse, pony) > dot(horse, tax)


def test_token_ids(oai):
    answer = embed(oai, [[100, 101, 102], [103]])
    assert len(answer.data) == 2 and answer.usage.prompt_tokens >= 4


def test_dimensions_are_refused_or_honoured(oai):
    try:
        assert len(embed(oai, TEXTS[0], dimensions=64).data[0].embedding) == 64
    except openai.BadRequestError as error:
        assert error.param == "dimensions"


@pytest.mark.parametrize("given", ["", [], [""]], ids=["no text", "nothing", "a list of no text"])
def test_empty_is_refused(oai, given):
    with pytest.raises(openai.BadRequestError) as refusal:
        embed(oai, given)
    assert (refusal.value.param or "").startswith("input")


def test_an_unknown_encoding_is_refused(oai):
    with pytest.raises(openai.BadRequestError) as refusal:
        embed(oai, TEXTS[0], encoding_format="hex")
    assert refusal.value.param == "encoding_format"


@pytest.mark.parametrize("door", ["embeddings", "chat"])
def test_each_model_has_its_door(oai, door):
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as refusal:
        if door == "embeddings":
            oai.embeddings.create(model=MODEL, input=TEXTS[0])
        else:
            oai.chat.completions.create(model=EMBEDDING_MODEL, messages=[{"role": "user", "content": "Hello"}])
    assert refusal.value.param == "model"
