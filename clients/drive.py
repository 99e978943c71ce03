"""Runs official clients against a network of this machine: once in peace, once while its nodes are killed.

    drive.py --remuda BINARY --model GGUF --cache FOLDER [--only SUITE,SUITE] [--calm]

It starts control, a gateway and three nodes, deploys the model with two replicas on two sites, makes keys, and hands
their addresses to the suites in world.json. In the second pass a node that serves is killed with `kill -9` again and
again; every answer must be complete and, where it is determined, byte for byte the one of the first pass.
One line a suite goes to standard output. It ends with 0 only if nothing failed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL, DEAR_MODEL, EMBEDDING_MODEL = "smollm2-135m", "dear", "all-minilm"
SUITES = {  # name: the runner, and what it runs
    "python-openai": ("pytest", ["python", "-k", "openai"]),
    "python-anthropic": ("pytest", ["python/test_anthropic.py"]),
    "python-doors": ("pytest", ["python/test_models.py", "python/test_errors.py"]),
    "open-responses": ("pytest", ["openresponses"]),
    "curl": ("pytest", ["curl"]),
    "node-openai": ("node", ["node/openai.test.mjs"]),
    "node-anthropic": ("node", ["node/anthropic.test.mjs"]),
    "browser": ("node", ["browser/browser.test.mjs"]),
    "openclaw": ("pytest", ["openclaw"]),
}


class Network:
    """A whole network in a folder of its own, with its own profile file and ports."""

    def __init__(self, remuda, model, folder, port):
        self.remuda, self.folder, self.port = remuda, folder, port
        self.state = folder / "state"
        self.env = {**os.environ, "REMUDA_CONFIG": str(folder / "config.toml")}
        up = [remuda, "up", "--state-dir", self.state, "--port-base", str(port), "--model", model]
        with open(folder / "up.log", "w", encoding="utf-8") as log:
            self.up = subprocess.Popen(up, env=self.env, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        wait_for("the network", lambda: (self.state / "up.json").exists() and self.try_say("node", "ls"), self.up)
        return self

    def __exit__(self, *_):
        self.up.send_signal(signal.SIGINT)
        try:
            self.up.wait(60)
        except subprocess.TimeoutExpired:
            self.up.kill()

    def say(self, *words):
        """What a command of the command line prints, decoded."""
        done = subprocess.run(
            [self.remuda, "--json", *words], env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"remuda {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout or "null")

    def try_say(self, *words):
        try:
            return self.say(*words)
        except RuntimeError:
            return None

    def project(self, name):
        return next(project["id"] for project in self.say("project", "ls") if project["name"] == name)

    def key(self, project, scope="inference", per_minute=0):
        made = self.say("key", "issue", "--owner", project, "--scope", scope, "--requests-per-minute", str(per_minute))
        return made["secret"]

    def settle(self):
        """Two projects: one that can pay; and one that can pay for its replica, but not for a long answer of it.

        There 2,000 tokens cost 4 dollars: more than the project has, less than a gateway may spend on one request.
        """
        self.say(
            "model", "deploy", MODEL, "--replicas", "2", "--tier", "multi-site", "--context-tokens", "8192", "--wait"
        )
        self.say("tenant", "top-up", "acme", "3")
        self.say("project", "create", "acme", "poor")
        self.say("project", "fund", "poor", "3")
        self.say(
            "model", "deploy", MODEL, "--name", DEAR_MODEL, "--project", "poor", "--completion-price", "2000", "--wait"
        )

    def world(self, suite, killing, answers):
        """What one suite is told. The hurried key is its own: its minute has not begun."""
        good, poor = self.project("demo"), self.project("poor")
        keys = {
            "good": self.key(good),
            "read": self.key(good, "read"),
            "poor": self.key(poor),
            "hurried": self.key(good, per_minute=60),
        }
        return {
            "url": f"http://127.0.0.1:{self.port + 10}",
            "model": MODEL,
            "dear_model": DEAR_MODEL,
            "embedding_model": EMBEDDING_MODEL,
            "keys": keys,
            "suite": suite,
            "killing": killing,
            "answers": str(answers),
        }

    def serving(self):
        """The leases by which the model is served, and whose nodes hold them; nothing unless all replicas are ready."""
        workloads = [w for w in self.try_say("ps") or [] if w["name"] == MODEL]
        replicas = [replica for w in workloads for replica in w["replicas"]]
        if len(replicas) < 2 or any(replica["phase"] != "ready" for replica in replicas):
            return {}
        return {replica["placement"]["lease"]: replica["placement"]["provider_name"] for replica in replicas}

    def node_of(self, owner):
        """The process of an owner's node, as the network's own file has it; None while it is down."""
        for program in json.loads((self.state / "up.json").read_text())["programs"]:
            try:
                words = Path(f"/proc/{program['pid']}/cmdline").read_text().split("\0")
            except OSError:
                continue
            if str(self.state / "nodes" / owner) in words:
                return program["pid"]
        return None


class Killer(threading.Thread):
    """Kills a node that serves, and the next one some seconds after all replicas are ready again.

    So one replica is always left, and no stream loses more of them than the gateway looks for: what is promised is
    that the loss of one is not seen. That a lease is of a dead node shows when another has taken its place.
    """

    PAUSE_S = (2.0, 5.0)

    def __init__(self, network, seed):
        super().__init__(daemon=True)
        self.network, self.random, self.kills, self.over = network, random.Random(seed), 0, threading.Event()
        self.dead = None

    def run(self):
        while not self.over.wait(0.25):
            leases = self.network.serving()
            if leases and self.dead not in leases and not self.over.wait(self.random.uniform(*self.PAUSE_S)):
                self.kill(*self.random.choice(sorted(leases.items())))

    def kill(self, lease, owner):
        pid = self.network.node_of(owner)
        if pid:
            os.kill(pid, signal.SIGKILL)
            self.dead, self.kills = lease, self.kills + 1

    def stop(self):
        self.over.set()
        self.join()
        wait_for("all replicas", self.whole, self.network.up)

    def whole(self):
        leases = self.network.serving()
        return leases and self.dead not in leases


def wait_for(what, ready, process, limit_s=120):
    """Waits until `ready` says so; a process that ends meanwhile will never be."""
    for _ in range(limit_s * 2):
        if process.poll() is not None:
            raise RuntimeError(f"{what}: `remuda up` has ended, see its log")
        if ready():
            return
        time.sleep(0.5)
    raise RuntimeError(f"{what} did not come within {limit_s} s")


def command(runner, arguments, cache, report):
    if runner == "pytest":
        return [cache / "venv/bin/python", "-m", "pytest", *arguments, "--junitxml", report]
    return [
        cache / "bin/node",
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        f"--test-reporter-destination={report}",
        *arguments,
    ]


class Pass:
    """All suites once. A killer, if there is one, is at work from the first to the last of them."""

    def __init__(self, network, cache, killer=None):
        self.network, self.cache, self.killer = network, cache, killer
        self.word = "killed" if killer else "calm"

    def run(self, names):
        """Whether all passed."""
        if self.killer:
            self.killer.start()
        sound = [self.suite(name) for name in names]
        if self.killer:
            self.killer.stop()
        return all(sound)

    def suite(self, name):
        """Runs one suite and prints its line. Whether it passed."""
        folder = self.network.folder / self.word / name
        folder.mkdir(parents=True)
        before = self.kills()
        code = self.clients(name, folder)
        passed, failed = counts(folder / "report.xml")
        # A suite of which no report came, or nothing ran, has failed, whatever its exit code.
        sound = code == 0 and failed == 0 and passed > 0
        line = f"{name:<17} {self.word:<7} {passed:>3} passed {failed:>3} failed"
        line += f" {self.kills() - before:>3} nodes killed" if self.killer else ""
        print(line if sound else f"{line}   see {folder / 'log.txt'}", flush=True)
        return sound

    def clients(self, name, folder):
        """The exit code of a suite's clients; what they print is in log.txt."""
        world = folder / "world.json"
        world.write_text(json.dumps(self.network.world(name, bool(self.killer), self.network.folder / "answers")))
        told = {"REMUDA_CLIENTS": str(world), "REMUDA_CLIENTS_CACHE": str(self.cache)}
        env = {**os.environ, **told, "PYTHONDONTWRITEBYTECODE": "1"}
        words = command(*SUITES[name], self.cache, folder / "report.xml")
        with open(folder / "log.txt", "w", encoding="utf-8") as log:
            return subprocess.run(words, cwd=HERE, env=env, stdout=log, stderr=log, check=False).returncode

    def kills(self):
        return self.killer.kills if self.killer else 0


def counts(report):
    """Passed and failed in a JUnit report; what was skipped has not passed."""
    if not report.exists():
        return 0, 1
    cases = list(ET.parse(report).iter("testcase"))
    failed = sum(any(case.find(kind) is not None for kind in ("failure", "error", "skipped")) for case in cases)
    return len(cases) - failed, failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--remuda", required=True, help="the binary")
    parser.add_argument("--model", required=True, help="the GGUF file of SmolLM2-135M")
    parser.add_argument("--cache", required=True, type=Path, help="where the clients are installed")
    parser.add_argument("--only", default=",".join(SUITES), help="these suites, separated by commas")
    parser.add_argument("--calm", action="store_true", help="only the pass in which nothing is killed")
    parser.add_argument("--port-base", type=int, default=8700, help="the first of the network's ports")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the kills")
    return parser.parse_args()


def main():
    args = arguments()
    names = args.only.split(",")
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        sys.exit(f"there is no suite {unknown[0]}; there are {', '.join(SUITES)}")
    folder = args.cache / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"kills by seed {args.seed}; logs in {folder}", flush=True)
    with Network(args.remuda, args.model, folder, args.port_base) as network:
        network.settle()
        sound = Pass(network, args.cache).run(names)
        if not args.calm:
            killer = Killer(network, args.seed)
            sound = Pass(network, args.cache, killer).run(names) and sound
            if not killer.kills:
                sys.exit("no node was killed: the second pass has shown nothing")
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
