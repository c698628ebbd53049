"""What stages tell of themselves: records, and the manifest that gathers them (`proof.results` reads both)."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict  # typing's own cannot be validated before Python 3.12

Settings = dict[str, Any]
"""Resolved settings of a run or a section; `isheep.config` has their types."""


class Hardware(TypedDict):
    """The kind of machine that a stage ran on."""

    machine: str
    cpu: str
    features: list[str]
    gpus: int
    gpu: NotRequired[str]
    cuda: NotRequired[str | None]
    threads: int


class Shard(TypedDict):
    """What one shard of a stage took."""

    seconds: float
    gpus: int


class Origin(TypedDict):
    """Which stage of which run made what another run was given; `file` where that lay in results beside its own."""

    run: str
    stage: str
    record: str
    file: NotRequired[str]


class Made(TypedDict):
    """What two equal runs have in common of a stage; files by name with their sha256."""

    stage: str
    run: str
    round: int | None
    seed: int
    model: str | None
    settings: Settings
    code: str | None
    versions: dict[str, str]
    tokens: dict[str, int]
    inputs: dict[str, str]
    outputs: dict[str, str]
    contents: dict[str, dict[str, str]]
    origins: NotRequired[dict[str, Origin]]


class Observed(TypedDict):
    """What may differ between two equal runs of a stage."""

    hardware: Hardware
    started: str
    seconds: float
    peak_memory_mib: NotRequired[float]
    shards: NotRequired[list[Shard]]
    weights: NotRequired[dict[str, str | None]]


class Record(TypedDict):
    """`records/STAGE.json`: sha256 over `made`, and a seal over all of it."""

    sha256: str
    seal: str
    made: Made
    observed: Observed


class RecordedStage(Made):
    """A stage in the manifest: its record's path, the sha256 of its made part, and that part."""

    record: str
    sha256: str


Stages = dict[str, RecordedStage]
"""By name, like `d_0/generate_prompts`."""


class Artifact(TypedDict):
    """Who made an artifact and who read it, by the names of stages."""

    sha256: str
    made_by: str
    used_by: list[str]


class Code(TypedDict):
    """Version of the package, and the sha256 of each of its files."""

    version: str
    files: dict[str, str]


class ManifestMade(TypedDict):
    """What two equal runs have in common; `files` has the content of the user's files as text or base64."""

    format: int
    run: str
    settings: Settings
    files: dict[str, dict[str, str]]
    models: dict[str, str]
    code: Code
    stages: Stages
    artifacts: dict[str, Artifact]


class ManifestObserved(TypedDict):
    """What may differ between two equal runs: commit, seals of records, times, and what is vouched for unhashed."""

    commit: str | None
    seals: dict[str, str]
    stages: dict[str, Observed]
    exports: NotRequired[dict[str, str]]
    budget: NotRequired[Settings]
    resources: Settings
    report: Settings
    publish: Settings


class Manifest(TypedDict):
    """`manifest.json`, sealed like a record."""

    sha256: str
    seal: str
    made: ManifestMade
    observed: ManifestObserved
