"""The stages that rows pass, in order, and what tables call stages."""

from __future__ import annotations

ROW_STAGES: dict[str, str] = {
    "generate_prompts": "prompts",
    "generate_outputs": "outputs",
    "filter_outputs": "filtered",
    "assess_outputs": "evaluated",
    "select_data": "selected",
}
"""Stage: the word for what it keeps, which is also the stem of its files in d_i."""

COSTS_AS: dict[str, str] = {
    "generate_prompts": "write prompts",
    "generate_outputs": "write answers",
    "assess_outputs": "assess",
    "train_adapter": "train",
    "merge_model": "merge",
    **dict.fromkeys(("evaluate_model", "run_harness", "identify_judge"), "evaluate"),
    **dict.fromkeys(("calibrate_judge", "judge_answers", "score_model"), "evaluate"),
    **dict.fromkeys(("probe_data", "measure_data"), "measure data"),
}
"""Stage: what it does in two words, for bars that eight colours can tell apart; any other is `OTHER_COSTS`."""
OTHER_COSTS = "all else"
