"""The list of models, through both SDKs: each asks at the same path for a shape of its own."""

import anthropic
import openai
import pytest

from world import MODEL, conforms


def test_openai(oai):
    found = {model.id: conforms(model) for model in oai.models.list()}
    assert MODEL in found and found[MODEL].object == "model" and found[MODEL].created > 0
    assert oai.models.retrieve(MODEL) == found[MODEL]
    with pytest.raises(openai.NotFoundError) as missing:
        oai.models.retrieve("no-such-model")
    assert missing.value.code == "model_not_found"


def test_anthropic(ant):
    page = ant.models.list()
    found = {model.id: conforms(model) for model in page.data}
    assert MODEL in found and found[MODEL].type == "model" and found[MODEL].display_name
    assert page.has_more is False and page.first_id and page.last_id
    assert ant.models.retrieve(MODEL) == found[MODEL]
    with pytest.raises(anthropic.NotFoundError) as missing:
        ant.models.retrieve("no-such-model")
    assert missing.value.type == "not_found_error"
