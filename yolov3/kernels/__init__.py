"""The same network on the kernels that this hardware is fastest at."""
