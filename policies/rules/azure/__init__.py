"""Rules about Azure. A module a topic, `RULES` in each; they judge what `azure-native` declares."""
