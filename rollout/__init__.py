"""How a change goes from a pull request to prod: what the workflows in .github/ call, a command a step."""
