"""One archive by several processes: a plan fixes what is global, each worker writes a shard, and `merge` joins them.

::

    data, model ─► plan ─► plan file ─┬─► compress_shard 1/n ─► part ─┐
                                      ├─► compress_shard 2/n ─► part ─┼─► merge ─► archive
                                      └─► compress_shard n/n ─► part ─┘

The archive has the same bytes for any number of workers, and as one that is written at once.
"""

from narrows.archive.sharding.merging import Merged, merge
from narrows.archive.sharding.plan_file import SavedPlan, parse_shard, read_plan
from narrows.archive.sharding.planning import plan
from narrows.archive.sharding.shard import compress_shard

__all__ = ["Merged", "SavedPlan", "compress_shard", "merge", "parse_shard", "plan", "read_plan"]
