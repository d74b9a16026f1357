"""What `firstlight install` puts on a volume. The core of a boot never imports it."""
