"""Makes `machines` importable from every folder of unit tests: pytest puts this file's folder on the path."""
