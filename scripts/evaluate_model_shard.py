"""Rule evaluate_model_shard: the answers to every n-th item; they stay in the stage's journal."""

from isheep.evaluation import stage
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    benchmarks, _ = stage.load(this.run.evaluation)
    template = this.template if this.knows_template(this.round) else None
    send = stage.to_engine(dispatcher, template, this.run.outputs.plain, this.run.seed)
    rows = stage.ask(benchmarks, "model", send, shard=this.shard)
    this.finish_shard(len(rows))
