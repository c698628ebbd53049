# Evaluation: every iter_i and the base answer the benchmarks, a judge grades where one is needed, all gets scores.


localrules:
    fetch_data,


# Without a digest of its code: what was fetched is not fetched again.
rule fetch_data:
    output:
        rows="data/hub/{dataset}.jsonl",
    log:
        "logs/data/fetch_data/{dataset}.log",
    benchmark:
        "logs/data/fetch_data/{dataset}.benchmark.tsv"
    wildcard_constraints:
        dataset=r"[^/]+",
    params:
        source=lambda wildcards: graph.datasets()[
            f"data/hub/{wildcards.dataset}.jsonl"
        ].model_dump(include={"hub", "subset", "split", "revision"}),
    script:
        "../scripts/fetch_data.py"


rule evaluate_model:
    input:
        **runs_model("evaluate_model"),
    output:
        rows="results/{run}/iter_{i}/evaluation/answers.jsonl",
        record="results/{run}/iter_{i}/evaluation/records/evaluate_model.json",
    log:
        "logs/{run}/iter_{i}/evaluate_model.log",
    benchmark:
        "logs/{run}/iter_{i}/evaluate_model.benchmark.tsv"
    threads: cpus("evaluate_model")
    resources:
        **asks("evaluate_model"),
    params:
        **decides("evaluate_model"),
    script:
        "../scripts/evaluate_model.py"


use rule evaluate_model as evaluate_model_shard with:
    output:
        done="results/{run}/iter_{i}/evaluation/.shards/evaluate_model/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/iter_{i}/evaluate_model_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/iter_{i}/evaluate_model_shard/{shard}-of-{shards}.benchmark.tsv"


rule run_harness:
    input:
        **runs_model("run_harness"),
    output:
        results="results/{run}/iter_{i}/evaluation/harness.json",
        record="results/{run}/iter_{i}/evaluation/records/run_harness.json",
    log:
        "logs/{run}/iter_{i}/run_harness.log",
    benchmark:
        "logs/{run}/iter_{i}/run_harness.benchmark.tsv"
    threads: cpus("run_harness")
    resources:
        **asks("run_harness"),
    params:
        **decides("run_harness"),
    script:
        "../scripts/run_harness.py"


rule identify_judge:
    input:
        files=files("identify_judge"),
        model=identified("identify_judge"),
    output:
        identity="results/{run}/iter_{i}/evaluation/judge.json",
        record="results/{run}/iter_{i}/evaluation/records/identify_judge.json",
    log:
        "logs/{run}/iter_{i}/identify_judge.log",
    benchmark:
        "logs/{run}/iter_{i}/identify_judge.benchmark.tsv"
    resources:
        **asks("identify_judge", engine=False),
    params:
        **decides("identify_judge"),
    script:
        "../scripts/identify_judge.py"


rule calibrate_judge:
    input:
        **runs_model("calibrate_judge"),
        base_answers=reads("calibrate_judge", "base_answers"),
    output:
        calibration="results/{run}/iter_{i}/evaluation/calibration.json",
        record="results/{run}/iter_{i}/evaluation/records/calibrate_judge.json",
    log:
        "logs/{run}/iter_{i}/calibrate_judge.log",
    benchmark:
        "logs/{run}/iter_{i}/calibrate_judge.benchmark.tsv"
    threads: cpus("calibrate_judge")
    resources:
        **asks("calibrate_judge"),
    params:
        **decides("calibrate_judge"),
    script:
        "../scripts/calibrate_judge.py"


rule judge_answers:
    input:
        **runs_model("judge_answers"),
        answers=reads("judge_answers", "answers"),
        base_answers=reads("judge_answers", "base_answers"),
    output:
        rows="results/{run}/iter_{i}/evaluation/judgements.jsonl",
        judging="results/{run}/iter_{i}/evaluation/judging.json",
        record="results/{run}/iter_{i}/evaluation/records/judge_answers.json",
    log:
        "logs/{run}/iter_{i}/judge_answers.log",
    benchmark:
        "logs/{run}/iter_{i}/judge_answers.benchmark.tsv"
    threads: cpus("judge_answers")
    resources:
        **asks("judge_answers"),
    params:
        **decides("judge_answers"),
    script:
        "../scripts/judge_answers.py"


rule score_model:
    input:
        answers=reads("score_model", "answers"),
        base_answers=reads("score_model", "base_answers"),
        judgements=reads("score_model", "judgements"),
        judging=reads("score_model", "judging"),
        calibration=reads("score_model", "calibration"),
        harness=reads("score_model", "harness"),
        base_scores=reads("score_model", "base_scores"),
        base_items=reads("score_model", "base_items"),
        base_harness=reads("score_model", "base_harness"),
        previous_scores=reads("score_model", "previous_scores"),
        previous_items=reads("score_model", "previous_items"),
        previous_harness=reads("score_model", "previous_harness"),
        files=files("score_model"),
    output:
        scores="results/{run}/iter_{i}/evaluation/scores.json",
        measures="results/{run}/iter_{i}/evaluation/measures.jsonl",
        record="results/{run}/iter_{i}/evaluation/records/score_model.json",
    log:
        "logs/{run}/iter_{i}/score_model.log",
    benchmark:
        "logs/{run}/iter_{i}/score_model.benchmark.tsv"
    threads: cpus("score_model")
    resources:
        **asks("score_model", engine=False),
    params:
        **decides("score_model"),
    script:
        "../scripts/score_model.py"
