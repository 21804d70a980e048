"""Groups beside their rows, written to a file. It needs PyTorch and Arrow: see `base.heavy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from raw2vec.disk import replacing
from raw2vec.measure import columns_of
from raw2vec.rows import one_value
from raw2vec.sides import told
from raw2vec.system import Raw2Vec

LONGEST = 160  # letters of a row that are shown


class Grouped:
    """The rows of `data` with the numbers of their groups and clusters."""

    def __init__(self, model: Raw2Vec, data: str, options: dict[str, Any], progress: Callable[[int], None]):
        rows, columns = columns_of(model.parts_, data, told(model.parts_), input=options.get("input"))
        found = model.group(rows, **{**options, "input": columns["input"]}, progress=progress)
        self.found, self.items = found, len(found.groups)
        self.groups, self.in_groups = len(found.sizes), sum(found.sizes)
        self.clusters = int(found.clusters.max()) + 1
        self.table = pa.Table.from_batches(list(rows.batches()))
        self.names = self._named(columns["input"])

    def _named(self, column: str) -> list[str]:
        if column in self.table.column_names and one_value(self.table.schema.field(column).type):
            return [str(value)[:LONGEST] for value in self.table.column(column).to_pylist()]
        return [f"row {row}" for row in range(self.items)]

    def largest(self, most: int) -> list[dict[str, Any]]:
        """The largest groups: how many rows each has, and the one nearest to all of them."""
        sizes = self.found.sizes[:most]
        rows = self.found.representatives.tolist()
        return [
            {"group": number, "size": size, "row": rows[number], "representative": self.names[rows[number]]}
            for number, size in enumerate(sizes)
        ]

    def write(self, out: str) -> None:
        """All rows with what a file has room for of their columns, in a file that appears whole or not at all."""
        groups = self.found.groups
        representative = np.isin(np.arange(self.items), self.found.representatives)
        told = {
            "row": pa.array(range(self.items)),
            "group": pa.array(groups, mask=groups < 0),
            "representative": pa.array(representative),
            "cluster": pa.array(self.found.clusters),
        }
        kept = [name for name in self.table.column_names if one_value(self.table.schema.field(name).type)]
        table = pa.table({**told, **{name: self.table.column(name) for name in kept if name not in told}})
        with replacing(Path(out)) as partial:
            if out.endswith(".parquet"):
                pq.write_table(table, partial)
            elif out.endswith(".csv"):
                pa_csv.write_csv(table, partial)
            else:
                lines = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
                partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
