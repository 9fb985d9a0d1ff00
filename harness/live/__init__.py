"""The live world: the same plans and histories, on systems that run as real processes."""
