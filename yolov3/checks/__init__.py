"""Judge what others made, annotations and pictures, before it is used."""
