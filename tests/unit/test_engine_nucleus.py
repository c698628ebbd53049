"""Top-p without sorting the vocabulary keeps what sorting it keeps, for one request whatever the others are."""

import pytest
import torch

from isheep.serving.engines.base import Sampling
from isheep.serving.engines.nucleus import KEY, keep_nucleus, log_total
from isheep.serving.engines.vllm import drawn


def by_sorting(logits, top_p):
    """The smallest set of likeliest tokens with this probability, from the whole vocabulary sorted (float64)."""
    probabilities = logits.double().softmax(0)
    ordered, order = probabilities.sort(descending=True)
    count = int((ordered.cumsum(0) < top_p).sum()) + 1
    return set(order[:count].tolist())


@pytest.mark.parametrize("spread", [0.01, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95, 0.999])
def test_the_nucleus_is_that_of_a_sorted_vocabulary(spread, top_p):
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(1)) * spread
    kept = keep_nucleus(logits.clone(), top_p)
    found = set(kept.isfinite().nonzero().flatten().tolist())
    # A token whose cumulated probability is within rounding of top_p may fall on either side.
    assert len(found ^ by_sorting(logits, top_p)) <= (3 if spread < 0.1 else 0)
    assert torch.equal(kept[list(found)], logits[list(found)])


def test_equal_tokens_stay_together_and_the_likeliest_always_stays():
    assert keep_nucleus(torch.tensor([2.0, 1.0, 1.0, -9.0]), 0.6).isfinite().tolist() == [True, True, True, False]
    assert keep_nucleus(torch.tensor([0.0, 30.0, 0.0]), 1e-6).isfinite().tolist() == [False, True, False]
    assert keep_nucleus(torch.zeros(7), 0.5).isfinite().all()
    assert keep_nucleus(torch.tensor([1.0, float("-inf"), 0.0]), 1 - 1e-12).isfinite().tolist() == [True, False, True]


def test_a_row_of_a_batch_is_cut_in_place_and_alone():
    batch = torch.randn(3, 400, generator=torch.Generator().manual_seed(2))
    alone = keep_nucleus(batch[1].clone(), 0.7)
    untouched = batch[[0, 2]].clone()
    keep_nucleus(batch[1], 0.7)
    assert torch.equal(batch[1], alone) and torch.equal(batch[[0, 2]], untouched)


def test_a_row_sums_to_the_same_bits_on_any_number_of_threads():
    rows = torch.randn(8, 262_144, generator=torch.Generator().manual_seed(3))
    threads = torch.get_num_threads()
    try:
        totals = []
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            totals.append(torch.stack([log_total(row) for row in rows]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(totals[0], totals[1]) and torch.equal(totals[0], totals[2])
    assert torch.allclose(totals[0], rows.double().logsumexp(1).float(), rtol=1e-6)


def test_only_a_cpu_and_only_drawing_needs_it():
    assert drawn(Sampling(0.7, 0.9, 8), on_cpu=True) == {"temperature": 0.7, "extra_args": {KEY: 0.9}}
    assert drawn(Sampling(0.7, 0.9, 8), on_cpu=False) == {"temperature": 0.7, "top_p": 0.9}
    for sampling in (Sampling(0.0, 0.9, 8), Sampling(1.0, 1.0, 8)):
        assert drawn(sampling, on_cpu=True) == {"temperature": sampling.temperature, "top_p": sampling.top_p}
