"""What all scripts do alike: flags, exit codes, one-line errors."""
