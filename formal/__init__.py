"""A model of the pool for SPIN, what runs it, and what ties it to the code: see docs/formal.md."""
