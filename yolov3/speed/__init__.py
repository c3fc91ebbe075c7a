"""The same arithmetic on the kernels that this hardware is fastest at."""
