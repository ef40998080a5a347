"""The program: one environment per stack, on the clouds that its settings choose."""
