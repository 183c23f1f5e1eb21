"""The shipped zoo: its data, its architectures, and the recipes that train its checkpoints."""
