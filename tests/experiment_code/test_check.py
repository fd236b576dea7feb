import pytest

from fspop.errors import ExperimentError, InvalidSetting, UsageError
from fspop.experiment_code import check_in_fresh_process


def check(folder, text, attribute="experiment", **overrides):
    (folder / "toy_experiment.py").write_text(text)
    return check_in_fresh_process(folder, "toy_experiment.py", attribute, overrides)


def test_the_facts_are_what_a_manifest_needs(folder, toy):
    facts = check(folder, toy, members=3, seed=5)
    assert len(facts["hparams"]) == 3 and 0 <= facts["hparams"][0]["x"]["y"] <= 1
    assert facts["mutator"]["name"] == "TruncationSelection"
    assert facts["mutator"]["settings"]["interval"] == 10
    assert facts["seed"] == 5 and facts["settings"]["total_steps"] == 100
    assert facts["space"]["x"]["y"]["$domain"] == "Uniform"
    assert facts == check(folder, toy, members=3, seed=5)


def test_what_the_experiment_prints_does_no_harm(folder, toy):
    assert check(folder, "import os\nprint('{')\nos.system('echo [')\n" + toy)["mode"] == "max"


def test_modules_of_the_current_folder_are_not_seen(folder, toy, tmp_path, monkeypatch):
    (tmp_path / "lies_here.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentError, match="No module named 'lies_here'") as caught:
        check(folder, "import lies_here\n" + toy)
    assert caught.value.attributes["missing"] == "lies_here"


def test_each_kind_of_error_comes_back_as_itself(folder, toy):
    with pytest.raises(UsageError, match="did you mean 'seed'"):
        check(folder, toy, sead=1)
    with pytest.raises(InvalidSetting, match="members: got 0"):
        check(folder, toy, members=0)


def test_a_mutator_whose_first_state_fails_is_an_error(folder, toy):
    bad = "class Bad(TruncationSelection):\n    def init(self):\n        return 1 / 0\n\n"
    text = toy.replace("class Toy", bad + "class Toy")
    text = text.replace("mutator=TruncationSelection", "mutator=Bad")
    with pytest.raises(ExperimentError, match=r"toy_experiment\.py: ZeroDivisionError"):
        check(folder, text)


def test_an_import_that_ends_the_process_says_what_it_printed(folder):
    with pytest.raises(ExperimentError, match=r"ended the process \(exit 3\).*'no licence'"):
        check(folder, "import os\nprint('no licence', flush=True)\nos._exit(3)")
