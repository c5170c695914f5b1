"""Compress records with the workers of a Ray cluster, into the archive that one process would write.

    python examples/ray_compress.py DATA MODEL OUT --workers 2 --shards 8 --max-error 10%

The plan fixes what depends on all records. Each worker loads the model once, and compresses one shard after the other;
Ray gives the shards of a worker that is lost to another. DATA, MODEL and OUT are paths that all machines see: a shared
folder, or URLs such as s3://bucket/x.npy. Needs `pip install ray`.
"""

from __future__ import annotations

import argparse
import sys

import ray
from ray.util import ActorPool

import narrows


@ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
class Worker:
    """Compresses shards by a plan."""

    def __init__(self, model: str, plan: str) -> None:
        self.model, self.plan = narrows.load(model), plan

    def compress(self, data: str, shard: str, part: str) -> str:
        """Write a shard of the data, given as ``I/N``, and return its path. A part of a lost worker is replaced."""
        narrows.compress_shard(data, part, plan=self.plan, shard=shard, model=self.model, threads=1, force=True)
        return part


def compress(data: str, model: str, out: str, *, workers: int, shards: int, max_error: str | None) -> str:
    """Compress data with some workers; return the path of the archive."""
    plan = f"{out}.plan.json"
    largest = -(-len(narrows.data.open(data)) // shards)
    narrows.plan(
        data, plan, model=narrows.load(model), max_error=max_error, chunk_records=min(largest, 4096), force=True
    )
    pool = ActorPool([Worker.remote(model, plan) for _ in range(workers)])
    work = [(f"{number}/{shards}", f"{out}.part-{number}") for number in range(1, shards + 1)]
    parts = pool.map_unordered(lambda actor, one: actor.compress.remote(data, *one), work)
    return str(narrows.merge(list(parts), out, force=True).path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "model", "out"):
        parser.add_argument(name)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--max-error")
    arguments = vars(parser.parse_args())
    ray.init(num_cpus=arguments["workers"], include_dashboard=False, log_to_driver=False)
    sys.stdout.write(f"{compress(**arguments)}\n")
    ray.shutdown()


if __name__ == "__main__":
    main()
