# Plan: requests, tokens, memory, disk and time of every run, before anything runs. A dry run ends with the same.


localrules:
    plan,


# Takes no inputs, as `verify`: it looks at what is there.
rule plan:
    log:
        "logs/plan.log",
    retries: 0
    params:
        text=lambda wildcards: plan_text(),
    script:
        "../scripts/print_plan.py"
