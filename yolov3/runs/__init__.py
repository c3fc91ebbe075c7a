"""Everything around the training loop: start, folders, checkpoints, log, resources."""
