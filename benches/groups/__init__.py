"""Groups of rows. Each has `rows(workshop)`, a generator: what it needs lives as long as it is asked."""
