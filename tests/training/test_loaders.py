"""The order of the data is a function of seed and epoch, wherever one begins in it."""

import itertools
import random

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler

from fspop.training import random_state
from fspop.training.dataset_loader import DatasetLoader
from fspop.training.feed import END, Feed
from fspop.training.loaders import make_loader
from fspop.training.replayed_loader import ReplayedLoader
from tests.training.trainers import points


class Numbers(Dataset):
    """0, 1, 2 ... each with a bit of noise where `noisy`."""

    base = 0

    def __init__(self, n, noisy=False):
        self.n, self.noisy = n, noisy

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        noise = random.random() + torch.rand(()).item()
        return torch.tensor(self.base + index + 0.4 * noise if self.noisy else float(index))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(20))


class NoisyStream(IterableDataset):
    def __iter__(self):
        return (torch.tensor(i + random.random() + torch.rand(()).item()) for i in range(20))


def rest(loader, epoch, start):
    return [batch.tolist() for batch in loader.batches(epoch, start)]


SETTINGS = {"num_workers": 0, "collate_fn": None, "batch_size": 4, "drop_last": False}


def weighted():
    sampler = WeightedRandomSampler(torch.arange(1.0, 21), 20)
    return make_loader(DataLoader(Numbers(20), 4, sampler=sampler), "train", {"seed": 3})


LOADERS = {
    "data set": lambda: DatasetLoader(Numbers(20), 4, seed=3, shuffle=True),
    "workers": lambda: DatasetLoader(Numbers(20, True), 4, seed=3, shuffle=True, num_workers=2),
    "weighted": weighted,
    "list": lambda: ReplayedLoader([torch.tensor([i]) for i in range(5)], 3),
    "stream": lambda: make_loader(Stream(), "train", {**SETTINGS, "seed": 3}),
}


@pytest.mark.parametrize("kind", list(LOADERS))
def test_the_rest_of_an_epoch_is_the_same_from_any_place_on(kind):
    loader = LOADERS[kind]()
    whole = rest(loader, 2, 0)
    place = 0
    for number in range(len(whole)):
        random_state.seed_all(number)  # what happens outside does not matter
        assert rest(LOADERS[kind](), 2, place) == whole[number:]
        assert loader.ends_at(place) in (False, None)
        place = loader.after(place)
    assert rest(loader, 2, place) == [] and loader.ends_at(place) in (True, None)


@pytest.mark.parametrize("kind", ["data set", "workers", "weighted"])
def test_every_epoch_and_seed_has_an_order_of_its_own(kind):
    loader, other = LOADERS[kind](), LOADERS[kind]()
    other.seed = 4
    orders = [rest(loader, 0, 0), rest(loader, 1, 0), rest(other, 0, 0)]
    assert len({str(order) for order in orders}) == 3


@pytest.mark.parametrize("kind", list(LOADERS))
def test_loading_does_not_disturb_the_global_random_numbers(kind):
    before = random_state.capture()
    rest(LOADERS[kind](), 0, 4)
    if kind != "data set":  # which draws from them in turn with the training, if it draws
        assert random_state.capture() == before


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_holds_every_sample_once(num_workers):
    loader = DatasetLoader(Numbers(22), 4, shuffle=True, num_workers=num_workers)
    batches = rest(loader, 0, 0)
    assert sorted(itertools.chain(*batches)) == list(range(22)) and len(batches) == len(loader) == 6
    dropping = DatasetLoader(Numbers(22), 4, drop_last=True, num_workers=num_workers)
    assert list(itertools.chain(*rest(dropping, 0, 0))) == list(range(20)) and len(dropping) == 5


def test_tensors_are_batched_as_collating_would():
    fast = DatasetLoader(points(), 8, shuffle=True, seed=1)
    slow = DatasetLoader(
        points(), 8, shuffle=True, seed=1, collate_fn=torch.utils.data.default_collate
    )
    for quick, plain in zip(fast.batches(0, 0), slow.batches(0, 0), strict=True):
        assert type(quick) is type(plain)
        assert all(map(torch.equal, quick, plain))


def test_a_plain_loader_is_rebuilt_and_an_unusual_one_replayed():
    plain = DataLoader(Numbers(20), 5, shuffle=True, drop_last=True)
    rebuilt = make_loader(plain, "train", {"seed": 3})
    assert isinstance(rebuilt, DatasetLoader) and rebuilt.drop_last and rebuilt.shuffle
    assert (rebuilt.batch_size, rebuilt.dataset) == (5, plain.dataset)
    for odd in (
        DataLoader(Numbers(20), batch_size=None),
        DataLoader(Numbers(20), 5, worker_init_fn=print),
        DataLoader(Numbers(20), 5, sampler=[1, 2, 3]),
        type("Own", (DataLoader,), {})(Numbers(20)),
    ):
        assert isinstance(make_loader(odd, "train", {"seed": 3}), ReplayedLoader)


def test_a_generator_of_ones_own_is_seeded_and_a_sampler_told_the_epoch():
    class Told(torch.utils.data.SequentialSampler):
        def set_epoch(self, epoch):
            self.epoch = epoch

    generator = torch.Generator().manual_seed(99)
    sampler = torch.utils.data.RandomSampler(range(20), replacement=True, generator=generator)
    loader = make_loader(DataLoader(Numbers(20), 4, sampler=sampler), "train", {"seed": 3})
    assert rest(loader, 1, 0) == rest(loader, 1, 0) != rest(loader, 2, 0)
    told = Told(range(20))
    rest(make_loader(DataLoader(Numbers(20), 4, sampler=told), "train", {"seed": 3}), 5, 0)
    assert told.epoch == 5


@pytest.mark.parametrize("kind", ["data set", "list"])
def test_a_feed_counts_a_batch_once_it_is_done_and_sees_the_end(kind):
    feed = Feed(LOADERS[kind]())
    seen = []
    while not feed.at_end:
        seen.append(feed.fetch())
        feed.done()
    assert len(seen) == 5 and feed.batch == 5 and feed.fetch() is END
    feed.next_epoch()
    assert not feed.at_end and feed.fetch() is not END and feed.state()["epoch"] == 1


def test_a_feed_that_was_dropped_gives_the_same_batch_again():
    feed = Feed(LOADERS["workers"]())
    feed.fetch()
    feed.done()
    second = feed.fetch()
    feed.drop()
    assert torch.equal(feed.fetch(), second)


STAY = {"num_workers": 2, "persistent_workers": True}


def staying(sampled):
    """Unusual DataLoaders whose workers outlive an epoch."""
    data = Numbers(20, noisy=True) if sampled else NoisyStream()
    how = {"sampler": WeightedRandomSampler(torch.arange(1.0, 21), 20)} if sampled else {}
    return make_loader(DataLoader(data, 4, **how, **STAY), "train", {"seed": 3})


@pytest.mark.parametrize("sampled", [True, False])
def test_workers_that_stay_carry_no_random_numbers_into_the_next_epoch(sampled):
    worked = staying(sampled)
    first = rest(worked, 0, 0)
    assert rest(worked, 1, 0) == rest(staying(sampled), 1, 0) != first
    assert rest(worked, 0, 0) == first


def test_workers_that_stay_see_data_that_have_changed():
    loader = staying(True)
    feed = Feed(loader)
    assert feed.fetch().max() < 30
    loader.loader.dataset.base = 100
    feed.drop()
    assert feed.fetch().min() >= 100


def drawing(generator):
    data = Numbers(20)
    sampler = torch.utils.data.RandomSampler(data, replacement=True, generator=generator)
    return make_loader(DataLoader(data, 4, sampler=sampler), "train", {"seed": 3})


@pytest.mark.parametrize("same", [True, False])
def test_loaders_that_share_a_generator_do_not_disturb_each_other(same):
    generator = torch.Generator().manual_seed(5)
    before, wanted = generator.get_state(), rest(drawing(torch.Generator()), 1, 0)
    one = drawing(generator)
    other = one if same else drawing(generator)
    found = []
    for batch in one.batches(1, 0):
        found.append(batch.tolist())
        next(iter(other))
    assert found == wanted and torch.equal(generator.get_state(), before)
