# Preference pairs: answers to one prompt become chosen and rejected. Only runs that train on pairs have it.


rule pair_answers:
    input:
        **runs_model("pair_answers"),
        rows=reads("pair_answers", "rows"),
    output:
        rows="results/{run}/d_{i}/pairs.jsonl",
        rejected="results/{run}/d_{i}/pairs.rejected.jsonl",
        funnel="results/{run}/d_{i}/pairs.funnel.json",
        discrimination="results/{run}/d_{i}/pairs.discrimination.json",
        record="results/{run}/d_{i}/records/pair_answers.json",
    log:
        "logs/{run}/d_{i}/pair_answers.log",
    benchmark:
        "logs/{run}/d_{i}/pair_answers.benchmark.tsv"
    threads: cpus("pair_answers")
    resources:
        **asks("pair_answers"),
    params:
        **decides("pair_answers"),
    script:
        "../scripts/pair_answers.py"


use rule pair_answers as pair_answers_shard with:
    output:
        done="results/{run}/d_{i}/.shards/pair_answers/shard-{shard}-of-{shards}.done",
    log:
        "logs/{run}/d_{i}/pair_answers_shard/{shard}-of-{shards}.log",
    benchmark:
        "logs/{run}/d_{i}/pair_answers_shard/{shard}-of-{shards}.benchmark.tsv"
