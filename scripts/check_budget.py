"""Rule check_budget: whether another round ends within the budget of the run."""

import logging

from isheep.data.files import write_json
from isheep.documents.budget import words
from isheep.runner import job
from isheep.workflow import budget, graph

with job.of(snakemake, "check_budget") as this:
    decision = budget.decide(graph.Graph(this.config, this.root), this.wildcards.run, this.round)
    write_json(this.output.decision, decision)
    if not decision["goes_on"]:
        logging.getLogger(__name__).warning("%s", words(decision))
