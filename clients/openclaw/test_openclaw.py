"""OpenClaw, an agent that many run, takes one turn over each of the three APIs.

A turn of OpenClaw as it comes is some 9,000 tokens, more than SmolLM2's context of 8,192. So plugins and the optional
tools are off, and of the others only `read` is left, or none: some 2,000 to 4,000 tokens. Nothing of the gateway is
spared by that: it streams, and gets system prompt, tools and content parts as OpenClaw sends them. Its temperature
cannot be set, so what it says is not compared.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from world import KEYS, MODEL, URL

CACHE = Path(os.environ["REMUDA_CLIENTS_CACHE"])
CLI = CACHE / "openclaw/node_modules/openclaw/openclaw.mjs"
STYLES = {"openai-completions": f"{URL}/v1", "openai-responses": f"{URL}/v1", "anthropic-messages": URL}


def config(style, tools):
    """Nothing but our gateway, with the context that the model really has (OpenClaw refuses below 4,000)."""
    model = {"id": MODEL, "name": MODEL, "contextWindow": 8192, "maxTokens": 256, "compat": {"supportsTools": tools}}
    provider = {"baseUrl": STYLES[style], "apiKey": KEYS["good"], "api": style, "models": [model]}
    return {
        "agents": {"defaults": {"model": {"primary": f"remuda/{MODEL}"}, "experimental": {"localModelLean": True}}},
        "plugins": {"enabled": False},
        "models": {"mode": "replace", "providers": {"remuda": provider}},
        "tools": {"toolSearch": False, **({"allow": ["read"]} if tools else {})},
    }


@pytest.mark.parametrize("tools", [False, True], ids=["without tools", "with tools"])
@pytest.mark.parametrize("style", STYLES)
def test_one_turn(style, tools, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config(style, tools)))
    (tmp_path / "workspace").mkdir()
    command = [
        CACHE / "bin/node",
        CLI,
        "agent",
        "exec",
        "Say hello.",
        "--json",
        "--config",
        tmp_path / "config.json",
        "--cwd",
        tmp_path / "workspace",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "NO_COLOR": "1"},
    )
    turn = json.loads(done.stdout)
    assert turn["ok"] and turn["status"] == "ok" and done.returncode == 0, turn.get("error") or done.stderr[-2000:]
    assert turn["provider"] == "remuda" and turn["model"] == MODEL and turn["assistantTurns"] >= 1
    assert tools or turn["final"].strip(), "without tools there is nothing to do but to answer"
