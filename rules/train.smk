# Training: d_{i-1} trains a LoRA adapter on the base (or the previous) model; adapter and model are merged into iter_i.


rule train_adapter:
    input:
        selected=result("select_data", offset=-1),
        checked=checked,
        files=files("train_adapter"),
        identity=identity(start),
        model=ancient(model(start)),
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
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("train")
    resources:
        gpu=gpus("train"),
        mem_mb=memory("train"),
        runtime=minutes("train"),
        model=1,
    params:
        work="results/{run}/iter_{i}/.work/train_adapter",
        model_folder=model_folder(start),
        settings=settings("train_adapter"),
        code=code("train_adapter"),
    script:
        "../scripts/train_adapter.py"


rule merge_model:
    input:
        adapter=ancient(result("train_adapter")),
        training=training_report,
        selected=result("select_data", offset=-1),
        files=files("merge_model"),
        identity=identity(start),
        model=ancient(model(start)),
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
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("merge")
    resources:
        gpu=gpus("merge"),
        mem_mb=memory("merge"),
        runtime=minutes("merge"),
        model=1,
    params:
        model_folder=model_folder(start),
        settings=settings("merge_model"),
        code=code("merge_model"),
    script:
        "../scripts/merge_model.py"
