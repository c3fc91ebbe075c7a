"""What surrounds the loop of a training: start, folders, checkpoints, log, resources."""
