"""A custom node that needs what is not installed."""

import not_installed_module

NODE_CLASS_MAPPINGS = {"NotThere": not_installed_module}
