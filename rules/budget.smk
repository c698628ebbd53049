# Budget: before each round after the first, whether a run that has one goes on.


localrules:
    check_budget,


# A checkpoint: what is made of a run is asked for round by round, so that a round which is not to be is never in the
# graph. Its records are those of everything before d_i, the measures of iter_i included.
checkpoint check_budget:
    input:
        records=lambda wildcards: graph.records_before(wildcards.run, int(wildcards.i)),
    output:
        decision="results/{run}/iter_{i}/budget.json",
    log:
        "logs/{run}/iter_{i}/check_budget.log",
    wildcard_constraints:
        i=r"[1-9]\d*",
    retries: 0
    params:
        budget=lambda wildcards: graph.config.runs[wildcards.run].budget.limits,
        code=code_digest("check_budget.py"),
    script:
        "../scripts/check_budget.py"
