# Proof and hand-over: what made a run, is it still that, does it come out again, and how it is given to others.


localrules:
    gather_manifest,
    verify,
    reproduce,
    publish,
    archive,


rule gather_manifest:
    input:
        records=records,
        files=user_files,
        exports=exports,
    output:
        manifest="results/{run}/manifest.json",
        crate="results/{run}/ro-crate-metadata.json",
    log:
        "logs/{run}/gather_manifest.log",
    conda:
        PYTHON_ENVIRONMENT
    params:
        settings=resolved,
        code=code("gather_manifest"),
    script:
        "../scripts/gather_manifest.py"


# Takes no inputs: it looks at what is there, and re-runs nothing that it checks.
rule verify:
    log:
        "logs/verify.log",
    retries: 0
    conda:
        PYTHON_ENVIRONMENT
    threads: 8
    script:
        "../scripts/verify_run.py"


rule reproduce:
    input:
        manifest=reproduced,
    log:
        "logs/reproduce.log",
    retries: 0
    conda:
        PYTHON_ENVIRONMENT
    params:
        reproduction=asked_again,
    script:
        "../scripts/reproduce_run.py"


rule publish:
    input:
        published,


rule publish_data:
    input:
        manifest="results/{run}/manifest.json",
        selected=result("select_data"),
        adapter=result("train_adapter", offset=1),
        template=ROOT / "config/publish/dataset_card.md.jinja",
    output:
        folder=directory("results/{run}/published/d_{i}"),
        record="results/{run}/d_{i}/records/publish_data.json",
    log:
        "logs/{run}/d_{i}/publish_data.log",
    conda:
        PYTHON_ENVIRONMENT
    params:
        model_folder=base_model_folder,
        settings=settings_of("publish"),
        code=code("publish_data"),
    script:
        "../scripts/publish_data.py"


rule publish_model:
    input:
        manifest="results/{run}/manifest.json",
        merged=model(current),
        adapter=result("train_adapter"),
        template=ROOT / "config/publish/model_card.md.jinja",
    output:
        folder=directory("results/{run}/published/iter_{i}"),
        record="results/{run}/iter_{i}/records/publish_model.json",
    log:
        "logs/{run}/iter_{i}/publish_model.log",
    wildcard_constraints:
        i=r"[1-9]\d*",
    conda:
        PYTHON_ENVIRONMENT
    params:
        model_folder=base_model_folder,
        settings=settings_of("publish"),
        code=code("publish_model"),
    script:
        "../scripts/publish_model.py"


rule archive:
    input:
        expand("results/{run}.tar.gz", run=graph.config.runs),


rule archive_run:
    input:
        manifest="results/{run}/manifest.json",
    output:
        archive="results/{run}.tar.gz",
        sum="results/{run}.tar.gz.sha256",
    log:
        "logs/{run}/archive_run.log",
    conda:
        PYTHON_ENVIRONMENT
    threads: 8
    params:
        base=base_model_folder,
        settings=settings_of("publish"),
        code=code("archive_run"),
    script:
        "../scripts/archive_run.py"
