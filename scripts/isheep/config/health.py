"""Section `health`: what is measured of each round's data, and the alarms that warn or stop a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from isheep.config.section import Section

Measure = Literal["lengths", "diversity", "duplicates", "scores", "overlap", "probe"]
MEASURES: tuple[Measure, ...] = ("lengths", "diversity", "duplicates", "scores", "overlap", "probe")
NEEDS: dict[str, Measure] = {
    "shrunken_answers": "lengths",
    "at_token_limit": "lengths",
    "empty_answers": "lengths",
    "near_duplicates": "duplicates",
    "repeated_rounds": "duplicates",
    "copied_seeds": "duplicates",
    "fallen_diversity": "diversity",
    "fallen_perplexity": "probe",
    "scores_at_maximum": "scores",
    "scores_follow_length": "scores",
    "contamination": "overlap",
}
ACTION = "warn: one line in the log and in health.json; stop: and the round is not trained on; off."


class Alarm(Section):
    """A limit, and what happens when a round's data reaches it."""

    at: float = Field(description="Where it rings.")
    action: Literal["warn", "stop", "off"] = Field("warn", description=ACTION)


class ShrunkenAnswers(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(5.0, gt=1, description="The median answer is this many times shorter than in d_0 (words).")


class AtTokenLimit(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.5, gt=0, le=1, description="Share of all answers that were cut at the token limit.")


class EmptyAnswers(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.1, gt=0, le=1, description="Share of all answers that are blank.")


class NearDuplicates(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Share of instructions (or of answers) that are near-duplicates of an earlier one.",
    )


class RepeatedRounds(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(
        0.25, gt=0, le=1, description="Share of instructions that are near-duplicates of one of an earlier round."
    )


class CopiedSeeds(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.1, gt=0, le=1, description="Share of instructions that are near-duplicates of a seed's.")


class FallenDiversity(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of d_0's distinct-2 (instructions or answers) that is lost, on as many rows.",
    )


class FallenPerplexity(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.5, gt=0, le=1, description="Share of d_0's perplexity under the base model that is lost.")


class ScoresAtMaximum(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.5, gt=0, le=1, description="Share of rows to which a judge gives the best score.")


class ScoresFollowLength(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(0.7, gt=0, le=1, description="Rank correlation (either sign) of a score with answer length.")


class Contamination(Alarm):
    """Limit of the alarm of this name."""

    at: float = Field(
        0.01, gt=0, le=1, description="Share of rows that share a sequence of the longest of `ngrams` with one file."
    )


class Alarms(Section):
    """Each `{at: number, action: warn | stop | off}`; either may be left out. It rings at `at` and beyond."""

    shrunken_answers: ShrunkenAnswers = Field(ShrunkenAnswers(), description="Answers get shorter and shorter.")
    at_token_limit: AtTokenLimit = Field(AtTokenLimit(), description="Answers run on until they are cut.")
    empty_answers: EmptyAnswers = Field(EmptyAnswers(), description="The model says nothing.")
    near_duplicates: NearDuplicates = Field(NearDuplicates(), description="The same data over and over.")
    repeated_rounds: RepeatedRounds = Field(RepeatedRounds(), description="A round makes what earlier rounds made.")
    copied_seeds: CopiedSeeds = Field(CopiedSeeds(), description="A round gives back what it was shown.")
    fallen_diversity: FallenDiversity = Field(
        FallenDiversity(), description="Fewer different word pairs on as much text."
    )
    fallen_perplexity: FallenPerplexity = Field(
        FallenPerplexity(),
        description="The data concentrates on what the base model finds likely anyway: a sign of collapse.",
    )
    scores_at_maximum: ScoresAtMaximum = Field(ScoresAtMaximum(), description="A judge that likes everything.")
    scores_follow_length: ScoresFollowLength = Field(ScoresFollowLength(), description="A score that measures length.")
    contamination: Contamination = Field(Contamination(), description="Data that holds an evaluation set's text.")

    @property
    def on(self) -> dict[str, Alarm]:
        """The alarms that are not off, by name."""
        every = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: alarm for name, alarm in every.items() if alarm.action != "off"}

    @property
    def stopping(self) -> dict[str, float]:
        """The limits of the alarms that stop a run, by name."""
        return {name: alarm.at for name, alarm in self.on.items() if alarm.action == "stop"}


class Health(Section):
    """Stages probe_data and measure_data: what a round's data is like, before it trains the next model."""

    measures: tuple[Measure, ...] = Field(
        MEASURES, description="What is measured; `[]` turns all of it off. `probe` alone runs a model (the base)."
    )
    sample: int = Field(
        500, ge=2, description="Rows for measures that depend on the number of rows or cost much: the same ones always."
    )
    self_bleu: int = Field(100, ge=2, description="Rows of the sample for self-BLEU, whose cost grows with the square.")
    ngrams: tuple[int, ...] = Field(
        (13, 8), min_length=1, description="Lengths (words) of sequences looked for in the evaluation files."
    )
    similarity: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F1 above which two texts are near-duplicates, as in `prompts.similarity`."
    )
    alarms: Alarms = Field(Alarms(), description="When to warn, and when to stop.")

    @model_validator(mode="after")
    def _agree(self) -> Health:
        if any(length < 1 for length in self.ngrams):
            raise ValueError("ngrams: each must be at least 1")
        for name in self.alarms.stopping:
            if NEEDS[name] not in self.measures:
                raise ValueError(f"alarms.{name} can stop only what is measured: add {NEEDS[name]} to measures")
        return self
