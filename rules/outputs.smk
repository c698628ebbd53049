# Outputs: the model answers every prompt once, then rules drop broken answers.


rule generate_outputs:
    input:
        **runs_model("generate_outputs"),
        rows=reads("generate_outputs", "rows"),
    output:
        rows="results/{run}/d_{i}/outputs.jsonl",
        funnel="results/{run}/d_{i}/outputs.funnel.json",
        record="results/{run}/d_{i}/records/generate_outputs.json",
    log:
        "logs/{run}/d_{i}/generate_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/generate_outputs.benchmark.tsv"
    threads: cpus("generate_outputs")
    resources:
        **asks("generate_outputs"),
    params:
        **decides("generate_outputs"),
    script:
        "../scripts/generate_outputs.py"


use rule generate_outputs as generate_outputs_shard with:
    output:
        done="results/{run}/d_{i}/.shards/generate_outputs/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/generate_outputs_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/generate_outputs_shard/{shard}-of-{shards}.benchmark.tsv"


rule filter_outputs:
    input:
        rows=reads("filter_outputs", "rows"),
        costs=reads("filter_outputs", "costs"),
    output:
        rows="results/{run}/d_{i}/filtered.jsonl",
        rejected="results/{run}/d_{i}/filtered.rejected.jsonl",
        funnel="results/{run}/d_{i}/filtered.funnel.json",
        record="results/{run}/d_{i}/records/filter_outputs.json",
    log:
        "logs/{run}/d_{i}/filter_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/filter_outputs.benchmark.tsv"
    params:
        **decides("filter_outputs"),
    script:
        "../scripts/filter_outputs.py"
