# Summary: the settings as resolved, and the funnel of every round as a table.


rule freeze_config:
    output:
        config="results/{run}/config.yaml",
    log:
        "logs/{run}/freeze_config.log",
    conda:
        PYTHON_ENVIRONMENT
    params:
        settings=resolved,
        code=code("freeze_config"),
    script:
        "../scripts/freeze_config.py"


rule summarise_run:
    input:
        funnels=funnels,
        discriminations=discriminations,
        trainings=trainings,
        mergings=mergings,
        scores=all_scores,
    output:
        summary=report(
            "results/{run}/summary.txt",
            caption="../config/report/captions/summary.rst",
            category="Runs",
            labels={"run": "{run}", "shows": "summary"},
        ),
        record="results/{run}/records/summarise_run.json",
    log:
        "logs/{run}/summarise_run.log",
    conda:
        PYTHON_ENVIRONMENT
    params:
        rounds=rounds,
        code=code("summarise_run"),
    script:
        "../scripts/summarise_run.py"
