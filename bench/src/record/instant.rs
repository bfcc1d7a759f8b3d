//! R8: any instant of an eight-hour shift with 1,000 tags, from asking to having every tag's value, p99. Not measured
//! yet: `gemba_host::historian` is not in this tree.
