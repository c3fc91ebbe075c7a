"""The parts of every script: flags, exit codes, one-line errors, progress."""
