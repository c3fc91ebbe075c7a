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


def open_window(image_rgb, title: str) -> bool:
    """Show RGB uint8 (H, W, 3) until a key is pressed or the window is closed.

    Returns False if it was closed or the key was q or Esc.
    """
    title = f"{title}: any key for the next, q to quit"
    key = _show(image_rgb, title, POLL_MS)
    while key == NO_KEY:
        key = _wait(title, POLL_MS)
    return key not in QUIT_KEYS


def show_frame(image_rgb, title: str) -> bool:
    """Show a frame of a video and return at once; return False as `open_window` does."""
    return _show(image_rgb, f"{title}: q to quit", FRAME_MS) not in QUIT_KEYS


def _show(image_rgb, title: str, milliseconds: int) -> int:
    cv2.imshow(title, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    return _wait(title, milliseconds)


def _wait(title: str, milliseconds: int) -> int:
    """Wait for a key and return it, or NO_KEY; a closed window counts as one to quit."""
    key = cv2.waitKey(milliseconds)
    is_open = cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) > 0
    return key if is_open else QUIT_KEYS[0]
