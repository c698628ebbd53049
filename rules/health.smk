# Data health: what d_i is like before it trains the next model, and the alarms that warn or stop the run.


localrules:
    check_data,


rule probe_data:
    input:
        selected=result("select_data"),
        files=files("probe_data"),
        identity=identity(base),
        model=ancient(model(base)),
    output:
        rows="results/{run}/d_{i}/probe.jsonl",
        embeddings="results/{run}/d_{i}/probe.safetensors",
        record="results/{run}/d_{i}/records/probe_data.json",
    log:
        "logs/{run}/d_{i}/probe_data.log",
    benchmark:
        "logs/{run}/d_{i}/probe_data.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    threads: cpus("assess")
    resources:
        gpu=gpus("assess"),
        mem_mb=memory("assess"),
        runtime=minutes("assess"),
        model=1,
    params:
        work="results/{run}/d_{i}/.work/probe_data",
        model_folder=model_folder(base),
        settings=settings("probe_data"),
        code=code("probe_data"),
    script:
        "../scripts/probe_data.py"


rule measure_data:
    input:
        made=result("generate_outputs"),
        evaluated=result("assess_outputs"),
        selected=result("select_data"),
        earlier=selected_earlier,
        probes=probes(".jsonl"),
        embeddings=probes(".safetensors"),
        files=files("measure_data"),
    output:
        health="results/{run}/d_{i}/health.json",
        record="results/{run}/d_{i}/records/measure_data.json",
    log:
        "logs/{run}/d_{i}/measure_data.log",
    benchmark:
        "logs/{run}/d_{i}/measure_data.benchmark.tsv"
    conda:
        PYTHON_ENVIRONMENT
    params:
        settings=settings("measure_data"),
        code=code("measure_data"),
    script:
        "../scripts/measure_data.py"


# A checkpoint, and no input of train_adapter: training waits for it where an alarm may stop the run, but an alarm that
# is changed later trains nothing again.
checkpoint check_data:
    input:
        health=result("measure_data"),
    output:
        passed="results/{run}/d_{i}/.checked",
    log:
        "logs/{run}/d_{i}/check_data.log",
    retries: 0
    conda:
        PYTHON_ENVIRONMENT
    params:
        code=code("check_data"),
    script:
        "../scripts/check_data.py"
