"""All that surrounds the loop of a training: its start, its folders, its log, its end."""
