# Models: base models that the workflow fetches or converts itself, and the hash by which every stage knows iter_0.


# Where snakemake runs: the nodes of a cluster often have no network.
localrules:
    fetch_model,


# Without a digest of its code: what was fetched is not fetched again.
rule fetch_model:
    output:
        model=directory("models/{model}"),
    log:
        "logs/models/fetch_model/{model}.log",
    benchmark:
        "logs/models/fetch_model/{model}.benchmark.tsv"
    wildcard_constraints:
        model=r"[^/]+",
    threads: 2
    params:
        source=lambda wildcards: graph.source(f"models/{wildcards.model}"),
    script:
        "../scripts/fetch_model.py"


rule identify_model:
    input:
        files=files("identify_model"),
        model=identified("identify_model"),
    output:
        identity="results/{run}/iter_0/identity.json",
        record="results/{run}/iter_0/records/identify_model.json",
    log:
        "logs/{run}/iter_0/identify_model.log",
    benchmark:
        "logs/{run}/iter_0/identify_model.benchmark.tsv"
    resources:
        **asks("identify_model", engine=False),
    params:
        **decides("identify_model"),
    script:
        "../scripts/identify_model.py"
