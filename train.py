"""Train YOLOv3 on annotated images.

    python train.py                      YOLOv3 (Darknet-53) on the tutorial's digits
    python train.py --tiny               YOLOv3-tiny, in a quarter of the time
    python train.py --max-minutes 30     as many epochs as fit into half an hour
    python train.py --weights FILE       start from a checkpoint or from Darknet weights
    python train.py --config my.yaml     with the settings in a file, by their names: 'tiny: yes'
    python train.py --resume             resume the newest run where it stopped
    python train.py --worker-hosts a:2222,b:2222 --worker-index 0     with other machines, on each

Every setting of yolov3/configs.py is a flag, and a flag wins over a file. Before the first epoch a
run says what it trains and how long it takes. It writes its checkpoints and its log to folders of
its own and never touches those of another. Ctrl-C ends it with a checkpoint. Exit codes: 0, 1
(failed: the loss diverged, the disk is full), 2 (bad input), 75 (another machine is gone), 130
(Ctrl-C).
"""

import time

from yolov3.cli.flags import Parser, add_config_flags, config_from_flags, run_name, settings_in
from yolov3.cli.run import import_tensorflow, run_script


def parse_args(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    resume = (
        "resume this run (a checkpoint or its folder; default: the newest one in "
        "--train-checkpoints-folder); its settings hold unless a flag changes one"
    )
    config = (
        "YAML file of settings, as 'train_epochs: 20', or the config.json of a checkpoint; "
        "paths in it are relative to the current folder, as those of flags"
    )
    name = "name of the run's folders of checkpoints and log (default: network and time)"
    hosts = "machines that train together, or slurm (default: TF_CONFIG's, or this one alone)"
    add("--resume", nargs="?", const="", metavar="CHECKPOINT", help=resume)
    add("--config", metavar="FILE", help=config)
    add("--name", type=run_name, metavar="NAME", help=name)
    add("--worker-hosts", metavar="HOST:PORT,...", help=hosts)
    add("--worker-index", type=int, metavar="N", help="which it is, from 0")
    parser.set_defaults(started=time.monotonic())  # importing TensorFlow counts for --max-minutes
    add_config_flags(parser)
    args = parser.parse_args(argv)
    if args.name and args.resume is not None:
        parser.error("--name: a resumed run keeps its name")
    if hasattr(args, "train_epochs"):
        if getattr(args, "max_minutes", 0):
            parser.error("--train-epochs: --max-minutes chooses the epochs; give one of them")
        args.max_minutes = 0  # of a file or a resumed run: the length that is asked for counts
    if args.config:
        vars(args).update(settings_in(args.config, parser) | vars(args))
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.resume is None:
        config_from_flags(args)  # refuses bad values at once: importing TensorFlow takes seconds
    import_tensorflow()
    from yolov3.runs.start import start_training

    return start_training(args)


if __name__ == "__main__":
    run_script(main)
