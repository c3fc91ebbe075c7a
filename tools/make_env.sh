#!/bin/sh
# Install a list of packages in .venv, which is made first: tools/make_env.sh requirements.txt
# Stamps in .venv say what is installed; they go before pip starts and come back when all is done,
# so the next call finishes an interrupted installation. A .venv that does not run, or was moved or
# copied (its scripts hold absolute paths), is made again; so is one of another PYTHON.
set -eu
cd "$(dirname "$0")/.."
lists=$(cat pyproject.toml requirements*.txt benchmarks/requirements.txt | cksum)
py=.venv/bin/python
stamp() { echo ".venv/$(echo "$1" | tr / -).stamp"; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
pip() { $py -m pip --disable-pip-version-check --no-input "$@"; }
is_sound() {
    [ "$(. .venv/bin/activate 2>/dev/null && echo "$VIRTUAL_ENV")" -ef .venv ] &&
        version $py >/dev/null && [ "$(version "${PYTHON:-$py}")" = "$(version $py)" ]
}
fail() { echo "error: $1" >&2 && exit 2; }
make_venv() { # with the first of these interpreters that suits
    for python; do
        case $(version "$python") in 3.11 | 3.12 | 3.13)
            "$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
                "$python lacks the venv module; on Debian: apt install python$(version "$python")-venv"
            echo "making .venv with $("$python" -V)"
            "$python" -m venv --clear .venv && return ;;
        esac
    done
    fail "needs Python 3.11, 3.12 or 3.13; tried $*; name one with make PYTHON=/path/to/python"
}

exec 9<. # one installation at a time in this folder
! command -v flock >/dev/null || flock -n 9 || { echo 'waiting for another make' && flock 9; }
if is_sound && [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$lists" ]; then exit; fi
if ! is_sound || ! pip install --help >/dev/null 2>&1; then # or pip itself is half installed
    if [ "${PYTHON:-}" ]; then make_venv "$PYTHON"; else
        make_venv python3 python3.13 python3.12 python3.11 python; fi
fi
echo 'installing packages: about 800 MB to download at first, 2.7 GB on disk'
rm -f .venv/*.stamp
for record in .venv/lib/python*/site-packages/*.dist-info; do # pip writes INSTALLER near the end
    [ -e "$record/INSTALLER" ] || rm -rf "$record"
done
pip install -r "$1" -e . # -e: the scripts in tools, benchmarks and docs find the package yolov3
if ! $py -c 'import cv2' 2>/dev/null; then # no libGL here: the same OpenCV without windows
    opencv=$($py -c 'from importlib.metadata import version; print(version("opencv-python"))')
    pip uninstall --yes opencv-python opencv-python-headless
    pip install --no-deps "opencv-python-headless==$opencv"
fi
for list in requirements.txt "$1"; do echo "$lists" >"$(stamp "$list")"; done
