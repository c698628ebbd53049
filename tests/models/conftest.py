"""The zoo's report: architectures by stages, as docs/models.md shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

STAGES = ("encode", "build", "train", "merge", "load 4.57", "transformers", "vllm")


@pytest.fixture(scope="session")
def reached(request):
    """Return what the tests note: entry to stage to a word."""
    request.config.zoo = {}
    return request.config.zoo


# Reads "folder, ids, text" line by line; its answers, a line each, stand behind ANSWER among what libraries print.
OLDER = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch, transformers
assert transformers.__version__.startswith("4.57"), transformers.__version__
for line in sys.stdin:
    folder, ids, text = json.loads(line)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    logits = model(torch.tensor([ids])).logits[0, -1].tolist()
    print("ANSWER", json.dumps([tokenizer(text).input_ids, logits]), flush=True)
"""


@pytest.fixture(scope="session")
def older(tmp_path_factory):
    """Return a function that asks transformers 4.57 for a text's ids and the last logits; None where it is not there.

    One process serves all models of a session: starting it takes longer than any of them.
    """
    folder = os.environ.get("ISHEEP_TRANSFORMERS4")  # has transformers 4.57, its tokenizers and huggingface_hub
    if not folder:
        yield None
        return
    said = tmp_path_factory.mktemp("older") / "stderr.txt"
    environment = os.environ | {"PYTHONPATH": ""}
    with open(said, "w") as errors:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors, "text": True}
        process = subprocess.Popen([sys.executable, "-c", OLDER, folder], env=environment, **pipes)

        def ask(model, ids, text):
            process.stdin.write(json.dumps([str(model), ids, text]) + "\n")
            process.stdin.flush()
            answer = next((line for line in process.stdout if line.startswith("ANSWER ")), None)
            assert answer is not None, said.read_text()[-2000:]
            return json.loads(answer.removeprefix("ANSWER "))

        yield ask
        process.stdin.close()
        process.wait()


def pytest_terminal_summary(terminalreporter, config):
    zoo = getattr(config, "zoo", None)
    if not zoo:
        return
    terminalreporter.section(f"zoo (ISHEEP_THIRD={os.environ.get('ISHEEP_THIRD', 'all')})")
    terminalreporter.write_line("| architecture | tokenizer | template | " + " | ".join(STAGES) + " |")
    terminalreporter.write_line("|---" * (len(STAGES) + 3) + "|")
    for (name, kind, template), stages in zoo.items():
        cells = [name, kind, template, *(stages.get(stage, "") for stage in STAGES)]
        terminalreporter.write_line(f"| {' | '.join(cells)} |")
