"""Images that could be read before a run and cannot be any more: named once each, and counted."""

MOST_NAMED = 10  # the disk of all others may be gone too


class Unreadable:
    """Warn of each such file once, the first `MOST_NAMED` by name."""

    def __init__(self, say):
        self._say = say
        self._paths: set[str] = set()
        self._times = 0

    def add(self, paths, consequence: str) -> None:
        """Count images that could not be read; `consequence` says what happened instead."""
        for path in paths:
            self._times += 1
            if path in self._paths:
                continue
            self._paths.add(path)
            if len(self._paths) <= MOST_NAMED:
                self._say(f"{path}: can no longer be read as an image; {consequence}")
            if len(self._paths) == MOST_NAMED:
                self._say("further images that cannot be read are only counted")

    def summary(self) -> str:
        """Say how many there were, "" for none."""
        if not self._paths:
            return ""
        files, times = len(self._paths), self._times
        return f"{files} image{'s' * (files > 1)} could not be read, {times} times in all"


def nothing_readable(records) -> OSError:
    """Return the error that ends a run all of whose images are gone."""
    return OSError(
        f"{records[0].image_path}: can no longer be read as an image, and none of the "
        f"{len(records):,} images to train on can"
    )
