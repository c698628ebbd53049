# Prompts: the model continues a numbered list of tasks that begins with a few seeds.


rule generate_prompts:
    input:
        seeds=seeds_file,
        meta_prompt=meta_prompt_file,
        files=files("generate_prompts"),
        earlier=earlier_prompts,
        identity=identity(current),
        model=ancient(model(current)),
        shards=shards("generate_prompts"),
    output:
        rows="results/{run}/d_{i}/prompts.jsonl",
        rejected="results/{run}/d_{i}/prompts.rejected.jsonl",
        funnel="results/{run}/d_{i}/prompts.funnel.json",
        record="results/{run}/d_{i}/records/generate_prompts.json",
    log:
        "logs/{run}/d_{i}/generate_prompts.log",
    benchmark:
        "logs/{run}/d_{i}/generate_prompts.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("generate")
    resources:
        gpu=gpus("generate"),
        mem_mb=memory("generate"),
        runtime=minutes("generate"),
        model=1,
    params:
        work="results/{run}/d_{i}/.work/generate_prompts",
        model_folder=model_folder(current),
        settings=settings("generate_prompts"),
        code=code("generate_prompts"),
    script:
        "../scripts/generate_prompts.py"


rule generate_prompts_shard:
    input:
        seeds=seeds_file,
        meta_prompt=meta_prompt_file,
        files=files("generate_prompts"),
        identity=identity(current),
        model=ancient(model(current)),
    output:
        done="results/{run}/d_{i}/.shards/generate_prompts/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/generate_prompts_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/generate_prompts_shard/{shard}-of-{shards}.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("generate")
    resources:
        gpu=gpus("generate"),
        mem_mb=memory("generate"),
        runtime=minutes("generate"),
        model=1,
    params:
        stage="generate_prompts",
        work="results/{run}/d_{i}/.work/generate_prompts",
        model_folder=model_folder(current),
        settings=settings("generate_prompts"),
        code=code("generate_prompts"),
    script:
        "../scripts/generate_prompts_shard.py"
