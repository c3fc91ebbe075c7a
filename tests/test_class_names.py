"""Class names: the files that they are read from, and how two lists of them differ."""

import pytest

from yolov3.class_names import case_twins, check_numbering, read_class_names, read_yaml


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("\ufeffzero\r\n\r\ntraffic light \nzwölf\n", ["zero", "traffic light", "zwölf"]),
        ("\ufeffمی‌خواهم\n👩‍💻\nstop\xa0sign\n", ["می‌خواهم", "👩‍💻", "stop\xa0sign"]),
        ("# the classes\n#\n#1\n#hashtag\ncat # a\n", ["#1", "#hashtag", "cat # a"]),
        ("train: ../images\nnc: 2\nnames: ['cat', dog]\n", ["cat", "dog"]),
        ("# of Roboflow\nnames:\n- cat\n- dog # tame\nnc: 2\n", ["cat", "dog"]),
        ("path: x\nnames:\n  1: dog\n  0: cat\n", ["cat", "dog"]),
        ("0: cat\n1: 'dog: tame'\n", ["cat", "dog: tame"]),
        ('{"nc": 1,\n "names": ["cat"]}', ["cat"]),
        ("names: [no, 010, 1.50]\n", ["no", "010", "1.50"]),
        ('["cat",\n "dog"]', ["cat", "dog"]),
        ("- cat\n- dog\n", ["cat", "dog"]),
    ],
)
@pytest.mark.parametrize("file", ["x.names", "x.txt", "data.yaml"])
def test_what_a_file_holds_decides_how_it_is_read(tmp_path, content, names, file):
    is_text = content[0] in "#\ufeff" and "names:" not in content
    if not (is_text and file == "data.yaml"):
        assert read_class_names(write(tmp_path, file, content)) == names


@pytest.mark.parametrize("file", ["obj.data", "obj.txt"])
@pytest.mark.parametrize(
    ("named", "is_at"),
    [
        ("obj.names", "cfg/obj.names"),
        ("cfg/sub/obj.names", "cfg/sub/obj.names"),
        ("../obj.names", "obj.names"),
        ("data/obj.names", "cfg/obj.names"),
        ("/home/me/sub/obj.names", "cfg/sub/obj.names"),
        (r"C:\data\obj.names", "cfg/obj.names"),
    ],
)
def test_darknet_data_names_a_file(tmp_path, file, named, is_at):
    (tmp_path / "cfg" / "sub").mkdir(parents=True)
    write(tmp_path, is_at, "cat\ndog\n")
    content = f"classes= 2\ntrain  = train.txt\nnames = {named}\nbackup=b/\n"
    path = write(tmp_path / "cfg", file, content)
    assert read_class_names(path) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "names.*received no name"),
        (b"# only\n", "names.*received no name"),
        (b"a\nb\na\n", "names:3: expected a new class name; received 'a' of line 1"),
        (b"a\n\xff\n", "names:2: expected UTF-8"),
        (b"\x1b[2J", r"names:1: expected a class name on one line; received '\\x1b\[2J'"),
        (b"a" * 2**20 + b"\n", "names: expected a text file; received 1048577 bytes, more than"),
        (None, "names: expected .*No such file"),
        (b"train: ../images\nval: ../images\n", "names: expected names, as 'names:"),
        (b"nc: 2\nnames: [cat]\n", "names: nc is 2, but names has 1"),
        (b"names: [cat, cat]\n", "names:1: expected a new class name; received 'cat'"),
        (b"names: [[cat], dog]\n", "names: expected names, as 'names:"),
        (b"names:\n  1: cat\n  2: dog\n", "numbered from 0"),
        (b"names: [cat\n", "names:2: broken YAML: "),
        (b"names: [cat]\nnc: &a [*a]\n", r"names:2: broken YAML: the alias \*a"),
        (b"[net]\nbatch = 64\n", r"names:1: expected a class name alone; received '\[net\]'"),
        (b"0 cat\n1 dog\n", "names:1: expected a class name alone; received '0 cat'"),
        (b"0,cat\n1,dog\n", "names:1: expected a class name alone; received '0,cat'"),
        (b"cat,0\ndog,1\n", "names:1: expected a class name alone; received 'cat,0'"),
        (b"id,name\n0,cat\n1,dog\n", "names:1: expected a class name alone; received 'id,name'"),
        (b'{"images": [], "categories": []}', "names: expected names, as 'names:"),
        (b"names = gone.names\n", "names: expected class names in gone.names; there is no such"),
        (b"classes = 2\n", "names: expected a line 'names = FILE'"),
        (b'<?xml version="1.0"?>\n', "names:1: expected a class name"),
        (b"item {\n  id: 1\n  name: 'cat'\n}\n", "names:1: expected a class name"),
        (b"# label:color_rgb:parts:actions\ncat:0,128,0::\n", "names:2: expected a class name"),
        (b"a.png 1,2,3,4,0\n", "names:1: expected a class name"),
        (b"0 0.5 0.5 0.25 0.25\n", "names:1: expected a class name"),
    ],
)
def test_bad_class_names_are_errors(tmp_path, content, message):
    path = tmp_path / "names"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_class_names(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"a: b: c", b"\x00: a", b"a: " + b"[" * 5000, b"a", b""])
def test_broken_yaml_is_one_line(tmp_path, content):
    with pytest.raises(ValueError, match="data.yaml:") as error:
        read_yaml(write(tmp_path, "data.yaml", content))
    assert "\n" not in str(error.value)


def test_classes_that_differ_only_in_case_are_found():
    assert case_twins(["Bolt", "nut", "bolt", "NUT", "gear"]) == [["Bolt", "bolt"], ["nut", "NUT"]]


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        ("x.names", "cat\ndog\n", ""),
        ("x.names", "cat\n", ""),
        ("x.names", "cat\nzebra\n", "note: class 1 is 'zebra' in {}, but 'dog' in my.names"),
        ("x.names", "cat\ndog\nnut\n", "note: class 2 is 'nut' in {}, but none in my.names"),
        ("classes.txt", "dog\ncat\n", "note: class 0 is 'dog' in {}, but 'cat' in my.names"),
        ("data.yaml", "names: [cat, Dog]", "note: class 1 is 'Dog' in {}, but 'dog' in my.names"),
        ("data.yaml", "train: x", ""),
        ("y.names", "dog\ncat\n", ""),
    ],
)
def test_names_beside_annotations_are_compared(tmp_path, file, content, note):
    path = write(tmp_path, file, content)
    found = check_numbering(tmp_path / "x.txt", ["cat", "dog"], "my.names")
    assert found == note.format(path)


def test_a_class_of_another_number_is_an_error(tmp_path):
    write(tmp_path, "x.names", "cat\nzebra\n")
    with pytest.raises(ValueError, match="x.txt: class 1 is 'zebra' in .*, but 'dog' in my"):
        check_numbering(tmp_path / "x.txt", ["cat", "dog", "zebra"], "my.names")
