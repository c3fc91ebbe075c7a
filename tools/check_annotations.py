"""Check an annotation file and its images without training.

    python tools/check_annotations.py mnist/mnist_train.txt --names mnist/mnist.names

Prints one report: bad lines, then warnings, counted and with the first ten of each kind, and the
boxes per class. With --against, says which images another annotation file has as well. Exits with 0
if no line is bad, else with 2. The file is never changed.
"""

from yolov3.cli.flags import Parser, add_data_flags
from yolov3.cli.run import BAD_INPUT, run_script


def parse_args(arguments=None):
    parser = Parser(__doc__)
    add_data_flags(parser, size=False)
    against = "another annotation file, such as that of the test: name the images of both"
    parser.add_argument("--against", metavar="FILE", help=against)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    from yolov3.annotations import read_annotations
    from yolov3.class_names import check_numbering, read_class_names
    from yolov3.data.annotation_check import check_annotations, describe_classes, describe_overlap

    class_names = read_class_names(args.names)
    report = check_annotations(args.file, len(class_names), by_content=True)
    print(report, *describe_classes(args.file, report.records, class_names), sep="\n", flush=True)
    if args.against:
        others = read_annotations(args.against, len(class_names), skip_bad=True)
        none = f"no image of {args.file} is in {args.against}"
        print(describe_overlap(args.file, report.records, args.against, others) or none)
    files = filter(None, (args.file, args.against))
    notes = (check_numbering(file, class_names, args.names) for file in files)
    print(*(f"{note}\n" for note in dict.fromkeys(notes) if note), sep="", end="")
    return 0 if report.ok else BAD_INPUT


if __name__ == "__main__":
    run_script(main)
