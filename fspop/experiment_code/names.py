"""Functions and classes by name, from the copy of the experiment's code: imported, never
evaluated.
"""

import difflib
import importlib
import importlib.util
from pathlib import Path
from typing import Any

from fspop.errors import InvalidSetting
from fspop.experiment_code.load import module_name
from fspop.paths import RunPaths
from fspop.records import Manifest


class Names:
    """What the code of a run calls by "module:name", or by "name" in the experiment's own file.

    Only after `load_run_experiment`, which checks the code and makes it importable.
    """

    def __init__(self, paths: RunPaths, manifest: Manifest):
        assert manifest.experiment is not None
        self._folder = paths.experiment.absolute()
        self._module = module_name(manifest.experiment["file"])

    def __call__(self, path: str) -> Any:
        """What `path` names. Raises InvalidSetting where there is nothing of that name."""
        module, _, name = path.rpartition(":")
        found = self._import(module or self._module, path)
        for part in name.split("."):
            if not hasattr(found, part):
                near = difflib.get_close_matches(part, dir(found), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InvalidSetting(
                    f"{path}: {module or self._module} in the experiment's code has no "
                    f"{part!r}{hint}"
                )
            found = getattr(found, part)
        return found

    def _import(self, module: str, path: str) -> Any:
        try:
            spec = importlib.util.find_spec(module)
            origin = spec.origin if spec else None
            if origin is None or not Path(origin).is_relative_to(self._folder):
                raise InvalidSetting(
                    f"{path}: {module!r} is no module of the experiment's code, and strategies "
                    "take functions and classes from there alone"
                )
            return importlib.import_module(module)
        except InvalidSetting:
            raise
        except Exception as error:  # user code: it may raise anything
            raise InvalidSetting(f"{path}: {type(error).__name__}: {error}") from error
