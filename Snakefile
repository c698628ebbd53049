# Iterative self-alignment of language models: from seed tasks and a base model to iter_T, round after round.
# Read this first, then rules/common.smk (how rounds are joined), then one rules/*.smk per group of stages.
from snakemake.utils import min_version

min_version("9.8")

if not config:

    configfile: "config/config.yaml"


include: "rules/common.smk"  # settings, checked; the graph's functions
include: "rules/models.smk"  # fetch_model, identify_model
include: "rules/prompts.smk"  # generate_prompts, classify_prompts
include: "rules/outputs.smk"  # generate_outputs, filter_outputs
include: "rules/assess.smk"  # assess_outputs, cluster_outputs, select_data, order_data
include: "rules/pairs.smk"  # pair_answers
include: "rules/health.smk"  # probe_data, measure_data, check_data
include: "rules/train.smk"  # train_adapter, merge_model
include: "rules/evaluation.smk"  # fetch_data, evaluate_model, run_harness, calibrate_judge, judge_answers, score_model
include: "rules/budget.smk"  # check_budget
include: "rules/summary.smk"  # freeze_config, summarise_run
include: "rules/plan.smk"  # plan
include: "rules/report.smk"  # write_report, write_comparison, study, write_study
include: "rules/proof.smk"  # gather_manifest, verify, reproduce, publish, archive


localrules:
    all,
    freeze_config,
    summarise_run,


wildcard_constraints:
    run="|".join(graph.config.runs),  # what lies in the folder of any other run is a file of the user's
    i=r"\d+",
    shard=r"\d+",
    shards=r"\d+",


rule all:
    default_target: True
    input:
        [made_of(run) for run in graph.config.runs],
        targets.comparison(graph),


onstart:
    begin_driving()


onsuccess:
    end_driving(finished=True)
    print_summaries()


onerror:
    end_driving(finished=False)
