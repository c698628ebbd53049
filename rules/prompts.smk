# Prompts: the model continues a numbered list of tasks that begins with a few seeds.


rule generate_prompts:
    input:
        **runs_model("generate_prompts"),
        earlier=reads("generate_prompts", "earlier"),
    output:
        rows="results/{run}/d_{i}/prompts.jsonl",
        rejected="results/{run}/d_{i}/prompts.rejected.jsonl",
        funnel="results/{run}/d_{i}/prompts.funnel.json",
        record="results/{run}/d_{i}/records/generate_prompts.json",
    log:
        "logs/{run}/d_{i}/generate_prompts.log",
    benchmark:
        "logs/{run}/d_{i}/generate_prompts.benchmark.tsv"
    threads: cpus("generate_prompts")
    resources:
        **asks("generate_prompts"),
    params:
        **decides("generate_prompts"),
    script:
        "../scripts/generate_prompts.py"


# Its part of the first wave of requests; the results stay in the stage's journal.
use rule generate_prompts as generate_prompts_shard with:
    output:
        done="results/{run}/d_{i}/.shards/generate_prompts/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/generate_prompts_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/generate_prompts_shard/{shard}-of-{shards}.benchmark.tsv"


rule classify_prompts:
    input:
        **runs_model("classify_prompts"),
        rows=reads("classify_prompts", "rows"),
    output:
        rows="results/{run}/d_{i}/classified.jsonl",
        funnel="results/{run}/d_{i}/classified.funnel.json",
        record="results/{run}/d_{i}/records/classify_prompts.json",
    log:
        "logs/{run}/d_{i}/classify_prompts.log",
    benchmark:
        "logs/{run}/d_{i}/classify_prompts.benchmark.tsv"
    threads: cpus("classify_prompts")
    resources:
        **asks("classify_prompts"),
    params:
        **decides("classify_prompts"),
    script:
        "../scripts/classify_prompts.py"


use rule classify_prompts as classify_prompts_shard with:
    output:
        done="results/{run}/d_{i}/.shards/classify_prompts/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/classify_prompts_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/classify_prompts_shard/{shard}-of-{shards}.benchmark.tsv"


rule match_demonstrations:
    input:
        **runs_model("match_demonstrations"),
        rows=reads("match_demonstrations", "rows"),
    output:
        rows="results/{run}/d_{i}/matched.jsonl",
        funnel="results/{run}/d_{i}/matched.funnel.json",
        record="results/{run}/d_{i}/records/match_demonstrations.json",
    log:
        "logs/{run}/d_{i}/match_demonstrations.log",
    benchmark:
        "logs/{run}/d_{i}/match_demonstrations.benchmark.tsv"
    threads: cpus("match_demonstrations")
    resources:
        **asks("match_demonstrations"),
    params:
        **decides("match_demonstrations"),
    script:
        "../scripts/match_demonstrations.py"
