//! R4: bytes of a sample in the historian's segments, of the simulated plant's data. Not measured yet:
//! `gemba_host::historian` is not in this tree.
