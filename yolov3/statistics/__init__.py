"""A data set in numbers and figures, and the anchors that fit it."""
