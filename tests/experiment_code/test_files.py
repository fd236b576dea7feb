import pytest

from fspop.errors import DiskFull, ExperimentError, UsageError
from fspop.experiment_code import copy_code, digest_code, digest_source, files, relative_file


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}")


def names_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def test_without_a_folder_the_file_alone_is_copied(tmp_path, folder):
    fill(folder, ["a.py", "b.py"])
    copy_code(folder / "a.py", None, tmp_path / "copy")
    assert names_below(tmp_path / "copy") == {"a.py"}


def test_a_folder_is_copied_without_what_is_not_code(tmp_path, folder):
    fill(folder, ["a.py", "sub/b.py", "__pycache__/a.pyc", ".git/x", ".hidden", "sub/.c"])
    fill(folder, ["venv/pyvenv.cfg", "venv/lib.py", "old/run.json", "old/x.py"])
    (folder / "link.py").symlink_to(folder / "a.py")
    (folder / "links").symlink_to(tmp_path)
    copy_code(folder / "a.py", folder, tmp_path / "copy")
    assert names_below(tmp_path / "copy") == {"a.py", "sub/b.py"}


def test_a_run_inside_the_folder_does_not_copy_itself(folder):
    fill(folder, ["a.py", "runs/notes.py"])
    (folder / "runs/new").mkdir()
    copy_code(folder / "a.py", folder, folder / "runs/new/staged")
    assert names_below(folder / "runs/new/staged") == {"a.py", "runs/notes.py"}
    assert digest_source(folder / "a.py", folder, folder / "runs/new") == digest_code(
        folder / "runs/new/staged"
    )


@pytest.mark.parametrize("change", ["content", "name", "another file"])
def test_the_digest_sees_every_change(folder, change):
    fill(folder, ["a.py", "sub/b.py"])
    before = digest_code(folder)
    if change == "content":
        (folder / "sub/b.py").write_text("# else")
    elif change == "name":
        (folder / "sub/b.py").rename(folder / "sub/c.py")
    else:
        fill(folder, ["sub/__init__.py"])
    assert digest_code(folder) != before


def test_the_digest_does_not_see_bytecode(folder):
    fill(folder, ["a.py"])
    before = digest_code(folder)
    fill(folder, ["__pycache__/a.cpython-311.pyc"])
    assert digest_code(folder) == before == digest_source(folder / "a.py", None, folder)


def test_a_file_outside_the_code_folder_is_refused(tmp_path, folder):
    fill(tmp_path, ["a.py"])
    with pytest.raises(UsageError, match=r"--code: .*a\.py is not inside it"):
        copy_code(tmp_path / "a.py", folder, tmp_path / "copy")


def test_the_file_is_named_below_the_code_folder(folder):
    fill(folder, ["sub/a.py"])
    assert relative_file(folder / "sub/a.py", folder) == "sub/a.py"
    assert relative_file(folder / "sub/a.py", None) == "a.py"


@pytest.mark.parametrize("name", ["none.py", "sub"])
def test_what_is_no_file_is_refused(folder, name):
    (folder / "sub").mkdir()
    with pytest.raises(UsageError, match="FILE: got"):
        relative_file(folder / name, None)


def test_a_folder_of_data_is_refused(folder, tmp_path, monkeypatch):
    fill(folder, ["a.py", "b.py", "c.py"])
    monkeypatch.setattr(files, "MAX_FILES", 2)
    with pytest.raises(ExperimentError, match="holds 3 files"):
        copy_code(folder / "a.py", folder, tmp_path / "copy")


def test_a_hidden_file_cannot_be_the_experiment(folder, tmp_path):
    fill(folder, [".a.py"])
    with pytest.raises(UsageError, match="hidden"):
        copy_code(folder / ".a.py", folder, tmp_path / "copy")


def test_a_copy_that_does_not_fit_says_so(folder, tmp_path, monkeypatch):
    def create(path, data):
        raise OSError(28, "No space left on device", str(path))

    fill(folder, ["a.py"])
    monkeypatch.setattr(files, "create", create)
    with pytest.raises(DiskFull, match="free some space"):
        copy_code(folder / "a.py", None, tmp_path / "copy")
