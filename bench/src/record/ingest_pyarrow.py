"""R3's rival: reads the historian's segments, then writes the same columns with pyarrow, encoded and compressed the same
way, one fsynced file a segment. Prints the seconds that the writing took."""

import os
import sys
import time

import pyarrow.parquet as parquet

WORDS = ["tag", "quality", "device", "kind"]

blobs, work = sys.argv[1:]
tables = []
for name in sorted(os.listdir(blobs)):
    tables.append(parquet.read_table(os.path.join(blobs, name), read_dictionary=WORDS).combine_chunks())

began = time.perf_counter()
for number, table in enumerate(tables):
    path = os.path.join(work, f"rival-{number}.parquet")
    with open(path, "wb") as file:
        parquet.write_table(
            table,
            file,
            compression="zstd",
            compression_level=3,
            use_dictionary=WORDS,
            column_encoding={"source_time": "DELTA_BINARY_PACKED"},
            row_group_size=1 << 20,
        )
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(work, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
print(time.perf_counter() - began)
