"""Sections of the stages that make data: seeds, prompts, outputs, assess, select."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from isheep.config.section import Section


class Sampling(Section):
    """How completions are drawn. The paper: temperature 1, top-p 0.95, at most 1,000 tokens (isheep.md 2.1)."""

    temperature: float = Field(1.0, ge=0, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1, description="Nucleus: smallest set of tokens with this total probability.")
    max_tokens: int = Field(1000, ge=1, description="New tokens at most.")


class Seeds(Section):
    """The seed tasks."""

    path: str = Field(
        "config/seeds/isheep.jsonl",
        description="Seed file: this project's JSON Lines, Self-Instruct's seed_tasks.jsonl, or an Alpaca-style JSON.",
    )


class Prompts(Section):
    """Stage generate_prompts: the model continues a numbered list of tasks that begins with a few seeds."""

    rows: int = Field(10_000, ge=1, description="Prompts to make in a round (N).")
    shots: int = Field(5, ge=1, description="Seed tasks shown in each request.")
    tasks_per_request: int = Field(10, ge=1, description="New tasks after which a completion is stopped.")
    meta_prompt: str = Field("config/prompts/meta.txt", description="Template of the text before the list of tasks.")
    sampling: Sampling = Field(Sampling(), description="How tasks are drawn.")
    rules: tuple[str, ...] = Field(("default",), description="Prompt rules, or names of rule sets, in order.")
    similarity: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F1 with an earlier instruction above which a prompt is a near-duplicate."
    )
    tokens: Literal["words", "rouge"] = Field(
        "words",
        description="What instructions are compared by, here and in `health`. words: words of any alphabet, characters "
        "of scripts without blanks; rouge: runs of a-z and 0-9, as rouge_score, which sees no other script.",
    )
    compare_with: tuple[Literal["seeds", "round", "earlier_rounds"], ...] = Field(
        ("seeds", "round"), description="What a new instruction is compared with."
    )
    max_requests: int | None = Field(
        None, ge=1, description="Bound on requests in a round; by default 20 times what a perfect model needs."
    )
    on_shortfall: Literal["stop", "continue"] = Field(
        "stop", description="When the bound is reached with fewer rows: stop with the funnel, or go on with fewer."
    )


class Plain(Section):
    """Format for a base model that knows no chat template. `{prompt}` stands for instruction and input."""

    text: str = Field(
        "Instruction: {prompt}\n\nResponse:", description="What stands before the answer; must hold {prompt} once."
    )
    stop: tuple[str, ...] = Field(("\nInstruction:", "\nResponse:"), description="Strings that end the answer.")

    @model_validator(mode="after")
    def _placeholder(self) -> Plain:
        if self.text.count("{prompt}") != 1:
            raise ValueError("text must hold {prompt} exactly once")
        return self


class Outputs(Section):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    sampling: Sampling = Field(Sampling(), description="How answers are drawn.")
    plain: Plain = Field(Plain(), description="Format for round 0 of a base model (`model.chat: false`).")
    rules: tuple[str, ...] = Field(("default",), description="Output rules, or names of rule sets, in order.")


class Judge(Section):
    """An assessor that asks the model for a score from 1 to 10 on one criterion."""

    kind: Literal["judge"] = "judge"
    name: str = Field("quality", pattern=r"^[a-z][a-z0-9_]*$", description="Name of the column that it adds.")
    rubric: str = Field("config/prompts/quality.txt", description="Rubric template file.")
    method: Literal["expected", "greedy", "sampled"] = Field(
        "expected",
        description="expected: mean of 1-10 under the model's probabilities; greedy: the likeliest of 1-10; "
        "sampled: parse generated text (as the paper did).",
    )
    sampling: Sampling = Field(Sampling(), description="sampled: how the text is drawn.")


class Pmi(Section):
    """An assessor that needs no judge: mean log p(output | prompt) - log p(output | neutral prompt), nats a token."""

    kind: Literal["pmi"] = "pmi"
    name: str = Field("pmi", pattern=r"^[a-z][a-z0-9_]*$", description="Name of the column that it adds.")
    neutral: str = Field("Say something.", description="The neutral prompt.")


class Discrimination(Section):
    """Can an assessor tell an answer to this prompt from an answer to another? Measured every round as AUC."""

    pairs: int = Field(100, ge=0, description="Matched and shuffled pairs to score, each; 0 turns it off.")
    warn_below: float = Field(0.6, ge=0, le=1, description="AUC under which a warning is logged.")


class Assess(Section):
    """Stage assess_outputs."""

    model: Literal["base", "current"] = Field(
        "base", description="Who assesses: iter_0, as the released scripts did, or iter_i, as the paper's Algorithm 1."
    )
    assessors: tuple[Annotated[Judge | Pmi, Field(discriminator="kind")], ...] = Field(
        (
            Judge(name="quality", rubric="config/prompts/quality.txt"),
            Judge(name="following", rubric="config/prompts/following.txt"),
            Pmi(),
        ),
        description="Each adds one column of scores.",
    )
    discrimination: Discrimination = Field(Discrimination(), description="The check of the assessors themselves.")

    @model_validator(mode="after")
    def _distinct(self) -> Assess:
        names = [assessor.name for assessor in self.assessors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two assessors are named {', '.join(twice)}")
        return self


class Threshold(Section):
    """Keep rows whose scores all lie strictly above a value, as the paper (quality > 8 and following > 8)."""

    kind: Literal["threshold"] = "threshold"
    above: dict[str, float] = Field({"quality": 8.0, "following": 8.0}, description="Column: value.", min_length=1)
    floor: int = Field(16, ge=1, description="Rows that must be kept; fewer stop the run with the funnel.")


class Quantile(Section):
    """Keep the best share of rows by one column."""

    kind: Literal["quantile"] = "quantile"
    column: str = Field("pmi", description="Column to rank by.")
    share: float = Field(0.5, gt=0, le=1, description="Share of rows to keep.")
    floor: int = Field(16, ge=1, description="Rows that must be kept; fewer stop the run with the funnel.")


class TopK(Section):
    """Keep the k best rows by one column."""

    kind: Literal["top_k"] = "top_k"
    column: str = Field("pmi", description="Column to rank by.")
    k: int = Field(3000, ge=1, description="Rows to keep.")
    floor: int = Field(16, ge=1, description="Rows that must be kept; fewer stop the run with the funnel.")


class KeepAll(Section):
    """Keep every row."""

    kind: Literal["none"] = "none"
    floor: int = Field(16, ge=1, description="Rows that must be kept; fewer stop the run with the funnel.")


Select = Annotated[Threshold | Quantile | TopK | KeepAll, Field(discriminator="kind")]
