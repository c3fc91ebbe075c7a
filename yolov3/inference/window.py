"""Show images in a window, where there is a screen."""

import os
import subprocess
import sys

import cv2

POLL_MS = 50  # between looks at the keyboard and at whether the window was closed
FRAME_MS = 1  # the shortest look, which also draws the window
NO_KEY = -1
QUIT_KEYS = (ord("q"), 27)  # and Esc
OPEN_ONE = "import cv2; cv2.namedWindow('test'); cv2.destroyAllWindows()"


def can_open_window() -> bool:
    """Tell whether a window opens, by opening one in another process.

    OpenCV ends the process that asks for a window on a screen that does not answer, and
    opencv-python-headless has no windows.
    """
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen:
        return False
    return subprocess.run([sys.executable, "-c", OPEN_ONE], capture_output=True).returncode == 0


def open_window(image_rgb, title: str, wait: bool = True) -> bool:
    """Show RGB uint8 (H, W, 3), until a key is pressed if it is to wait.

    Returns False if the key was q or Esc, or the window was closed.
    """
    title += ": any key for the next, q to quit" if wait else ": q to quit"
    cv2.imshow(title, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    while True:
        key = cv2.waitKey(POLL_MS if wait else FRAME_MS)
        if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) <= 0:
            return False
        if key != NO_KEY or not wait:
            return key not in QUIT_KEYS
