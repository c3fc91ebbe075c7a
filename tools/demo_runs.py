"""What an earlier demo left behind: a training to go on with, a finished one, or none of use."""

from pathlib import Path
from typing import NamedTuple

from yolov3.configs import Config, changed_settings
from yolov3.weights.checkpoint_search import find_checkpoint


class Earlier(NamedTuple):
    """The newest run of an earlier demo, and whether its last epoch was finished, and validated.

    Without a run of use `run` is None; `unusable` then says why, or is empty if there is none.
    """

    run: Path | None = None
    is_finished: bool = False
    unusable: str = ""


def find_earlier(folder: Path, config: Config, annotations: list[Path]) -> Earlier:
    """Look for a run of these settings on these data in a folder of runs.

    `annotations` are the files to train and to validate on. Those that were made after the newest
    checkpoint are others.
    """
    try:
        checkpoint = find_checkpoint(folder, kind="last")
    except ValueError:
        return Earlier()
    changed = changed_settings(checkpoint.config, config)
    if changed:
        return Earlier(unusable=f"had other settings ({', '.join(changed)})")
    saved = checkpoint.path.stat().st_mtime
    if any(path.stat().st_mtime > saved for path in annotations):
        return Earlier(unusable="is older than the digit images")
    return Earlier(checkpoint.path.parent, checkpoint.epoch >= config.train_epochs)


def newest_run(folder: Path) -> Path:
    """Return the folder of the run that was written to last. Raises ValueError if there is none."""
    return find_checkpoint(folder, kind="last").path.parent
