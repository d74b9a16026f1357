"""What is found of pods from outside, rendered. The container's own process reads none of it."""
