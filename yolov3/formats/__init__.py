"""Annotation formats of other tools: each module reads and writes one, by way of a `DataSet`."""
