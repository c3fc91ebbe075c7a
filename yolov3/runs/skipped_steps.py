"""What is said about training steps that were not finite."""

MOST_IN_A_ROW = 10  # a single one is bad luck
MOST_NAMES = 8  # of images in a message
MOST_LOGGED = 20  # skipped steps of a run whose images are logged: they take space


def describe_skip(step: int, paths: list[str]) -> str:
    """Name a skipped step (from 1) and its images."""
    return (
        f"step {step}: loss or gradient is not finite; the step is skipped and changes no weight. "
        f"Its images: {name_some(paths)}"
    )


def divergence_report(step: int, metrics: dict, paths: list[str]) -> str:
    """Say why a run ends after `MOST_IN_A_ROW` skipped steps, the last of which is `step`."""
    losses = ", ".join(f"{name} {metrics[name]:.4g}" for name in ("giou", "conf", "prob"))
    return (
        f"training has diverged: {MOST_IN_A_ROW} steps in a row, up to step {step}, had a loss or "
        "gradient that is not finite. They were skipped; the last of them:\n"
        f"  loss           {metrics['total']:.4g} ({losses})\n"
        f"  gradient norm  {metrics['gradient_norm']:.4g}\n"
        f"  learning rate  {metrics['lr']:.3g}\n"
        f"  images       {name_some(paths)}\n"
        "Try a lower --train-lr-init, or look at these images in the log, under Images."
    )


def name_some(paths: list[str]) -> str:
    """List paths, the first `MOST_NAMES` by name."""
    rest = len(paths) - MOST_NAMES
    return ", ".join(paths[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
