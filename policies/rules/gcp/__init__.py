"""Rules about Google Cloud. A module a topic, `RULES` in each."""
