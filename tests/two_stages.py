"""A run of two stages made by hand: `results/a` with its records and manifest, in a moment and without Snakemake."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.data.files import contents_of, digest_artifact, digest_file, write_json
from isheep.data.rows import write_rows
from isheep.proof import manifest
from isheep.proof.crate import crate
from isheep.proof.results import Results
from isheep.proof.verify import verify
from isheep.runner.record import write_record
from isheep.serving.models import identity_of

ROOT = Path(__file__).resolve().parents[1]
FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "rounds": 1}
HARDWARE = {"machine": "x86_64", "cpu": "a CPU", "features": [], "gpus": 0, "threads": 1}


class Run:
    """`results/a` of two stages: a base model that is looked at, prompts that are written with it and a file."""

    def __init__(
        self, folder: Path, seed: int = 0, text: str = "a task", version: str = "1", cpu: str = "a CPU"
    ) -> None:
        self.folder = folder
        self.results = folder / "results/a"
        self.base = folder / "models/base"
        self.base.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (self.base / name).write_text(f"{name} of the base")
        (folder / "seeds.jsonl").write_text('{"id": "s"}\n')
        self.facts = {"seed": seed, "versions": {"torch": version}, "cpu": cpu}
        write_json(self.results / "iter_0/identity.json", identity_of(contents_of(self.base)))
        self.record("iter_0", "identify_model", [], ["iter_0/identity.json"])
        write_rows(
            self.results / "d_0/prompts.jsonl", [{"id": f"p{n}", "instruction": f"{text} {n}"} for n in range(3)]
        )
        self.record("d_0", "generate_prompts", ["iter_0/identity.json"], ["d_0/prompts.jsonl"])
        self.gather()

    def record(self, round_folder: str, stage: str, reads: list[str], makes: list[str], **more: object) -> None:
        """Write the record of a stage as a job does."""
        inputs = {f"results/a/{path}": digest_artifact(self.results / path) for path in reads}
        inputs["seeds.jsonl"] = digest_file(self.folder / "seeds.jsonl")
        made = {
            **{"stage": stage, "run": "a", "round": 0, "seed": self.facts["seed"], "model": None, "settings": {}},
            **{"code": "0" * 64, "versions": self.facts["versions"], "tokens": {}, "inputs": inputs},
            "outputs": {f"results/a/{path}": digest_artifact(self.results / path) for path in makes},
            "contents": {},
            **more,
        }
        hardware = {**HARDWARE, "cpu": self.facts["cpu"]}
        observed = {"hardware": hardware, "started": "2026-01-02T03:04:05+00:00", "seconds": 1.5}
        write_record(self.results / round_folder / "records" / f"{stage}.json", made, observed)

    def gather(self, *more: str) -> None:
        """Write the manifest of both stages' records, and of more."""
        settings = load({"runs": {"a": {**FAKE, "seeds": {"path": "seeds.jsonl"}}}}, ROOT).runs["a"]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            records = [
                f"results/a/{name}"
                for name in ("iter_0/records/identify_model.json", "d_0/records/generate_prompts.json", *more)
            ]
            gathered = manifest.gather("a", settings.model_dump(mode="json"), records, ["seeds.jsonl"], self.folder)
        write_json(self.results / "ro-crate-metadata.json", crate(gathered, {}))
        gathered["observed"]["exports"] = {
            "ro-crate-metadata.json": digest_file(self.results / "ro-crate-metadata.json")
        }
        write_record(self.results / "manifest.json", gathered["made"], gathered["observed"])

    def check(self) -> list[tuple[str, str]]:
        """Return kind and artifact of every finding."""
        found, _ = verify(Results(self.results), threads=2, base=self.base)
        return [(finding.kind, finding.artifact) for finding in found.findings]
