def test_each_run_below_has_its_line(fspop, trained):
    fspop.good("init", "toy.py", "--dir", "more/second")
    first, second = fspop.good("ls", ".").splitlines()
    assert first.startswith("more/second  idle  3 members  steps 0..0 of 40  best -")
    assert second.startswith("run  finished  3 members  steps 40..40 of 40  best ")


def test_a_run_that_cannot_be_read_does_not_hide_the_others(fspop, run):
    fspop.good("init", "toy.py", "--dir", "a")
    (fspop.folder / "a/run.json").write_text('{"format": 99}')
    broken, good = fspop.good("ls", ".").splitlines()
    assert broken.startswith("a  cannot be read: ") and good.startswith("run  idle")


def test_a_folder_without_runs_says_so(fspop, refused_here):
    (fspop.folder / "empty").mkdir()
    assert fspop.good("ls", "empty") == "no runs below empty\n"
    assert "no such folder" in refused_here(2, "ls", "nope")
