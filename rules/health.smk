# Data health: what d_i is like before it trains the next model, and the alarms that warn or stop the run.


localrules:
    check_data,


rule probe_data:
    input:
        **runs_model("probe_data"),
        selected=reads("probe_data", "selected"),
    output:
        rows="results/{run}/d_{i}/probe.jsonl",
        embeddings="results/{run}/d_{i}/probe.safetensors",
        record="results/{run}/d_{i}/records/probe_data.json",
    log:
        "logs/{run}/d_{i}/probe_data.log",
    benchmark:
        "logs/{run}/d_{i}/probe_data.benchmark.tsv"
    # Before what trains: both need the place of a kept engine, and the models that follow then share theirs.
    priority: 1
    threads: cpus("probe_data")
    resources:
        **asks("probe_data"),
    params:
        **decides("probe_data"),
    script:
        "../scripts/probe_data.py"


rule measure_data:
    input:
        made=reads("measure_data", "made"),
        evaluated=reads("measure_data", "evaluated"),
        selected=reads("measure_data", "selected"),
        earlier=reads("measure_data", "earlier"),
        probes=reads("measure_data", "probes"),
        embeddings=reads("measure_data", "embeddings"),
        files=files("measure_data"),
    output:
        health="results/{run}/d_{i}/health.json",
        record="results/{run}/d_{i}/records/measure_data.json",
    log:
        "logs/{run}/d_{i}/measure_data.log",
    benchmark:
        "logs/{run}/d_{i}/measure_data.benchmark.tsv"
    params:
        **decides("measure_data"),
    script:
        "../scripts/measure_data.py"


# A checkpoint, and no input of train_adapter: training waits for it where an alarm may stop the run, but an alarm that
# is changed later trains nothing again.
checkpoint check_data:
    input:
        health="results/{run}/d_{i}/health.json",
    output:
        passed="results/{run}/d_{i}/.checked",
    log:
        "logs/{run}/d_{i}/check_data.log",
    retries: 0
    script:
        "../scripts/check_data.py"
