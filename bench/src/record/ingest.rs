//! R3: samples taken in by the historian until they are on the disk as Parquet. The rival will be `pyarrow` writing the
//! same columns. Not measured yet: `gemba_host::historian` is not in this tree.
