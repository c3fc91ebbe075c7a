"""The cluster that flags, TF_CONFIG and Slurm's variables name."""

import json

import pytest

from yolov3.runs.cluster import Cluster, find_cluster

TWO = ("a:2222", "b:2222")


def tf_config(cluster, kind, index):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def slurm(nodes, tasks, index):
    return {
        "SLURM_PROCID": str(index),
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": tasks,
    }


@pytest.mark.parametrize(
    ("hosts", "index", "environment", "expected"),
    [
        (None, None, {}, None),
        (None, None, {"TF_CONFIG": ""}, None),
        ("a:2222,b:2222", 1, tf_config({"worker": ["c:1", "d:1"]}, "worker", 0), (TWO, 1)),
        ("a:2222", 0, {}, None),
        (None, None, tf_config({"worker": TWO}, "worker", 1), (TWO, 1)),
        (None, None, tf_config({"chief": ["a:2222"]}, "chief", 0), None),
        (None, None, tf_config({"chief": TWO[:1], "worker": TWO[1:]}, "chief", 0), (TWO, 0)),
        (None, None, tf_config({"chief": TWO[:1], "worker": TWO[1:]}, "worker", 0), (TWO, 1)),
        ("slurm", None, slurm("n1", "1", 0), None),
        ("slurm", None, slurm("n1", "2", 1), (("n1:8888", "n1:8889"), 1)),
        (
            "slurm",
            None,
            slurm("n[08-10,12],m-5", "1(x3),2,1", 4),
            (("n08:8888", "n09:8888", "n10:8888", "n12:8888", "n12:8889", "m-5:8888"), 4),
        ),
    ],
)
def test_a_cluster_is_found(hosts, index, environment, expected):
    assert find_cluster(hosts, index, environment) == expected


@pytest.mark.parametrize(
    ("hosts", "index", "environment", "message"),
    [
        (None, 0, {}, "--worker-index needs --worker-hosts"),
        ("a:2222,b:2222", None, {}, "the place of this worker, 0 to 1; received None"),
        ("a:2222,b:2222", 2, {}, "0 to 1; received 2"),
        ("a,b:2222", 0, {}, "--worker-hosts: expected host:port of each worker; received 'a'"),
        ("a:1,a:1", 0, {}, "two workers have the same address: a:1,a:1"),
        ("slurm", None, {}, "'SLURM_PROCID' is not set; start it by srun"),
        (None, None, {"TF_CONFIG": "{"}, "TF_CONFIG: .*; received '{'"),
        (None, None, tf_config({"ps": TWO}, "ps", 0), "a task of type chief or worker; received"),
    ],
)
def test_what_names_none_is_refused(hosts, index, environment, message):
    with pytest.raises(ValueError, match=message):
        find_cluster(hosts, index, environment)


def test_addresses_are_what_sockets_take_and_tensorflow_reads():
    cluster = Cluster(("a:2222", "[::1]:80"), 1)
    assert [cluster.address(index) for index in (0, 1)] == [("a", 2222), ("::1", 80)]
    assert cluster.name(0) == "worker 0 (a:2222)"
    assert find_cluster(None, None, {"TF_CONFIG": cluster.tf_config()}) == cluster
