"""Try a network in a browser: draw digits with the mouse or drop a photograph, and see the boxes.

    python tools/web.py                                     then open http://127.0.0.1:7860
    python tools/web.py --weights model_data/yolov3.weights --input-size 608
    curl --data-binary @photo.jpg 'http://127.0.0.1:7860/detect?score_threshold=0.5'

`make web` installs what it needs, requirements-web.txt. Of a folder of runs or exports, the page
offers each.
Only this machine can connect unless --host says otherwise; there are no passwords. POST /detect
answers with JSON as detect.py --json writes it for an image, and with 404 (no such network), 413
(upload too large), 415 (no image), 422 (threshold out of range) or 503 (damaged network). Ctrl-C
ends it.
"""

import functools
import os
import socket
import tempfile
import threading
import time
from pathlib import Path

from yolov3.cli import flags
from yolov3.cli.run import import_tensorflow, run_script

PORT = 7860  # Gradio's own
MAX_MEGABYTES, MAX_MEGAPIXELS = 20, 50  # of an upload
CANVAS = 416  # pixels, as a scene of the tutorial
BRUSH = 4  # pixels, half of a stroke: that of a large digit
SHOWN = 1280  # pixels, the longest side of an image with boxes on the page
CACHE_SECONDS = (600, 3600)  # every so often images of the page that are older than this go
OPEN_NETWORKS = 2  # at once; a third takes the place of that used least recently


def parse_args(argv=None):
    parser = flags.Parser(__doc__)
    flags.add_detector_flags(parser, size=flags.input_hw)
    host = "address to listen at (default: %(default)s, this machine; 0.0.0.0: the whole network)"
    parser.add_argument("--host", default="127.0.0.1", help=host)
    port = "default: %(default)s; 0: any free one"
    parser.add_argument("--port", type=flags.port, default=PORT, metavar="N", help=port)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # nothing is sent anywhere
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        message = f"{error}; pip install -r requirements-web.txt installs what the page needs"
        raise ValueError(message) from None
    import_tensorflow(frozen_weights=True)
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_MEGAPIXELS * 10**6 // 2  # Pillow refuses twice as many
    networks = Networks(flags.detector_settings(args))
    print(networks.open(networks.first).description, flush=True)
    with socket.create_server((args.host, args.port)) as listener:
        print("open http://{}:{} (Ctrl-C ends)".format(*listener.getsockname()[:2]), flush=True)
        config = uvicorn.Config(make_app(networks), log_level="error", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run([listener])
    return 0


class Networks:
    """The networks that visitors may choose from by name, and detection with one at a time."""

    def __init__(self, settings: dict):
        """Look for the networks of a `Detector`'s settings; its source may hold runs or exports."""
        from yolov3.checkpoints import run_folders
        from yolov3.exported import format_of

        source = Path(settings["source"])
        self._settings = settings
        self.paths = {run.name: run for run in run_folders(source) if run != source}
        files = sorted([*source.glob("*"), *source.glob("*/*")], reverse=True)  # the newest first
        self.paths |= {str(path.relative_to(source)): path for path in files if format_of(path)}
        self.paths = self.paths or {source.name: source}
        self.first = next(iter(self.paths))
        self.open = functools.lru_cache(OPEN_NETWORKS)(self._open)
        self._one_at_a_time = threading.Lock()

    def _open(self, name: str):
        import numpy as np

        from yolov3.detection import Detector

        detector = Detector(**{**self._settings, "source": self.paths[name]})
        detector(np.zeros((1, 1, 3), np.uint8))  # builds the graph, so that nobody waits for it
        return detector

    def detect(self, image, name: str, score_threshold: float | None = None) -> tuple:
        """Return an image, its boxes_xyxy, scores and classes, and the detector.

        `image` is RGB uint8 (H, W, 3) or a file's path. Raises ImageFileError, or another
        ValueError where the network cannot be opened.
        """
        from yolov3.images import read_image

        with self._one_at_a_time:  # each uses all cores, and memory stays bounded
            image_rgb = read_image(image) if isinstance(image, str) else image
            detector = self.open(name)
            return image_rgb, *detector(image_rgb, score_threshold=score_threshold), detector


def make_app(networks: Networks):
    """Return the application: POST /detect, and the page at every other address."""
    import gradio
    from fastapi import FastAPI, HTTPException, Query, Request
    from fastapi.concurrency import run_in_threadpool

    from yolov3.images import ImageFileError
    from yolov3.inference.outputs import describe_objects

    app = FastAPI(title="YOLOv3", docs_url=None, redoc_url=None)  # those load scripts from afar

    @app.post("/detect")
    async def detect(
        request: Request,
        network: str = networks.first,
        score_threshold: float | None = Query(None, ge=0, le=1),
    ) -> dict:
        if network not in networks.paths:
            expected = ", ".join(networks.paths)
            raise HTTPException(404, f"network: expected one of {expected}; received {network}")
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise HTTPException(415, "send the file itself as the body: curl --data-binary @FILE")
        with tempfile.NamedTemporaryFile() as upload:
            async for chunk in request.stream():
                upload.write(chunk)
                if upload.tell() > MAX_MEGABYTES << 20:
                    raise HTTPException(413, f"expected an image of at most {MAX_MEGABYTES} MiB")
            upload.flush()
            try:
                job = networks.detect, upload.name, network, score_threshold
                image_rgb, *found, detector = await run_in_threadpool(*job)
            except ImageFileError as error:
                raise HTTPException(415, f"expected an image; received {error.reason}") from None
            except ValueError as error:  # of a run that cannot be opened
                raise HTTPException(503, str(error)) from None
        height, width = image_rgb.shape[:2]
        objects = describe_objects(*found, detector.class_names)
        return {"network": network, "width": width, "height": height, "objects": objects}

    looks = {"theme": gradio.themes.Default(font=["system-ui"], font_mono=["monospace"])}
    looks |= {"footer_links": [], "run_history": False, "ssr_mode": False}
    page, limit = make_page(networks), f"{MAX_MEGABYTES}mb"
    return gradio.mount_gradio_app(app, page, path="/", max_file_size=limit, **looks)


def make_page(networks: Networks):
    """Return the Gradio page: two tabs, each an image to give beside the same with boxes."""
    import gradio as gr
    import numpy as np

    def ask(question, *about):
        try:
            return question(*about)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def show(image, name, threshold):
        """Return the image with its boxes, and what to say about them."""
        image = image["composite"] if isinstance(image, dict) else image
        if image is None:
            return None, ""
        started = time.perf_counter()
        *found, detector = ask(networks.detect, image, name, threshold)
        milliseconds = 1000 * (time.perf_counter() - started)
        return draw(*found, detector.class_names), f"{len(found[1])} found, {milliseconds:.0f} ms"

    def threshold_of(name):
        return ask(networks.open, name).score_threshold

    white = np.full((CANVAS, CANVAS, 3), 255, np.uint8)  # without it, the pen must be chosen first
    pen = gr.Brush(default_size=BRUSH, colors=["#000000"], color_mode="fixed")
    canvas = {"canvas_size": (CANVAS, CANVAS), "fixed_canvas": True, "layers": False}
    canvas |= {"image_mode": "RGB", "brush": pen, "transforms": None, "height": CANVAS + 100}
    result = {"interactive": False, "buttons": ["download", "fullscreen"]}  # none shares it
    with gr.Blocks(title="YOLOv3", analytics_enabled=False, delete_cache=CACHE_SECONDS) as page:
        with gr.Row():
            name = gr.Dropdown(list(networks.paths), value=networks.first, label="Network")
            threshold = gr.Slider(
                0, 1, threshold_of(networks.first), step=0.01, label="Score threshold"
            )
        name.input(threshold_of, name, threshold, api_visibility="private")
        for title in ("Draw", "Photograph"):
            with gr.Tab(title), gr.Row():
                if title == "Draw":
                    image = gr.Sketchpad(white, label="Draw digits", **canvas)
                else:
                    image = gr.Image(type="filepath", image_mode=None, label=title)
                with gr.Column():
                    drawn, text = gr.Image(label="Found", **result), gr.Markdown()
            again, inputs = [image.change, name.change, threshold.change], [image, name, threshold]
            quiet = {"trigger_mode": "always_last", "show_progress": "hidden"}
            gr.on(again, show, inputs, [drawn, text], api_visibility="private", **quiet)
    return page


def draw(image_rgb, boxes_xyxy, scores, classes, names):
    """Return an image with boxes, not larger than a page shows it."""
    from yolov3.draw import draw_boxes
    from yolov3.images import resize

    scale = min(1, SHOWN / max(image_rgb.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image_rgb.shape[:2])
    image_rgb = resize(image_rgb, (width, height))
    return draw_boxes(image_rgb, boxes_xyxy * scale, classes, names, scores)


if __name__ == "__main__":
    run_script(main)
