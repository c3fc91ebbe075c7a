"""Show a picture in a window, where there is a screen."""

import os
import sys

POLL_MS = 50  # between looks at the keyboard and at whether the window was closed


def has_screen() -> bool:
    """Tell whether a window can be opened: always assumed where there is no X11 or Wayland."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(image_rgb, title: str) -> None:
    """Show RGB uint8 (H, W, 3) until a key is pressed or the window is closed."""
    import cv2

    title = f"{title}: any key to close"
    try:
        cv2.imshow(title, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        while cv2.waitKey(POLL_MS) < 0 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) > 0:
            pass
    except cv2.error:  # opencv-python-headless has no windows
        print("no window: this OpenCV was built without them")
