import sys

import pytest

from fspop import Experiment
from fspop.errors import ExperimentChanged, ExperimentError, UsageError
from fspop.experiment_code import digest_code, load_experiment, load_run_experiment, split_target
from fspop.paths import RunPaths
from fspop.records import FORMAT, Manifest


def write(folder, text, name="toy_experiment.py"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return name


def failure(folder, text, attribute="experiment"):
    with pytest.raises(ExperimentError) as caught:
        load_experiment(folder, write(folder, text), attribute)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("target", "file", "attribute"),
    [
        ("a.py", "a.py", "experiment"),
        ("x/a.py:large", "x/a.py", "large"),
        ("odd:a.py", "odd:a.py", "experiment"),
    ],
)
def test_a_target_is_a_file_and_perhaps_a_name(target, file, attribute):
    path, found = split_target(target)
    assert (str(path), found) == (file, attribute)


@pytest.mark.parametrize("target", ["a.py:", ":x", "a.py:1x", "a.py:class"])
def test_a_target_without_sense_is_refused(target):
    with pytest.raises(UsageError, match="FILE"):
        split_target(target)


def test_an_experiment_is_imported_by_its_module_name(folder, toy):
    experiment = load_experiment(folder, write(folder, toy), "experiment")
    assert isinstance(experiment, Experiment)
    assert experiment.task.__module__ == "toy_experiment" in sys.modules
    assert not (folder / "__pycache__").exists()


def test_a_file_in_a_package_is_imported_from_the_code_folder(folder, toy):
    write(folder, "members = 4", "lib/settings.py")
    name = write(folder, toy.replace("members=4", "members=S.members"), "lib/exp.py")
    (folder / name).write_text("import lib.settings as S\n" + (folder / name).read_text())
    assert load_experiment(folder, name, "experiment").members == 4


def test_a_second_folder_does_not_see_the_modules_of_the_first(tmp_path, toy):
    first, second = tmp_path / "a", tmp_path / "b"
    load_experiment(first, write(first, toy), "experiment")
    name = write(second, toy.replace("members=4", "members=5"))
    assert load_experiment(second, name, "experiment").members == 5
    assert str(first) not in sys.path


def test_an_error_names_file_line_and_error(folder):
    assert failure(folder, "\n\nx = 1 / 0") == (
        "toy_experiment.py line 3: ZeroDivisionError: division by zero"
    )


def test_an_error_in_a_library_names_the_line_that_called_it(folder):
    assert failure(folder, "import json\n\njson.loads('[')").startswith("toy_experiment.py line 3:")


def test_code_that_is_no_python_names_its_line(folder):
    assert failure(folder, "\ndef f(:").startswith("toy_experiment.py line 2: SyntaxError")


def test_code_that_exits_is_an_error(folder):
    assert "line 1: SystemExit: bye" in failure(folder, "raise SystemExit('bye')")


def test_reversed_bounds_keep_their_advice(folder):
    message = failure(folder, "from fspop import Uniform\nUniform(1.0, 0.0)")
    assert message.startswith("toy_experiment.py line 2: Uniform(") and "swap them" in message


def test_a_missing_attribute_lists_what_there_is(folder, toy):
    assert "choose one, as in toy_experiment.py:experiment" in failure(folder, toy, "other")


def test_a_file_without_an_experiment_says_what_to_write(folder):
    assert failure(folder, "x = 1").endswith("write experiment = Experiment(...)")


def test_what_is_no_experiment_is_refused(folder, toy):
    assert "'Toy' is a type, not a fspop.Experiment" in failure(folder, toy, "Toy")


@pytest.mark.parametrize("name", ["json.py", "queue.py", "pytest.py", "fspop.py"])
def test_a_file_named_like_another_module_is_refused(folder, toy, name):
    with pytest.raises(ExperimentError, match=f"{name}: .* rename the file"):
        load_experiment(folder, write(folder, toy, name), "experiment")


@pytest.mark.parametrize("name", ["a.b.py", "a.txt"])
def test_a_file_that_cannot_be_imported_is_refused(folder, toy, name):
    with pytest.raises(ExperimentError, match="not a name that Python can import"):
        load_experiment(folder, write(folder, toy, name), "experiment")


def run_of(root, overrides):
    """The paths and manifest of a run whose code is in place already."""
    paths = RunPaths(root)
    experiment = {
        "file": "toy_experiment.py",
        "attribute": "experiment",
        "digest": digest_code(paths.experiment),
        "overrides": overrides,
    }
    manifest = Manifest(
        FORMAT, "abc", 4, "max", 0, [{}] * 4, {}, "0.1.0", 0.0, experiment=experiment
    )
    return paths, manifest


def test_a_worker_gets_the_copy_with_the_settings_given_at_init(tmp_path, toy):
    write(tmp_path / "experiment", toy)
    paths, manifest = run_of(tmp_path, {"mutator.interval": 7})
    assert load_run_experiment(paths, manifest).mutator.interval == 7


@pytest.mark.parametrize("change", ["edited", "gone"])
def test_changed_code_is_refused_by_name(tmp_path, toy, change):
    name = write(tmp_path / "experiment", toy)
    paths, manifest = run_of(tmp_path, {})
    if change == "edited":
        write(tmp_path / "experiment", toy + "# x")
    else:
        (paths.experiment / name).unlink()
        paths.experiment.rmdir()
    with pytest.raises(ExperimentChanged, match="run abc began with") as caught:
        load_run_experiment(paths, manifest)
    assert caught.value.exit_code == 78


def test_a_run_without_an_experiment_has_nothing_to_train(tmp_path):
    manifest = Manifest(FORMAT, "abc", 4, "max", 0, [{}] * 4, {}, "0.1.0", 0.0)
    with pytest.raises(ExperimentError, match="PopulationController"):
        load_run_experiment(RunPaths(tmp_path), manifest)


def test_a_library_that_an_extra_brings_is_said_to_come_with_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    message = failure(tmp_path, "import pytorch_lightning")
    assert message.startswith("toy_experiment.py line 1: ModuleNotFoundError")
    assert message.endswith("install it with pip install 'fspop[lightning]'")
