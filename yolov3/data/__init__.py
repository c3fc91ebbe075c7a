"""A data set: checks of its annotations and images, statistics, anchors."""
