"""Rules about Kubernetes, on whichever cloud. A module a topic, `RULES` in each."""
