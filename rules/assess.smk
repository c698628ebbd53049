# Self-assessment: the judge scores the answers, its discrimination is measured, the best rows become d_i. Rows may be
# grouped before they are selected, and sorted after.


rule assess_outputs:
    input:
        **runs_model("assess_outputs"),
        rows=reads("assess_outputs", "rows"),
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
    threads: cpus("assess_outputs")
    resources:
        **asks("assess_outputs"),
    params:
        **decides("assess_outputs"),
    script:
        "../scripts/assess_outputs.py"


use rule assess_outputs as assess_outputs_shard with:
    output:
        done="results/{run}/d_{i}/.shards/assess_outputs/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/assess_outputs_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/assess_outputs_shard/{shard}-of-{shards}.benchmark.tsv"


rule cluster_outputs:
    input:
        **runs_model("cluster_outputs"),
        rows=reads("cluster_outputs", "rows"),
    output:
        rows="results/{run}/d_{i}/clustered.jsonl",
        funnel="results/{run}/d_{i}/clustered.funnel.json",
        embeddings="results/{run}/d_{i}/clustered.safetensors",
        record="results/{run}/d_{i}/records/cluster_outputs.json",
    log:
        "logs/{run}/d_{i}/cluster_outputs.log",
    benchmark:
        "logs/{run}/d_{i}/cluster_outputs.benchmark.tsv"
    threads: cpus("cluster_outputs")
    resources:
        **asks("cluster_outputs"),
    params:
        **decides("cluster_outputs"),
    script:
        "../scripts/cluster_outputs.py"


rule select_data:
    input:
        rows=reads("select_data", "rows"),
    output:
        rows="results/{run}/d_{i}/selected.jsonl",
        rejected="results/{run}/d_{i}/selected.rejected.jsonl",
        funnel="results/{run}/d_{i}/selected.funnel.json",
        record="results/{run}/d_{i}/records/select_data.json",
    log:
        "logs/{run}/d_{i}/select_data.log",
    benchmark:
        "logs/{run}/d_{i}/select_data.benchmark.tsv"
    params:
        **decides("select_data"),
    script:
        "../scripts/select_data.py"


rule order_data:
    input:
        rows=reads("order_data", "rows"),
    output:
        rows="results/{run}/d_{i}/ordered.jsonl",
        funnel="results/{run}/d_{i}/ordered.funnel.json",
        profile="results/{run}/d_{i}/ordered.profile.json",
        record="results/{run}/d_{i}/records/order_data.json",
    log:
        "logs/{run}/d_{i}/order_data.log",
    benchmark:
        "logs/{run}/d_{i}/order_data.benchmark.tsv"
    params:
        **decides("order_data"),
    script:
        "../scripts/order_data.py"
