"""A cold start on a simulated machine: machines as data, a simulated driver in C. Nothing else in firstlight knows of it."""
