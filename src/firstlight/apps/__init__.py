"""What we know of the apps that are started: recipes and checks, as data. Pure."""
