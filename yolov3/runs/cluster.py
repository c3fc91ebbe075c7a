"""Which machines train together, and which of them this is: from flags, TF_CONFIG or Slurm."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

SLURM = "slurm"  # in place of --worker-hosts
FIRST_SLURM_PORT = 8888  # of each machine; its further workers take the next ones
ADDRESS = re.compile(r"(.+):(\d{1,5})")


class Cluster(NamedTuple):
    """The workers' addresses `host:port` in their order, and the place of this process in it."""

    hosts: tuple[str, ...]
    index: int

    def name(self, index: int) -> str:
        """Name a worker, for people."""
        return f"worker {index} ({self.hosts[index]})"

    def address(self, index: int) -> tuple[str, int]:
        """Return a worker's host and port, as sockets take them."""
        host, port = ADDRESS.fullmatch(self.hosts[index]).groups()
        return host.strip("[]"), int(port)  # brackets: of IPv6

    def tf_config(self) -> str:
        """Return what TensorFlow reads from TF_CONFIG."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": self.hosts}, "task": task})


def find_cluster(hosts: str | None, index: int | None, environment: Mapping) -> Cluster | None:
    """Return the cluster that flags name, or else TF_CONFIG; None for a process of its own.

    `hosts` is "a:2222,b:2222", or "slurm" for what a Slurm step sets. Raises ValueError.
    """
    source = "--worker-hosts"
    if hosts == SLURM:
        found, source = _of_slurm(environment), "Slurm's variables"
    elif hosts is not None:
        found = hosts.split(","), index
    elif index is not None:
        raise ValueError("--worker-index needs --worker-hosts, the addresses of all workers")
    else:
        found, source = _of_tf_config(environment.get("TF_CONFIG") or "{}"), "TF_CONFIG"
    cluster = Cluster(tuple(found[0]), found[1])
    if bad := [host for host in cluster.hosts if not ADDRESS.fullmatch(str(host))]:
        raise ValueError(f"{source}: expected host:port of each worker; received {bad[0]!r}")
    if len(set(cluster.hosts)) < len(cluster.hosts):
        raise ValueError(f"{source}: two workers have the same address: {','.join(cluster.hosts)}")
    if cluster.hosts and cluster.index not in range(len(cluster.hosts)):
        place = f"the place of this worker, 0 to {len(cluster.hosts) - 1}"
        raise ValueError(f"{source}: expected {place}; received {cluster.index} (--worker-index)")
    return cluster if len(cluster.hosts) > 1 else None


def _of_tf_config(text: str) -> tuple[list[str], int]:
    """Read TF_CONFIG as TensorFlow defines it; a chief, where there is one, is worker 0."""
    try:
        settings = json.loads(text)
        cluster, task = settings.get("cluster") or {}, settings.get("task") or {}
        chiefs, workers = list(cluster.get("chief", [])), list(cluster.get("worker", []))
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG: {error}; received {text!r:.80}") from None
    if kind not in ("chief", "worker"):
        raise ValueError(f"TF_CONFIG: expected a task of type chief or worker; received {kind!r}")
    return chiefs + workers, index + (len(chiefs) if kind == "worker" else 0)


def _of_slurm(environment) -> tuple[list[str], int]:
    """Read what `srun` sets: nodes such as n[01-03],m5 and their tasks such as 2(x3),1."""
    try:
        index = int(environment["SLURM_PROCID"])
        nodes, tasks = environment["SLURM_STEP_NODELIST"], environment["SLURM_STEP_TASKS_PER_NODE"]
    except KeyError as error:
        raise ValueError(f"--worker-hosts slurm: {error} is not set; start it by srun") from None
    counts = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks):
        counts += [int(count)] * int(times or 1)
    ports = [range(FIRST_SLURM_PORT, FIRST_SLURM_PORT + count) for count in counts]
    nodes = _expanded(nodes)
    return [f"{node}:{port}" for node, of in zip(nodes, ports, strict=True) for port in of], index


def _expanded(nodes: str) -> list[str]:
    names = []
    for prefix, ranges in re.findall(r"([^,\[]+)(?:\[([^\]]+)\])?", nodes):
        for part in ranges.split(",") if ranges else ():
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            names += [f"{prefix}{number:0{len(first)}}" for number in numbers]
        names += [] if ranges else [prefix]
    return names
