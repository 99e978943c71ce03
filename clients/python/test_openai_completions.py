"""Plain completions through OpenAI's Python SDK: texts and token ids, several prompts, echo, logprobs."""

import openai
import pytest

from world import MODEL, conforms

START = "Once upon a time"
IDS = [504, 3575, 282, 253]  # any four of the vocabulary


def asked(prompt=START, **more):
    return {"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 24, **more}


def refused(call, param):
    """None, after a refusal that names the parameter; else the answer."""
    try:
        return call()
    except openai.BadRequestError as error:
        assert error.param == param and error.message
        return None


def test_whole(oai, same):
    answer = conforms(oai.completions.create(**asked()))
    assert answer.id.startswith("cmpl-") and answer.object == "text_completion" and answer.model == MODEL
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 24
    same(answer.choices[0].text)


def test_sixteen_tokens_unless_said(oai):
    answer = oai.completions.create(model=MODEL, prompt=START, temperature=0)
    assert answer.usage.completion_tokens == 16, "the API's default"


def test_stream_is_the_whole(oai, same):
    whole = oai.completions.create(**asked()).choices[0].text
    chunks = list(oai.completions.create(**asked(), stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert text == whole and chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 24
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    same(text)


def test_token_ids(oai, same):
    answer = oai.completions.create(**asked(IDS))
    assert answer.usage.prompt_tokens == len(IDS) and answer.choices[0].text
    same(answer.choices[0].text)


@pytest.mark.parametrize("prompts", [[START, "The horse"], [IDS, IDS[:2]]], ids=["texts", "token ids"])
def test_several_prompts(oai, prompts, same):
    answer = conforms(oai.completions.create(**asked(prompts)))
    alone = [oai.completions.create(**asked(prompt)) for prompt in prompts]
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.text for choice in answer.choices] == [one.choices[0].text for one in alone]
    assert answer.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    same([choice.text for choice in answer.choices])


def test_two_choices(oai, same):
    answer = oai.completions.create(**asked(n=2, temperature=1, seed=5))
    texts = [choice.text for choice in answer.choices]
    assert len(texts) == 2 and texts[0] != texts[1] and answer.usage.completion_tokens == 48
    same(texts)


def test_echo_is_refused_or_done(oai):
    answer = refused(lambda: oai.completions.create(**asked(echo=True)), "echo")
    assert answer is None or answer.choices[0].text.startswith(START)


def test_suffix_is_refused_or_done(oai):
    answer = refused(lambda: oai.completions.create(**asked(suffix="The end.")), "suffix")
    assert answer is None or answer.choices[0].text


def test_best_of_is_refused_or_done(oai):
    answer = refused(lambda: oai.completions.create(**asked(best_of=2, temperature=1, seed=1)), "best_of")
    assert answer is None or len(answer.choices) == 1


def test_logprobs(oai):
    choice = conforms(oai.completions.create(**asked(max_tokens=6, logprobs=2))).choices[0]
    probs = choice.logprobs
    lengths = {len(probs.tokens), len(probs.token_logprobs), len(probs.top_logprobs), len(probs.text_offset)}
    assert lengths == {6} and "".join(probs.tokens) == choice.text
    assert all(
        len(tops) == 2 and max(tops.values()) == pytest.approx(own)
        for tops, own in zip(probs.top_logprobs, probs.token_logprobs, strict=True)
    )
    assert probs.text_offset == sorted(probs.text_offset)


def test_stop_and_seed(oai, same):
    wild = asked(temperature=1, seed=11)
    whole = oai.completions.create(**wild).choices[0].text
    word = whole.split()[3]
    assert oai.completions.create(**wild, stop=word).choices[0].text == whole[: whole.index(word)]
    same(whole)


@pytest.mark.parametrize(
    "more,param",
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [10**9]}, "prompt"),
        ({"logprobs": 6}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
    ],
    ids=["nothing", "no text", "no token", "logprobs", "max_tokens"],
)
def test_refused_by_name(oai, more, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        oai.completions.create(**asked(**more))
    assert refusal.value.param == param
