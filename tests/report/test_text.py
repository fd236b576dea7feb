import pytest

from fspop.records import AttemptFailed, Born, MutatorFailed, Retried
from fspop.report import text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0.4, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")],
)
def test_an_age_has_one_unit(seconds, shown):
    assert text.age(seconds) == shown


def test_hparams_of_any_shape_have_names():
    assert text.flat({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}
    assert text.flat(0.1) == {"hparams": 0.1}
    assert text.short([1] * 20) == "[1, 1, 1, 1..." and text.short(0.123456) == "0.1235"


def test_only_hparams_that_vary_are_columns(scene):
    assert list(text.varying(scene.look().members)) == ["lr", "kind"]


def test_a_member_without_an_hparam_that_others_have_shows_a_dash(scene):
    hparams = {**scene.state.members[1].generation.hparams, "momentum": 0.9}
    scene.fold(Born(1, 2, hparams, reason="its optimizer has one"))
    lines = text.lines(scene.look(), 140)
    at = lines[2].index("momentum") + len("momentum")
    assert [line[:at].split()[-1] for line in lines[3:6]] == ["-", "0.9", "-"]
    assert text.varying(scene.look().members)["momentum"] == ["-", 0.9, "-"]


def test_the_table_fits_and_says_what_it_leaves_out(scene):
    scene.work(5, 1, host="a-very-long-host-name")
    for width in (60, 80, 100, 140):
        shown = text.table(scene.look(), width)
        lines = text.lines(scene.look(), width)[2:6]
        assert max(map(len, lines)) <= width
        assert len(shown.columns) + len(shown.left_out) == 10  # no score, so no best
    assert shown.left_out == []


def test_the_columns_that_must_be_there_stay_in_any_width(scene):
    titles = [column.title for column in text.table(scene.look(), 10).columns]
    assert titles == ["member", "generation", "step", "value", "worker", "state"]


def test_an_hparam_may_be_called_like_a_column(scene):
    for member in scene.state.members:
        member.generation.hparams["step"] = member.index
    titles = [column.title for column in text.table(scene.look(), 200).columns]
    assert titles.count("step") == 2


def test_numbers_stand_flush_right(scene):
    scene.score(0, 5, 0.25)
    scene.score(1, 100, 0.125)
    head, first, second = text.lines(scene.look(), 200)[2:5]
    end = head.index("value") + len("value")
    assert first[:end].endswith(" 0.25") and second[:end].endswith("0.125")


def test_two_lines_say_how_the_run_stands(scene):
    scene.score(0, 5, 0.25)
    first, second = text.headlines(scene.look())
    name = f"{scene.root.name} (run {scene.manifest.run}, max, 100 steps)"
    assert first == f"{name}: idle, 0 of 3 members finished"
    assert second == "best 0.25 (m000.g0001 at 5), 1 evaluation, 0 decisions, updated 4s ago"


def test_a_column_with_nothing_in_it_takes_no_room(scene):
    titles = [column.title for column in text.table(scene.look(), 200).columns]
    assert "host" not in titles and "age" not in titles and "best" not in titles
    scene.score(0, 5, 0.25)
    scene.work(5, 1)
    titles = [column.title for column in text.table(scene.look(), 200).columns]
    assert {"host", "age", "best"} <= set(titles)


def test_what_all_members_have_in_common_is_said_below_the_table(scene):
    for member in scene.state.members:
        member.generation.hparams.update({"batch_size": 64, "loss": {"smoothing": 0.1}})
    lines = text.lines(scene.look(), 80)
    assert "in all members: net.width=8, batch_size=64, loss.smoothing=0.1" in lines
    for member in scene.state.members:
        member.generation.hparams.update({f"a_long_name_{i}": i for i in range(20)})
    lines = text.lines(scene.look(), 80)
    assert max(map(len, lines[1:])) <= 80
    assert "a_long_name_8=8, 11 more, see --json" in " ".join(line.strip() for line in lines)


def test_troubles_are_named(scene):
    scene.work(5, 1, age_s=500)
    scene.fold(AttemptFailed(0, 0, "ValueError: x", final=True), AttemptFailed(2, 0, "OSError: y"))
    scene.score(1, 10, diverged="evaluate() is nan")
    scene.fold(MutatorFailed("KeyError: 'lr'"))
    assert text.troubles(scene.look()) == [
        "FAILING: the mutator raises KeyError: 'lr'; no decision until that ends",
        "member 0 FAILED: ValueError: x",
        "member 1 diverged: evaluate() is nan",
        "member 2 raised once: OSError: y",
        "worker 5 on node-a, process 7, is silent (heartbeat 8m old)",
        f"once the cause is gone, 'fspop retry --dir {scene.root}' gives failed members new "
        f"attempts; 'fspop status --json --dir {scene.root}' has the tracebacks; a run keeps its "
        "code, so if that is the cause, mend the file and begin a new run",
    ]


def test_a_member_that_is_tried_again_says_what_it_had_failed_with(scene):
    scene.fold(AttemptFailed(0, 0, "ValueError: x", final=True), Retried(0, "me@here"))
    said = text.troubles(scene.look())
    assert said == ["member 0 is tried again; it had failed with ValueError: x"]
    scene.score(0, 10, 0.5)
    assert text.troubles(scene.look()) == []


def test_the_hparams_that_vary_are_worth_more_than_the_best_of_a_generation(scene):
    for width in range(40, 140):
        shown = [column.title for column in text.table(scene.look(), width).columns]
        assert "best" not in shown or {"lr", "kind"} <= set(shown)
