import json
import os

from fspop.cli.best import read_best
from fspop.controller import PopulationController
from fspop.mutators import WinnerTakeAllGenetic


def test_the_best_shows_where_it_is_and_where_it_came_from(fspop, trained):
    lines = dict(line.split(maxsplit=1) for line in fspop.good("best", "--dir", "run").splitlines())
    assert os.path.isdir(lines["checkpoint"]) and lines["hparams"].startswith("x=0.")
    assert lines["lineage"].endswith(".g0001") and " at step 40" in lines["generation"]


def test_the_best_as_json_has_the_whole_line(fspop, trained):
    data = json.loads(fspop.good("best", "--dir", "run", "--json"))
    parents = [ancestor["parent"] for ancestor in data["lineage"]]
    generations = [ancestor["generation"] for ancestor in data["lineage"]]
    assert generations[0] == data["generation"] and parents == [*generations[1:], None]
    assert os.path.isabs(data["checkpoint"]) and data["mode"] == "max"


def test_before_the_first_score_it_says_to_look_again(refused_here, run):
    assert "no evaluation counts so far" in refused_here(75, "best", "--dir", "run")


def test_parameters_that_are_no_path_are_shown_as_they_are(tmp_path, capsys):
    controller = PopulationController(
        [{"b": 1.0}, {"b": 2.0}], WinnerTakeAllGenetic(lambda h: h, 5), tmp_path
    )
    controller.set_eval(0, "m000.g0001", 5, {"a": 0.5}, 1.0)
    report = read_best(tmp_path)
    assert report.checkpoint is None and report.params == {"a": 0.5}
    assert report.lineage[0].generation == "m000.g0001"
