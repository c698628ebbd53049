"""A run: everything that decides its results, and what its jobs ask for."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from isheep.config.assess import Assess
from isheep.config.budget import Budget
from isheep.config.engine import Engine
from isheep.config.evaluation import Evaluation
from isheep.config.health import Health
from isheep.config.model import Model
from isheep.config.outputs import Outputs
from isheep.config.pairs import Pairs
from isheep.config.plain import PlainFormat
from isheep.config.prompts import Prompts, Seeds
from isheep.config.publish import Publish
from isheep.config.report import Report
from isheep.config.resources import Resources
from isheep.config.rows import Classify, Cluster, Order
from isheep.config.section import Section
from isheep.config.select import Select
from isheep.config.train import Merge, Train
from isheep.outputs.kinds.zero_shot import ZeroShot
from isheep.pairs.kinds.none import NoPairs
from isheep.prompts.kinds.numbered import Numbered
from isheep.select.kinds.threshold import Threshold


class Run(Section):
    """One experiment, resolved: defaults < model preset < recipe < the run's own keys."""

    seed: int = Field(0, ge=0, description="Every random draw of the run follows from it.")
    rounds: int = Field(3, ge=1, le=100, description="Rounds T; the last model is iter_T.")
    model: Model = Field(Model(), description="The base model.")
    engine: Engine = Field(Engine(), description="What runs the model.")
    seeds: Seeds = Field(Seeds(), description="The seed tasks.")
    prompts: Prompts = Field(Numbered(), description="Stage generate_prompts.")
    classify: Classify = Field(Classify(), description="Stage classify_prompts.")
    outputs: Outputs = Field(
        ZeroShot(),
        description="Stages generate_outputs and filter_outputs. Where no kind is named, it is `few_shot` for a base "
        "model (`model.chat: false`) and `zero_shot` for any other.",
    )
    assess: Assess = Field(Assess(), description="Stage assess_outputs.")
    cluster: Cluster = Field(Cluster(), description="Stage cluster_outputs.")
    select: Select = Field(Threshold(), description="Stage select_data.")
    order: Order = Field(Order(), description="Stage order_data.")
    pairs: Pairs = Field(NoPairs(), description="Stage pair_answers: chosen and rejected answers for `dpo`.")
    train: Train = Field(Train(), description="Stage train_adapter.")
    merge: Merge = Field(Merge(), description="Stage merge_model.")
    evaluation: Evaluation = Field(Evaluation(), description="What every iter_i and the base are measured by.")
    health: Health = Field(Health(), description="Stages probe_data and measure_data.")
    budget: Budget = Field(Budget(), description="What the run may take; it stops at the end of a round before that.")
    resources: Resources = Field(Resources(), description="What jobs ask for; decides no result.")
    report: Report = Field(Report(), description="The page of the run; decides no result.")
    publish: Publish = Field(Publish(), description="Cards, published folders, archives; decides no result.")

    @property
    def asks_judge(self) -> list[str]:
        """The keys by which a round's data are judged by the evaluation's own judge."""
        asked = {"assess.model": self.assess.model if self.assess.assessors else None, "pairs.judge": self.pairs.asks}
        return [key for key, who in asked.items() if who == "judge"]

    @property
    def has_own_judge(self) -> bool:
        """Whether the evaluation's own judge is asked anything."""
        return self.evaluation.own_judge is not None and bool(self.evaluation.is_judged or self.asks_judge)

    def plain_for(self, i: int | None) -> PlainFormat | None:
        """Return how a model is shown tasks as a base model; None where it knows its chat template.

        Parameters
        ----------
        i
            The number of iter_i; None for the evaluation's own judge.
        """
        if i is None:
            judge = self.evaluation.own_judge
            return None if judge is None or judge.model is None or judge.model.chat else self.outputs.plain
        return None if self.model.chat or i else self.outputs.format(self.seeds.path, self.seed)

    @model_validator(mode="after")
    def _agree(self) -> Run:
        if wrong := [*self._unmet_scales(), *self._contradictions()]:
            raise ValueError("\n".join(wrong))
        return self

    def _unmet_scales(self) -> Iterator[str]:
        """Yield what select asks of columns that never hold such a value."""
        try:
            self.select.check({assessor.name: assessor.scale for assessor in self.assess.assessors})
        except ValueError as error:
            yield f"select: {error}"

    def _contradictions(self) -> Iterator[str]:
        """Yield settings of two sections that exclude each other."""
        for stage, section in (("prompts", self.prompts), ("outputs", self.outputs)):
            sampling = getattr(section, "sampling", None)  # a source of prompts need not draw any
            if sampling and sampling.max_tokens >= self.engine.context_length:
                yield (
                    f"{stage}.sampling.max_tokens ({sampling.max_tokens}) leaves no room for a prompt in "
                    f"engine.context_length ({self.engine.context_length})"
                )
        if self.outputs.samples > 1 and self.outputs.sampling.temperature == 0:
            yield (
                f"outputs.samples ({self.outputs.samples}) with outputs.sampling.temperature 0 gives the same answer "
                "every time: raise the temperature"
            )
        if self.train.objective == "dpo" and not self.pairs.present:
            yield "train.objective dpo trains on pairs: set pairs.kind (own_scores, principles, seed_answers)"
        if self.pairs.present and self.train.objective != "dpo":
            yield f"pairs.kind {self.pairs.kind} makes pairs, which only train.objective dpo trains on: set it"
        if self.asks_judge and self.evaluation.own_judge is None:
            how = "evaluation.judge: {kind: model, model: {path: FOLDER}}"
            yield f"{self.asks_judge[0]} judge is a model of its own: set {how}"
        yield from self.pairs.contradictions(self)
        yield from self.outputs.contradictions(self)
        best = self.publish.best
        if best and best.benchmark not in self.evaluation.on:
            known = ", ".join(self.evaluation.on) or "none"
            yield f"publish.best.benchmark {best.benchmark} is not measured: set one of evaluation.benchmarks ({known})"
        if self.budget.gpu_hours is not None and not self.resources.gpus:
            yield "budget.gpu_hours: no job asks for a GPU (resources.*.gpus are 0); set budget.hours"
        if (self.train.trainer == "fake") != (self.engine.name == "fake"):
            yield "train.trainer and engine.name: the fake engine and the fake trainer go together"
        yield from self.engine.contradictions()
        if self.train.quantize != "none" and self.train.zero_stage == 3:
            yield "train.quantize: weights of 4 bits cannot be shared out by zero_stage: 3; take 0 or 2"
        if self.resources.train.gpus % self.train.nodes:
            yield (
                f"train.nodes ({self.train.nodes}) must share the GPUs of resources.train evenly "
                f"({self.resources.train.gpus})"
            )
        if self.engine.name == "endpoint" and self.evaluation.harness:
            yield "evaluation.harness runs lm-eval on weights of its own: leave it out with engine.name: endpoint"
        parts = getattr(self.prompts, "parts", None)  # of a pool
        if parts is not None and parts < self.rounds:
            yield f"prompts.parts ({parts}) is less than rounds ({self.rounds}): a round would have no part of the pool"
        if self.order.by and self.train.order != "file":
            yield "order.by sorts rows that train.order: shuffled mixes again; set train.order: file"
        if self.train.batch_size % self.train.micro_batch_size:
            yield "train.batch_size must be a multiple of train.micro_batch_size"
