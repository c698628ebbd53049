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
    conda:
        PYTHON_ENVIRONMENT
    params:
        source=data_source,
    script:
        "../scripts/fetch_data.py"


rule evaluate_model:
    input:
        files=files("evaluate_model"),
        identity=identity(current),
        model=ancient(model(current)),
        shards=shards("evaluate_model"),
    output:
        rows="results/{run}/iter_{i}/evaluation/answers.jsonl",
        record="results/{run}/iter_{i}/evaluation/records/evaluate_model.json",
    log:
        "logs/{run}/iter_{i}/evaluate_model.log",
    benchmark:
        "logs/{run}/iter_{i}/evaluate_model.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("evaluate", gathers="evaluate_model")
    resources:
        gpu=gpus("evaluate", gathers="evaluate_model"),
        mem_mb=memory("evaluate", gathers="evaluate_model"),
        runtime=minutes("evaluate", gathers="evaluate_model"),
        model=1,
    params:
        work="results/{run}/iter_{i}/evaluation/.work/evaluate_model",
        model_folder=model_folder(current),
        settings=settings("evaluate_model"),
        code=code("evaluate_model"),
    script:
        "../scripts/evaluate_model.py"


rule evaluate_model_shard:
    input:
        files=files("evaluate_model"),
        identity=identity(current),
        model=ancient(model(current)),
    output:
        done="results/{run}/iter_{i}/evaluation/.shards/evaluate_model/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/iter_{i}/evaluate_model_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/iter_{i}/evaluate_model_shard/{shard}-of-{shards}.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("evaluate")
    resources:
        gpu=gpus("evaluate"),
        mem_mb=memory("evaluate"),
        runtime=minutes("evaluate"),
        model=1,
    params:
        stage="evaluate_model",
        work="results/{run}/iter_{i}/evaluation/.work/evaluate_model",
        model_folder=model_folder(current),
        settings=settings("evaluate_model"),
        code=code("evaluate_model"),
    script:
        "../scripts/evaluate_model_shard.py"


rule run_harness:
    input:
        files=files("run_harness"),
        identity=identity(current),
        model=ancient(model(current)),
    output:
        results="results/{run}/iter_{i}/evaluation/harness.json",
        record="results/{run}/iter_{i}/evaluation/records/run_harness.json",
    log:
        "logs/{run}/iter_{i}/run_harness.log",
    benchmark:
        "logs/{run}/iter_{i}/run_harness.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("evaluate")
    resources:
        gpu=gpus("evaluate"),
        mem_mb=memory("evaluate"),
        runtime=minutes("evaluate"),
        model=1,
    params:
        model_folder=model_folder(current),
        settings=settings("run_harness"),
        code=code("run_harness"),
    script:
        "../scripts/run_harness.py"


rule identify_judge:
    input:
        model=judge_folder,
    output:
        identity="results/{run}/iter_{i}/evaluation/judge.json",
        record="results/{run}/iter_{i}/evaluation/records/identify_judge.json",
    log:
        "logs/{run}/iter_{i}/identify_judge.log",
    benchmark:
        "logs/{run}/iter_{i}/identify_judge.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    resources:
        mem_mb=memory("merge"),
        runtime=minutes("merge"),
    params:
        settings=settings("identify_judge"),
        model_folder=judge_folder,
        code=code("identify_judge"),
    script:
        "../scripts/identify_judge.py"


rule calibrate_judge:
    input:
        files=files("calibrate_judge"),
        identity=judge_identity,
        model=ancient(judge_folder),
        base_answers=rival_answers,
    output:
        calibration="results/{run}/iter_{i}/evaluation/calibration.json",
        record="results/{run}/iter_{i}/evaluation/records/calibrate_judge.json",
    log:
        "logs/{run}/iter_{i}/calibrate_judge.log",
    benchmark:
        "logs/{run}/iter_{i}/calibrate_judge.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("judge")
    resources:
        gpu=gpus("judge"),
        mem_mb=memory("judge"),
        runtime=minutes("judge"),
        model=1,
    params:
        work="results/{run}/iter_{i}/evaluation/.work/calibrate_judge",
        model_folder=judge_folder,
        settings=settings("calibrate_judge"),
        code=code("calibrate_judge"),
    script:
        "../scripts/calibrate_judge.py"


rule judge_answers:
    input:
        files=files("judge_answers"),
        answers=evaluated("evaluate_model"),
        identity=judge_identity,
        model=ancient(judge_folder),
        base_answers=rival_answers,
    output:
        rows="results/{run}/iter_{i}/evaluation/judgements.jsonl",
        judging="results/{run}/iter_{i}/evaluation/judging.json",
        record="results/{run}/iter_{i}/evaluation/records/judge_answers.json",
    log:
        "logs/{run}/iter_{i}/judge_answers.log",
    benchmark:
        "logs/{run}/iter_{i}/judge_answers.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("judge")
    resources:
        gpu=gpus("judge"),
        mem_mb=memory("judge"),
        runtime=minutes("judge"),
        model=1,
    params:
        work="results/{run}/iter_{i}/evaluation/.work/judge_answers",
        model_folder=judge_folder,
        settings=settings("judge_answers"),
        code=code("judge_answers"),
    script:
        "../scripts/judge_answers.py"


rule score_model:
    input:
        files=files("score_model"),
        answers=evaluated("evaluate_model"),
        base_answers=rival_answers,
        judgements=evaluated("judge_answers"),
        judging=evaluated("judge_answers", name="judging.json"),
        calibration=evaluated("calibrate_judge", of=base),
        harness=evaluated("run_harness"),
        base_scores=evaluated("score_model", of=base),
        base_items=evaluated("score_model", of=base, name="measures.jsonl"),
        base_harness=evaluated("run_harness", of=base),
        previous_scores=evaluated("score_model", of=previous),
        previous_items=evaluated("score_model", of=previous, name="measures.jsonl"),
        previous_harness=evaluated("run_harness", of=previous),
    output:
        scores="results/{run}/iter_{i}/evaluation/scores.json",
        measures="results/{run}/iter_{i}/evaluation/measures.jsonl",
        record="results/{run}/iter_{i}/evaluation/records/score_model.json",
    log:
        "logs/{run}/iter_{i}/score_model.log",
    benchmark:
        "logs/{run}/iter_{i}/score_model.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("score")
    resources:
        mem_mb=memory("score"),
        runtime=minutes("score"),
    params:
        settings=settings("score_model"),
        code=code("score_model"),
    script:
        "../scripts/score_model.py"
