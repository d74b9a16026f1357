"""Who runs the machines: what a provider can be asked for from outside. The core of a boot never imports it."""
