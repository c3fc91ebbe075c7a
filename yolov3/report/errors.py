"""What is wrong with detections, in six kinds, and what each kind costs.

The kinds and their order are those of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying
Object Detection Errors", 2020), at an IoU of 0.5:

    class        on a true box of another class
    place        on one of its class, but with an IoU of 0.1 to 0.5 only
    both         on one of another class, with an IoU of 0.1 to 0.5
    duplicate    on one of its class that a better detection has found
    background   on none, with an IoU of at most 0.1
    missed       a true box that was neither found nor nearly found, by a class or place error
"""

from dataclasses import dataclass, replace

import numpy as np

from yolov3.metrics import NO_TRUTH, Matches, mean_over_classes, precision_curves

CLASS, PLACE, BOTH, DUPLICATE = "class", "place", "both", "duplicate"
BACKGROUND, MISSED = "background", "missed"
KINDS = CLASS, PLACE, BOTH, DUPLICATE, BACKGROUND, MISSED
GOOD_IOU, NEAR_IOU = 0.5, 0.1
BINS = np.linspace(0, 1, 11)  # of scores
LEAST_SCORE = 1  # the first bin that counts as calibrated: nobody uses lower scores


@dataclass(frozen=True)
class Errors:
    """Errors of the detections above a score threshold."""

    by_image: np.ndarray  # (I, 6) how many of each of `KINDS`
    costs: dict[str, float]  # mAP50 that correcting each kind would gain, over all scores
    confusion: np.ndarray  # (C + 1, C + 1) true class by detected class; the last is background
    bins: np.ndarray  # (10, 3) detections, mean score and precision in each tenth of the scores
    calibration_error: float  # expected: mean distance of score and precision, from a score of 0.1


def find_errors(matches: Matches, num_images: int, threshold: float) -> Errors:
    """Sort what is wrong above a score threshold, and measure what each kind costs."""
    shown = above(matches, threshold)
    kinds, missed = sort_errors(shown)
    by_image = np.zeros((num_images, len(KINDS)), int)
    is_wrong = kinds != ""
    columns = [KINDS.index(kind) for kind in kinds[is_wrong]]
    np.add.at(by_image, (shown.images[is_wrong], columns), 1)
    np.add.at(by_image, (shown.truth_images[missed], KINDS.index(MISSED)), 1)
    bins, error = calibrate(above(matches, 0))
    return Errors(by_image, error_costs(matches), confusion_matrix(shown), bins, error)


def above(matches: Matches, threshold: float) -> Matches:
    """Return the matches of what is shown above a score threshold: lower scores changed none."""
    return select(matches, matches.shown & (matches.scores >= threshold))


def at_50(matches: Matches) -> Matches:
    """Return the matches at an IoU of 0.5 alone, of objects of all sizes."""
    ignored = {"ignored": matches.ignored[:1, :1], "truth_ignored": matches.truth_ignored[:1]}
    return replace(matches, hits=matches.hits[:1, :1], **ignored)


def select(matches: Matches, kept: np.ndarray) -> Matches:
    """Return the matches of some of the detections (D,)."""
    names = "images classes scores shown hits ignored truth own own_ious other other_ious".split()
    return replace(matches, **{name: getattr(matches, name)[..., kept] for name in names})


def sort_errors(matches: Matches) -> tuple[np.ndarray, np.ndarray]:
    """Return the kind of each detection (D,), "" if it is right, and the missed boxes (G,)."""
    own, other = matches.own_ious, matches.other_ious
    rules = {
        "": matches.truth != NO_TRUTH,
        PLACE: (own >= NEAR_IOU) & (own < GOOD_IOU),
        CLASS: other >= GOOD_IOU,
        DUPLICATE: own >= GOOD_IOU,
        BOTH: other > NEAR_IOU,
    }
    kinds = np.select(list(rules.values()), list(rules), BACKGROUND)
    missed = np.ones(len(matches.truth_classes), bool)
    missed[matches.truth[kinds == ""]] = False
    missed[matches.own[kinds == PLACE]] = missed[matches.other[kinds == CLASS]] = False
    return kinds, missed


def error_costs(matches: Matches) -> dict[str, float]:
    """Return the mAP50 that is gained where all errors of one kind are corrected, by kind.

    Of several class or place errors on a box that was not found the best is made right. The others,
    and all false detections of other kinds, are taken away; missed boxes are not counted.
    """
    matches = at_50(matches)
    kinds, missed = sort_errors(matches)
    now, costs = _map50(matches), {}
    for kind in KINDS[:-1]:
        wrong, truth = kinds == kind, matches.other if kind == CLASS else matches.own
        mended = _best_of_each(matches, wrong & (kind in (CLASS, PLACE)), truth)
        classes = matches.classes.copy()
        classes[mended] = matches.truth_classes[truth[mended]]
        corrected = replace(matches, classes=classes, hits=matches.hits | mended)
        costs[kind] = _map50(select(corrected, ~wrong | mended)) - now
    nearly = {"truth_ignored": matches.truth_ignored[:, ~missed]}
    nearly["truth_classes"] = matches.truth_classes[~missed]
    return costs | {MISSED: _map50(matches, **nearly) - now}


def confusion_matrix(matches: Matches) -> np.ndarray:
    """Count true boxes by their class and that of their detection (C + 1, C + 1).

    The last row and column are the background: false detections, and boxes that were not found.
    A box counts once: for the detection of its class if there is one, else for the best other.
    """
    background = matches.num_classes
    truth = np.where(matches.other_ious >= GOOD_IOU, matches.other, NO_TRUTH)
    wrong = matches.truth == NO_TRUTH
    confused = _best_of_each(matches, wrong & (truth != NO_TRUTH), truth)
    truth = np.where(confused, truth, matches.truth)
    found = truth != NO_TRUTH
    rows = np.where(found, matches.truth_classes[truth] if found.any() else background, background)
    lost = np.delete(matches.truth_classes, truth[found])
    matrix = np.zeros((background + 1, background + 1), int)
    np.add.at(matrix, (rows, matches.classes), 1)
    np.add.at(matrix, (lost, background), 1)
    return matrix


def calibrate(matches: Matches) -> tuple[np.ndarray, float]:
    """Return detections, mean score and precision (10, 3) by tenths of the score, and the error.

    It is the expected calibration error (Guo et al., "On Calibration of Modern Neural Networks",
    2017): the mean distance between score and precision over the detections, from a score of 0.1.
    """
    places = np.clip(np.digitize(matches.scores, BINS) - 1, 0, len(BINS) - 2)
    values = np.ones(len(places)), matches.scores, matches.truth != NO_TRUTH
    number, score, right = (np.bincount(places, value, len(BINS) - 1) for value in values)
    with np.errstate(invalid="ignore"):
        bins = np.stack([number, score / number, right / number], axis=1)
    number, gaps = number[LEAST_SCORE:], np.abs(score - right)[LEAST_SCORE:]
    return bins, float(gaps.sum() / number.sum()) if number.any() else float("nan")


def _best_of_each(matches, chosen, truth):
    """Tell which of the `chosen` (D,) is the best on its true box (D,), if that was not found."""
    index = np.flatnonzero(chosen & ~np.isin(truth, matches.truth[matches.truth != NO_TRUTH]))
    index = index[np.argsort(-matches.scores[index], kind="stable")]
    _, first = np.unique(truth[index], return_index=True)
    best = np.zeros(len(chosen), bool)
    best[index[first]] = True
    return best


def _map50(matches, **changes) -> float:
    """Return the mAP50 of `at_50` matches. A class without a box that counts has found them all."""
    changed = replace(matches, **changes)
    precision = precision_curves(changed)[0, 0].mean(axis=0)
    precision[(matches.counts > 0) & (changed.counts == 0)] = 1
    return float(mean_over_classes(precision[:, np.newaxis])[0])
