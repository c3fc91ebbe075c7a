"""The page that shows what a network finds: its JSON route, and itself in a browser."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zlib

import keras
import numpy as np
import pytest
from checkpoint_samples import save, truncate
from random_network import SIZE, random_images, random_network
from script_runs import TIMEOUT_S, command, environment, exit_code, refusal

import web
from yolov3.detection import Detector
from yolov3.images import write_image
from yolov3.weights import state_dict

NAMES = ["cat", "dog"]
CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder of two runs, `new` written to after `old`, whose thresholds differ."""
    keras.utils.set_random_seed(2)  # no score is near one of these thresholds
    folder, weights = tmp_path_factory.mktemp("runs"), state_dict(random_network())
    for age, name in enumerate(("new", "old")):
        settings = {"test_score_threshold": 0.012 + age * 0.008}
        saved = {"size": SIZE, "weights": weights, "state": {"class_names": NAMES}}
        save(folder / name, "best", 5, **saved, **settings)
        os.utime(folder / name, (10**9 - age, 10**9 - age))
    shutil.copytree(folder / "new", folder / "bad")
    truncate(folder / "bad" / "best-000005", "model.safetensors")
    os.utime(folder / "bad", (10**8, 10**8))
    return folder


@pytest.fixture(scope="module")
def address(runs):
    """Serve the runs as `make web` does; return the address that is printed."""
    pytest.importorskip("gradio")
    words = command("tools/web.py", "--weights", runs, "--port=0", "--host=127.0.0.1")
    server = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert str(runs / "new" / "best-000005") in server.stdout.readline()
        yield re.search(r"http://127.0.0.1:\d+", server.stdout.readline())[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(TIMEOUT_S) == 130
    finally:
        server.kill()


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", random_images()[0])
    return tmp_path / "photo.png"


def post(url, content, headers=None):
    """Return the status of an answer, and what its JSON holds."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers or {})) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["detail"]


def chunk(kind, content):
    sum_ = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + sum_


def png_of(width, height):
    """Return a PNG file that claims a size, and has no pixels."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("name", ["new", "old"])
def test_the_route_answers_what_the_detector_of_that_run_finds(address, runs, photo, name):
    status, answer = post(f"{address}/detect?network={name}", photo.read_bytes())
    assert (status, answer["width"], answer["height"]) == (200, 128, 64)
    detector = Detector(runs / name)
    boxes_xyxy, scores, classes = detector(random_images()[0])
    found = answer["objects"]
    assert [item["class"] for item in found] == [NAMES[label] for label in classes]
    np.testing.assert_allclose([item["score"] for item in found], scores, atol=0.005)
    np.testing.assert_allclose([item["box_xyxy"] for item in found], boxes_xyxy, atol=0.5)
    _, fewer = post(f"{address}/detect?network={name}&score_threshold=0.07", photo.read_bytes())
    assert len(fewer["objects"]) < len(found)


@pytest.mark.parametrize(
    ("query", "content", "status", "message"),
    [
        ("", b"", 415, "received an empty file"),
        ("", b"GIF89a no more", 415, "received not a known image format"),
        ("", png_of(64, 64)[:-12], 415, "received cut off"),
        ("", png_of(10_000, 5_001), 415, "exceeds limit of 50000000 pixels"),
        ("", bytes((web.MAX_MEGABYTES << 20) + 1), 413, "at most 20 MiB"),
        ("?network=/etc", b"", 404, "expected one of new, old, bad; received /etc"),
        ("?score_threshold=1.5", b"", 422, "less than or equal to 1"),
        ("?score_threshold=nan", b"", 422, "less than or equal to 1"),
    ],
)
def test_a_bad_upload_is_answered_in_words(address, query, content, status, message):
    received, detail = post(f"{address}/detect{query}", content)
    assert received == status and message in str(detail)


def test_a_form_and_a_damaged_network_are_answered_in_words(address, photo):
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, detail = post(f"{address}/detect", b"--x--", form)
    assert status == 415 and "--data-binary" in detail
    status, detail = post(f"{address}/detect?network=bad", photo.read_bytes())
    assert status == 503 and "bad: no checkpoint in this folder" in detail


def test_exported_files_of_a_folder_are_choices(tmp_path):
    for name in ("1/a.onnx", "2/a.tflite", "2/a.xml", "2/a.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(web.Networks({"source": tmp_path}).paths) == ["2/a.xml", "2/a.tflite", "1/a.onnx"]


@pytest.mark.slow
def test_a_browser_draws_drops_a_photograph_and_moves_the_threshold(address, runs, photo):
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page()
        hosts, said = set(), page.get_by_text(re.compile(r"^\d+ found, \d+ ms$"))
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.set_default_timeout(60_000)
        page.goto(address)
        canvas = page.locator("canvas").first
        for offset in range(0, 100, 20):  # the canvas takes strokes some time after it is there
            box = canvas.bounding_box()
            x, y = box["x"] + box["width"] / 2 + offset, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x, y + 60)
            page.mouse.up()
            with contextlib.suppress(playwright.TimeoutError):
                said.wait_for(timeout=8_000)
                break
        else:
            pytest.fail("nothing was said of the drawing")
        page.get_by_role("tab", name="Photograph").click()
        page.locator("input[type=file]").last.set_input_files(photo)
        scores = Detector(runs / "new", score_threshold=0.01)(random_images()[0])[1]
        for threshold in (0.02, 0.07):
            page.get_by_label("number input for Score threshold").fill(str(threshold))
            found = page.get_by_text(f"{np.sum(scores > threshold)} found")
            found.locator("visible=true").wait_for()  # as many may be found in the drawing
        photo.write_bytes(b"no image")
        page.get_by_label("Remove Image").click()
        page.locator("input[type=file]").last.set_input_files(photo)
        page.get_by_text("cannot identify image file").wait_for()
        browser.close()
    assert hosts == {address.removeprefix("http://")}


def test_what_cannot_be_served_is_refused_in_one_line(runs, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install -r requirements-web.txt" in refusal(capfd, web.main, [])
    monkeypatch.delitem(sys.modules, "gradio")
    pytest.importorskip("gradio")
    assert "from 0 to 65535" in refusal(capfd, web.main, ["--port=99999"])
    assert "no such checkpoint" in refusal(capfd, web.main, ["--weights", tmp_path / "gone"])
    with web.socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"--port={taken.getsockname()[1]}"
        assert exit_code(web.main, ["--weights", runs, port]) == 1
    assert "Address already in use" in capfd.readouterr().err
