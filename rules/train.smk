# Training: d_{i-1} trains a LoRA adapter on the base (or the previous) model; adapter and model are merged into iter_i.


rule train_adapter:
    input:
        **runs_model("train_adapter"),
        selected=reads("train_adapter", "selected"),
        checked=checked,
    output:
        adapter=directory("results/{run}/iter_{i}/adapter"),
        report="results/{run}/iter_{i}/training.json",
        record="results/{run}/iter_{i}/records/train_adapter.json",
    log:
        "logs/{run}/iter_{i}/train_adapter.log",
    benchmark:
        "logs/{run}/iter_{i}/train_adapter.benchmark.tsv"
    wildcard_constraints:
        i=r"[1-9]\d*",
    threads: cpus("train_adapter")
    resources:
        **asks("train_adapter"),
        nodes=lambda wildcards: graph.config.runs[wildcards.run].train.nodes,
    params:
        **decides("train_adapter"),
    script:
        "../scripts/train_adapter.py"


rule merge_model:
    input:
        **runs_model("merge_model"),
        adapter=ancient(reads("merge_model", "adapter")),
        training=reads("merge_model", "training"),
        selected=reads("merge_model", "selected"),
    output:
        model=directory("results/{run}/iter_{i}/model"),
        report="results/{run}/iter_{i}/merging.json",
        identity="results/{run}/iter_{i}/identity.json",
        record="results/{run}/iter_{i}/records/merge_model.json",
    log:
        "logs/{run}/iter_{i}/merge_model.log",
    benchmark:
        "logs/{run}/iter_{i}/merge_model.benchmark.tsv"
    wildcard_constraints:
        i=r"[1-9]\d*",
    threads: cpus("merge_model")
    resources:
        **asks("merge_model"),
    params:
        **decides("merge_model"),
    script:
        "../scripts/merge_model.py"
