"""Draw the parts of the networks, and which of them each scope of a transfer copies.

python docs/figures/transfer.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.plots import BLUE, GREY, INK, ORANGE, SKY

CLASSES = 80  # of COCO, as in the official weights
COLOURS = (BLUE, SKY, ORANGE)
MILLION = 1e6


def count_weights(tiny: bool) -> dict[str, int]:
    """Return the number of weights in the backbone, the layers behind it, and the heads."""
    from yolov3.weights import backbone_layers, conv_layers, norm_of
    from yolov3.yolov3 import build_yolov3

    network = build_yolov3(CLASSES, tiny)
    backbone = backbone_layers(network)
    counts = dict.fromkeys(("backbone", "neck", "heads"), 0)
    for conv in conv_layers(network):
        norm = norm_of(network, conv)
        part = "backbone" if conv in backbone else "neck" if norm else "heads"
        counts[part] += conv.count_params() + (norm.count_params() if norm else 0)
    return counts


def draw():
    """Draw a bar per network with a bracket per scope, and print the counts."""
    import_tensorflow()
    from matplotlib.figure import Figure

    from yolov3.configs import TRANSFER_SCOPES

    figure = Figure(figsize=(8, 4))
    for axes, (name, tiny) in zip(
        figure.subplots(2, 1), {"YOLOv3": False, "YOLOv3-tiny": True}.items(), strict=True
    ):
        counts = count_weights(tiny)
        print(f"{name:11}  {'  '.join(f'{part} {n:,}' for part, n in counts.items())}")
        left = 0.0
        for row, ((part, count), colour, scope) in enumerate(
            zip(counts.items(), COLOURS, TRANSFER_SCOPES, strict=True)
        ):
            width = count / MILLION
            axes.barh(0, width, left=left, color=colour, height=0.8)
            if width > 0.1 * sum(counts.values()) / MILLION:
                text = f"{part} {width:.1f} M"
                dark = colour == SKY
                axes.text(
                    left + width / 2, 0, text, ha="center", va="center", color=INK if dark else "w"
                )
            left += width
            style = {"color": GREY, "linewidth": 1.5, "marker": "|", "markersize": 8}
            axes.plot([0, left], [0.95 + row * 0.62] * 2, **style)
            axes.text(
                left * 1.015, 0.95 + row * 0.62, f"--transfer {scope}", va="center", fontsize=9
            )
        heads = f"heads {counts['heads'] / MILLION:.1f} M"
        axes.text(left * 1.015, 0, heads, va="center", color=ORANGE)
        axes.set_title(f"{name}, {CLASSES} classes", loc="left", fontweight="bold")
        axes.set_xlim(0, left * 1.33)
        axes.set_ylim(2.6, -0.5)
        axes.axis("off")
    return figure


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
