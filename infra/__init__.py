"""The parts of the ground in one shape, and each cloud's dialect of it in a folder of its own."""
