import json
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.errors import InvalidSetting, UsageError
from fspop.recipe import FORMS, Recipe, Segment, read_recipe, write_recipe
from fspop.recipe.dotted import flat, nested

NESTED = {
    "optimizer": {"lr": 1e-05, "betas": [0.9, 0.999]},
    "mask": {"block.1": True, 'a "b"': False},
    "act": "relu",
    "text": "1.0",
    "empty": {},
    "n": 3,
}
RECIPE = Recipe(
    run="abc",
    generation="m001.g0002",
    mode="max",
    value=0.5,
    until=30,
    segments=[Segment(0, NESTED), Segment(20, {**NESTED, "n": 4, "more": [{"k": [1, "x"]}]})],
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def back(recipe, form, folder):
    path = folder / f"recipe.{form}"
    path.write_text(write_recipe(recipe, form), encoding="utf-8", newline="")
    return read_recipe(path)


@pytest.mark.parametrize("form", ["json", "toml", "csv"])
def test_it_reads_back_as_it_was(form, tmp_path):
    found = back(RECIPE, form, tmp_path)
    assert found.segments == RECIPE.segments
    assert form == "csv" or found == RECIPE


@pytest.mark.parametrize("form", ["json", "toml", "csv"])
@given(first=PLAIN, second=PLAIN)
def test_any_hparams_read_back(form, tmp_path_factory, first, second):
    recipe = Recipe(segments=[Segment(0, first), Segment(1, second)])
    if form == "csv" and not (isinstance(first, dict) == isinstance(second, dict) and first):
        return  # one table cannot be both
    found = back(recipe, form, tmp_path_factory.mktemp("forms"))
    assert found.schedule == recipe.schedule


@given(st.dictionaries(NAMES, PLAIN, min_size=1, max_size=3))
def test_dotted_names_lead_back(hparams):
    assert nested(flat(hparams)) == hparams


def test_toml_is_what_any_reader_of_toml_takes():
    data = tomllib.loads(write_recipe(RECIPE, "toml"))
    assert data["segments"][1]["hparams"]["mask"] == NESTED["mask"] and data["value"] == 0.5


def test_none_is_no_toml_and_said_where(tmp_path):
    recipe = Recipe(segments=[Segment(0, {"net": {"init": None}})])
    with pytest.raises(InvalidSetting, match="hparams at step 0: net: init: got None"):
        write_recipe(recipe, "toml")
    assert back(recipe, "csv", tmp_path) == back(recipe, "json", tmp_path) == recipe


def test_csv_has_a_column_for_each_dotted_name():
    first, second, _ = write_recipe(RECIPE, "csv").splitlines()
    assert first.startswith("step,optimizer.lr,optimizer.betas,") and first.endswith(",more")
    assert second.startswith("0,1e-05,") and second.endswith(",")


def test_python_runs_without_fspop_and_gives_the_hparams(tmp_path):
    (tmp_path / "best.py").write_text(write_recipe(RECIPE, "python"))
    program = "import best, json; print(json.dumps([best.hparams_at(s) for s in (0, 19, 20, 99)]))"
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    a, b = (segment.hparams for segment in RECIPE.segments)
    assert json.loads(done.stdout) == [a, a, b, b]
    command = [sys.executable, "best.py"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert shown.stdout.splitlines()[0].startswith("0 {'optimizer'")


def test_python_drives_a_schedule_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    segments = [Segment(0, {"opt": {"lr": 0.4}}), Segment(2, {"opt": {"lr": 0.1}})]
    place = {}
    exec(write_recipe(Recipe(segments=segments), "python"), place)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, place["lr_lambda"])
    seen = []
    for _ in range(4):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert seen == [0.4, 0.4, 0.1, 0.1]


@pytest.mark.parametrize("hparams", [{"a": {"lr": 1.0}, "b": {"lr": 1.0}}, {"lr": "x"}, "lr"])
def test_without_one_learning_rate_there_is_no_lr_lambda(hparams):
    assert "lr_lambda" not in write_recipe(Recipe(segments=[Segment(0, hparams)]), "python")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.json", "{}", "not a recipe"),
        ("r.json", '{"segments": []}', "must ascend from 0"),
        ("r.json", '{"segments": [{"step": 5, "hparams": 1}]}', r"got the steps \[5\]"),
        ("r.json", '{"format": 9, "segments": []}', "upgrade fspop"),
        ("r.toml", "a = = 1", "not a recipe"),
        ("r.csv", "a,b\n", "first column is 'a'"),
        ("r.csv", "", "not a recipe"),
        ("r.csv", "step,a\n0,1,2\n", "not a recipe"),
    ],
)
def test_what_is_no_recipe_is_refused_by_name(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidSetting, match=message):
        read_recipe(tmp_path / name)


def test_a_program_is_not_read():
    with pytest.raises(UsageError, match="import its SCHEDULE"):
        read_recipe("best.py")


def test_every_form_has_a_name():
    assert list(FORMS) == ["python", "json", "csv", "toml"]
