# Assessment: the judge scores the answers, its discrimination is measured, the best rows become d_i.


rule assess_outputs:
    input:
        filtered=result("filter_outputs"),
        files=files("assess_outputs"),
        identity=identity(judge),
        model=ancient(model(judge)),
        shards=shards("assess_outputs"),
    output:
        rows="results/{run}/d_{i}/evaluated.jsonl",
        rejected="results/{run}/d_{i}/evaluated.rejected.jsonl",
        funnel="results/{run}/d_{i}/evaluated.funnel.json",
        discrimination="results/{run}/d_{i}/discrimination.json",
        record="results/{run}/d_{i}/records/assess_outputs.json",
    log:
        "logs/{run}/d_{i}/assess_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/assess_outputs.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("assess", gathers="assess_outputs")
    resources:
        gpu=gpus("assess", gathers="assess_outputs"),
        mem_mb=memory("assess", gathers="assess_outputs"),
        runtime=minutes("assess", gathers="assess_outputs"),
        model=1,
    params:
        work="results/{run}/d_{i}/.work/assess_outputs",
        judge=judge,
        model_folder=model_folder(judge),
        settings=settings("assess_outputs"),
        code=code("assess_outputs"),
    script:
        "../scripts/assess_outputs.py"


rule assess_outputs_shard:
    input:
        filtered=result("filter_outputs"),
        files=files("assess_outputs"),
        identity=identity(judge),
        model=ancient(model(judge)),
    output:
        done="results/{run}/d_{i}/.shards/assess_outputs/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/assess_outputs_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/assess_outputs_shard/{shard}-of-{shards}.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("assess")
    resources:
        gpu=gpus("assess"),
        mem_mb=memory("assess"),
        runtime=minutes("assess"),
        model=1,
    params:
        stage="assess_outputs",
        work="results/{run}/d_{i}/.work/assess_outputs",
        judge=judge,
        model_folder=model_folder(judge),
        settings=settings("assess_outputs"),
        code=code("assess_outputs"),
    script:
        "../scripts/assess_outputs_shard.py"


rule select_data:
    input:
        evaluated=result("assess_outputs"),
    output:
        rows="results/{run}/d_{i}/selected.jsonl",
        rejected="results/{run}/d_{i}/selected.rejected.jsonl",
        funnel="results/{run}/d_{i}/selected.funnel.json",
        record="results/{run}/d_{i}/records/select_data.json",
    log:
        "logs/{run}/d_{i}/select_data.log",
    benchmark:
        "logs/{run}/d_{i}/select_data.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    params:
        settings=settings("select_data"),
        code=code("select_data"),
    script:
        "../scripts/select_data.py"
