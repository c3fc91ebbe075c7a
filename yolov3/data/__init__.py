"""Judge what others made, annotations and images, before it is used."""
