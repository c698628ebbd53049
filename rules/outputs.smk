# Outputs: the model answers every prompt once, then rules drop broken answers.


rule generate_outputs:
    input:
        prompts=result("generate_prompts"),
        files=files("generate_outputs"),
        identity=identity(current),
        model=ancient(model(current)),
        shards=shards("generate_outputs"),
    output:
        rows="results/{run}/d_{i}/outputs.jsonl",
        funnel="results/{run}/d_{i}/outputs.funnel.json",
        record="results/{run}/d_{i}/records/generate_outputs.json",
    log:
        "logs/{run}/d_{i}/generate_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/generate_outputs.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("generate", gathers="generate_outputs")
    resources:
        gpu=gpus("generate", gathers="generate_outputs"),
        mem_mb=memory("generate", gathers="generate_outputs"),
        runtime=minutes("generate", gathers="generate_outputs"),
        model=1,
    params:
        work="results/{run}/d_{i}/.work/generate_outputs",
        model_folder=model_folder(current),
        settings=settings("generate_outputs"),
        code=code("generate_outputs"),
    script:
        "../scripts/generate_outputs.py"


rule generate_outputs_shard:
    input:
        prompts=result("generate_prompts"),
        files=files("generate_outputs"),
        identity=identity(current),
        model=ancient(model(current)),
    output:
        done="results/{run}/d_{i}/.shards/generate_outputs/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/generate_outputs_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/generate_outputs_shard/{shard}-of-{shards}.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("generate")
    resources:
        gpu=gpus("generate"),
        mem_mb=memory("generate"),
        runtime=minutes("generate"),
        model=1,
    params:
        stage="generate_outputs",
        work="results/{run}/d_{i}/.work/generate_outputs",
        model_folder=model_folder(current),
        settings=settings("generate_outputs"),
        code=code("generate_outputs"),
    script:
        "../scripts/generate_outputs_shard.py"


rule filter_outputs:
    input:
        outputs=result("generate_outputs"),
    output:
        rows="results/{run}/d_{i}/filtered.jsonl",
        rejected="results/{run}/d_{i}/filtered.rejected.jsonl",
        funnel="results/{run}/d_{i}/filtered.funnel.json",
        record="results/{run}/d_{i}/records/filter_outputs.json",
    log:
        "logs/{run}/d_{i}/filter_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/filter_outputs.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    params:
        settings=settings("filter_outputs"),
        code=code("filter_outputs"),
    script:
        "../scripts/filter_outputs.py"
