"""Stage cluster_outputs: which rows lie close together in a model's last layer."""

from __future__ import annotations

from isheep.data.files import publish
from isheep.data.funnel import Funnel
from isheep.data.rows import read_rows
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.embeds import Embeds
from isheep.select import clusters
from isheep.serving import embedding, engines
from isheep.stages.base import Stage, chosen, template

STAGE = Stage(
    "cluster_outputs",
    about="embeds every row by the model's last layer and groups rows that lie close together",
    place=45,
    folder="d_{i}",
    makes=("clustered.jsonl", "clustered.funnel.json", "clustered.safetensors"),
    settings=("model", "engine.name", "engine.dtype", "engine.context_length", "cluster"),
    reads=lambda at: {"rows": at.rows_before("cluster_outputs")},
    files=template,
    model=chosen("cluster.model"),
    machine="assess",
    present=lambda run: run.cluster.count is not None,
    needs=lambda run: ("instruction", "input", "output"),
    adds=lambda run: ("cluster",),
    code=lambda run: (engines.module_of(embedding.engine_for(run.engine).name),),
    does="assess",
)


class Work(Embeds):
    """Asks for the embedding of every row."""

    def requests(self, send: Send) -> None:
        """Send every row."""
        self.rows = list(read_rows(self.job.input.rows))
        of, control_tokens = self.run.cluster.of, self.template.control_tokens
        self.results = send([embedding.request(row, of, control_tokens) for row in self.rows])

    def finish(self) -> stage.Made:
        """Return the rows with their clusters; embeddings are tensors, not rows."""
        from safetensors.numpy import save_file

        vectors = embedding.directions([self.results[row["id"]] for row in self.rows])
        with publish(self.job.output.embeddings) as temporary:
            save_file({"vectors": vectors}, temporary)
        funnel = Funnel("cluster_outputs", self.job.round)
        grouped = zip(self.rows, clusters.clusters(vectors, self.run.cluster), strict=True)
        rows = [{**row, "cluster": cluster} for row, cluster in grouped]
        funnel.keep(len(rows))
        funnel.counts = {"clusters": len({row["cluster"] for row in rows})}
        return {"funnel": funnel, "rows": rows}
