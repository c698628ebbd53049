# Summary: the settings as resolved, and the funnel of every round as a table.


rule freeze_config:
    output:
        config="results/{run}/config.yaml",
    log:
        "logs/{run}/freeze_config.log",
    params:
        settings=asked,
        code=code_digest("freeze_config.py"),
    script:
        "../scripts/freeze_config.py"


rule summarise_run:
    input:
        funnels=of_whole(graph.funnels),
        discriminations=beside("assess_outputs", "discrimination.json"),
        pair_checks=beside("pair_answers", "pairs.discrimination.json"),
        trainings=beside("train_adapter", "training.json"),
        mergings=beside("merge_model", "merging.json"),
        scores=beside("score_model", "scores.json"),
        healths=beside("measure_data", "health.json"),
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
    params:
        rounds=lambda wildcards: graph.run(wildcards.run).rounds,
        code=code_digest("summarise_run.py"),
    script:
        "../scripts/summarise_run.py"
