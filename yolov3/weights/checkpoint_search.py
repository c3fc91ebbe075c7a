"""Find the best or the last checkpoint among those of a run, or of many runs."""

import re
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import (
    CHECKSUMS,
    FOLDER_NAME,
    Checkpoint,
    checkpoint_folders,
    open_checkpoint,
    read_config,
    read_state,
)
from yolov3.configs import Config


class _Task(NamedTuple):
    """What an AP was measured on."""

    class_names: list[str]
    annotations: str
    fingerprint: str  # of their records; "" where a version before did not say

    def is_like(self, other) -> bool:
        """Tell whether two APs can be compared."""
        same_images = self.annotations == other.annotations
        if self.fingerprint and other.fingerprint:  # the file may have moved, or have been replaced
            same_images = self.fingerprint == other.fingerprint
        return self.class_names == other.class_names and same_images


def find_checkpoint(path, kind="best", warn=print) -> Checkpoint:
    """Open a checkpoint, or the best (or the last) one in a folder of checkpoints or of runs.

    The best of a run has the highest validation AP at the largest input size that was validated;
    the best of several runs is that with the highest AP among those with the class names and test
    images of the newest, since an AP on other images says nothing about these. The last of a
    run has the most steps; the last of several runs is that written last. A damaged one is named
    through `warn` and passed over. Raises ValueError if there is none.
    """
    path = Path(path)
    if not path.exists():
        expected = f"{path}: expected a checkpoint or a folder of them"
        raise ValueError(f"{expected}; there is nothing of that name{_hint(path)}")
    if FOLDER_NAME.fullmatch(path.name) or (path / CHECKSUMS).is_file():
        return open_checkpoint(path)
    pattern = "last" if kind == "last" else "*"
    folders = checkpoint_folders(path, pattern) + checkpoint_folders(path, pattern, runs="*/")
    for folder in _newest_first(folders) if kind == "last" else _best_first(folders, warn):
        try:
            return open_checkpoint(folder)
        except ValueError as error:
            warn(f"passed over: {error}")
    raise ValueError(f"{path}: expected a checkpoint or a folder of them; found none (train first)")


def _hint(path):
    if path == Path(Config.train_checkpoints_folder):
        return " (train first)"
    is_darknet = re.search(r"\.(weights|conv\.\d+)$", path.name)
    return " (make weights fetches the official ones)" if is_darknet else ""


def _newest_first(folders):
    """Order runs by when they were last written to; leave the folders of a run as they are."""
    runs = {folder.parent for folder in folders}
    order = sorted(runs, key=lambda run: (run.stat().st_mtime_ns, run.name), reverse=True)
    return sorted(folders, key=lambda folder: order.index(folder.parent))


def _best_first(folders, warn):
    """Yield folders by what their small files say, each run's best before its others.

    Runs with the task of the newest go before all others.
    """
    left, tasks = {}, {}
    for folder in _newest_first(folders):
        try:
            left[folder] = read_state(folder)
            tasks[folder] = _Task(
                left[folder]["class_names"],
                read_config(folder).test_annot_path,
                left[folder]["validated_on"],
            )
        except (OSError, ValueError) as error:
            left.pop(folder, None)
            warn(f"passed over: {folder}: expected a whole checkpoint; received {error}")
    newest = next(iter(tasks.values()), None)
    while left:
        winners = {}  # of each run
        for folder in sorted(left, key=lambda folder: _rank_in_run(folder, left[folder])):
            winners[folder.parent] = folder
        best = max(
            winners.values(),
            key=lambda folder: (
                tasks[folder].is_like(newest),
                _ap(left[folder]),
                left[folder]["step"],
            ),
        )
        del left[best]
        yield best


def _rank_in_run(folder, state):
    # The AP of a last-* may be that of another size, and is then no better than the best of its
    # run. Of equals best-* goes first: last-* may be some steps past the validation that it names.
    ap, is_best = min(_ap(state), state["best_mAP"]), folder.name.startswith("best")
    return state["best_size"], ap, is_best, state["step"]


def _ap(state):
    value = state["metrics"].get("AP", -1.0)
    return value if value == value else -1.0  # NaN: validated on images without boxes
