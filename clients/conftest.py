"""Fixtures that all suites under pytest share: the clients, and what was answered before."""

import json
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from world import KEYS, URL, WORLD

# The clients do not retry: a door that has to be knocked at twice is a failure here.
PATIENCE = {"max_retries": 0, "timeout": 120}


@pytest.fixture(scope="session")
def oai():
    """OpenAI's own client."""
    with openai.OpenAI(base_url=f"{URL}/v1", api_key=KEYS["good"], **PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def ant():
    """Anthropic's own client."""
    with anthropic.Anthropic(base_url=URL, api_key=KEYS["good"], **PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def http():
    """No SDK: what is sent and received is what a test says."""
    headers = {"authorization": f"Bearer {KEYS['good']}"}
    with httpx2.Client(base_url=URL, headers=headers, timeout=120) as client:
        yield client


@pytest.fixture
def same(request):
    """Checks that an answer is, byte for byte, the one of the pass in which nothing was killed.

    That first pass writes the answers down. A test may ask several times, under several names.
    """
    folder = Path(WORLD["answers"]) / WORLD["suite"]

    def check(answer, name=""):
        file = folder / f"{request.node.path.stem} {request.node.name} {name}.json".replace("/", "_")
        text = json.dumps(answer, ensure_ascii=False, sort_keys=True)
        if WORLD["killing"]:
            assert file.exists(), "there is no answer of the calm pass to compare with"
            assert text == file.read_text()
        else:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return check
