"""Run the commands of a page of the documentation in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def copy_repository(root: Path) -> Path:
    """Copy the parts of the repository that pages use, with `python` being this one."""
    for name in ("yolov3", "tools", "docs", "mnist"):
        ignored = shutil.ignore_patterns("__pycache__", "mnist_*", "*.npz")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, root)
    (root / "bin").mkdir()
    (root / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (root / "bin" / "python").chmod(0o755)
    return root


def run_page(page: str, copy: Path, shorter: dict[str, str]) -> str:
    """Run all commands of a page, some of them shortened, and return what they print."""
    path = f"{copy / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(copy), "TF_CPP_MIN_LOG_LEVEL": "3"}
    texts = []
    for block in blocks(page, "bash"):
        for text, replacement in shorter.items():
            block = block.replace(text, replacement)
        result = subprocess.run(
            ["bash", "-e", "-c", block], cwd=copy, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        texts.append(result.stdout)
    return "".join(texts)
