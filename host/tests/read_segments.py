"""Reads segments with what analysts use, and checks them against the record's roots from the description alone.

Called by historian.rs with a JSON file: {"files": [{"path", "samples", "roots": {device: hex}}],
"tags": {path: {"count", "sum"}}, "bad": n}. Says which tools read them, or fails.
"""

import hashlib
import json
import struct
import sys

import duckdb
import pandas
import polars
import pyarrow.parquet

QUALITIES = {"good": 0, "uncertain": 1, "bad": 2}


def canonical_row(row):
    kind = {None: 0, "bool": 1, "int": 2, "float": 3, "text": 4}[row["kind"]]
    head = struct.pack("<qqBB", row["source_time"], row["server_time"], QUALITIES[row["quality"]], kind)
    if kind == 1:
        return head + struct.pack("<B", int(row["value"]))
    if kind == 2:
        return head + struct.pack("<q", int(row["value"]) if row["integer"] is None else row["integer"])
    if kind == 3:
        return head + struct.pack("<d", row["value"])
    if kind == 4:
        text = row["text"].encode()
        return head + struct.pack("<I", len(text)) + text
    return head


def merkle_root(leaves):
    """RFC 9162, 2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def roots(path):
    table = pyarrow.parquet.read_table(path)
    for name in ("source_time", "server_time"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pyarrow.int64()))
    runs = {}
    for row in table.to_pylist():
        runs.setdefault(row["device"], {}).setdefault(row["tag"], []).append(canonical_row(row))
    found = {}
    for device, tags in runs.items():
        leaves = []
        for tag in sorted(tags, key=str.encode):
            name, rows = tag.encode(), tags[tag]
            data = b"gemba run 1\n" + struct.pack("<I", len(name)) + name + struct.pack("<Q", len(rows)) + b"".join(rows)
            leaves.append(hashlib.sha256(b"\x00" + data).digest())
        found[device] = merkle_root(leaves).hex()
    return found


def check(tool, found, expected):
    if found != expected:
        sys.exit(f"{tool} reads {found} instead of {expected}")


def main():
    expected = json.load(open(sys.argv[1]))
    paths = [file["path"] for file in expected["files"]]
    tags = {tag: (told["count"], told["sum"]) for tag, told in expected["tags"].items()}

    for file in expected["files"]:
        check("the description of the roots", roots(file["path"]), file["roots"])
        assert pyarrow.parquet.ParquetFile(file["path"]).metadata.num_rows == file["samples"]

    frame = pandas.concat([pandas.read_parquet(path) for path in paths])
    assert str(frame["source_time"].dt.tz) == "UTC", frame.dtypes
    grouped = frame.groupby(frame["tag"].astype(str))["value"]
    check("pandas", {tag: (len(group), group.sum()) for tag, group in grouped}, tags)
    check("pandas", int((frame["quality"].astype(str) == "bad").sum()), expected["bad"])

    rows = duckdb.sql("select tag, count(*), coalesce(sum(value), 0) from read_parquet($paths) group by tag",
                      params={"paths": paths}).fetchall()
    check("duckdb", {tag: (count, total) for tag, count, total in rows}, tags)
    bad = duckdb.sql("select count(*) from read_parquet($paths) where quality = 'bad'", params={"paths": paths})
    check("duckdb", bad.fetchall()[0][0], expected["bad"])

    lazy = polars.concat([polars.read_parquet(path).with_columns(polars.col("tag", "quality").cast(polars.String))
                          for path in paths])
    rows = lazy.group_by("tag").agg(polars.len(), polars.col("value").sum()).rows()
    check("polars", {tag: (count, total) for tag, count, total in rows}, tags)
    check("polars", lazy.filter(polars.col("quality") == "bad").height, expected["bad"])
    for path in paths:
        one = polars.read_parquet(path).with_columns(polars.col("tag").cast(polars.String))
        assert one.select("tag", "source_time").equals(one.sort("tag", "source_time").select("tag", "source_time"))
    print(f"pandas {pandas.__version__}, pyarrow {pyarrow.__version__}, duckdb {duckdb.__version__}, "
          f"polars {polars.__version__} read {sum(file['samples'] for file in expected['files'])} samples alike")


main()
