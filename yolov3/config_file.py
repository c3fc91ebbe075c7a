"""A configuration as JSON, as it stands in every checkpoint."""

import dataclasses
import json

from yolov3.configs import Config
from yolov3.files import read_json


def config_to_json(config: Config) -> str:
    """Write a configuration as JSON, one line per field."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def config_from_json(path) -> Config:
    """Read what `config_to_json` wrote. Raises ValueError that names the file for anything else."""
    try:
        values = read_json(path)
        if unknown := set(values) - {field.name for field in dataclasses.fields(Config)}:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return Config(**values)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected the configuration of a run; received {error}") from None
