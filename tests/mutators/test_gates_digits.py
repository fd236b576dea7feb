"""Gate T4: real digits under label noise, 10 paired seeds against random search of equal budget."""

import statistics

import numpy as np
import pytest

from fspop.mutators import Perturb, TruncationSelection
from fspop.seeds import Rng
from fspop.space import LogUniform, Space
from tests.mutators.driver import Population

datasets = pytest.importorskip("sklearn.datasets")
threads = pytest.importorskip("threadpoolctl")  # comes with scikit-learn

SPACE = Space({"lr": LogUniform(1e-4, 1.0), "wd": LogUniform(1e-6, 0.1)})
MEMBERS, EPOCHS, BATCH, ROUND = 8, 40, 50, 2


class Networks:
    """Eight small networks, trained side by side with their own learning rate and weight decay."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        images, labels = datasets.load_digits(return_X_y=True)
        order = rng.permutation(len(images))
        x, y = images[order].astype(np.float32) / 16, labels[order]
        noisy = y[:1000].copy()
        redrawn = rng.random(1000) < 0.2
        noisy[redrawn] = rng.integers(0, 10, redrawn.sum())
        self.train_set, self.val_set = (x[:1000], noisy), (x[1000:1400], y[1000:1400])
        self.test_set = (x[1400:], y[1400:])
        self.seed = seed

        def drawn(*shape):  # (members, in, out)
            return rng.normal(0, np.sqrt(2 / shape[1]), shape).astype(np.float32)

        zeros = [np.zeros((MEMBERS, 1, n), np.float32) for n in (128, 10)]
        self.weights = [drawn(MEMBERS, 64, 128), zeros[0], drawn(MEMBERS, 128, 10), zeros[1]]
        self.speeds = [np.zeros_like(w) for w in self.weights]

    def logits(self, x):
        w1, b1, w2, b2 = self.weights
        hidden = np.maximum(x @ w1 + b1, 0)  # (members, batch, 128)
        return hidden, hidden @ w2 + b2

    def train(self, hparams, first_epoch):
        lr = np.array([h["lr"] for h in hparams], np.float32)[:, None, None]
        wd = np.array([h["wd"] for h in hparams], np.float32)[:, None, None]
        x, y = self.train_set
        for epoch in range(first_epoch, first_epoch + ROUND):
            order = np.random.default_rng((self.seed, epoch)).permutation(len(x))
            for rows in order.reshape(-1, BATCH):
                self._step(x[rows], y[rows], lr, wd)

    def _step(self, x, y, lr, wd):
        hidden, logits = self.logits(x)
        error = np.exp(logits - logits.max(-1, keepdims=True))
        error /= error.sum(-1, keepdims=True)
        error[:, np.arange(BATCH), y] -= 1
        error /= BATCH
        back = (error @ self.weights[2].transpose(0, 2, 1)) * (hidden > 0)
        slopes = [x.T @ back, back.sum(1, keepdims=True)]
        slopes += [hidden.transpose(0, 2, 1) @ error, error.sum(1, keepdims=True)]
        for i, (w, v, slope) in enumerate(zip(self.weights, self.speeds, slopes, strict=True)):
            slope += wd * w if i % 2 == 0 else 0  # no decay of the biases
            slope *= lr
            v *= 0.9
            v -= slope
            w += v

    def losses(self, data):
        """Mean negative log-likelihood of each network."""
        x, y = data
        logits = self.logits(x)[1].astype(float)
        logits -= logits.max(-1, keepdims=True)
        likely = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return -likely[:, np.arange(len(y)), y].mean(1)

    def copied(self, sources):
        """Network i becomes what network sources[i] is, momentum included."""
        self.weights = [w[sources] for w in self.weights]
        self.speeds = [v[sources] for v in self.speeds]


def loss_of_the_best(seed, mutator):
    networks, rng = Networks(seed), Rng(seed, [0] * MEMBERS)
    first = [SPACE.sample(rng.member(i, "initial")) for i in range(MEMBERS)]
    p = Population(mutator, first, "min", seed, space=SPACE, total_steps=EPOCHS)
    for epoch in range(0, EPOCHS, ROUND):
        networks.train([p.hparams(i) for i in range(MEMBERS)], epoch)
        losses, before = networks.losses(networks.val_set), len(p.events)
        for i, loss in enumerate(losses):
            bad = "" if np.isfinite(loss) else "loss is not finite"
            p.report(i, epoch + ROUND, None if bad else float(loss), bad, params=i)
        sources = list(range(MEMBERS))
        for born in p.events[before:]:
            sources[born.member] = born.origin.params
        networks.copied(sources)
    return networks.losses(networks.test_set)[int(np.nanargmin(losses))]


@pytest.mark.slow
def test_population_based_training_beats_random_search():
    explore = Perturb((0.8, 1.25), 0.25)
    pbt = TruncationSelection(ROUND, 0.25, explore=explore, synchronous=True)
    nobody = TruncationSelection(10 * EPOCHS, 0.25, explore=explore)
    with np.errstate(all="ignore"), threads.threadpool_limits(1):
        found = [(loss_of_the_best(s, pbt), loss_of_the_best(s, nobody)) for s in range(10)]
    assert sum(a < b for a, b in found) >= 8
    ours, theirs = (statistics.fmean(losses) for losses in zip(*found, strict=True))
    assert ours <= 0.92 * theirs
