"""What the fork server imports once, so that no training process has to wait for TensorFlow.

Importing starts no runtime: each process that is forked from here begins its own.
"""

from yolov3.cli.run import import_tensorflow

import_tensorflow()

import train  # noqa: E402, F401
from yolov3 import training  # noqa: E402, F401
from yolov3.runs import start  # noqa: E402, F401
