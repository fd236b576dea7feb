"""Eight schedules of the learning rate, and none, on the same network, data and random numbers.

A sweep finds the range of learning rates once; each schedule then moves within it, and "none" stays
at its upper end. One figure shows the sweep and how each of them learned; of the test set's 360
digits, one is 0.3 %. This is the Trainer alone, without a population: killed at any moment, the
same command goes on where it was.

    python examples/lr_schedules.py /tmp/schedules        # writes /tmp/schedules/schedules.png

It learns the 1,797 scanned digits that come with scikit-learn; the figure needs matplotlib.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from fspop.training import LRFinder, Trainer

BATCH_SIZE = 32


def load_data():
    """To train on, to validate with, and for the final test."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16  # (1797, 1, 8, 8)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return [TensorDataset(images[part], labels[part]) for part in order.split([1077, 360, 360])]


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * 4 * 4, 10),
    )


def make_trainer(data, **options):
    """The same first weights, order of the data and random numbers each time it is called."""
    training, validation, test = data
    return Trainer(
        make_network,
        train_dataset=training,
        val_dataset=validation,
        test_dataset=test,
        optim_function="SGD",
        momentum=0.9,
        batch_size=BATCH_SIZE,
        seed=0,
        verbose=False,
        **options,
    )


def find_range(folder, data):
    """Sweeps the first time, and later reads what was seen then.

    The range ends at a third of the rate that did best: a sweep is over before such a rate harms.
    """
    path = folder / "sweep.json"
    if not path.exists():
        sweep = {"num_epochs": 1, "lr_min": 1e-4, "lr_max": 3.0, "beta": 0.9, "lr_max_scale": 1 / 3}
        make_trainer(data).find_lr(**sweep).save(path)
    return LRFinder.load(path)


def make_schedules(finder, n_iterations):
    """By name, within the range that was found and through after `n_iterations`."""
    half_cycle = -(-n_iterations // 6)  # three cycles, none of them begun at the very end
    settings = {
        "Step": {"lr_decay": 0.3, "lr_decay_every": n_iterations // 3},
        "LinearDecay": {"num_iters": n_iterations},
        "LogDecay": {"num_iter": n_iterations},
        "WarmRestart": {"stepsize": half_cycle},
        "CosineOneCycle": {"num_iters": n_iterations},
        "Triangular": {"stepsize": half_cycle},
        "Triangular2": {"stepsize": half_cycle},
        "TriangularExp": {"stepsize": half_cycle, "k": 2 / n_iterations},
    }
    return {name: finder.schedule(name, **own) for name, own in settings.items()}


def train(folder, data, epochs, lr_max, schedule=None):
    """The history of one training; goes on from its newest checkpoint where there is one."""
    trainer = make_trainer(
        data,
        num_epochs=epochs,
        learning_rate=lr_max,
        lr_scheduler=schedule,
        checkpoint_dir=folder,
        keep_checkpoints=2,
    )
    trainer.resume()
    return trainer.fit()


# ---- the figure
def draw(finder, schedules, histories, path):
    """The sweep on top; below it each schedule's training beside that without one."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    top, bottom = figure.subfigures(2, height_ratios=[2, 5])
    draw_sweep(finder, top.subplots())
    charts = bottom.subplots(2, 4, sharex=True, sharey=True).flat
    for chart, name in zip(charts, schedules, strict=True):
        draw_schedule(chart.twinx(), schedules[name], histories[name], finder.range().lr_max)
        chart.set_zorder(2)  # in front of the schedule
        chart.patch.set_visible(False)
        chart.set(title=f"{name}: {accuracy(histories[name]):.1%} right", yscale="log")
        chart.plot(*losses(histories["none"]), color="0.5", linestyle="--")
        chart.plot(*losses(histories[name]), color="tab:blue")
    bottom.supxlabel("iteration")
    bottom.supylabel("loss on the validation set")
    bottom.suptitle(
        f"solid: with the schedule, dashed: with none ({accuracy(histories['none']):.1%} right on "
        f"the test set), shaded: the learning rate, from 0 to {finder.range().lr_max:.2g}"
    )
    figure.savefig(path)


def draw_sweep(finder, chart):
    chart.plot(finder.sweep.learning_rates, finder.sweep.accuracies)
    low, high = finder.range()
    chart.axvspan(low, high, alpha=0.2, label=f"range: {low:.2g} to {high:.2g}")
    chart.set(xscale="log", xlabel="learning rate", ylabel="accuracy", title="the sweep")
    chart.legend(loc="upper left")


def draw_schedule(chart, schedule, history, lr_max):
    iterations = [iteration for iteration, _ in history.points("loss/train")]
    values = [schedule.value(iteration - 1) for iteration in iterations]
    chart.fill_between(iterations, values, color="0.9")
    chart.set(ylim=(0, 1.1 * lr_max), yticks=[])


def losses(history):
    return zip(*history.points("loss/val"), strict=True)


def accuracy(history):
    """On the test set, after the training."""
    return history.last("acc/test")[1]


def main(folder, epochs):
    torch.set_num_threads(1)  # another number of threads gives other bits
    folder.mkdir(parents=True, exist_ok=True)
    data = load_data()
    finder = find_range(folder, data)
    lr_max = finder.range().lr_max
    schedules = make_schedules(finder, epochs * (len(data[0]) // BATCH_SIZE))
    histories = {}
    for name, schedule in {"none": None, **schedules}.items():
        histories[name] = train(folder / f"{name}-{epochs}", data, epochs, lr_max, schedule)
        print(f"{name:<16}{accuracy(histories[name]):.1%} right on the test set", flush=True)
    draw(finder, schedules, histories, folder / "schedules.png")
    print(f"see {folder / 'schedules.png'}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("folder", type=Path, help="where checkpoints and the figure go")
    arguments.add_argument("--epochs", type=int, default=15, help="how long each one trains")
    given = arguments.parse_args()
    main(given.folder, given.epochs)
