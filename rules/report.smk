# Report: one HTML page for each run, and one that puts several runs and the paper's tables beside each other; a
# study's tables and plot.


localrules:
    write_report,
    write_comparison,
    write_study,


rule write_report:
    input:
        records=of_whole(graph.records),
    output:
        page=report(
            "results/{run}/report.html",
            caption="../config/report/captions/report.rst",
            category="Runs",
            labels={"run": "{run}", "shows": "everything on one page"},
        ),
        tables=[
            "results/{run}/scores.csv",
            "results/{run}/funnel.csv",
            "results/{run}/costs.csv",
        ],
    log:
        "logs/{run}/write_report.log",
    benchmark:
        "logs/{run}/write_report.benchmark.tsv"
    params:
        resolved=resolved,
        settings=section("report"),
        code=code_digest("write_report.py"),
    script:
        "../scripts/write_report.py"


rule write_comparison:
    input:
        records=of_every_run(graph.records),
        paper=ROOT / "config/report/paper.yaml",
    output:
        page=report(
            "results/comparisons/{name}.html",
            caption="../config/report/captions/comparison.rst",
            category="Comparison",
            labels={"run": "all of {name}", "shows": "runs side by side"},
        ),
    log:
        "logs/comparisons/{name}.log",
    benchmark:
        "logs/comparisons/{name}.benchmark.tsv"
    wildcard_constraints:
        name=r"[^/]+",
    params:
        runs=compared_runs,
        code=code_digest("write_comparison.py"),
    script:
        "../scripts/write_comparison.py"


rule study:
    input:
        [made_of(run) for run in graph.config.runs],
        targets.comparison(graph),
        lambda wildcards: studied(),


rule write_study:
    input:
        records=of_every_run(graph.records),
    output:
        table="results/studies/{study}.csv",
        seeds="results/studies/{study}.seeds.csv",
        plot="results/studies/{study}.svg",
    log:
        "logs/studies/{study}.log",
    wildcard_constraints:
        study=r"[^/.]+",
    params:
        runs=compared_runs,
        axes=lambda wildcards: study.axes if study else {},
        code=code_digest("write_study.py"),
    script:
        "../scripts/write_study.py"
