"""What the suites know of the network that they run against, and what they share.

`drive.py` writes world.json; `REMUDA_CLIENTS` says where it lies. Nothing here knows how the gateway works.
"""

import json
import os
from pathlib import Path

WORLD = json.loads(Path(os.environ["REMUDA_CLIENTS"]).read_text())
URL = WORLD["url"]
MODEL = WORLD["model"]
EMBEDDING_MODEL = WORLD["embedding_model"]
KEYS = WORLD["keys"]

# With temperature 0 every prompt has one answer. The first ends by itself after a few tokens.
SHORT = "What is the capital of France? Answer in one word."
LONG = "List three colours and say something of each."

# Nothing in it can be of any length, so what is generated under it always ends.
HORSE = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["bay", "roan", "grey"]},
        "tame": {"type": "boolean"},
        "gait": {
            "type": "object",
            "properties": {"name": {"type": "string", "enum": ["walk", "trot"]}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
    "required": ["colour", "tame", "gait"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Oslo"]}, "celsius": {"type": "boolean"}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def is_horse(value):
    """Whether a decoded value is what HORSE describes."""
    return (
        set(value) == {"colour", "tame", "gait"}
        and value["colour"] in ("bay", "roan", "grey")
        and isinstance(value["tame"], bool)
        and value["gait"]["name"] in ("walk", "trot")
    )


def is_weather(value):
    """Whether a decoded value is what WEATHER describes."""
    return (
        set(value) == {"city", "celsius"} and value["city"] in ("Paris", "Oslo") and isinstance(value["celsius"], bool)
    )


def conforms(thing):
    """The thing itself, after a check the SDKs leave out: that it has every field of its published type.

    They build objects without validating them, so a missing field shows only when somebody reads it.
    """
    type(thing).model_validate(thing.to_dict(mode="python"))
    return thing
