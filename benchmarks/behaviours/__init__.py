"""What the swarm's figures and the gallery of behaviours are measured and drawn with."""
