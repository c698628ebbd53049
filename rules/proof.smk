# Proof and hand-over: what made a run, is it still that, does it come out again, and how it is given to others.


localrules:
    gather_manifest,
    verify,
    reproduce,
    publish,
    archive,


rule gather_manifest:
    input:
        records=of_whole(graph.records),
        summary="results/{run}/records/summarise_run.json",
        files=lambda wildcards: graph.user_files(wildcards.run),
        # What it vouches for, though two equal runs may differ in it.
        exports=expand(
            "results/{{run}}/{name}",
            name=[
                "config.yaml",
                "report.html",
                "scores.csv",
                "funnel.csv",
                "costs.csv",
            ],
        ),
    output:
        manifest="results/{run}/manifest.json",
        crate="results/{run}/ro-crate-metadata.json",
    log:
        "logs/{run}/gather_manifest.log",
    params:
        settings=resolved,
        code=code_digest("gather_manifest.py"),
    script:
        "../scripts/gather_manifest.py"


# Takes no inputs: it looks at what is there, and re-runs nothing that it checks.
rule verify:
    log:
        "logs/verify.log",
    retries: 0
    threads: 8
    script:
        "../scripts/verify_run.py"


rule reproduce:
    input:
        manifest=lambda wildcards: reproduced(),
    log:
        "logs/reproduce.log",
    retries: 0
    params:
        reproduction=lambda wildcards: {
            "manifest": str(reproduction.manifest),
            "run": reproduction.run,
            "tolerance": reproduction.tolerance,
        },
    script:
        "../scripts/reproduce_run.py"


rule publish:
    input:
        of_every_run(published),


rule publish_data:
    input:
        manifest="results/{run}/manifest.json",
        selected=lambda wildcards: graph.data(wildcards.run, int(wildcards.i)),
        adapter=lambda wildcards: graph.result(
            wildcards.run, "train_adapter", int(wildcards.i) + 1
        ),
        template=ROOT / "config/publish/dataset_card.md.jinja",
    output:
        folder=directory("results/{run}/published/d_{i}"),
        record="results/{run}/d_{i}/records/publish_data.json",
    log:
        "logs/{run}/d_{i}/publish_data.log",
    params:
        model_folder=base_model,
        settings=section("publish"),
        code=code_digest("publish_data.py"),
    script:
        "../scripts/publish_data.py"


rule publish_model:
    input:
        manifest="results/{run}/manifest.json",
        merged=lambda wildcards: graph.model_folder(wildcards.run, int(wildcards.i)),
        adapter=lambda wildcards: graph.result(
            wildcards.run, "train_adapter", int(wildcards.i)
        ),
        template=ROOT / "config/publish/model_card.md.jinja",
    output:
        folder=directory("results/{run}/published/iter_{i}"),
        record="results/{run}/iter_{i}/records/publish_model.json",
    log:
        "logs/{run}/iter_{i}/publish_model.log",
    wildcard_constraints:
        i=r"[1-9]\d*",
    params:
        model_folder=base_model,
        settings=section("publish"),
        code=code_digest("publish_model.py"),
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
    threads: 8
    params:
        base=base_model,
        settings=section("publish"),
        code=code_digest("archive_run.py"),
    script:
        "../scripts/archive_run.py"
